#!/bin/bash
# An fstab as others write it (M4, [3.13]): blanks and quotes in names, lines that end in a carriage
# return, comments behind words; and names of devices, which are of the imaged disk for sure or
# refused before a disk is touched.
. "$(dirname "$0")/lib.sh"
farm_up

# disks NAME ROOT-MKFS...: root on partition 1, an ext4 "My Data" with a file on partition 2.
disks() {
  disk "$1" 240M size=120M,type=L,name=root 'type=L,name="all of it"'
  fill "$1" 1 mke2fs -q -t ext4 -L root
  on "$1" 2 mke2fs -q -t ext4 -L "My Data"
  at "$1" 2 sh -c 'echo kept >paper'
}
# fstab NAME LINES: with \ of octal digits as they are.
fstab() { lines=$2 at "$1" 1 sh -c 'printf "%s\n" "$lines" >etc/fstab'; at "$1" 1 mkdir -p "srv/My Data" srv/data; }
export lines

# by NAME LINE MOUNT: the copy has the second volume, which the image knows by its mount point, and the
# same fstab.
by() {
  disks "$1"; fstab "$1" "LABEL=root / ext4 defaults 0 1"$'\n'"$2"
  capture "$1"
  ramet image show "$1-1" --json | jq -e --arg m "$3" 'any(.. | objects; .class == "volume" and .mount == $m and .partition == "2")' >/dev/null ||
    fail "$1: no volume is mounted on $3"
  [ "${4:-}" = only-image ] && return
  deploy "$1"
  [ "$(look "$1" 2 cat paper)" = kept ] || fail "$1: the second volume has other contents"
  [ "$(look "$1" 1 tail -n 1 etc/fstab)" = "$2" ] || fail "$1: fstab has changed"
}
by label 'LABEL=My\040Data /srv/My\040Data ext4 defaults 0 2' '/srv/My Data'
by quoted 'PARTLABEL="all\040of\040it" /srv/My\040Data ext4 defaults 0 2 # the rest'$'\r' '/srv/My Data' only-image
by link '/dev/disk/by-partlabel/all\134x20of\134x20it /srv/data auto rw' /srv/data only-image
by device '/dev/sda2 /srv/My\040Data ext4 defaults 0 2' '/srv/My Data'

# refused LINES WORDS: one disk, whose source is told anew.
disks other
refused() {
  fstab other "$1"
  capture_refused other "$2"
}
root='LABEL=root / ext4 defaults 0 1'
refused "$root"$'\n''/dev/sdb2 /srv/data ext4 defaults 0 2' 'line 2 of /etc/fstab mounts /srv/data from /dev/sdb2.*UUID='
refused '/dev/sda2 /srv/data ext4 rw'$'\n''/dev/sdb1 / ext4 rw' 'line 1 of /etc/fstab mounts /srv/data from /dev/sda2'
refused '/dev/nvme0n1p1 / ext4 rw'$'\n''/dev/nvme1n1 /srv/data ext4 rw' 'line 2 of .* /dev/nvme1n1'
refused '/dev/sda1 / ext4 rw'$'\n''/dev/md2 /srv/data ext4 rw' 'line 2 of .* /dev/md2'
refused "$root"$'\n''/dev/disk/by-id/ata-OTHER-part2 /srv/data ext4 rw' 'line 2 of .*by-id/ata-OTHER-part2'
refused "$root"$'\n\n''UUID=7b2d9c1a-0000-4000-8000-000000000001 none swap sw 0 0' 'line 3 of /etc/fstab swaps to'
refused "$root"$'\n''LABEL="My Data" /srv/data ext4 rw' 'line 2 of .*written .040'
refused "$root"$'\n''LABEL=my\040data /srv/data ext4 rw' 'line 2 of .*not a volume of the imaged disk'
echo "fstab: passed"

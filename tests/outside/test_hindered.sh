#!/bin/bash
# What stopped an installation when the disk was erased: mount points without a folder or behind a
# symlink are made or followed as the machine itself does, files that are locked (chattr +i, +a) become
# the copy's own and stay locked; a mount point that is no folder is told by the capture (M33).
. "$(dirname "$0")/lib.sh"
farm_up
# ---- Told by the capture
# two NAME SCRIPT MOUNT-POINT: a system with a second volume, which is mounted there.
two() {
  disk "$1" 64M size=48M,type=L,name=root type=L,name=data
  fill "$1" 1 mke2fs -q -t ext4
  on "$1" 2 mke2fs -q -t ext4 -L data
  at "$1" 2 sh -c 'echo kept >paper'
  at "$1" 1 sh -ec "echo 'LABEL=data $3 ext4 defaults,nofail 0 2' >>etc/fstab; $2"
}
# not_imaged NAME WORDS SCRIPT MOUNT-POINT: the image of such a system is refused.
not_imaged() {
  two "$1" "$3" "$4"
  capture_refused "$1" "$2"
}
not_imaged file 'nothing can be mounted on /data: /data is not a folder' ': >data' /data
not_imaged below 'nothing can be mounted on /srv/a/b: /srv/a is not a folder' 'mkdir srv; mkfifo srv/a' /srv/a/b
not_imaged dead 'nothing can be mounted on /data: the symlink /data is a way to no folder' 'ln -s /mnt/gone data' /data
not_imaged loop 'nothing can be mounted on /srv/x: the symlink /srv is a way to no folder' 'ln -s srv srv' /srv/x
# What mkfs and libfdisk would refuse on the target they refuse here, in memory.
disk emoji 64M type=L,name=root
fill emoji 1 mke2fs -q -t ext4
"$source_dir/tests/tools/gpt_name" "$farm/emoji.source" 1 $'disk \xf0\x9f\x98\x80'
capture_refused emoji 'partition 1 has the name .*above U\+FFFF'
disk fat 80M size=48M,type=L,name=root type=uefi,name=esp
fill fat 1 mke2fs -q -t ext4
on fat 2 mkfs.fat -n UBER >/dev/null
sed -i 's/UBER       /\x9aBER       /g' "$farm/fat.source"
capture_refused fat 'the vfat of partition 2 cannot be made again'

# ---- Done, where the disk was erased first and the installation failed then
two missing '' /data/of/it
capture missing
deploy missing
[ "$(look missing 2 cat paper)" = kept ] || fail "the volume without a folder lost its file"
look missing 1 test -d data/of/it || fail "the mount point was not made"
two link 'mkdir -p usr/home; ln -s usr/home home2' /home2
capture link
deploy link
[ "$(look link 2 cat paper)" = kept ] || fail "the volume behind a symlink lost its file"
[ "$(look link 1 readlink home2)" = usr/home ] || fail "the symlink to the mount point is gone"
disk locked 64M
fill locked 0 mke2fs -q -t ext4
at locked 0 sh -ec 'echo "nameserver 192.0.2.1" >etc/resolv.conf; chattr +i etc/resolv.conf etc/hosts etc/hostname etc/network
  chattr +a etc/machine-id etc/ssh; chattr +i usr/lib etc'
capture locked
deploy locked hostname=copy address=10.2.0.7/24 dns=10.2.0.1
[ "$(look locked 0 cat etc/hostname)" = copy ] || fail "a locked file kept the source's name"
look locked 0 sh -c 'lsattr -d etc usr/lib etc/network etc/hosts etc/hostname etc/resolv.conf' >"$farm/flags"
[ "$(grep -c -- '^....i' "$farm/flags")" = 6 ] || { cat "$farm/flags" >&2; fail "the copy is not locked as its source is"; }
look locked 0 lsattr -d etc/machine-id etc/ssh >"$farm/flags"
[ "$(grep -c -- '^.....a' "$farm/flags")" = 2 ] || { cat "$farm/flags" >&2; fail "what is only appended to is not as on its source"; }

echo "hindered: passed"

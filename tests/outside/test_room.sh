#!/bin/bash
# Disks of other sizes (M4, M12): swap behind the root moves with the end of the disk and the root gets
# the space, what stays unused is told in the plan, and a btrfs may have a thousand subvolumes.
. "$(dirname "$0")/lib.sh"
farm_up

# table NAME: start and size of each partition of the target's disk, in sectors.
table() { sfdisk -J "$farm/t-$1.disk" | jq -r '.partitiontable.partitions[] | "\(.start) \(.size)"' | paste -sd ' '; }
swap_of() { local loop; attach "$1" "$2" -r; blkid -p -s TYPE -s UUID -s LABEL -o value "$loop" | paste -sd ' '; detach; }

# moved NAME SIZE SWAP TABLE: on a disk of that size the table is this one, root fills its partition, and
# the swap of that number has kept its UUID and label.
moved() {
  size=$2 deploy "$1"
  [ "$(table "$1")" = "$4" ] || fail "$1: the table is $(table "$1"), not $4"
  [ "$(swap_of "$farm/t-$1.disk" "$3")" = "$(swap_of "$farm/$1.source" "$3")" ] || fail "$1: swap is another one"
  local loop; attach "$farm/t-$1.disk" 1 -r
  e2fsck -fn "$loop" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "$1: the root is damaged"; }
  [ "$(dumpe2fs -h "$loop" 2>/dev/null | awk '/^Block count/ { n = $3 } /^Block size/ { s = $3 } END { print n * s / 512 }')" = "$5" ] ||
    fail "$1: the root does not fill its partition"
  detach
}
# As Debian's installer divides a disk.
disk debian 400M 'label: dos' '1: start=2048,size=600064,type=83,bootable' '2: start=604158,size=214018,type=5' \
  '5: start=604160,size=214016,type=82'
fill debian 1 mke2fs -q -t ext4 -L root
on debian 5 mkswap -q -L sw
at debian 1 sh -c 'echo "LABEL=sw none swap sw 0 0" >>etc/fstab'
capture debian
moved debian 800M 5 "2048 1419264 1423358 214018 1423360 214016" 1419264

disk small 300M size=230M,type=L,name=root size=40M,type=swap
fill small 1 mke2fs -q -t ext4
on small 2 mkswap -q
capture small
moved small 200M 2 "2048 323584 325632 81920" 323584

# The last partition holds what ramet does not know.
disk last 300M size=200M,type=L size=16M,type=L
fill last 1 mke2fs -q -t ext4
on last 2 sh -c 'echo raw >"$1"' sh
capture last
size=1G plan last || fail "last does not fit"
grep -Eq 'warnings: .*MiB\) at the end of the disk stay unused: partition 2, the last one, does not grow' <<<"$said" ||
  { echo "$said" >&2; fail "the plan does not tell of the space that stays unused"; }

# More subvolumes than an order has space for.
count=${RAMET_SUBVOLUMES:-200}
disk layers 1500M type=L,name=root
fill layers 1 mkfs.btrfs -q
make_layers() {
  mkdir -p var/lib/layers
  btrfs -q subvolume create var/lib/layers/base
  echo layer >var/lib/layers/base/file
  local i
  for i in $(seq "$count"); do btrfs -q subvolume snapshot var/lib/layers/base "var/lib/layers/a-layer-$i"; done
}
at layers 1 make_layers
capture layers
deploy layers
[ "$(look layers 1 sh -c 'cat var/lib/layers/*/file | wc -l')" = $((count + 1)) ] || fail "the copy lacks layers"
[ "$(look layers 1 btrfs subvolume list . | wc -l)" = $((count + 1)) ] || fail "layers of the copy are no subvolumes"
echo "room: passed"

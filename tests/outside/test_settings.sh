#!/bin/bash
# What stands in a superblock alone is the same on the copy (M4): presets of mounts, checks, users of the
# reserve, RAID hints, hashes of names; on XFS the share of inodes, stripes and the block size of folders.
. "$(dirname "$0")/lib.sh"
farm_up
ext_facts() { dumpe2fs -h "$1" 2>/dev/null | grep -E '^(Default mount|Mount options|Maximum mount|Check int|Reserved blocks [ug]id|Errors|RAID|Default dir|Directory Hash)'; }
xfs_facts() { xfs_db -r -c 'sb 0' -c 'print imax_pct unit width dirblklog versionnum' "$1"; }
of_target() { local loop; attach "$farm/t-$1.disk" 1 -r; "$2" "$loop"; detach; }

# tuned NAME FACTS SIZE MKFS...; then TUNE of the source, if there is one.
tuned() {
  local name=$1 facts=$2 size=$3; shift 3
  disk "$name" "$size" type=L,name=root
  fill "$name" 1 "$@"
  [ -z "${tune:-}" ] || on "$name" 1 bash -c "$tune" tune >/dev/null
  size='' capture "$name"
  size='' deploy "$name"
  diff <(on "$name" 1 "$facts") <(of_target "$name" "$facts") || fail "$name: settings differ"
}
tune='tune2fs -o journal_data,nobarrier,^acl -c 20 -i 30d -u 1000 -g 1000 -e panic -E hash_alg=tea "$1"' \
  tuned raid ext_facts 200M mke2fs -q -t ext4 -E stride=16,stripe_width=64
tune='tune2fs -o ^user_xattr,discard -i 5400s -e continue -E mount_opts=nobarrier "$1"' tuned plain ext_facts 100M mke2fs -q -t ext3
tuned striped xfs_facts 1200M mkfs.xfs -q -i maxpct=7 -d sunit=128,swidth=512 -n size=8192
tuned whole xfs_facts 400M mkfs.xfs -q -i maxpct=0
echo "settings: passed"

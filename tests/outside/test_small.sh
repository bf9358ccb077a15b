#!/bin/bash
# What the other tests of this folder stand on: the disk of a small system goes from capture to the
# first start of its copy (M2), with a table and without one, and a refusal is told as one.
. "$(dirname "$0")/lib.sh"
farm_up
disk web 200M size=100M,type=L,name=root type=L,name=data
fill web 1 mke2fs -q -t ext4
on web 2 mke2fs -q -t ext4
at web 2 sh -c 'echo kept >paper'
capture web
deploy web hostname=copy
[ "$(look web 1 cat etc/hostname)" = copy ] || fail "the copy has another name"
[ "$(look web 2 cat paper)" = kept ] || fail "the second partition has other contents"

disk bare 100M
fill bare 0 mke2fs -q -t ext4
capture bare
deploy bare
[ "$(look bare 0 cat etc/hostname)" = t-bare ] || fail "the copy without a table has another name"

disk closed 64M
"$source_dir/tests/tools/make_layer" md-1.2 "$farm/closed.source" 0 67108864
capture_refused closed 'linux_raid_member'
echo "small: passed"

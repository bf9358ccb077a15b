#!/bin/bash
# Partitions that an image leaves out by --without (M32, [3.50]): by each of the words that people have for
# them; the copy does not have them, everything else is as it was, and what ramet does not know stays refused
# with the command that leaves it out.
. "$(dirname "$0")/lib.sh"
farm_up

# without NAME WORD...: an image of it without these partitions; images of one source have numbers.
without() {
  local name=$1 word words=(); shift
  for word; do words+=(--without "$word"); done
  [ -f "$farm/run/source-$name.cfg" ] || lab source "$farm" "$name" "$farm/$name.source"
  ramet image remove "$name-1" >/dev/null 2>&1 || true
  said=$(ramet image create "$name" --name "$name-1" "${words[@]}" --wait --timeout 2m 2>&1)
}
numbers() { ramet image show "$1-1" --json | jq -r '[.. | objects | select(.class == "partition") | .number] | join(" ")'; }

disk web 220M start=2048,size=100M,type=L,name=root size=40M,type=L,name=spare \
  size=40M,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,name=Basic
fill web 1 mke2fs -q -t ext4
on web 2 mke2fs -q -t ext4 -L "old data" >"$farm/out" 2>&1
on web 3 "$RAMET_SOURCE/tests/tools/make_layer" bitlocker
capture_refused web 'partition 3: it holds BitLocker, which is not supported; to leave it out: ramet image create web --without 3'

# Some of the words by which a partition is called (unit.part has all); several at once.
guid=$(sfdisk --part-uuid "$farm/web.source" 3)
for word in Basic "$(tr A-F a-f <<<"$guid")"; do
  without web "$word" || fail "--without $word: $said"
  [ "$(numbers web)" = "1 2" ] || fail "--without $word leaves $(numbers web)"
done
uuid=$(on web 2 blkid -p -s UUID -o value)
for word in "old data" "UUID=$uuid"; do
  without web "$word" Basic || fail "--without $word: $said"
  [ "$(numbers web)" = 1 ] || fail "--without $word leaves $(numbers web)"
done
ramet image show web-1 --json | jq -e 'any(.. | objects; .class == "without" and .what == "partition 2 (ext4, spare, old data)")' >/dev/null ||
  fail "the image does not tell what it leaves out: $(ramet image show web-1)"
ramet image create web --without 2 --without 3 --dry-run --wait >"$farm/out" 2>&1 || fail "--dry-run: $(cat "$farm/out")"
grep -q 'partition 2 (ext4, spare, old data)' "$farm/out" || fail "--dry-run does not tell what is left out: $(cat "$farm/out")"

# The copy: no such partitions, and the root takes their place.
deploy web
[ "$(sfdisk -J "$farm/t-web.disk" | jq '.partitiontable.partitions | length')" = 1 ] || fail "web: the copy has more than one partition"
[ "$(sfdisk -J "$farm/t-web.disk" | jq '.partitiontable.partitions[0].size')" -gt 400000 ] || fail "web: the root did not grow: $(sfdisk -d "$farm/t-web.disk")"

# In the middle: those behind it keep number, place and GUID, and their contents.
disk mid 200M size=30M,type=L,name=a size=30M,type=L,name=b size=100M,type=L,name=c
fill mid 3 mke2fs -q -t ext4
on mid 1 mke2fs -q -t ext4 >"$farm/out" 2>&1
on mid 2 sh -c 'head -c 30M /dev/urandom >"$1"' sh
without mid b || fail "$said"
deploy mid
[ "$(sfdisk -J "$farm/t-mid.disk" | jq -c '.partitiontable.partitions | map([.start, .uuid, .name])')" = \
  "$(sfdisk -J "$farm/mid.source" | jq -c '.partitiontable.partitions | map([.start, .uuid, .name]) | del(.[1])')" ] ||
  fail "mid: the table is $(sfdisk -d "$farm/t-mid.disk")"
ramet image show mid-1 --json | jq -e 'any(.. | objects; .class == "dropped") | not' >/dev/null || fail "mid: what is left out counts as lost"

# A word that means none or two, and partitions that others need.
! without mid d || fail "a word that means none was taken"
grep -q "without: no partition is called 'd'; there are: 1 (ext4, a), 2 (b), 3 (ext4, c)" <<<"$said" || fail "$said"
sfdisk -q --part-label "$farm/mid.source" 1 b
! without mid b || fail "a word that means two was taken"
grep -q "'b' means several partitions: 1 (ext4, b), 2 (b); write the number" <<<"$said" || fail "$said"
at mid 3 sh -c 'echo PARTLABEL=gone /srv ext4 defaults 0 2 >>etc/fstab'
sfdisk -q --part-label "$farm/mid.source" 1 gone
! without mid 1 2 || fail "a partition that fstab mounts was left out"
grep -q 'line 2 of /etc/fstab mounts /srv from PARTLABEL=gone' <<<"$said" || fail "$said"
at mid 3 sed -i 's/gone .srv ext4 defaults/gone \/srv ext4 nofail/' etc/fstab
without mid 1 2 || fail "nofail: $said"

# DOS: a primary partition may go; of logical ones the last.
disk dos 300M label:dos 1:start=2048,size=100M,type=83 2:size=20M,type=83 3:size=100M,type=5 5:size=20M,type=83 6:size=20M,type=83
fill dos 1 mke2fs -q -t ext4
without dos 2 6 || fail "dos: $said"
[ "$(numbers dos)" = "1 3 5" ] || fail "dos: --without leaves $(numbers dos)"
! without dos 5 || fail "a logical partition was left out before another"
grep -q 'partition 5 cannot be left out alone, because logical partition 6 would lose its number' <<<"$said" || fail "$said"
! without dos 3 || fail "an extended partition was left out alone"
without dos 3 5 6 || fail "dos: $said"
deploy dos
[ "$(sfdisk -J "$farm/t-dos.disk" | jq -c '.partitiontable | [.id, (.partitions | length)]')" = "$(sfdisk -J "$farm/dos.source" | jq -c '[.partitiontable.id, 2]')" ] ||
  fail "dos: the table is $(sfdisk -d "$farm/t-dos.disk")"

# Several disks: the word names the disk, and the same number of another one stays.
disk pair 100M size=60M,type=L size=20M,type=L
disk pair-b 100M size=30M,type=L,name=data size=30M,type=L,name=win
fill pair 1 mke2fs -q -t ext4
for place in "pair 2" "pair-b 1"; do
  # shellcheck disable=SC2086  # Two words.
  on $place mke2fs -q -t ext4 >"$farm/out" 2>&1
done
on pair-b 2 "$RAMET_SOURCE/tests/tools/make_layer" bitlocker
lab source "$farm" pair "$farm/pair.source" "$farm/pair-b.source"
! without pair || fail "BitLocker of a second disk was taken"
grep -q "partition 2 of disk 'disk2': it holds BitLocker.*--without disk2:2" <<<"$said" || fail "$said"
for word in 2 win disk3:2 disk:2; do
  ! without pair "$word" || fail "--without $word was taken, which names no disk"
  grep -q "without $word: this source has 2 disks; write the role" <<<"$said" || fail "$said"
done
! without pair system:win || fail "a partition of another disk was taken"
grep -q "without: no partition is called 'win'" <<<"$said" || fail "$said"
without pair disk2:win || fail "pair: $said"
[ "$(numbers pair)" = "1 2 1" ] || fail "pair: --without leaves $(numbers pair)"
for file in pair pair-b; do truncate -s 100M "$farm/t-$file.disk"; done
like=pair target pair t-pair.disk t-pair-b.disk
install pair pair
[ "$(sfdisk -J "$farm/t-pair-b.disk" | jq -c '[.partitiontable.partitions[].name]')" = '["data"]' ] ||
  fail "pair: the second disk is $(sfdisk -d "$farm/t-pair-b.disk")"

ramet image remove pair-1 >/dev/null
ramet image create pair --name pair-1 --raw disk2:2 --wait --timeout 2m >"$farm/out" 2>&1 || fail "raw: $(cat "$farm/out")"
for file in raw raw-b; do truncate -s 100M "$farm/t-$file.disk"; done
like=pair target raw t-raw.disk t-raw-b.disk
install pair raw
attach "$farm/pair-b.source" 2 -r; one=$loop; attach "$farm/t-raw-b.disk" 2 -r
cmp "$one" "$loop" || fail "raw: the partition of the second disk differs"
detach; loop=$one; detach
[ "$(numbers pair)" = "1 2 1 2" ] || fail "raw: the image has $(numbers pair)"

# A tree has no partitions.
mkdir "$farm/tree"; (cd "$farm/tree" && make_tree "$PWD" 0)
lab source "$farm" tree "$farm/tree"
! ramet image create tree --name tree-1 --without 1 --wait >"$farm/out" 2>&1 || fail "a partition of a tree was left out"
grep -q 'this source is a tree' "$farm/out" || fail "$(cat "$farm/out")"
echo "parts: passed"

#!/bin/bash
# More of --raw (M32, [3.51], [3.52], [5.11]): a DOS table, clusters of other sizes, an NTFS that is smaller than
# its partition; a source that runs; comparisons of machines with images that have such partitions.
. "$(dirname "$0")/lib.sh"
farm_up
of() { local loop; attach "$1" "$2"; "${@:3}" "$loop"; detach; } # FILE N COMMAND...
clone() { ntfsclone -f -q --save-image -o - "$1" 2>"$farm/out" | sha256sum; }
ntfs() { # CLUSTER SECTORS DEVICE: with files, and one that is removed again; SECTORS "" for all
  mkntfs -q -f -c "$1" "$3" ${2:+"$2"} >"$farm/out" 2>&1
  ntfs-3g "$3" "$farm/at"
  for i in $(seq 30); do head -c $((i * 3000)) /dev/urandom >"$farm/at/$i"; done
  head -c 5M /dev/urandom >"$farm/at/gone"; rm "$farm/at/gone"
  umount "$farm/at"
}
image() { ramet image create "$1" --name "$2" "${@:3}" --wait --timeout 2m >"$farm/out" 2>&1; }
cat_all() { cat "$1"; }
same() { # NAME N...: of the source and of the target
  local name=$1 n; shift
  for n; do [ "$(on "$name" "$n" clone)" = "$(of "$farm/t-$name.disk" "$n" clone)" ] || fail "$name: the clusters in use of partition $n differ"; done
}

# As a PC with a BIOS has it: Windows' partition is the active one, another one is a logical one.
disk pc 420M label:dos 1:size=100M,type=83 2:size=100M,type=7,bootable 3:type=5 5:size=80M,type=7 6:size=40M,type=27
fill pc 1 mke2fs -q -t ext4
on pc 2 ntfs 65536 ""
on pc 5 ntfs 1024 100000
on pc 6 ntfs 4096 ""
lab source "$farm" pc "$farm/pc.source"
! image pc pc-0 --raw 3 --raw 2 --raw 5 --raw 6 || fail "an extended partition was carried raw"
grep -q -- '--raw 3: it is an extended partition' "$farm/out" || fail "$(cat "$farm/out")"
image pc pc-1 --raw 2 --raw 5 --raw 6 || fail "pc: $(cat "$farm/out")"
deploy pc
same pc 2 5 6
[ "$(sfdisk -d "$farm/pc.source" | sed 's/.*source//')" = "$(sfdisk -d "$farm/t-pc.disk" | sed 's/.*disk//')" ] ||
  fail "pc: the table is $(sfdisk -d "$farm/t-pc.disk")"
ramet image create pc --raw 2 --raw 5 --raw 6 --dry-run --wait >"$farm/out" 2>&1 || fail "--dry-run: $(cat "$farm/out")"
[ "$(grep -c 'the blocks in use of what it holds: ntfs' "$farm/out")" = 3 ] || fail "--dry-run does not tell the raw partitions: $(cat "$farm/out")"
# Neither the source nor the copy has drifted; the image tells what of their disks is not to be read.
for machine in source/pc target/t-pc; do
  ramet image verify pc-1 --against $machine >"$farm/out" 2>&1 || fail "$machine: $(cat "$farm/out")"
done
image pc pc-2 --without 2 --without 5 --without 6 || fail "pc: $(cat "$farm/out")"
ramet image verify pc-2 --against source/pc >"$farm/out" 2>&1 || fail "source/pc: $(cat "$farm/out")"

# A hibernated Linux: its copy would wake up with the memory of the source.
sleeping() { mkswap -q "$1" >"$farm/out"; printf S1SUSPEND | dd of="$1" bs=1 seek=4086 conv=notrunc status=none; }
on pc 6 sleeping
! image pc pc-3 --raw 2 --raw 5 --raw 6 || fail "a hibernated system was carried raw"
grep -q 'partition 6: it holds the memory of a hibernated system' "$farm/out" || fail "$(cat "$farm/out")"

# A source that runs: what is in use changes while it is read.
disk run 260M size=120M,type=L,name=root size=80M,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,name=C \
  size=7777,type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE
fill run 1 mke2fs -q -t ext4
on run 2 ntfs 4096 ""
attach "$farm/run.source" 0; device=$loop
partx -a "$device"
# Its partitions go before the loop device does.
eval "outside_$(declare -f clean_up)"
clean_up() { umount "$farm/root" "$farm/c" 2>/dev/null || true; partx -d "$device" 2>/dev/null || true; outside_clean_up; }
mkdir "$farm/root" "$farm/c"
mount "${device}p1" "$farm/root"
lab source "$farm" run "$farm/root"
kill "$(cat "$farm/run/source-run.pid")"; rm "$farm/run/source-run.pid"
echo "disk = \"$device\"" >>"$farm/run/source-run.cfg"
lab source "$farm" run "$farm/root"
ntfs-3g "${device}p2" "$farm/c"
! image run run-0 --raw C || fail "a partition in use was carried raw"
grep -q "partition 2: ${device}p2 is in use, and its blocks change; unmount it" "$farm/out" || fail "$(cat "$farm/out")"
umount "$farm/c"
image run run-1 --raw C --raw 3 || fail "run: $(cat "$farm/out")"
umount "$farm/root"; partx -d "$device"; detach
head -c 260M /dev/zero | tr '\0' x >"$farm/t-run.disk"
deploy run
same run 2
[ "$(of "$farm/t-run.disk" 3 cat_all | tr -d '\0' | wc -c)" = 0 ] || fail "run: what was zeros has old data"
echo "raw_kinds: passed"

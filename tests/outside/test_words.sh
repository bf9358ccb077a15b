#!/bin/bash
# A disk that cannot be imaged is refused with the cause, the place as its owner calls it, and what to
# do: never with the name of a device that exists for a moment (M2).
. "$(dirname "$0")/lib.sh"
farm_up
refused() { # NAME WORDS
  capture_refused "$1" "$2"
  ! grep -Eq '/dev/loop[0-9]|[^r]/tmp/ramet-' <<<"$said" || { echo "$said" >&2; fail "the refusal of $1 names a scratch device"; }
}
root() { disk "$1" "${2:-64M}" "${3:-type=L,name=root}"; fill "$1" 1 mke2fs -q -t ext4 -b 4096; }
poke() { # NAME N OFFSET BYTES
  on "$1" "$2" sh -c 'printf "%b" "$2" | dd of="$3" bs=1 seek="$1" conv=notrunc status=none' sh "$3" "$4"
}

# Left over from an earlier use
root fat
truncate -s 63M "$farm/fat"; mkfs.vfat -F 16 "$farm/fat" >/dev/null
on fat 1 sh -c 'head -c 512 "$1" >"$2"' sh "$farm/fat"
refused fat 'partition 1: it has signatures of several file systems: (vfat, ext4|ext4, vfat); .*wipefs -a -b -t TYPE DEVICE'
root zfs 300M
for i in $(seq 0 20); do poke zfs 1 $(( (298 << 20) - 131072 + i * 1024 )) '\0014\0261\0272\0000\0000\0000\0000\0000'; done
refused zfs 'partition 1: it (has signatures of several file systems: .*zfs_member|holds zfs_member)'

# Sleeping
disk asleep 64M type=L
on asleep 1 mkswap >/dev/null; poke asleep 1 4086 'S1SUSPEND\0000'
refused asleep 'partition 1: it holds the memory of a hibernated system; start that machine and shut it down'

# A log on another disk
disk log 400M size=300M,type=L type=L
(attach "$farm/log.source" 2; other=$loop; attach "$farm/log.source" 1
  mkfs.xfs -q -f -l "logdev=$other,size=64m" "$loop"; losetup -d "$loop" "$other")
refused log 'partition 1: its log is on another device, which ramet does not carry'
disk journal 100M size=60M,type=L type=L
(attach "$farm/journal.source" 2; other=$loop; attach "$farm/journal.source" 1
  mke2fs -q -b 4096 -O journal_dev "$other"; mke2fs -q -b 4096 -J "device=$other" "$loop"; losetup -d "$loop" "$other")
refused journal 'partition 1: its journal is on another device, .*tune2fs -j DEVICE'

# Tables that say two things of one place
disk over 64M 'label: dos' 'start=2048,size=40000,type=83' 'start=45000,size=20000,type=83'
printf '\000\120\000\000' | dd of="$farm/over.source" bs=1 seek=$((446 + 16 + 8)) conv=notrunc status=none
refused over 'over.source: the layout.s partitions 1 and 2 .*overlap at sector 20480; correct the table'
disk beyond 64M 'label: dos' 'start=2048,size=40000,type=83' 'start=45000,size=80000,type=83'
truncate -s 40M "$farm/beyond.source"
refused beyond 'partition 2.*(end|outside|beyond|lie)'
echo "words: passed"

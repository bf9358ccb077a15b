#!/bin/bash
# Data of a disk that lies in no partition is told (M4): in the image's list of what copies do not have.
. "$(dirname "$0")/lib.sh"
farm_up

put() { head -c 5000 /dev/urandom | dd of="$farm/$1.source" bs=512 seek="$2" conv=notrunc status=none; }
# told NAME WORDS: the gaps that the image tells of, one after the other.
told() {
  local had
  had=$(ramet image show "$1-1" --json | jq -r '[.. | objects | select(.class == "dropped" and (.path | startswith("sectors"))) | .path] | join(", ")')
  [ "$had" = "$2" ] || fail "$1: the image tells of '$had', not of '$2'"
}
# The loader of a board, before the first partition.
disk board 150M 'label: dos' 'start=32768,type=83'
put board 16
fill board 1 mke2fs -q -t ext4
capture board
told board 'sectors 1 to 32767 of the disk'

# Between partitions, and behind them.
disk between 200M start=2048,size=100M,type=L start=264192,size=10M,type=L
put between 206900; put between 300000
fill between 1 mke2fs -q -t ext4
capture between
told between 'sectors 206848 to 264191 of the disk, sectors 284672 to 409566 of the disk'

# The table itself is none, nor is an extended partition.
disk clean 150M 'label: dos' '1: start=2048,size=204800,type=83' '2: start=208896,size=40960,type=5' '5: start=210944,size=20480,type=82'
fill clean 1 mke2fs -q -t ext4
on clean 5 mkswap -q
capture clean
told clean ''
disk whole 100M type=L
fill whole 1 mke2fs -q -t ext4
capture whole
told whole ''
echo "gaps: passed"

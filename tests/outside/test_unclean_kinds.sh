#!/bin/bash
# More ways in which a machine leaves a disk: what has no log but a program that checks it, several
# volumes, no table, files that were deleted while in use; and what is refused with its reason and a
# command (M2). Not a byte of a source is written.
. "$(dirname "$0")/lib.sh"
farm_up
same() { # NAME COMMAND...: the source is the same afterwards
  cp --sparse=always "$farm/$1.source" "$farm/before"
  "${@:2}"
  cmp "$farm/$1.source" "$farm/before" || fail "the disk of $1 was written"
}
has() { # NAME WORDS: a part of what the console shows of the image
  ramet image show "$1-1" >"$farm/out"
  grep -Eq "$2" "$farm/out" || { cat "$farm/out" >&2; fail "the image of $1 does not tell: $2"; }
}
poke() { # NAME OFFSET BYTES
  printf '%b' "$3" | dd of="$farm/$1.source" bs=1 seek="$2" conv=notrunc status=none
}
first=$((2048 * 512))       # Where partition 1 begins

# A clean root, /home on a dirty XFS, and an EFI partition that was mounted when the power went.
disk parts 480M size=32M,type=U size=64M,type=L type=L
on parts 1 mkfs.vfat -F 16 >/dev/null
on parts 3 mkfs.xfs -q -f
fill parts 2 mke2fs -q -t ext4
at parts 2 sh -c 'mkdir -p boot/efi; printf "PARTUUID=%s /boot/efi vfat defaults 0 1\nPARTUUID=%s /home xfs defaults 0 2\n" "$1" "$2" >>etc/fstab' sh \
  "$(sfdisk --part-uuid "$farm/parts.source" 1)" "$(sfdisk --part-uuid "$farm/parts.source" 3)"
on parts 1 sh -c 'echo boots >"$1/boots"; mcopy -i "$2" "$1/boots" ::/boots; printf "\001" | dd of="$2" bs=1 seek=37 conv=notrunc status=none' sh "$farm"
in_use() {      # Truncated, renamed over another and deleted, while a program has them open
  echo old >one; echo new >two; echo gone >three; seq 100000 >four; sync one two three four .
  exec 8<three 9<>four
  mv two one; rm three; truncate -s 10 four; sync four .
}
crash parts 3 in_use
exec 8<&- 9<&-
same parts capture parts
has parts 'partition 1 +not cleanly unmounted: its dirty bit is set'
has parts 'partition 3 +not cleanly unmounted: its log was not replayed'
! has_not=$(grep 'partition 2 *not cleanly' "$farm/out") || fail "the clean volume is told as well: $has_not"
deploy parts
[ "$(look parts 3 sh -c 'ls | tr "\n" " "; cat one; wc -c <four')" = "$(printf 'four lost+found one new\n10')" ] ||
  [ "$(look parts 3 sh -c 'ls | tr "\n" " "; cat one; wc -c <four')" = "$(printf 'four one new\n10')" ] ||
  { look parts 3 sh -c 'ls -l; cat one' >&2; fail "/home is not as after the next start"; }

# ext4 with files in use, of which its list of orphans knows alone.
disk orphans 100M type=L,name=root
fill orphans 1 mke2fs -q -t ext4 -O orphan_file
busy() { mkdir srv; for i in $(seq 40); do echo "$i" >"srv/$i"; done; sync srv/* srv; tail -f srv/* >/dev/null 2>&1 & echo $! >"$farm/left"
  within 10 test -e "/proc/$!/fd/20"; rm srv/?; sync srv; }
crash orphans 1 busy
same orphans capture orphans
deploy orphans
[ "$(look orphans 1 sh -c 'ls srv | wc -l')" = 31 ] || fail "the deleted files are there, or others are not"

# No table: the whole disk is a btrfs.
disk whole 160M
fill whole 0 mkfs.btrfs -q -f
crash whole 0 sh -c 'sync .; echo paid >order; sync order .'
same whole capture whole
has whole 'the disk +not cleanly unmounted: its log tree was not replayed'
deploy whole
[ "$(look whole 0 cat order)" = paid ] || fail "what was synced is not on the copy of the disk without a table"

# No log: what fsck does at a start, where it needs no person.
disk old 64M type=L,name=root
fill old 1 mke2fs -q -t ext2
crash old 1 sh -c 'echo paid >order; sync order; sync -f .'
same old capture old
has old 'partition 1 +not cleanly unmounted: it was in use, and has no journal'
ramet image files old-1 >"$farm/out"; grep -q /order "$farm/out" || fail "the file that was synced is not in the image of the ext2"

# The kernel noted errors; fsck finds none that need a person.
disk noted 64M type=L,name=root
fill noted 1 mke2fs -q -t ext4
on noted 1 debugfs -w -R 'set_super_value state 2' 2>/dev/null
same noted capture noted
has noted 'partition 1 +not cleanly unmounted: the kernel has found errors in it'

# Refused: errors that need a person,
disk torn 64M type=L,name=root
fill torn 1 mke2fs -q -t ext4
on torn 1 debugfs -w -R 'set_super_value state 2' 2>/dev/null
at torn 1 sh -c 'stat -c %i etc' >"$farm/inode"
on torn 1 debugfs -w -R "clri <$(cat "$farm/inode")>" 2>/dev/null
on torn 1 debugfs -w -R 'set_super_value state 2' 2>/dev/null
same torn capture_refused torn 'partition 1: not cleanly unmounted: the kernel has found errors in it: e2fsck -p leaves it to a person: Entry .*etc.* in / .*; start that machine .*e2fsck -f "\$\(losetup -fP --show .*torn.source\)"p1'
answers_no grep -q '/dev/loop' <<<"$said" || { echo "$said" >&2; fail "the refusal names a scratch device"; }

# an XFS log of a computer with the other order of bytes,
disk order 360M type=L,name=root
fill order 1 mkfs.xfs -q -f
crash order 1 sh -c 'echo paid >order; sync order'
python3 - "$farm/order.source" <<'END'
import sys
with open(sys.argv[1], "r+b") as disk:
    data = disk.read()
    at = data.find(b"\xfe\xed\xba\xbe")
    while at != -1:         # The field h_fmt of each record, and no checksum that would not fit it
        disk.seek(at + 300); disk.write(b"\0\0\0\2"); disk.seek(at + 32); disk.write(b"\0\0\0\0")
        at = data.find(b"\xfe\xed\xba\xbe", at + 1)
END
same order capture_refused order 'partition 1: not cleanly unmounted: its log was not replayed: .*xfs_repair -L'

# a btrfs whose log tree cannot be read,
disk tree 160M type=L,name=root
fill tree 1 mkfs.btrfs -q -f
poke tree $((first + 65536 + 0x60)) '\0020'
same tree capture_refused tree 'partition 1: '

# and a log of more than the room for it.
disk full 200M type=L,name=root
fill full 1 mke2fs -q -t ext4
crash full 1 sh -c 'mkdir d; seq -f d/%g 12000 | xargs touch; sync d'
lab source "$farm" full "$farm/full.source"
kill "$(cat "$farm/run/source-full.pid")"; within 10 has_ended "$(cat "$farm/run/source-full.pid")"
echo 'replay-mib = 1' >>"$farm/run/source-full.cfg"; rm "$farm/run/source-full.pid"
same full capture_refused full 'partition 1: not cleanly unmounted: its journal was not replayed: it needs more than the 1 MiB that replay-mib allows; give it more'
echo "unclean_kinds: passed"

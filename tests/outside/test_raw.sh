#!/bin/bash
# Partitions that are carried block by block, --raw (M32, [3.51] to [3.53], [5.20]): of an NTFS its clusters in
# use, of anything else all that is no zeros; on a disk of another size too. An NTFS that is not at rest is
# refused, with the remedy. ntfsclone, ntfsfix and cryptsetup judge.
. "$(dirname "$0")/lib.sh"
farm_up
make_layer=$RAMET_SOURCE/tests/tools/make_layer
ntfs_type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7 msr_type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE

# raw NAME OPTION...: image NAME-1 of it, or, once that is there, another one.
raw() {
  local name=$1 image=$1-1; shift
  [ -f "$farm/run/source-$name.cfg" ] || lab source "$farm" "$name" "$farm/$name.source"
  ! ramet image show "$image" >"$farm/out" 2>&1 || image=$name-$((++images + 1))
  said=$(ramet image create "$name" --name "$image" "$@" --wait --timeout 2m 2>&1)
}
images=0
raw_refused() {
  local name=$1 words=$2; shift 2
  ! raw "$name" "$@" || fail "$name was imaged, which should be refused: $words"
  grep -Eq "$words" <<<"$said" || { echo "$said" >&2; fail "the image of $name is not refused by: $words"; }
}
# of FILE N COMMAND...: run it with the device of a partition of a disk image as its last word.
of() { local loop; attach "$1" "$2"; "${@:3}" "$loop"; detach; }
sum() { sha256sum <"$1"; }
# What ntfsclone takes of a volume: its clusters in use, and nothing else.
clone() { ntfsclone -f -q --save-image -o - "$1" 2>"$farm/out" | sha256sum; }

# Windows' disk: ESP, MSR, C:, recovery; and Linux between them.
# Made through the driver, with files that are removed again: free clusters have old bytes in them.
windows() {
  mkntfs -q -f -c "${2:-4096}" -L "${3:-Windows}" "$1" >"$farm/out" 2>&1
  ntfs-3g "$1" "$farm/at" || return 1
  mkdir -p "$farm/at/Windows/System32" "$farm/at/Users"
  for i in $(seq 60); do head -c $((i * 4000)) /dev/urandom >"$farm/at/Windows/System32/f$i.dll"; done
  head -c 12M /dev/urandom >"$farm/at/Users/gone"; truncate -s 3M "$farm/at/Users/zeros"; head -c 2M /dev/zero >"$farm/at/Users/null"
  for i in $(seq 400); do : >"$farm/at/a file with a long name, so that the root folder needs blocks of an index $i"; done
  rm "$farm/at/Users/gone"
  umount "$farm/at"
}
win() { windows "$3" "$1" "$2"; }

disk dual 420M size=20M,type=$msr_type,name=MSR size=100M,type=$ntfs_type,name=C type=$msr_type,size=8M \
  size=160M,type=L,name=root size=60M,type=$ntfs_type,name=Recovery
fill dual 4 mke2fs -q -t ext4
on dual 2 win 4096 Windows
on dual 5 win 512 Recovery
on dual 3 sh -c 'head -c 3M /dev/urandom | dd of="$1" bs=1M seek=2 conv=notrunc status=none' sh
raw_refused dual 'partition 2: it holds ntfs, which is not supported; to leave it out: ramet image create dual --without 2; to carry its blocks as they are: --raw 2'
raw dual --raw Windows --raw 3 --raw Recovery || fail "dual: $said"
deploy dual
for n in 2 5; do
  [ "$(on dual $n clone)" = "$(of "$farm/t-dual.disk" $n clone)" ] || fail "dual: the clusters in use of partition $n differ"
  of "$farm/t-dual.disk" $n ntfsfix -n >"$farm/out" 2>&1 || fail "dual: ntfsfix: $(cat "$farm/out")"
done
[ "$(on dual 3 sum)" = "$(of "$farm/t-dual.disk" 3 sum)" ] || fail "dual: the unknown partition differs"
[ "$(sfdisk -d "$farm/dual.source" | sed 's/.*source//')" = "$(sfdisk -d "$farm/t-dual.disk" | sed 's/.*disk//')" ] ||
  fail "dual: the table is $(sfdisk -d "$farm/t-dual.disk")"
# Files that Windows has removed do not travel.
bytes=$(ramet image show dual-1 --json | jq '[.. | objects | select(.class == "volume" and .partition == "2") | .["bytes-tree"] | tonumber][0]')
[ "$bytes" -lt $((12 << 20)) ] || fail "dual: $bytes bytes of an NTFS of 8 MB were carried"

# Onto a larger disk that held other things: what was zeros is zeros.
lab target "$farm" t2 "$farm/t2.disk" 500M --like dual
dd if=/dev/urandom of="$farm/t2.disk" bs=1M count=500 conv=notrunc status=none
job=$(ramet deploy start dual-1 --engine lab --targets t2 --yes) || fail "t2 was not ordered"
await_phase "$job" t2 awaiting-first-boot 60
[ "$(on dual 2 clone)" = "$(of "$farm/t2.disk" 2 clone)" ] || fail "t2: the clusters in use differ"
[ "$(on dual 3 sum)" = "$(of "$farm/t2.disk" 3 sum)" ] || fail "t2: the unknown partition differs"

# A smaller disk is refused by the plan: the last partition does not shrink.
lab target "$farm" t3 "$farm/t3.disk" 340M --like dual
ramet deploy plan dual-1 --engine lab --json >"$farm/plan.json" || true
jq -e '.items[] | select(.target == "t3") | .fits == false and (.reason | test("disk"))' "$farm/plan.json" >/dev/null ||
  fail "a disk that is too small fits: $(cat "$farm/plan.json")"

# Not at rest: marked as dirty (by its own flag), hibernated (a head of either kind, in a large folder).
mark() { # FLAGS DEVICE: of $Volume, as ntfs-3g's own tool tells where they are
  python3 - "$@" <<'P'
import struct, sys
flags, path = int(sys.argv[1]), sys.argv[2]
with open(path, "r+b") as disk:
    boot = disk.read(512)
    cluster = boot[13] * struct.unpack_from("<H", boot, 11)[0]
    at = struct.unpack_from("<Q", boot, 48)[0] * cluster + 3 * 1024
    disk.seek(at); record = bytearray(disk.read(1024))
    i = struct.unpack_from("<H", record, 20)[0]
    while struct.unpack_from("<I", record, i)[0] != 0x70:
        i += struct.unpack_from("<I", record, i + 4)[0]
    struct.pack_into("<H", record, i + struct.unpack_from("<H", record, i + 20)[0] + 10, flags)
    disk.seek(at); disk.write(record)
P
}
on dual 2 mark 1
raw_refused dual 'partition 2: its NTFS is marked as dirty.*chkdsk /f' --raw 2 --raw 5 --without 3
on dual 2 mark 0
hibernate() { # WORD DEVICE
  ntfs-3g -o remove_hiberfile "$2" "$farm/at"
  { printf %s "$1"; head -c 8188 /dev/zero; } >"$farm/at/HiberFil.sys"
  umount "$farm/at"
}
for word in hibr HIBR; do
  on dual 5 hibernate $word
  raw_refused dual 'partition 5: its Windows is hibernated \(hiberfil.sys\).*powercfg /h off' --raw 2 --raw 5 --without 3
done
# One that has woken up has zeros there.
on dual 5 hibernate "$(printf 'wake')"
raw dual --raw 2 --raw 5 --without 3 || fail "awake: $said"
# Damaged: refused, not guessed.
tear() { # DEVICE: the record of the map of clusters
  python3 - "$1" <<'P'
import struct, sys
with open(sys.argv[1], "r+b") as disk:
    boot = disk.read(512)
    disk.seek(struct.unpack_from("<Q", boot, 48)[0] * boot[13] * 512 + 6 * 1024)
    disk.write(b"BAAD")
P
}
on dual 5 tear
raw_refused dual 'partition 5: the NTFS is damaged: .*chkdsk' --raw 2 --raw 5 --without 3

# What else ramet does not read, each by its own header; LUKS opens with its passphrase on the copy.
disk other 300M size=100M,type=L,name=root size=24M size=24M size=24M
fill other 1 mke2fs -q -t ext4
on other 2 "$make_layer" luks1
on other 3 "$make_layer" bitlocker
on other 4 mkswap -q >/dev/null 2>&1
on other 2 sh -c 'head -c 3M /dev/urandom | dd of="$1" bs=1M seek=16 conv=notrunc status=none' sh
raw other --raw 2 --raw 3 --raw 4 || fail "other: $said"
deploy other
for n in 2 3 4; do
  [ "$(on other $n sum)" = "$(of "$farm/t-other.disk" $n sum)" ] || fail "other: partition $n differs"
done
printf secret >"$farm/key"
of "$farm/t-other.disk" 2 cryptsetup open --test-passphrase --key-file "$farm/key" || fail "other: LUKS does not open"
raw_refused other 'partition 2 is both in --without and in --raw' --raw 2 --without 2 --raw 3
echo "raw: passed"

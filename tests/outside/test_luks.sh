#!/bin/bash
# Partitions that LUKS encrypts: a target has a header of its own, made by cryptsetup, with the source's uuid, and
# a passphrase of the engine's or one that is made for it; without one, or without cryptsetup, the plan refuses
# (M32, M33, [3.61]). cryptsetup judges headers, QEMU's own LUKS what lies in version 1; tests/qemu/test_luks.sh version 2.
. "$(dirname "$0")/lib.sh"
need "$test_packages" qemu-utils

uuid=0c3eb7b4-5f6e-4a8c-9b1d-2f6a7c8d9e01
words='correct horse battery staple'
# described NAME <LAYOUT: a source of a tree and a layout whose root lies in LUKS.
described() {
  local tree=$farm/$1.tree
  make_tree "$tree" 1
  printf 'UUID=11111111-2222-4333-8444-555555555555 / ext4 defaults 0 1\n' >"$tree/etc/fstab"
  printf 'secret UUID=%s none luks\n' "$uuid" >"$tree/etc/crypttab"
  cat >"$farm/$1.layout"
  lab source "$farm" "$1" "$tree" --layout "$farm/$1.layout"
  ramet image create "$1" --name "$1-1" --wait --timeout 2m >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "$1 was not imaged"; }
}
table='class=disk role=system table=gpt logical-sector=512 bytes=134217728 guid=AAAAAAAA-1111-4222-8333-444444444444 grow=yes
class=partition disk=system number=1 start=2048 size=63488 type=0FC63DAF-8483-4772-8E79-3D69D8477DE4 guid=BBBBBBBB-1111-4222-8333-444444444441
class=partition disk=system number=2 start=65536 size=194560 type=CA7D7CCB-63ED-4C53-861C-1742536059CC guid=BBBBBBBB-1111-4222-8333-444444444442'
root='fs=ext4 uuid=11111111-2222-4333-8444-555555555555 block-size=4096 inode-size=256 mount=/ features=has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,extra_isize,metadata_csum'
# encryption VERSION PBKDF SECTOR START: of partition 2. alone: its root lies in it, and in nothing else.
encryption() {
  echo "class=crypt disk=system partition=2 version=$1 uuid=$uuid name=secret cipher=aes-xts-plain64 key-bytes=64 sector-size=$3 hash=sha256 pbkdf=$2 data-start=$4"
}
alone() { printf '%s\n' "$table" "$(encryption "$@" 16777216)" 'class=volume disk=system partition=1 fs=none' "class=volume disk=system partition=2 $root"; }
# opened FILE: $farm/plain is what QEMU reads in partition 2 of a disk by the passphrase of the engine.
opened() {
  printf %s "$words" >"$farm/words"; attach "$1" 2 -r
  qemu-img convert --object "secret,id=s,file=$farm/words" \
    --image-opts "driver=luks,key-secret=s,file.driver=host_device,file.filename=$loop" -O raw "$farm/plain" || fail "QEMU does not read it"
  detach
}
# setting LINE...: the settings of the engine beside its own; it starts anew with them.
setting() {
  printf '%s\n' "$@" >"$farm/installer.extra"
  end installer-lab-1; rm -f "$farm/run/installer-lab-1".{cfg,pid,cmd}
  lab up "$farm"
}
plan_says() { ! plan "$1" && grep -Eq "$2" <<<"$said" || { echo "$said" >&2; fail "the plan of $1 does not say: $2"; }; }
export size=128M
farm_up
(umask 077; printf '%s\n' "$words" >"$farm/passphrase")

# ---- Without a passphrase nothing is begun
alone 1 pbkdf2 512 | described one
touch "$farm/one.source"
plan_refused one 'luks: the image has an encrypted partition, and this engine has no passphrase'

# ---- The passphrase of the engine, version 1: QEMU reads what was written
setting "luks-passphrase = \"$farm/passphrase\""
plan one || { echo "$said" >&2; fail "one does not fit"; }
job=$(ramet deploy start one-1 --engine lab --targets t-one --yes)
await_phase "$job" t-one awaiting-first-boot 90
attach "$farm/t-one.disk" 2 -r
[ "$(cryptsetup luksUUID "$loop")" = "$uuid" ] || fail "the header has another uuid"
printf %s "$words" | cryptsetup open --test-passphrase --key-file - "$loop" || fail "the passphrase does not open it"
! printf wrong-words | cryptsetup open --test-passphrase --key-file - "$loop" 2>/dev/null || fail "any passphrase opens it"
detach
opened "$farm/t-one.disk"
e2fsck -fn "$farm/plain" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "the file system in LUKS is not whole"; }
loop=$(losetup -f --show -r "$farm/plain"); loops+=("$loop")
mount -o ro "$loop" "$farm/look"
[ "$(cat "$farm/look/etc/hostname")" = t-one ] || fail "the copy has no name of its own"
cmp "$farm/one.tree/home/user/big1" "$farm/look/home/user/big1" || fail "a file differs"
grep -q "UUID=$uuid" "$farm/look/etc/crypttab" || fail "crypttab differs"
umount "$farm/look"; detach
answers_no grep -aq 'VERSION_ID="12"' "$farm/t-one.disk" || fail "the disk has files in clear"
# leaks WORDS: the files that have them, of logs, Redis and audits. A search that finds the target's name there finds others too.
leaks() { grep -rlF -- "$1" "$farm/run" "$farm/redis" "$farm"/*.audit 2>/dev/null; }
leaks t-one >"$farm/out" || true
for folder in "$farm/run" "$farm/redis" "$farm"/*.audit; do grep -q "^$folder/" "$farm/out" || fail "$folder tells nothing of t-one"; done
{ leaks "$words" || true; } | answers_no grep . || fail "the passphrase is in a log, in Redis or the audit"

# ---- A group of LVM, one of whose physical volumes lies in LUKS: QEMU and LVM read it, on a disk that had another
# group of its name; the root grows by what the disk has more. A disk that is too small is told by the plan.
{ printf '%s\n' "${table/4 guid=BBBBBBBB-1111-4222-8333-444444444442/4 min-size=96256 guid=BBBBBBBB-1111-4222-8333-444444444442}"
  encryption 1 pbkdf2 512 2097152
  cat <<LVM
class=group name=sys uuid=gggggg-0000-0000-0000-0000-0000-000000 extent-size=4194304
class=physical disk=system group=sys partition=1 uuid=aaaaaa-0000-0000-0000-0000-0000-000000 data-start=1048576 extents=7
class=physical disk=system group=sys partition=2 uuid=bbbbbb-0000-0000-0000-0000-0000-000000 data-start=1048576 extents=23
class=logical disk=system group=sys name=swap uuid=ssssss-0000-0000-0000-0000-0000-000000 partition=2 extents=4
class=piece disk=system group=sys logical=swap partition=2 segment=1 extents=2 chunk=16384
class=piece disk=system group=sys logical=swap partition=1 segment=1 extents=2 chunk=16384
class=logical disk=system group=sys name=root uuid=rrrrrr-0000-0000-0000-0000-0000-000000 partition=2 extents=15 min-extents=9 grow=yes
class=volume disk=system partition=0 logical=sys/swap fs=swap uuid=33333333-2222-4333-8444-555555555555
class=volume disk=system partition=0 logical=sys/root $root
LVM
} | described three
disk old 192M size=60M,type=V type=V
attach "$farm/old.source" 2; { lvm "$loop" pvcreate -q -y "$loop"; lvm "$loop" vgcreate -q sys "$loop"; lvm "$loop" lvcreate -q -an -Zn -Wn -L 40M -n root sys; } >/dev/null
detach; mv "$farm/old.source" "$farm/t-three.disk"
size=192M plan three hostname=t-three || { echo "$said" >&2; fail "three does not fit"; }
lab target "$farm" t-tiny "$farm/t-tiny.disk" 72M --like three
ramet deploy plan three-1 --engine lab --json >"$farm/plan.json" || true
jq -e '.items[] | select(.target == "t-tiny") | .fits == false and (.reason | test("too small"))' "$farm/plan.json" >"$farm/out" ||
  { jq '.items[] | select(.target == "t-tiny")' "$farm/plan.json" >&2; fail "a disk of 72 MiB takes what needs 79"; }
job=$(ramet deploy start three-1 --engine lab --targets t-three --yes)
await_phase "$job" t-three awaiting-first-boot 90
opened "$farm/t-three.disk"
one=$(losetup -f --show "$farm/plain"); loops+=("$one")
attach "$farm/t-three.disk" 1 -r
lvm "($one|$loop)" vgck sys
made=$(lvm "($one|$loop)" lvs --noheadings --nosuffix --units m -o lv_name,lv_layout,lv_size,lv_uuid sys | tr -s ' \n' ' ')
[ "$made" = " root linear 124.00 rrrrrr-0000-0000-0000-0000-0000-000000 swap striped 16.00 ssssss-0000-0000-0000-0000-0000-000000 " ] ||
  fail "the group in LUKS is$made"
detach; loop=$one; detach
[ "$(dd if="$farm/plain" bs=1 skip=$((1048576 + 4086)) count=10 status=none)" = SWAPSPACE2 ] || fail "the first stripe of the swap is not in LUKS"
loop=$(losetup -f --show -r -o $(((1 + 2 * 4) * 1048576)) --sizelimit $((31 * 4 * 1048576)) "$farm/plain"); loops+=("$loop")
e2fsck -fn "$loop" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "the file system in the group is not whole"; }
mount -o ro "$loop" "$farm/look"
[ "$(cat "$farm/look/etc/hostname")" = t-three ] || fail "the copy in the group has no name of its own"
cmp "$farm/three.tree/home/user/big1" "$farm/look/home/user/big1" || fail "a file differs"
umount "$farm/look"; detach

# ---- A passphrase made for each target, version 2: it opens the header, and an admin reads it
admin=$(sed -n 's/^public-key = "\(.*\)"/\1/p; s/^ *public-key *= *"\(.*\)"/\1/p' "$farm/keys/admin.key" | head -1)
setting "luks-recipient = \"$admin\""
alone 2 argon2id 4096 | described two
touch "$farm/two.source"
plan two || { echo "$said" >&2; fail "two does not fit"; }
! ramet target secret t-two 2>"$farm/out" || fail "there is a secret before any was made"
grep -q 'no passphrase was made for t-two' "$farm/out" || fail "the refusal is $(cat "$farm/out")"
job=$(ramet deploy start two-1 --engine lab --targets t-two --yes)
await_phase "$job" t-two awaiting-first-boot 90
made=$(ramet target secret t-two)
[ ${#made} = 29 ] || fail "the passphrase is '$made'"
attach "$farm/t-two.disk" 2 -r
printf %s "$made" | cryptsetup open --test-passphrase --key-file - "$loop" || fail "the made passphrase does not open it"
cryptsetup luksDump "$loop" >"$farm/out"; detach
for line in 'Version: *2' "UUID: *$uuid" 'sector: 4096' 'PBKDF: *argon2id' 'cipher: aes-xts-plain64'; do
  tr '\t' ' ' <"$farm/out" | grep -Eq "^ *$line" || fail "the header has not '$line'"
done
{ leaks "$made" || true; } | answers_no grep . || fail "the made passphrase is in a log, in Redis or the audit"
ramet target show t-two --json >"$farm/out"
answers_no grep -q secret "$farm/out" || fail "a record shows what is sealed"
ramet audit list --json | jq -e '.items[] | select(.what == "target.secret" and .target == "t-two")' >"$farm/out" || fail "the reading is in no audit"

# ---- Settings that contradict each other, and a passphrase that others can read
setting "luks-recipient = \"$admin\"" "luks-passphrase = \"$farm/passphrase\""
plan_says one 'luks-passphrase and luks-recipient are both set'
chmod 644 "$farm/passphrase"; setting "luks-passphrase = \"$farm/passphrase\""
plan_says one 'luks: .*passphrase'
echo "LUKS 1 and 2: a header of its own on each target"

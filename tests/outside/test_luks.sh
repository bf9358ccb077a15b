#!/bin/bash
# Partitions that LUKS encrypts: a target has a header of its own, made by cryptsetup, with the source's uuid, and
# a passphrase of the engine's or one that is made for it; without one, or without cryptsetup, the plan refuses
# (M32, M33, [3.61]). cryptsetup judges headers, QEMU's own LUKS what lies in version 1; tests/qemu/test_luks.sh version 2.
. "$(dirname "$0")/lib.sh"
need "$test_packages" qemu-utils

uuid=0c3eb7b4-5f6e-4a8c-9b1d-2f6a7c8d9e01
words='correct horse battery staple'
# described NAME VERSION PBKDF SECTOR: a source of a tree and a layout whose root lies in LUKS.
described() {
  local tree=$farm/$1.tree
  make_tree "$tree" 1
  printf 'UUID=11111111-2222-4333-8444-555555555555 / ext4 defaults 0 1\n' >"$tree/etc/fstab"
  printf 'secret UUID=%s none luks\n' "$uuid" >"$tree/etc/crypttab"
  cat >"$farm/$1.layout" <<FACTS
class=disk role=system table=gpt logical-sector=512 bytes=134217728 guid=AAAAAAAA-1111-4222-8333-444444444444 grow=yes
class=partition disk=system number=1 start=2048 size=63488 type=0FC63DAF-8483-4772-8E79-3D69D8477DE4 guid=BBBBBBBB-1111-4222-8333-444444444441
class=partition disk=system number=2 start=65536 size=194560 type=CA7D7CCB-63ED-4C53-861C-1742536059CC guid=BBBBBBBB-1111-4222-8333-444444444442
class=crypt disk=system partition=2 version=$2 uuid=$uuid name=secret cipher=aes-xts-plain64 key-bytes=64 sector-size=$4 hash=sha256 pbkdf=$3 data-start=16777216
class=volume disk=system partition=1 fs=none
class=volume disk=system partition=2 fs=ext4 uuid=11111111-2222-4333-8444-555555555555 block-size=4096 inode-size=256 mount=/ features=has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,extra_isize,metadata_csum
FACTS
  lab source "$farm" "$1" "$tree" --layout "$farm/$1.layout"
  ramet image create "$1" --name "$1-1" --wait --timeout 2m >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "$1 was not imaged"; }
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
described one 1 pbkdf2 512
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
printf %s "$words" >"$farm/words"
qemu-img convert --object "secret,id=s,file=$farm/words" \
  --image-opts "driver=luks,key-secret=s,file.driver=host_device,file.filename=$loop" -O raw "$farm/plain" || fail "QEMU does not read it"
detach
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

# ---- A passphrase made for each target, version 2: it opens the header, and an admin reads it
admin=$(sed -n 's/^public-key = "\(.*\)"/\1/p; s/^ *public-key *= *"\(.*\)"/\1/p' "$farm/keys/admin.key" | head -1)
setting "luks-recipient = \"$admin\""
described two 2 argon2id 4096
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

#!/bin/bash
# Logical volumes of LVM, as the installers of RHEL and Ubuntu Server make them: linear ones are carried
# with their group, their names and uuids, and are as large as the target lets them be; other kinds are
# refused by name, with what to do (M32). The groups are made, and judged, by LVM's own programs.
. "$(dirname "$0")/lib.sh"


# group NAME N GROUP [VOLUME=SIZE...]: a volume group on partition N of a source.
group() {
  local loop volume; attach "$farm/$1.source" "$2"; shift 2
  { lvm "$loop" pvcreate -q -y "$loop"; lvm "$loop" vgcreate -q "$1" "$loop"; } >/dev/null
  for volume in "${@:2}"; do
    lvm "$loop" lvcreate -q -an -Zn -Wn -L "${volume#*=}" -n "${volume%%=*}" "$1" >/dev/null
  done
  detach
}
# volume FILE N GROUP/NAME [OPTION...]: sets loop to a device over a logical volume that lies in one piece.
volume() {
  local first count start; attach "$1" "$2" -r
  start=$(losetup -n -O OFFSET "$loop")
  read -r first count < <(logicals "$loop" | sed -n "s|^$3 ||p") || fail "$1 has no $3"
  detach
  loop=$(losetup -f --show -o $((start + first * 512)) --sizelimit $((count * 512)) "${@:4}" "$1"); loops+=("$loop")
}
# in_volume NAME N GROUP/NAME COMMAND...: run it with the device as its last word.
in_volume() { local loop; volume "$farm/$1.source" "$2" "$3"; "${@:4}" "$loop"; detach; }
at_volume() {
  local loop; volume "$farm/$1.source" "$2" "$3"
  mount "$loop" "$farm/at"; (cd "$farm/at" && "${@:4}"); umount "$farm/at"; detach
}
look_volume() {
  local loop status=0; volume "$farm/t-$1.disk" "$2" "$3" -r
  mount -o ro "$loop" "$farm/look"; (cd "$farm/look" && "${@:4}") || status=$?
  umount "$farm/look"; detach; return $status
}
# report FILE N WORD...: what LVM says of a disk.
report() { local loop; attach "$1" "$2" -r; lvm "$loop" "${@:3}"; detach; }
names() { report "$1" "$2" lvs --noheadings -o vg_name,vg_uuid,lv_name,lv_uuid,lv_layout --separator ' '; }
sizes() { report "$1" "$2" lvs --noheadings --nosuffix --units m -o lv_name,lv_size --separator =; }
farm_up

# ---- The preset of an installer: BIOS boot, /boot, and a group with root, swap and home
disk rhel 600M 'size=1M,type=21686148-6449-6E6F-744E-656564454649' size=100M type=V
group rhel 3 rhel_host-1 root=120M swap=40M home=200M
fill rhel 2 mke2fs -q -t ext4
in_volume rhel 3 rhel_host-1/root mke2fs -q -t ext4 >/dev/null
in_volume rhel 3 rhel_host-1/swap mkswap -q -U 11111111-2222-4333-8444-555555555555
in_volume rhel 3 rhel_host-1/home mke2fs -q -t ext4 -L home >/dev/null
at rhel 2 sh -c 'rm -r ./[a-km-z]*; echo kernel >vmlinuz'
boot=$(on rhel 2 blkid -p -s UUID -o value)
fill_root() {
  make_tree "$PWD" 0
  mkdir boot home/alice
  printf '%s\n' '/dev/mapper/rhel_host--1-root / ext4 defaults 0 1' "UUID=$boot /boot ext4 defaults 0 2" \
    '/dev/mapper/rhel_host--1-swap none swap defaults 0 0' '/dev/rhel_host-1/home /home ext4 nodev 0 2' >etc/fstab
}
at_volume rhel 3 rhel_host-1/root fill_root
at_volume rhel 3 rhel_host-1/home sh -c 'mkdir -p alice; echo hello >alice/letter'
capture rhel
size=800M deploy rhel hostname=copy
[ "$(look_volume rhel 3 rhel_host-1/root cat etc/hostname)" = copy ] || fail "the root in the group is not the copy's"
[ "$(look_volume rhel 3 rhel_host-1/home cat alice/letter)" = hello ] || fail "/home did not come"
[ "$(names "$farm/t-rhel.disk" 3)" = "$(names "$farm/rhel.source" 3)" ] || fail "the group has other names or uuids"
# The partition has 200 MiB more, and so has the root; what was free stays free.
[ "$(sizes "$farm/t-rhel.disk" 3 | tr -d ' \n')" = home=200.00root=320.00swap=40.00 ] ||
  fail "the root has not got what the disk has more: $(sizes "$farm/t-rhel.disk" 3)"

# ---- Ubuntu's: half of the group is free, names are links with uuids; the target's disk was another
# machine's, with a group of the same name.
disk ubuntu 800M 'size=64M,type=U' 'type=V'
group ubuntu 2 ubuntu-vg ubuntu-lv=340M
in_volume ubuntu 2 ubuntu-vg/ubuntu-lv mkfs.xfs -q -f >/dev/null
id=$(names "$farm/ubuntu.source" 2 | awk '{ gsub("-", "", $2); gsub("-", "", $4); print $2 $4 }')
fill_ubuntu() { make_tree "$PWD" 0; echo "/dev/disk/by-id/dm-uuid-LVM-$id / xfs defaults 0 1" >etc/fstab; }
at_volume ubuntu 2 ubuntu-vg/ubuntu-lv fill_ubuntu
capture ubuntu
disk old 800M 'size=200M' 'type=V'
group old 2 ubuntu-vg ubuntu-lv=60M swap=80M
in_volume old 2 ubuntu-vg/swap mkswap -q
mv "$farm/old.source" "$farm/t-ubuntu.disk"
deploy ubuntu hostname=copy
for what in names sizes; do
  [ "$($what "$farm/t-ubuntu.disk" 2)" = "$($what "$farm/ubuntu.source" 2)" ] || fail "the group differs in its $what"
done
[ "$(look_volume ubuntu 2 ubuntu-vg/ubuntu-lv cat etc/hostname)" = copy ] || fail "the root of ubuntu is not the copy's"
report "$farm/t-ubuntu.disk" 2 vgck ubuntu-vg || fail "LVM finds faults in the group"

# ---- A smaller disk: what is free goes first, then the root shrinks, and no other volume
disk small 500M 'type=V'
group small 1 vg data=60M root=300M
in_volume small 1 vg/data mke2fs -q -t ext4 -U 22222222-2222-4333-8444-555555555555 >/dev/null
in_volume small 1 vg/root mke2fs -q -t ext4 >/dev/null
fill_small() {
  make_tree "$PWD" 0; mkdir data
  printf '%s\n' '/dev/vg/root / ext4 defaults 0 1' 'UUID=22222222-2222-4333-8444-555555555555 /data ext4 defaults 0 2' >etc/fstab
}
at_volume small 1 vg/root fill_small
capture small
size=300M deploy small
[ "$(sizes "$farm/t-small.disk" 1 | tr -d ' \n')" = data=60.00root=236.00 ] ||
  fail "the root has not shrunk to the disk: $(sizes "$farm/t-small.disk" 1)"
look_volume small 1 vg/root test -p run.fifo || fail "the root of small did not come"
lab target "$farm" t-tiny "$farm/t-tiny.disk" 68M --like small
ramet deploy plan small-1 --engine lab --json >"$farm/plan.json" || true
jq -e '.items[] | select(.target == "t-tiny") | .fits == false and (.reason | test("too small"))' "$farm/plan.json" >/dev/null ||
  { jq '.items[] | select(.target == "t-tiny")' "$farm/plan.json" >&2; fail "a disk of 68 MiB fits a root and 60 MiB of data"; }

# ---- A volume that was extended lies in pieces, and on the copy in one
disk pieces 300M 'type=V'
group pieces 1 vg one=40M two=20M
attach "$farm/pieces.source" 1; lvm "$loop" lvextend -q -L 80M vg/one >/dev/null
truncate -s 80M "$farm/one"; mke2fs -q -t ext4 "$farm/one"
mount "$farm/one" "$farm/at"
(cd "$farm/at" && make_tree "$PWD" 30 && echo '/dev/vg/one / ext4 defaults 0 1' >etc/fstab)
files() { (cd "$1" && sha256sum home/user/big*); }
before=$(files "$farm/at"); umount "$farm/at"
done=0 pieces=$(logicals "$loop" | grep -c '^vg/one ')
[ "$pieces" = 2 ] || fail "the volume lies in $pieces pieces"
while read -r name first count; do
  [ "$name" = vg/one ] || continue
  dd if="$farm/one" of="$loop" bs=512 skip=$done seek="$first" count="$count" conv=notrunc status=none
  done=$((done + count))
done < <(lvm_on "$loop" lvs --segments --noheadings --nosuffix --units s -o lv_full_name,seg_pe_ranges,seg_size vg/one 2>"$farm/lvm.log" |
  awk '{ split($2, at, /[:-]/); print $1, 2048 + at[2] * 8192, $3 }')
detach
capture pieces
deploy pieces
[ "$(sizes "$farm/t-pieces.disk" 1)" = "$(sizes "$farm/pieces.source" 1)" ] || fail "the group has other sizes"
[ "$(look_volume pieces 1 vg/one sha256sum home/user/big{1..30} | sort)" = "$(sort <<<"$before")" ] ||
  fail "the files of a volume in two pieces are others"

# ---- Stripes, and a volume that goes on on a second physical volume: both come as they were
two() { # NAME: a group over two partitions, and a volume in it
  disk "$1" 230M 'size=48M,type=L' 'size=90M,type=V' 'type=V'
  both "$1" source; lvm "$devices" pvcreate -q -y "${loops[@]}" >/dev/null
  lvm "$devices" vgcreate -q vg "${loops[@]}" >/dev/null
  lvm "$devices" lvcreate -q -an -Zn -Wn "${@:2}" vg >/dev/null
  apart
}
# both NAME KIND [OPTION]: sets devices to both partitions of NAME.KIND, for lvm. apart: lets go of them.
both() {
  attach "$farm/$1.$2" 2 "${@:3}"; attach "$farm/$1.$2" 3 "${@:3}"
  devices="(${loops[0]}|${loops[1]})"
}
apart() { while [ ${#loops[@]} -gt 0 ]; do loop=${loops[-1]}; detach; done; }
# carry push|pull NAME KIND VOLUME FILE: between a file and the segments of vg/VOLUME, as LVM tells them.
carry() {
  local bytes; both "$2" "$3"
  bytes=$(lvm "$devices" lvs --noheadings --nosuffix --units b -o lv_size "vg/$4")
  truncate -s "${bytes// /}" "$5"
  lvm "$devices" lvs --segments --noheadings --nosuffix --units b -o seg_size,stripe_size,seg_pe_ranges "vg/$4" |
    "$RAMET_SOURCE/tests/tools/logical_bytes" "$1" "$5" 4194304 1048576
  apart
}
told() { both "$1" "$2" -r; lvm "$devices" vgck vg
  lvm "$devices" lvs --noheadings -o lv_name,lv_uuid,lv_layout,lv_size,seg_count vg
  lvm "$devices" lvs --segments --noheadings -o lv_name,stripes,stripe_size,seg_size vg; apart; }
two spread --type striped -i 2 -I 16k -L 80M -n home
both spread source; lvm "$devices" lvcreate -q -an -Zn -Wn -L 60M -n srv vg >/dev/null; apart
fill spread 1 mke2fs -q -t ext4
at spread 1 sh -c 'mkdir -p home srv; printf "/dev/vg/%s ext4 defaults 0 2\n" "home /home" "srv /srv" >>etc/fstab'
for name in home srv; do
  truncate -s 80M "$farm/$name"; [ $name = home ] || truncate -s 60M "$farm/$name"
  mke2fs -q -t ext4 "$farm/$name"; mount "$farm/$name" "$farm/at"
  head -c 40M /dev/urandom >"$farm/at/large"; sha256sum <"$farm/at/large" >"$farm/$name.sum"; umount "$farm/at"
  carry push spread source $name "$farm/$name"
done
capture spread
size=280M deploy spread hostname=copy
mv "$farm/t-spread.disk" "$farm/spread.copy"
[ "$(told spread copy)" = "$(told spread source)" ] ||
  fail "LVM finds another group: $(told spread copy); it was $(told spread source)"
grep -q ' 2 *16.00k' <<<"$(told spread copy)" || fail "the copy is not striped: $(told spread copy)"
for name in home srv; do
  carry pull spread copy $name "$farm/$name"; mount -o ro "$farm/$name" "$farm/look"
  [ "$(sha256sum <"$farm/look/large")" = "$(cat "$farm/$name.sum")" ] || fail "$name is another"
  umount "$farm/look"
done
# What is free goes on a smaller disk, and stripes keep their size.
lab target "$farm" t-room "$farm/t-room.disk" 210M --like spread
lab target "$farm" t-narrow "$farm/t-narrow.disk" 185M --like spread
judge spread room; says 'fits: yes'
judge spread narrow; says 'fits: no'; says 'too small'

# ---- What is not carried is refused by name, with what to do
two missing -L 40M -n data
sfdisk -q --delete "$farm/missing.source" 2
capture_refused missing 'group vg: physical volume .* is missing on the imaged disks.*vgreduce'
disk twins 200M 'size=90M,type=V' 'type=V'
group twins 1 vg one=40M
group twins 2 vg two=40M
capture_refused twins 'group vg: its name belongs to two groups.*vgrename'
echo "lvm: passed"

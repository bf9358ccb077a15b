#!/bin/bash
# Groups of LVM over arrays of md, as the installers of Debian and of rented servers make them, and on whole
# disks: carried with their names and uuids, onto disks that hold another group of the same name over
# another array, without a kernel that has md or device-mapper (M32). LVM's and mdadm's programs make them, and
# judge the copies.
. "$(dirname "$0")/lib.sh"
need "$test_packages"

# array KIND FILE:N...: an array of these partitions (KIND: words of ramet-array), empty, in $farm/content, from
# which write_array writes it.
array() {
  local words size; read -ra words <<<"$1"; shift
  size=$("$RAMET_BIN/ramet-array" make "${words[@]}" "${@/#/$farm/}" </dev/null) || fail "no array '${words[*]}'"
  rm -f "$farm/content"; truncate -s "$size" "$farm/content"
}
write_array() {
  local words; read -ra words <<<"$1"; shift
  "$RAMET_BIN/ramet-array" make "${words[@]}" "${@/#/$farm/}" <"$farm/content" >/dev/null || fail "no array '${words[*]}'"
}
group() { # FILE GROUP [VOLUME=SIZE...]: on all of a file
  local loop volume
  loop=$(losetup -f --show "$1"); loops+=("$loop")
  { lvm "$loop" pvcreate -q -y "$loop"; lvm "$loop" vgcreate -q "$2" "$loop"; } >/dev/null
  for volume in "${@:3}"; do
    lvm "$loop" lvcreate -q -an -Zn -Wn -L "${volume#*=}" -n "${volume%%=*}" "$2" >/dev/null
  done
  detach
}
# volume FILE GROUP/NAME [OPTION...]: sets loop to a device over a logical volume of the group in a file.
volume() {
  local first count
  loop=$(losetup -f --show -r "$1"); loops+=("$loop")
  read -r first count < <(logicals "$loop" | sed -n "s|^$2 ||p") || fail "$1 has no $2"
  detach
  loop=$(losetup -f --show -o $((first * 512)) --sizelimit $((count * 512)) "${@:3}" "$1"); loops+=("$loop")
}
in_volume() { local loop; volume "$farm/content" "$1"; "${@:2}" "$loop" >/dev/null; detach; }
at_volume() { local loop; volume "$farm/content" "$1"; mount "$loop" "$farm/at"; (cd "$farm/at" && "${@:2}"); umount "$farm/at"; detach; }
look_volume() { # FILE GROUP/NAME COMMAND...
  local loop status=0; volume "$1" "$2" -r
  mount -o ro,noload "$loop" "$farm/look" 2>/dev/null || mount -o ro "$loop" "$farm/look"
  (cd "$farm/look" && "${@:3}") || status=$?
  umount "$farm/look"; detach; return $status
}
report() { local loop; loop=$(losetup -f --show -r "$1"); loops+=("$loop"); lvm "$loop" "${@:2}"; detach; } # FILE WORD...
names() { report "$1" lvs --noheadings --nosuffix --units m -o vg_name,vg_uuid,lv_name,lv_uuid,lv_size; report "$1" pvs --noheadings --nosuffix --units m -o pv_uuid,pv_size,vg_name; }
# contents FILE:N...: the bytes of an array, as a file beside the farm's.
contents() { "$RAMET_BIN/ramet-array" read "${@/#/$farm/}" >"$farm/look.img" || fail "$* is not read"; }
examine() { # FILE N
  attach "$farm/$1" "$2" -r
  mdadm --examine "$loop" | grep -E 'Version|Array UUID|Name|Level|Raid Devices|Array Size|Used Dev|Data Offset|Role|Array State|State :' | sed -E 's/ +$//'
  detach
}
farm_up

# ---- Debian on two disks: /boot on a mirror, and a mirror with the group; the target's disks held a group of that
# name over a mirror at another place.
mirror="1 0 0 1.2 host:lvm" parts=('size=1M,type=21686148-6449-6E6F-744E-656564454649' 'size=40M,type=R' 'size=200M,type=R')
disk web 260M "${parts[@]}"; disk web-b 260M "${parts[@]}"
array "1 0 0 1.2 host:boot" web.source:2 web-b.source:2
mke2fs -q -F -t ext4 -U 33333333-2222-4333-8444-555555555555 "$farm/content"
write_array "1 0 0 1.2 host:boot" web.source:2 web-b.source:2
array "$mirror" web.source:3 web-b.source:3
group "$farm/content" sys-vg root=96M swap=20M
in_volume sys-vg/root mke2fs -q -t ext4
in_volume sys-vg/swap mkswap -q
fill_root() {
  make_tree "$PWD" 20; mkdir -p boot
  printf '%s\n' '/dev/mapper/sys--vg-root / ext4 defaults 0 1' 'UUID=33333333-2222-4333-8444-555555555555 /boot ext4 defaults 0 2' \
    '/dev/sys-vg/swap none swap sw 0 0' >etc/fstab
}
at_volume sys-vg/root fill_root
wanted=$(names "$farm/content")
files=$(look_volume "$farm/content" sys-vg/root sh -c 'sha256sum home/user/big*')
write_array "$mirror" web.source:3 web-b.source:3
lab source "$farm" web "$farm/web.source" "$farm/web-b.source"
capture web
disk t-old 260M size=10M,type=L size=180M,type=R; disk t-old-b 260M size=10M,type=L size=180M,type=R
array "1 0 0 1.2 other:7" t-old.source:2 t-old-b.source:2
group "$farm/content" sys-vg root=60M home=60M
in_volume sys-vg/home mkswap -q
write_array "1 0 0 1.2 other:7" t-old.source:2 t-old-b.source:2
mv "$farm/t-old.source" "$farm/t-web.disk"; mv "$farm/t-old-b.source" "$farm/t-web-b.disk"
like=web target web t-web.disk t-web-b.disk
ramet target set t-web hostname=copy >/dev/null
install web web
for n in 2 3; do for half in "" -b; do
  [ "$(examine "web$half.source" $n)" = "$(examine "t-web$half.disk" $n)" ] ||
    fail "mdadm sees another array $n: $(diff <(examine "web$half.source" $n) <(examine "t-web$half.disk" $n))"
done; done
contents t-web.disk:3 t-web-b.disk:3
had=$(names "$farm/look.img")
[ "$had" = "$wanted" ] || fail "the group is another: $(diff <(echo "$wanted") <(echo "$had"))"
report "$farm/look.img" vgck sys-vg || fail "LVM finds faults in the group"
[ "$(look_volume "$farm/look.img" sys-vg/root cat etc/hostname)" = copy ] || fail "the root is not the copy's"
had=$(look_volume "$farm/look.img" sys-vg/root sh -c 'sha256sum home/user/big*')
[ "$had" = "$files" ] || fail "the files are others: $(diff <(echo "$files") <(echo "$had"))"

# ---- A disk without a table is a physical volume: the group keeps its place, and its volume gets what the target's
# disk has more.
disk whole 100M type=L
fill whole 1 mke2fs -q -t ext4
truncate -s 160M "$farm/whole-b.source"
group "$farm/whole-b.source" data-vg files=60M small=20M
cp --sparse=always "$farm/whole-b.source" "$farm/content"
in_volume data-vg/files mkfs.ext4 -q -U 44444444-2222-4333-8444-555555555555
at_volume data-vg/files sh -c 'echo hello >letter'
mv "$farm/content" "$farm/whole-b.source"
at whole 1 sh -c 'mkdir data; echo "/dev/data-vg/files /data ext4 defaults 0 2" >>etc/fstab'
lab source "$farm" whole "$farm/whole.source" "$farm/whole-b.source"
capture whole
truncate -s 100M "$farm/t-whole.disk"; truncate -s 200M "$farm/t-whole-b.disk"
like=whole target whole t-whole.disk t-whole-b.disk
install whole whole
[ "$(look_volume "$farm/t-whole-b.disk" data-vg/files cat letter)" = hello ] || fail "the group on a whole disk did not come"
[ "$(blkid -p -s TYPE -s PTTYPE -o value "$farm/t-whole-b.disk")" = LVM2_member ] || fail "the whole disk got a table"
sizes() { report "$1" lvs --noheadings --nosuffix --units m -o lv_name,lv_size --separator = | tr -d ' \n'; }
[ "$(sizes "$farm/t-whole-b.disk")" = files=100.00small=20.00 ] || fail "the volume has not grown: $(sizes "$farm/t-whole-b.disk")"
echo "md-lvm: passed"

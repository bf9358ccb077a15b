#!/bin/bash
# M32: a machine on logical volumes is imaged while it runs, and once more from its disks when it has ended:
# a volume in two pieces, stripes, a mirror (raid1) and parity (raid5) over two disks, and one on an array of md. Both images have the
# same; LVM's own programs start the groups of a copy. In a machine, as device-mapper is needed.
set -euo pipefail
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/small_system.sh"
need "$boot_packages"
clean_up() { [ -z "${machine:-}" ] || kill "$machine" 2>/dev/null || true; }

make_guest() {
  local name
  mkdir -p "$guest"/{bin,dev,proc,sys,run/lock/lvm,tmp,etc/lvm,srv,old,mnt}
  cp "$(command -v busybox)" "$guest/bin/busybox"
  add_program /usr/sbin/lvm
  add_program /sbin/mdadm
  for name in pvcreate vgcreate lvcreate lvextend lvchange lvremove vgchange vgck lvs; do ln -s lvm "$guest/usr/sbin/$name"; done
  add_program "$(command -v mkfs.ext4)" mkfs.ext4
  add_program "$RAMET_BIN/ramet-agent"
  add_modules virtio_pci virtio_blk virtio_net ext4 dm_mod dm_snapshot dm_raid md_mod raid1
  cat >"$guest/etc/lvm/lvm.conf" <<'CONF'
devices { obtain_device_list_from_udev = 0 }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
CONF
  cat >"$guest/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin LVM_SUPPRESS_FD_WARNINGS=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /modules/*; do insmod \$m; done
$guest_waits
# What the machine says of its group: kinds, sizes, and what is in the volumes.
tell() { echo "ramet-\$1: \$(echo \$(lvs --noheadings --nosuffix --units m -o lv_name,lv_layout,lv_size,seg_count sys-1)) \$(cat /srv/etc/hostname) \$(cat /srv/home/letter /srv/log/letter | tr -d '\n') \$(grep -o '\[U*_*U*\]' /proc/mdstat)"; }
# And of the other group, on two disks: kinds, what is not equal, sums of a file in each volume.
all_equal() { ! lvs --noheadings -o sync_percent data | grep -v '100.00' | grep -q '[0-9]'; }
tell_data() {
  within 60 all_equal
  for v in mirror parity stripes; do
    mount -r -t ext4 /dev/mapper/data-\$v /mnt; sums="\$sums \$(sha256sum </mnt/large | cut -c1-16)"; umount /mnt
  done
  for v in mirror parity; do lvchange --syncaction check data/\$v; done; within 60 all_equal
  echo "ramet-\$1-data: \$(echo \$(lvs --noheadings -o lv_name,lv_layout,sync_percent,raid_mismatch_count,stripes data))\$sums"
}
if grep -q ramet.copy /proc/cmdline; then
  mdadm -q --assemble --run /dev/md0 /dev/vdb3 /dev/vdc2
  vgck data; vgchange -q -ay data; vgck mir; vgchange -q -ay mir
  vgck sys-1; vgchange -q -ay sys-1
  mount -t ext4 /dev/mapper/sys--1-root /srv; mount -t ext4 /dev/mapper/sys--1-home /srv/home; mount -t ext4 /dev/mapper/mir-log /srv/log
  tell copy; tell_data copy; umount /srv/home /srv/log /srv; sync; poweroff -f
fi
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
pvcreate -q /dev/vda1; vgcreate -q sys-1 /dev/vda1
lvcreate -q -n root -L 64M sys-1; lvcreate -q -n home -L 40M sys-1; lvextend -q -L 96M sys-1/root
pvcreate -q /dev/vdb1 /dev/vdb2 /dev/vdc1; vgcreate -q data /dev/vdb1 /dev/vdb2 /dev/vdc1
lvcreate -q --type raid1 -m 1 -L 20M -n mirror data /dev/vdb1 /dev/vdc1
lvcreate -q --type raid5 -i 2 -L 24M -n parity data
lvcreate -q --type striped -i 2 -L 24M -n stripes data /dev/vdb2 /dev/vdc1
mdadm -q --create /dev/md0 --run --homehost=any --metadata=1.2 --level=1 --raid-devices=2 --bitmap=none --assume-clean /dev/vdb3 /dev/vdc2
pvcreate -q /dev/md0; vgcreate -q mir /dev/md0; lvcreate -q -n log -L 16M mir; mkfs.ext4 -q /dev/mapper/mir-log
for v in mirror parity stripes; do
  mkfs.ext4 -q /dev/mapper/data-\$v; mount -t ext4 /dev/mapper/data-\$v /mnt
  head -c 9000000 /dev/urandom >/mnt/large; umount /mnt
done
mkfs.ext4 -q /dev/mapper/sys--1-root; mkfs.ext4 -q /dev/mapper/sys--1-home
mount -t ext4 /dev/mapper/sys--1-root /srv
cp -a /old/. /srv/; mkdir -p /srv/home; mount -t ext4 /dev/mapper/sys--1-home /srv/home
mkdir -p /srv/log; mount -t ext4 /dev/mapper/mir-log /srv/log
echo hel >/srv/home/letter; echo lo >/srv/log/letter
printf '/dev/mapper/sys--1-root / ext4 defaults 0 1\n/dev/sys-1/home /home ext4 defaults 0 2\n/dev/mir/log /log ext4 defaults 0 2\n' >/srv/etc/fstab
tell source; tell_data source
has_snapshot() { lvs --noheadings -o lv_name sys-1 | grep -q ramet; }
has_none() { ! has_snapshot; }
ramet-agent source -c $farm/run/source-machine.cfg &
within 300 has_snapshot; within 300 has_none; echo ramet-source-free; wait
INIT
  chmod 755 "$guest/init"
}

# start_machine DISK LOG WORD...: its other disks are DISK-b and DISK-c.
start_machine() {
  qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 2 -m 768 -nodefaults -display none -no-reboot \
    -kernel "$tree"/boot/vmlinuz-* -initrd "$farm/initramfs" -append "console=ttyS0 quiet $emulated_words panic=1 ${*:3}" \
    -serial "file:$2" -nic user,model=virtio-net-pci \
    -drive "file=$1,format=raw,if=virtio" -drive "file=$1-b,format=raw,if=virtio" -drive "file=$1-c,format=raw,if=virtio" </dev/null >"$farm/run/qemu.log" 2>&1 &
  machine=$!
}
# says LOG PATTERN SECONDS: the machine does, on its console; the line is printed.
says() {
  within "$3" has_said "$1" "$2" || true
  grep -a "^$2" "$1" | tr -d '\r' || { tail -n 40 "$1" >&2; fail "the machine does not say $2"; }
}
has_said() { grep -aq "^$2" "$1" || has_ended "$machine"; }

guest=$farm/guest; tree=$(kernel_tree)
lab up "$farm"; eval "$(lab sh "$farm")"
make_guest
make_tree "$guest/old" 0; rm "$guest/old/home/user/new"*   # cpio takes names of one line alone
take_source machine 's|^root = .*|root = "/srv"\ndisk = "/dev/vda"\nfurther-disks = "/dev/vdb /dev/vdc"|; /^layout = /d'
(cd "$guest" && find . | cpio --quiet -o -H newc) >"$farm/initramfs"
truncate -s 300M "$farm/disk"; printf 'label: gpt\ntype=V\n' | sfdisk -q "$farm/disk"
truncate -s 190M "$farm/disk-b"; printf 'label: gpt\nsize=60M,type=V\nsize=88M,type=V\ntype=R\n' | sfdisk -q "$farm/disk-b"
truncate -s 160M "$farm/disk-c"; printf 'label: gpt\nsize=118M,type=V\ntype=R\n' | sfdisk -q "$farm/disk-c"
start_machine "$farm/disk" "$farm/run/machine.log"
source=$(says "$farm/run/machine.log" ramet-source: 240)
[ "${source#*: }" = "home linear 40.00 1 root linear 96.00 2 source hello [UU]" ] || fail "the source is $source"
within 120 greets machine || { tail -n 20 "$farm/run/machine.log" >&2; fail "the agent does not greet"; }
data=$(says "$farm/run/machine.log" ramet-source-data: 60); data=${data#*: }
[[ $data = "mirror raid,raid1 100.00 0 2 parity raid,raid5,raid5_ls 100.00 0 3 stripes striped 2 "* ]] || fail "the data are $data"
ramet image create machine --name one --wait --timeout 3m
says "$farm/run/machine.log" ramet-source-free 60
kill "$machine"; wait "$machine" 2>/dev/null || true
# What ramet reads of the legs is what the kernel has read.
lab source "$farm" ended "$farm/disk" "$farm/disk-b" "$farm/disk-c"
ramet image create ended --name two --wait --timeout 3m
volumes() { ramet image show "$1" --json >"$farm/$1.json"; jq -c '[.. | objects | select((.logical? // "") | test("^(data|mir)/")) | {logical, root}] | unique' "$farm/$1.json"; }
layers() { jq -cS '[.layout[] | select(.class | test("^(array|member|group|physical|logical|piece)$"))]' "$farm/$1.json"; }
[ "$(volumes one)" = "$(volumes two)" ] || fail "the disks have $(volumes two), and the running machine had $(volumes one)"
[ "$(volumes one | jq length)" = 4 ] || fail "the image has the volumes $(volumes one)"
[ "$(layers one)" = "$(layers two)" ] || fail "the disks have $(layers two), and the running machine had $(layers one)"
[ "$(layers one | jq 'map(select(.class == "member")) | length')" = 2 ] || fail "the image of the running machine has no array"
truncate -s 190M "$farm/copy.disk-b"; truncate -s 160M "$farm/copy.disk-c"
lab target "$farm" copy "$farm/copy.disk" 400M --disk "$farm/copy.disk-b" --disk "$farm/copy.disk-c" --like ended
job=$(ramet deploy start two --engine lab --targets copy --yes)
await_phase "$job" copy awaiting-first-boot 120
lab boot "$farm" copy
ramet job wait "$job" --timeout 60s
start_machine "$farm/copy.disk" "$farm/run/copy.log" ramet.copy
copy=$(says "$farm/run/copy.log" ramet-copy: 240)
[ "${copy#*: }" = "home linear 40.00 1 root linear 196.00 1 copy hello [UU]" ] || fail "the copy is $copy"
copied=$(says "$farm/run/copy.log" ramet-copy-data: 240)
[ "${copied#*: }" = "$data" ] || fail "the data of the copy are ${copied#*: }; they were $data"
echo "lvm: $source; $copy; $data"

#!/bin/bash
# M32: a machine on logical volumes is imaged while it runs, a volume in two pieces among them, and LVM's own
# programs start the group of its copy, which is on a larger disk. In a machine, as device-mapper is needed.
set -euo pipefail
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/small_system.sh"
need "$boot_packages"
clean_up() { [ -z "${machine:-}" ] || kill "$machine" 2>/dev/null || true; }

make_guest() {
  local name
  mkdir -p "$guest"/{bin,dev,proc,sys,run/lock/lvm,tmp,etc/lvm,srv,old}
  cp "$(command -v busybox)" "$guest/bin/busybox"
  add_program /usr/sbin/lvm
  for name in pvcreate vgcreate lvcreate lvextend vgchange vgck lvs; do ln -s lvm "$guest/usr/sbin/$name"; done
  add_program "$(command -v mkfs.ext4)" mkfs.ext4
  add_program "$RAMET_BIN/ramet-agent"
  add_modules virtio_pci virtio_blk virtio_net ext4 dm_mod dm_snapshot
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
tell() { echo "ramet-\$1: \$(echo \$(lvs --noheadings --nosuffix --units m -o lv_name,lv_layout,lv_size,seg_count sys-1)) \$(cat /srv/etc/hostname) \$(cat /srv/home/letter)"; }
if grep -q ramet.copy /proc/cmdline; then
  vgck sys-1; vgchange -q -ay sys-1
  mount -t ext4 /dev/mapper/sys--1-root /srv; mount -t ext4 /dev/mapper/sys--1-home /srv/home
  tell copy; umount /srv/home /srv; sync; poweroff -f
fi
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
pvcreate -q /dev/vda1; vgcreate -q sys-1 /dev/vda1
lvcreate -q -n root -L 64M sys-1; lvcreate -q -n home -L 40M sys-1; lvextend -q -L 96M sys-1/root
mkfs.ext4 -q /dev/mapper/sys--1-root; mkfs.ext4 -q /dev/mapper/sys--1-home
mount -t ext4 /dev/mapper/sys--1-root /srv
cp -a /old/. /srv/; mkdir -p /srv/home; mount -t ext4 /dev/mapper/sys--1-home /srv/home
echo hello >/srv/home/letter
printf '/dev/mapper/sys--1-root / ext4 defaults 0 1\n/dev/sys-1/home /home ext4 defaults 0 2\n' >/srv/etc/fstab
tell source
ramet-agent source -c $farm/run/source-machine.cfg
INIT
  chmod 755 "$guest/init"
}

# start_machine DISK LOG WORD...
start_machine() {
  qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 2 -m 768 -nodefaults -display none -no-reboot \
    -kernel "$tree"/boot/vmlinuz-* -initrd "$farm/initramfs" -append "console=ttyS0 quiet $emulated_words panic=1 ${*:3}" \
    -serial "file:$2" -nic user,model=virtio-net-pci -drive "file=$1,format=raw,if=virtio" </dev/null >"$farm/run/qemu.log" 2>&1 &
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
# The settings of a source of the lab, for an agent that is in the machine.
mkdir -p "$farm/machine"; lab source "$farm" machine "$farm/machine"; end source-machine; rm "$farm/run/source-machine".{pid,cmd}
mkdir -p "$guest$farm"/{run,keys,state}
sed -e 's|^root = .*|root = "/srv"\ndisk = "/dev/vda"|; /^layout = /d; s|127.0.0.1|10.0.2.2|' "$farm/run/source-machine.cfg" >"$guest$farm/run/source-machine.cfg"
cp "$farm/run/source-machine.facts" "$guest$farm/run/"
cp "$farm/keys/machine".{key,token} "$farm/keys/broker.pub" "$guest$farm/keys/"
(cd "$guest" && find . | cpio --quiet -o -H newc) >"$farm/initramfs"
truncate -s 300M "$farm/disk"; printf 'label: gpt\ntype=V\n' | sfdisk -q "$farm/disk"
start_machine "$farm/disk" "$farm/run/machine.log"
source=$(says "$farm/run/machine.log" ramet-source: 240)
[ "${source#*: }" = "home linear 40.00 1 root linear 96.00 2 source hello" ] || fail "the source is $source"
greets() { [ "$(farm_status | jq '[.services[] | select(.service == "capture@source/machine") | .peers] | add')" = 1 ]; }
within 120 greets ||
  { tail -n 20 "$farm/run/machine.log" >&2; fail "the agent does not greet"; }
ramet image create machine --name one --wait --timeout 3m
kill "$machine"; wait "$machine" 2>/dev/null || true
lab target "$farm" copy "$farm/copy.disk" 400M --like machine
job=$(ramet deploy start one --engine lab --targets copy --yes)
await_phase "$job" copy awaiting-first-boot 120
lab boot "$farm" copy
ramet job wait "$job" --timeout 60s
start_machine "$farm/copy.disk" "$farm/run/copy.log" ramet.copy
copy=$(says "$farm/run/copy.log" ramet-copy: 240)
[ "${copy#*: }" = "home linear 40.00 1 root linear 196.00 1 copy hello" ] || fail "the copy is $copy"
echo "lvm: $source; $copy"

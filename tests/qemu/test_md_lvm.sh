#!/bin/bash
# M32: a system on LVM over a mirror of two disks, /boot in it and GRUB on both, is imaged from its disks and
# installed on two that hold another group of that name over another mirror. The kernel's md and LVM find one
# clean mirror and one group, and the copy is itself; it starts from each of its disks alone.
set -euo pipefail
. "$(dirname "$0")/../outside/lib.sh"
. "$(dirname "$0")/small_system.sh"
unset -f install      # The program is meant
need "$boot_packages"

# An initramfs that starts arrays and groups, and says what it found.
make_initramfs() { # OUT
  mkdir -p "$guest"/{bin,dev,proc,sys,root,run/lock/lvm,run/mdadm,etc/lvm,tmp}
  cp "$(command -v busybox)" "$guest/bin/busybox"
  add_program /usr/sbin/mdadm; add_program /usr/sbin/lvm
  add_modules virtio_pci virtio_blk ext4 md_mod raid1 dm_mod
  printf '%s\n' 'devices { obtain_device_list_from_udev = 0 }' 'activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }' >"$guest/etc/lvm/lvm.conf"
  cat >"$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin LVM_SUPPRESS_FD_WARNINGS=1 MDADM_NO_UDEV=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/md
for m in /modules/*; do insmod $m; done
mdadm --assemble --scan --run --quiet
lvm vgchange -q -ay >/dev/null
echo "ramet-layers arrays=$(grep -c ^md /proc/mdstat) $(grep -o '\[[U_]*\]' /proc/mdstat) resync=$(grep -c resync /proc/mdstat) groups=$(echo $(lvm vgs --noheadings -o vg_name,pv_count,lv_count))"
mount -t ext4 -o ro /dev/mapper/sys-root /root || { echo "ramet-small: no root"; poweroff -f; }
mount -o move /dev /root/dev; mount -o move /proc /root/proc; mount -o move /sys /root/sys
exec switch_root /root /sbin/init
INIT
  chmod 755 "$guest/init"
  (cd "$guest" && find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -1) >"$1"
}
# GRUB in the first sector and the BIOS boot partition of a disk, as grub-install puts it there, for which it would
# need the kernel's md.
put_grub() { # FILE
  grub-mkimage -O i386-pc -o "$farm/core" -p '(lvm/sys-root)/boot/grub' biosdisk part_gpt mdraid1x lvm ext2 normal linux serial terminal
  python3 - "$1" "$farm/core" "$(sfdisk -J "$1" | jq '.partitiontable.partitions[0].start')" <<'PY'
import struct, sys
start = int(sys.argv[3])
boot = bytearray(open("/usr/lib/grub/i386-pc/boot.img", "rb").read())
core = bytearray(open(sys.argv[2], "rb").read()); core += bytes(-len(core) % 512)
struct.pack_into("<Q", boot, 0x5c, start)
struct.pack_into("<QHH", core, 500, start + 1, len(core) // 512 - 1, 0x820)
with open(sys.argv[1], "r+b") as disk:
    disk.write(boot[:440]); disk.seek(start * 512); disk.write(core)
PY
}
# A mirror over partition 2 of two files, with the group that is in $farm/content.
mirror() { "$RAMET_BIN/ramet-array" make 1 0 0 1.2 "$1" "$farm/$2:2" "$farm/$3:2"; }
make_group() { # [VOLUME=SIZE...]: named sys, in $farm/content
  local volume; loop=$(losetup -f --show "$farm/content"); loops+=("$loop")
  { lvm_on "$loop" pvcreate -q -y "$loop"; lvm_on "$loop" vgcreate -q sys "$loop"; } >"$farm/lvm.log" 2>&1 || { cat "$farm/lvm.log" >&2; fail "no group"; }
  for volume; do lvm_on "$loop" lvcreate -q -an -Zn -Wn -L "${volume#*=}" -n "${volume%%=*}" sys >"$farm/lvm.log" 2>&1 || { cat "$farm/lvm.log" >&2; fail "no volume"; }; done
  detach
}
volume() { # NAME [OPTION...]: sets loop to a device over a logical volume in $farm/content
  local first count; loop=$(losetup -f --show -r "$farm/content"); loops+=("$loop")
  read -r first count < <(logicals "$loop" | sed -n "s|^sys/$1 ||p"); detach
  loop=$(losetup -f --show -o $((first * 512)) --sizelimit $((count * 512)) "${@:2}" "$farm/content"); loops+=("$loop")
}
# starts LOG FILE... -- WORD...: the disks alone in a machine; its console has the words.
starts() {
  local log=$farm/$1.serial drives=() line word; shift
  while [ "$1" != -- ]; do
    cp --sparse=always "$farm/$1" "$farm/$1.run"                # A start writes
    drives+=(-drive "file=$farm/$1.run,format=raw,if=virtio,cache=unsafe"); shift
  done; shift
  timeout 240 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 1 -m 512 -nodefaults -display none -no-reboot \
    -nic none -serial "file:$log" "${drives[@]}" </dev/null || { tail -c 2000 "$log" >&2; fail "the machine does not come to its end"; }
  line=$(tr -d '\r' <"$log" | grep -ao 'ramet-layers .*\|ramet-booted .*' | tr '\n' ' ')
  echo "$line"
  for word; do case "$line " in *"$word "*) ;; *) tail -c 2000 "$log" >&2; fail "the copy does not say '$word': $line" ;; esac; done
}
guest=$farm/guest; tree=$(kernel_tree)
farm_up

# ---- The source
bios=21686148-6449-6E6F-744E-656564454649
disk web 200M "size=1M,type=$bios" 'type=R'; disk web-b 200M "size=1M,type=$bios" 'type=R'
truncate -s "$(mirror host:sys web.source web-b.source </dev/null)" "$farm/content"
make_group root=120M swap=12M
volume swap; mkswap -q "$loop"; detach
volume root; mkfs.ext4 -q "$loop"; mount "$loop" "$farm/at"
small_tree "$farm/at"
mkdir -p "$farm/at/etc/ssh"; ssh-keygen -q -t ed25519 -N '' -f "$farm/at/etc/ssh/ssh_host_ed25519_key"
printf '%s\n' '/dev/mapper/sys-root / ext4 defaults 0 1' '/dev/mapper/sys-swap none swap sw 0 0' >"$farm/at/etc/fstab"
cp "$tree"/boot/vmlinuz-* "$farm/at/boot/vmlinuz"; make_initramfs "$farm/at/boot/initrd.img"
cat >"$farm/at/boot/grub/grub.cfg" <<CFG
serial --unit=0 --speed=115200
terminal_output serial
linux /boot/vmlinuz console=ttyS0 quiet panic=1 $emulated_words
initrd /boot/initrd.img
boot
CFG
mkdir "$farm/at/boot/grub/i386-pc"
for module in boot linux relocator video mmap gzio normal terminal serial; do cp /usr/lib/grub/i386-pc/$module.mod "$farm/at/boot/grub/i386-pc/"; done
cp "$farm/at/etc/machine-id" "$farm/at/etc/ssh/ssh_host_ed25519_key.pub" "$farm/"
umount "$farm/at"; detach
mirror host:sys web.source web-b.source <"$farm/content" >/dev/null
put_grub "$farm/web.source"; put_grub "$farm/web-b.source"
lab source "$farm" web "$farm/web.source" "$farm/web-b.source"
capture web

# ---- Its copy, on disks with another group of that name
disk old 200M size=20M,type=L type=R; disk old-b 200M size=20M,type=L type=R
rm "$farm/content"; truncate -s "$(mirror other:0 old.source old-b.source </dev/null)" "$farm/content"
make_group root=40M data=40M
mirror other:0 old.source old-b.source <"$farm/content" >/dev/null
mv "$farm/old.source" "$farm/one.disk"; mv "$farm/old-b.source" "$farm/two.disk"
like=web target copy one.disk two.disk
ramet target set t-copy hostname=copy >/dev/null
job=$(ramet deploy start web-1 --engine lab --targets t-copy --yes)
await_phase "$job" t-copy awaiting-first-boot 120
starts both one.disk two.disk -- 'arrays=1' '[UU]' 'resync=0' 'groups=sys 1 2' host=copy root=ext4 swap=12284 mark=marked
starts first one.disk -- 'arrays=1' '[U_]' 'groups=sys 1 2' host=copy
starts second two.disk -- 'arrays=1' '[_U]' 'groups=sys 1 2' host=copy
"$RAMET_BIN/ramet-array" read "$farm/one.disk:2" "$farm/two.disk:2" >"$farm/content"
volume root -r; mount -o ro,noload "$loop" "$farm/look"
answers_no cmp -s "$farm/look/etc/machine-id" "$farm/machine-id" || fail "the copy has the source's machine-id"
answers_no cmp -s "$farm/look/etc/ssh/ssh_host_ed25519_key.pub" "$farm/ssh_host_ed25519_key.pub" || fail "the copy has the source's host key"
umount "$farm/look"; detach
echo "md-lvm: passed"

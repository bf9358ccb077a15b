# Sourced: makes a disk image file with a small system that goes on living: it has a network
# (ifupdown), runs its rc2.d scripts, and gives a login prompt on the serial console. Less than
# 40 MiB to copy, so that whole matrices of machines can be installed in emulation.
#
# Before the prompt its console says:
#   ramet-live host=NAME address=A gateway=G dns=D machine=ID key=SHA root=DEVICE kib=SIZE mark=TEXT
. "$(dirname "${BASH_SOURCE[0]}")/small_system.sh"

# Drivers that are not in the initramfs, where the running system looks for them.
live_modules() { # DIR KERNEL-TREE
  local d=$1 tree=$2 version path
  version=$(basename "$tree"/lib/modules/*)
  [ -f "$tree/lib/modules/$version/modules.dep" ] || depmod -b "$tree" "$version"
  modprobe -d "$tree" -S "$version" --show-depends virtio_net | sed -n 's/^insmod \([^ ]*\).*/\1/p' |
    while read -r path; do
      install -D -m 644 "$path" "$d/lib/modules/$version/${path#*"/$version/"}"
    done
  # The lists of the whole kernel: they tell of the drivers in the initramfs as well.
  cp "$tree/lib/modules/$version"/modules.* "$d/lib/modules/$version/"
}

live_init() { # DIR
  local d=$1
  ln -s ../bin/busybox "$d/sbin/init"
  cat >"$d/etc/inittab" <<'INITTAB'
::sysinit:/etc/init.d/rcS
ttyS0::respawn:/bin/busybox getty -L ttyS0 115200 vt100
::ctrlaltdel:/bin/busybox reboot
::shutdown:/bin/busybox umount -a -r
INITTAB
  cat >"$d/etc/init.d/rcS" <<'RCS'
#!/bin/busybox sh
/bin/busybox mount -t tmpfs run /run
/bin/busybox mkdir /run/bin
/bin/busybox --install -s /run/bin
export PATH=/run/bin:/bin:/sbin
mount -o remount,rw /
mount -a
hostname -F /etc/hostname
modprobe virtio_net
ifup -a 2>&1
root=$(awk '$2 == "/" && $1 ~ "^/dev" { print $1 }' /proc/mounts)
echo "ramet-live host=$(hostname) address=$(ip -4 -o addr show scope global | awk '{ printf "%s%s", s, $4; s = "," }')" \
  "gateway=$(ip route | awk '$1 == "default" { print $3 }') dns=$(awk '$1 == "nameserver" { printf "%s%s", s, $2; s = "," }' /etc/resolv.conf)" \
  "machine=$(cat /etc/machine-id) key=$(sha256sum </etc/ssh/ssh_host_ed25519_key.pub | cut -c1-16)" \
  "root=$root kib=$(df -k / | awk 'END { print $2 }') mark=$(cat /home/user/mark)"
for script in /etc/rc2.d/S*; do
  [ -x "$script" ] && "$script" start
done
RCS
  cat >"$d/etc/udhcpc/default.script" <<'LEASE'
#!/bin/busybox sh
case $1 in
bound | renew)
  ip addr flush dev "$interface"; ip addr add "$ip/$mask" dev "$interface"
  [ -z "$router" ] || ip route replace default via "$router"
  for a in $dns; do echo "nameserver $a"; done >/etc/resolv.conf ;;
esac
LEASE
  chmod 755 "$d/etc/init.d/rcS" "$d/etc/udhcpc/default.script"
}

live_tree() { # DIR KERNEL-TREE MARK
  local d=$1
  mkdir -p "$d"/{bin,sbin,dev,proc,sys,run,tmp,var/lib/dbus,boot/grub,boot/efi,root,home/user} \
    "$d"/etc/{init.d,rc2.d,ssh,udhcpc} "$d"/etc/network/if-{pre-up,up,down,post-down}.d \
    "$d/usr/sbin" "$d/usr/lib" "$d/lib/modules"
  chmod 1777 "$d/tmp"
  ln -s ../run "$d/var/run"
  cp "$(command -v busybox)" "$d/bin/busybox"
  ln -s busybox "$d/bin/sh"
  ln -s ../../bin/busybox "$d/usr/sbin/ifup"
  printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (live small)"\n' >"$d/etc/os-release"
  printf 'root::0:0:root:/root:/bin/sh\n' >"$d/etc/passwd"
  printf 'root:x:0:\n' >"$d/etc/group"
  echo source >"$d/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 source\n' >"$d/etc/hosts"
  printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$d/etc/network/interfaces"
  echo 0123456789abcdef0123456789abcdef >"$d/etc/machine-id"
  ssh-keygen -q -t ed25519 -N '' -C root@source -f "$d/etc/ssh/ssh_host_ed25519_key"
  echo "$3" >"$d/home/user/mark"; chown -R 1000:1000 "$d/home/user"
  live_init "$d"
  live_modules "$d" "$2"
}

# live_disk FILE [MARK]: GPT with BIOS boot partition, ESP and ext4 root; starts by BIOS and UEFI.
live_disk() {
  local file=$1 tree mnt loop root esp
  tree=$(kernel_tree); mnt=$(mktemp -d)
  rm -f "$file"; truncate -s 400M "$file"
  printf '%s\n' 'label: gpt' 'start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649' \
    'start=4096, size=16384, type=U, name=esp' 'start=20480, type=L, name=root' | sfdisk -q "$file"
  loop=$(losetup -f --show "$file"); partx -a "$loop"
  esp=${loop}p2; root=${loop}p3
  mkfs.ext4 -q -L live "$root"; mkfs.vfat -F 12 -n ESP "$esp" >/dev/null
  mount "$root" "$mnt"
  live_tree "$mnt" "$tree" "${2:-first}"
  printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s /boot/efi vfat umask=0077 0 1\n' \
    "$(uuid_of "$root")" "$(uuid_of "$esp")" >"$mnt/etc/fstab"
  cp "$tree"/boot/vmlinuz-* "$mnt/boot/vmlinuz"
  small_initramfs "$tree" "$mnt/boot/initrd.img"
  small_grub_cfg "$(uuid_of "$root")" /boot "$(uuid_of "$root")" ext4 >"$mnt/boot/grub/grub.cfg"
  grub-install --target=i386-pc --boot-directory="$mnt/boot" "$loop" 2>&1
  rm -rf "$mnt/boot/grub/fonts" "$mnt/boot/grub/locale"
  small_esp "$esp" "$(uuid_of "$root")" /boot
  # A machine that never ran this system finds only the fallback path.
  mcopy -i "$esp" ::/EFI/debian/grubx64.efi "$mnt/run/grub.efi"
  mmd -i "$esp" ::/EFI/BOOT; mcopy -i "$esp" "$mnt/run/grub.efi" ::/EFI/BOOT/BOOTX64.EFI
  rm "$mnt/run/grub.efi"
  umount "$mnt"; rmdir "$mnt"
  partx -d "$loop"; losetup -d "$loop"
}

# Sourced: makes small bootable systems on disk image files, and boots disk image files.
#
# A small system is a busybox root with Debian's cloud kernel and GRUB. It mounts what its
# fstab says, tells on the serial console what it found, and switches itself off:
#
#   ramet-booted host=NAME root=FSTYPE kib=SIZE swap=KIB mark=TEXT mounts=/ /boot ... env=...

packages=${RAMET_CACHE:-/var/cache/ramet}

# package_tree NAME: folder of a Debian package, unpacked once and not installed.
package_tree() {
  local tree=$packages/kernel/$1 new
  if [ ! -d "$tree" ]; then
    mkdir -p "$packages/kernel"; new=$(mktemp -d "$packages/kernel/new.XXXXXX"); chmod 755 "$new"
    (cd "$new" && apt-get download -q "$1" >/dev/null && dpkg-deb -x ./*.deb tree && rm ./*.deb) || return 1
    mv -T "$new/tree" "$tree" 2>/dev/null || true # Another one was quicker
    rm -rf "$new"
  fi
  echo "$tree"
}

# Folder of Debian's cloud kernel.
kernel_tree() {
  local name
  name=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
  [ -n "$name" ] || { echo "no package linux-image-cloud-amd64 is known; run apt-get update" >&2; return 1; }
  package_tree "$name"
}

# within and pause of ops/lib/common.sh, for the shell of a machine.
guest_waits='pause() { sleep "$1"; }
within() { local looks=$(($1 * 10)); shift; until "$@"; do looks=$((looks - 1)); [ $looks -gt 0 ] || return 1; usleep 100000; done; }'

# What goes into the folder $guest, which becomes the initramfs of a machine.
add_program() { # PATH [NAME]: with its libraries
  local file
  install -D "$1" "$guest/usr/sbin/${2:-$(basename "$1")}"
  ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) (.*/\1/p' | while read -r file; do
    [ -e "$guest$file" ] || install -D "$file" "$guest$file"
  done
}
add_modules() { # NAME...: of the kernel in $tree, with those that they need
  local name path count=100 version; version=$(basename "$tree"/lib/modules/*)
  for name; do
    modprobe -d "$tree" -S "$version" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++' | while read -r path; do
    count=$((count + 1)); install -D "$path" "$guest/modules/$count-$(basename "$path")"
  done
}

# take_source NAME EDIT: the settings of a source of the lab, which sed edits, for an agent that is in the machine.
take_source() {
  mkdir -p "$farm/$1"; lab source "$farm" "$1" "$farm/$1"; end "source-$1"; rm "$farm/run/source-$1".{pid,cmd}
  mkdir -p "$guest$farm"/{run,keys,state}
  sed -e "$2" -e 's|127.0.0.1|10.0.2.2|' "$farm/run/source-$1.cfg" >"$guest$farm/run/source-$1.cfg"
  cp "$farm/run/source-$1.facts" "$guest$farm/run/"
  cp "$farm/keys/$1".{key,token} "$farm/keys/broker.pub" "$guest$farm/keys/"
}
# greets NAME: the agent of a source is there.
greets() { [ "$(farm_status | jq --arg s "capture@source/$1" '[.services[] | select(.service == $s) | .peers] | add')" = 1 ]; }

# The modules a small system needs, in the order in which they are loaded.
small_initramfs() { # KERNEL-TREE OUT
  local tree=$1 out=$2 work version name module count=100
  work=$(mktemp -d); version=$(basename "$tree"/lib/modules/*)
  mkdir -p "$work"/{bin,dev,proc,sys,root,lib/modules}
  cp "$(command -v busybox)" "$work/bin/busybox"
  [ -f "$tree/lib/modules/$version/modules.dep" ] || depmod -b "$tree" "$version"
  for name in virtio_pci virtio_blk ext4 xfs btrfs vfat nls_cp437 nls_ascii nls_iso8859-1; do
    modprobe -d "$tree" -S "$version" --show-depends "$name" 2>/dev/null |
      sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++' | while read -r module; do
    count=$((count + 1)); install -D -m 644 "$module" "$work/lib/modules/$version/$count/$(basename "$module")"
  done
  { echo '#!/bin/busybox sh'; echo "$guest_waits"; cat; } >"$work/init" <<'INIT'
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /lib/modules/*/*/*; do insmod "$m" 2>/dev/null; done
for word in $(cat /proc/cmdline); do case $word in
  root=*) root=${word#root=} ;; rootfstype=*) type=${word#*=} ;; rootflags=*) flags=${word#*=} ;;
esac; done
find_root() { device=$(findfs "$root"); }
within 5 find_root
mount -t "$type" -o "ro${flags:+,$flags}" "$device" /root || { echo "ramet-small: no root $root"; poweroff -f; }
mount -o move /dev /root/dev; mount -o move /proc /root/proc; mount -o move /sys /root/sys
exec switch_root /root /sbin/init
INIT
  chmod 755 "$work/init"
  (cd "$work" && find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -1) >"$out"
  rm -rf "$work"
}

# The tree without its fstab and boot files.
small_tree() { # DIR
  local d=$1
  mkdir -p "$d"/{bin,sbin,dev,proc,sys,run,tmp,boot/grub,etc/network,usr/sbin,home/user,var/lib/dbus,root}
  chmod 1777 "$d/tmp"
  cp "$(command -v busybox)" "$d/bin/busybox"
  printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (small)"\n' >"$d/etc/os-release"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$d/etc/passwd"
  echo small >"$d/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 small\n' >"$d/etc/hosts"
  : >"$d/usr/sbin/ifup"
  echo '::sysinit:/sbin/init' >"$d/etc/inittab"
  printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$d/etc/network/interfaces"
  echo 0123456789abcdef0123456789abcdef >"$d/etc/machine-id"
  echo marked >"$d/home/user/mark"; chown -R 1000:1000 "$d/home/user"
  cat >"$d/sbin/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t tmpfs run /run; /bin/busybox mkdir /run/bin; /bin/busybox --install -s /run/bin
export PATH=/run/bin
mount -a; swapon -a
type=$(awk '$2 == "/" { t = $3 } END { print t }' /proc/mounts)
kib=$(df -k / | awk 'END { print $2 }')
swap=$(awk '/^SwapTotal/ { print $2 }' /proc/meminfo)
mounts=$(awk '$1 ~ "^/dev/" { printf "%s ", $2 }' /proc/mounts)
mark=$(cat /home/user/mark)
env=$(grep = /boot/grub/grubenv | tr '\n' ' ')
echo "ramet-booted host=$(cat /etc/hostname) root=$type kib=$kib swap=$swap mark=$mark mounts=$mounts env=$env"
sync; poweroff -f
INIT
  chmod 755 "$d/sbin/init"
}

small_grub_cfg() { # UUID-OF-BOOT-FS FOLDER-IN-IT ROOT-UUID FSTYPE [FLAGS]
  cat <<EOF
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
if [ -s \$prefix/grubenv ]; then load_env; fi
search --no-floppy --fs-uuid --set=root $1
linux $2/vmlinuz root=UUID=$3 rootfstype=$4 ${5:+rootflags=$5 }ro console=ttyS0 quiet panic=1
initrd $2/initrd.img
boot
EOF
}

# GRUB for UEFI as grub-install puts it, without a kernel that can mount FAT.
small_esp() { # DEVICE UUID-OF-BOOT-FS FOLDER-IN-IT
  local work; work=$(mktemp -d)
  printf 'search.fs_uuid %s root\nset prefix=($root)%s/grub\n' "$2" "$3" >"$work/load.cfg"
  grub-mkimage -O x86_64-efi -o "$work/grubx64.efi" -c "$work/load.cfg" -p /EFI/debian \
    part_gpt part_msdos ext2 xfs btrfs fat search_fs_uuid normal linux serial terminal configfile loadenv test echo
  mmd -i "$1" ::/EFI ::/EFI/debian
  mcopy -i "$1" "$work/grubx64.efi" ::/EFI/debian/grubx64.efi
  rm -rf "$work"
}

# The signed loaders of a Debian: shim, and GRUB that finds its configuration beside it.
signed_esp() { # DEVICE UUID-OF-BOOT-FS FOLDER-IN-IT
  local work shim grub; work=$(mktemp -d)
  shim=$(package_tree shim-signed); grub=$(package_tree grub-efi-amd64-signed)
  printf 'search.fs_uuid %s root\nset prefix=($root)%s/grub\nconfigfile $prefix/grub.cfg\n' "$2" "$3" >"$work/grub.cfg"
  mmd -i "$1" ::/EFI ::/EFI/debian
  mcopy -i "$1" "$shim/usr/lib/shim/shimx64.efi.signed" ::/EFI/debian/shimx64.efi
  mcopy -i "$1" "$grub/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/debian/grubx64.efi
  mcopy -i "$1" "$work/grub.cfg" ::/EFI/debian/grub.cfg
  rm -rf "$work"
}

# unified_image TREE INITRD OPTIONS OUT: kernel, initramfs and options as one program of UEFI.
unified_image() {
  local work stub at=0x20000; work=$(mktemp -d)
  stub=$(package_tree systemd-boot-efi)/usr/lib/systemd/boot/efi/linuxx64.efi.stub
  basename "$1"/lib/modules/* >"$work/uname"
  printf 'ID=debian\nVERSION_ID="12"\n' >"$work/osrel"; printf '%s' "$3" >"$work/cmdline"
  local add=() name
  for name in osrel cmdline uname; do
    add+=(--add-section ".$name=$work/$name" --change-section-vma ".$name=$at"); at=$((at + 0x10000))
  done
  objcopy "${add[@]}" --add-section .linux="$(echo "$1"/boot/vmlinuz-*)" --change-section-vma .linux=0x2000000 \
    --add-section .initrd="$2" --change-section-vma .initrd=0x4000000 "$stub" "$4"
  rm -rf "$work"
}

# An EFI system partition without GRUB: a unified kernel image, and systemd-boot that finds it (uki)
# or nothing (stub). Neither has a program at the fallback path.
unified_esp() { # KIND DEVICE TREE INITRD ROOT-UUID
  local work boot; work=$(mktemp -d)
  unified_image "$3" "$4" "root=UUID=$5 rootfstype=ext4 ro console=ttyS0 quiet panic=1" "$work/small.efi"
  mmd -i "$2" ::/EFI ::/EFI/Linux
  mcopy -i "$2" "$work/small.efi" "::/EFI/Linux/small-$(basename "$3"/lib/modules/*).efi"
  if [ "$1" = uki ]; then
    boot=$(package_tree systemd-boot-efi)/usr/lib/systemd/boot/efi/systemd-bootx64.efi
    echo 'timeout 0' >"$work/loader.conf"; head -c 32 /dev/urandom >"$work/random-seed"
    mmd -i "$2" ::/EFI/systemd ::/loader
    mcopy -i "$2" "$boot" ::/EFI/systemd/systemd-bootx64.efi
    mcopy -i "$2" "$work/loader.conf" "$work/random-seed" ::/loader/
  fi
  rm -rf "$work"
}

uuid_of() { blkid -p -s UUID -o value "$1"; }

small_table() { # KIND, as sfdisk reads it
  local bios=21686148-6449-6E6F-744E-656564454649
  case $1 in
  dos) printf '%s\n' 'label: dos' 'start=2048, size=65536, type=82' 'start=67584, type=83, bootable' ;;
  gpt) printf '%s\n' 'label: gpt' '1: start=264192, type=L, name=root' \
    "14: start=2048, size=8192, type=$bios" '15: start=10240, size=253952, type=U' ;;
  xfs) printf '%s\n' 'label: gpt' 'start=2048, size=131072, type=U, name=esp' 'size=196608, type=L, name=boot' \
    'size=65536, type=S' 'type=L, name=root' ;;
  uki | stub) printf '%s\n' 'label: gpt' 'start=2048, size=262144, type=U, name=esp' 'type=L, name=root' ;;
  4kn) printf '%s\n' 'label: gpt' 'start=256, size=72192, type=U, name=esp' 'type=L, name=root' ;;
  btrfs) printf '%s\n' 'label: gpt' "start=2048, size=2048, type=$bios" 'type=L, name=root' ;;
  esac
}

# small_disk KIND FILE: a disk image with a small system.
#   dos    DOS table: swap, ext4 root; GRUB in the gap
#   gpt    GPT: ext4 root, BIOS boot partition, ESP with EFI/debian alone; both firmwares
#   xfs    GPT: ESP with shim and signed GRUB, ext4 /boot, swap, xfs root; UEFI
#   4kn    GPT in sectors of 4096 bytes: ESP, ext4 root; UEFI
#   uki    GPT: ESP with systemd-boot and a unified kernel image, ext4 root; UEFI
#   stub   the same without systemd-boot: the firmware must start the image itself
#   btrfs  GPT: BIOS boot partition, btrfs with subvolumes @ (the default one), @home and
#          @/var/lib/machines (read-only), and a read-only snapshot
small_disk() {
  local kind=$1 file=$2 loop mnt tree type size=640M boot_folder=/boot sector=512
  local root="" boot="" swap="" esp="" flags="" fstab=""
  tree=$(kernel_tree); mnt=$(mktemp -d)
  [ "$kind" != xfs ] || size=1G
  rm -f "$file"; truncate -s $size "$file"
  [ "$kind" != 4kn ] || sector=4096
  loop=$(losetup -f --show -b $sector "$file")
  small_table "$kind" | sfdisk -q --no-reread --no-tell-kernel "$loop"
  partx -d "$loop" 2>/dev/null || true
  partx -a "$loop"
  case $kind in
  dos) swap=${loop}p1; root=${loop}p2; mkfs.ext4 -q -L small "$root"; mount "$root" "$mnt" ;;
  4kn | uki | stub) esp=${loop}p1; root=${loop}p2; mkfs.ext4 -q "$root"; mount "$root" "$mnt" ;;
  gpt) esp=${loop}p15; root=${loop}p1; mkfs.ext4 -q "$root"; mount "$root" "$mnt" ;;
  xfs) esp=${loop}p1; boot=${loop}p2; swap=${loop}p3; root=${loop}p4; boot_folder=""
    mkfs.xfs -q "$root"; mkfs.ext4 -q "$boot"; mount "$root" "$mnt"; mkdir "$mnt/boot"; mount "$boot" "$mnt/boot" ;;
  btrfs) root=${loop}p2; flags=subvol=@; boot_folder=/@/boot
    mkfs.btrfs -q "$root"; mount "$root" "$mnt"
    # A number that no copy gives to the same subvolume.
    btrfs -q subvolume create "$mnt/gone"; btrfs -q subvolume delete "$mnt/gone" >/dev/null
    btrfs -q subvolume create "$mnt/@home"; btrfs -q subvolume create "$mnt/@"
    btrfs subvolume set-default "$mnt/@"
    umount "$mnt"; mount -o subvol=@ "$root" "$mnt"; mkdir "$mnt/home"; mount -o subvol=@home "$root" "$mnt/home"
    mkdir -p "$mnt/var/lib"; btrfs -q subvolume create "$mnt/var/lib/machines"
    echo kept >"$mnt/var/lib/machines/file"; btrfs property set "$mnt/var/lib/machines" ro true ;;
  esac
  small_tree "$mnt"
  type=$(blkid -p -s TYPE -o value "$root")
  fstab="UUID=$(uuid_of "$root") / $type defaults${flags:+,$flags} 0 1"
  [ -z "$flags" ] || fstab+=$'\n'"UUID=$(uuid_of "$root") /home btrfs defaults,subvolid=$(btrfs inspect-internal rootid "$mnt/home"),subvol=/@home 0 2"
  [ -z "$boot" ] || fstab+=$'\n'"UUID=$(uuid_of "$boot") /boot ext4 defaults 0 2"
  [ -z "$swap" ] || { mkswap -q "$swap"; fstab+=$'\n'"UUID=$(uuid_of "$swap") none swap sw 0 0"; }
  [ -z "$esp" ] || { mkfs.vfat -F 32 -n ESP "$esp" >/dev/null; mkdir -p "$mnt/boot/efi"
    fstab+=$'\n'"UUID=$(uuid_of "$esp") /boot/efi vfat umask=0077 0 1"; }
  printf '%s\n' "$fstab" >"$mnt/etc/fstab"
  cp "$tree"/boot/vmlinuz-* "$mnt/boot/vmlinuz"
  small_initramfs "$tree" "$mnt/boot/initrd.img"
  small_grub_cfg "$(uuid_of "${boot:-$root}")" "$boot_folder" "$(uuid_of "$root")" "$type" "$flags" \
    >"$mnt/boot/grub/grub.cfg"
  grub-editenv "$mnt/boot/grub/grubenv" set recordfail=1 saved_entry=0 next_entry=7
  case $kind in uki | stub) unified_esp "$kind" "$esp" "$tree" "$mnt/boot/initrd.img" "$(uuid_of "$root")"
    rm "$mnt/boot/vmlinuz" "$mnt/boot/initrd.img" ;; esac
  case $kind in xfs | 4kn | uki | stub) ;; *) grub-install --target=i386-pc --boot-directory="$mnt/boot" "$loop" 2>&1 ;; esac
  [ "$kind" != gpt ] && [ "$kind" != 4kn ] || small_esp "$esp" "$(uuid_of "$root")" "$boot_folder"
  [ "$kind" != xfs ] || signed_esp "$esp" "$(uuid_of "$boot")" "$boot_folder"
  [ "$kind" != btrfs ] || btrfs -q subvolume snapshot -r "$mnt" "$mnt/snapshot"
  umount -R "$mnt"; rmdir "$mnt"
  partx -d "$loop"; losetup -d "$loop"
}

# boot_disk FILE bios|uefi LOG [VARS [OPTION...]]: start the disk alone in a machine until it switches itself
# off, at most three minutes; its serial console goes to LOG, UEFI variables live in VARS. Its sectors
# have DISK_SECTOR bytes, or 512.
boot_disk() {
  local firmware=() file=$1 kind=$2 log=$3 vars=${4:-$3.vars} sector=${DISK_SECTOR:-}
  shift $(($# < 4 ? $# : 4))
  if [ "$kind" = uefi ]; then
    [ -f "$vars" ] || cp /usr/share/OVMF/OVMF_VARS_4M.fd "$vars"
    firmware=(-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
      -drive "if=pflash,format=raw,file=$vars")
  fi
  timeout 180 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 1 -m 512 -nodefaults \
    -display none -no-reboot -nic none -serial "file:$log" "${firmware[@]}" "$@" \
    -drive "if=none,id=disk,file=$file,format=raw" \
    -device "virtio-blk-pci,drive=disk${sector:+,logical_block_size=$sector,physical_block_size=$sector}" </dev/null
}

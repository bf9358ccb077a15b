# Sourced: a real Debian on a disk image file, from a tar of its tree.

# debian_disk TAR FILE SIZE: GPT with BIOS boot partition, ESP and ext4 root; starts by BIOS and UEFI,
# its console is the first serial port.
debian_disk() {
  local tar=$1 file=$2 loop mnt root esp uuid work
  mnt=$(mktemp -d); work=$(mktemp -d)
  rm -f "$file"; truncate -s "$3" "$file"
  printf '%s\n' 'label: gpt' 'start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649' \
    'start=4096, size=131072, type=U, name=esp' 'start=135168, type=L, name=root' | sfdisk -q "$file"
  loop=$(losetup -f --show "$file"); partx -a "$loop"
  esp=${loop}p2; root=${loop}p3
  mkfs.ext4 -q -L debian "$root"; mkfs.vfat -F 32 -n ESP "$esp" >/dev/null
  uuid=$(blkid -p -s UUID -o value "$root")
  mount "$root" "$mnt"
  tar -C "$mnt" --xattrs --xattrs-include='*' --acls --numeric-owner -xpf "$tar"
  mkdir -p "$mnt/boot/grub" "$mnt/boot/efi"
  printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s /boot/efi vfat umask=0077 0 1\n' \
    "$uuid" "$(blkid -p -s UUID -o value "$esp")" >"$mnt/etc/fstab"
  cat >"$mnt/boot/grub/grub.cfg" <<CFG
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
search --no-floppy --fs-uuid --set=root $uuid
linux /boot/$(basename "$mnt"/boot/vmlinuz-*) root=UUID=$uuid ro console=ttyS0 quiet no_timer_check
initrd /boot/$(basename "$mnt"/boot/initrd.img-*)
boot
CFG
  grub-install --target=i386-pc --boot-directory="$mnt/boot" "$loop" >&2
  printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\n' "$uuid" >"$work/load.cfg"
  grub-mkimage -O x86_64-efi -o "$work/grubx64.efi" -c "$work/load.cfg" -p /EFI/debian \
    part_gpt ext2 fat search search_fs_uuid normal linux serial terminal configfile test echo
  mmd -i "$esp" ::/EFI ::/EFI/debian ::/EFI/BOOT
  mcopy -i "$esp" "$work/grubx64.efi" ::/EFI/debian/grubx64.efi
  mcopy -i "$esp" "$work/grubx64.efi" ::/EFI/BOOT/BOOTX64.EFI
  umount "$mnt"; rmdir "$mnt"; rm -rf "$work"
  partx -d "$loop"; losetup -d "$loop"
}

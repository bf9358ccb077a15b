# Sourced: a real Debian on a disk image file, from a tar of its tree.

# debian_layout NAME: what is on the disk, a line each, in the order of the table:
#   TYPE SIZE FILE-SYSTEM LABEL MOUNT-POINT OPTIONS      (SIZE - is what is left; else - is nothing)
# A TYPE of `subvol` is a subvolume, named by LABEL, of the volume in the line before.
debian_layout() {
  local bios=21686148-6449-6E6F-744E-656564454649
  printf '%s\n' "$bios 1MiB - bios - -" "U 64MiB vfat ESP /boot/efi umask=0077"
  case $1 in
  ext4) echo "L - ext4 debian / defaults" ;;
  xfs) printf '%s\n' "L 192MiB ext4 boot /boot defaults" "S 128MiB swap swap none sw" \
    "L - xfs debian / defaults" ;;
  btrfs) printf '%s\n' "L - btrfs debian - -" "subvol - btrfs @ / compress=zstd:1,noatime" \
    "subvol - btrfs @home /home compress=zstd:1" "subvol - btrfs @log /var/log defaults" ;;
  *) echo "the layout $1 does not exist; write ext4, xfs or btrfs" >&2; return 1 ;;
  esac
}

debian_uuid() { blkid -p -s UUID -o value "$1"; }

debian_make() { # FILE-SYSTEM LABEL DEVICE
  case $1 in
  vfat) mkfs.vfat -F 32 -n "$2" "$3" ;;
  swap) mkswap -q -L "$2" "$3" ;;
  -) ;;
  *) "mkfs.$1" -q -L "$2" "$3" ;;
  esac
}

# Subvolumes are made from the top; the one of / is the default, as installers do it.
debian_subvolumes() { # DEVICE FOLDER NAME...
  local device=$1 top=$2 name; shift 2
  mount -t btrfs "$device" "$top"
  for name in "$@"; do btrfs -q subvolume create "$top/$name"; done
  btrfs subvolume set-default "$top/$1"
  umount "$top"
}

# Make file systems, write their lines of fstab to a file, mount what holds a tree.
debian_volumes() { # LOOP LAYOUT FOLDER FSTAB
  local loop=$1 mnt=$3 number=0 device="" type size fs label point options
  while read -r type size fs label point options; do
    if [ "$type" = subvol ]; then
      options+=,subvol=$label
    else
      number=$((number + 1)); device=${loop}p$number
      debian_make "$fs" "$label" "$device" >&2
      # shellcheck disable=SC2046
      [ "$fs" != btrfs ] || debian_subvolumes "$device" "$mnt" $(awk '$1 == "subvol" { print $4 }' <<<"$2")
    fi
    [ "$point" = - ] || printf '%s UUID=%s %s %s %s\n' "$device" "$(debian_uuid "$device")" "$point" "$fs" "$options"
  done <<<"$2" | sort -k 3,3 >"$4"
  while read -r device _ point fs options; do
    case $point:$fs in none:* | *:vfat) continue ;; esac     # FAT is written with mtools
    mkdir -p "$mnt$point"; mount -t "$fs" -o "$options" "$device" "$mnt$point"
  done <"$4"
}

# GRUB for both kinds of firmware; what it reads is on the volume of /boot.
debian_grub() { # LOOP FOLDER FSTAB
  local loop=$1 mnt=$2 fstab=$3 work esp boot folder root resume
  work=$(mktemp -d)
  esp=$(awk '$3 == "/boot/efi" { print $1 }' "$fstab")
  boot=$(awk '$3 == "/boot" { print $2 }' "$fstab"); boot=${boot#UUID=}
  # GRUB's paths begin at the top of a file system.
  read -r root folder < <(awk '$3 == "/" { n = split($5, o, ","); v = ""
    for (i = 1; i <= n; i++) if (o[i] ~ /^subvol=/) v = substr(o[i], 8); print $2, v }' "$fstab")
  resume=$(awk '$4 == "swap" { print "resume=" $2 " " }' "$fstab")
  resume+=${folder:+rootflags=subvol=$folder }
  if [ -n "$boot" ]; then folder=""; else boot=${root#UUID=}; folder=${folder:+/$folder}/boot; fi
  cat >"$mnt/boot/grub/grub.cfg" <<CFG
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
search --no-floppy --fs-uuid --set=root $boot
linux $folder/$(basename "$mnt"/boot/vmlinuz-*) root=$root ${resume}ro console=ttyS0 quiet $emulated_words
initrd $folder/$(basename "$mnt"/boot/initrd.img-*)
boot
CFG
  grub-install --target=i386-pc --boot-directory="$mnt/boot" "$loop" >&2
  printf 'search.fs_uuid %s root\nset prefix=($root)%s/grub\n' "$boot" "$folder" >"$work/load.cfg"
  grub-mkimage -O x86_64-efi -o "$work/grubx64.efi" -c "$work/load.cfg" -p /EFI/debian \
    part_gpt ext2 xfs btrfs fat search search_fs_uuid normal linux serial terminal configfile test echo
  mmd -i "$esp" ::/EFI ::/EFI/debian ::/EFI/BOOT
  mcopy -i "$esp" "$work/grubx64.efi" ::/EFI/debian/grubx64.efi
  mcopy -i "$esp" "$work/grubx64.efi" ::/EFI/BOOT/BOOTX64.EFI
  rm -rf "$work"
}

# debian_disk TAR FILE SIZE [LAYOUT [COMMAND...]]: GPT with BIOS boot partition, ESP and what the
# layout says (ext4); starts by BIOS and UEFI, its console is the first serial port. COMMAND is run
# with the folder of the tree as its last argument before the disk is detached.
debian_disk() {
  local tar=$1 file=$2 size=$3 name=${4:-ext4} layout loop mnt work
  shift $(($# < 4 ? $# : 4))
  layout=$(debian_layout "$name") || return 1
  mnt=$(mktemp -d); work=$(mktemp -d)
  rm -f "$file"; truncate -s "$size" "$file"
  awk 'BEGIN { print "label: gpt" } $1 != "subvol" {
    print "type=" $1 ", name=" $4 ($2 == "-" ? "" : ", size=" $2) }' <<<"$layout" | sfdisk -q "$file"
  loop=$(losetup -f --show "$file"); partx -a "$loop"
  debian_volumes "$loop" "$layout" "$mnt" "$work/fstab"
  tar -C "$mnt" --xattrs --xattrs-include='*' --acls --numeric-owner -xpf "$tar"
  mkdir -p "$mnt/boot/grub" "$mnt/boot/efi"
  awk '{ print $2, $3, $4, $5, 0, ($3 == "/" ? 1 : $4 ~ /^ext|^vfat/ ? 2 : 0) }' "$work/fstab" >"$mnt/etc/fstab"
  debian_grub "$loop" "$mnt" "$work/fstab"
  [ $# = 0 ] || "$@" "$mnt"
  umount -R "$mnt"; rmdir "$mnt"; rm -rf "$work"
  partx -d "$loop"; losetup -d "$loop"
}

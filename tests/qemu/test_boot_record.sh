#!/bin/bash
# Installed disks start by themselves (M23): small systems on disks of each kind are imaged,
# deployed to disks of another size by the farm's own programs, and the targets' disks, alone in a
# machine, must reach the end of their start-up by BIOS and by UEFI.
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/small_system.sh"
for tool in qemu-system-x86_64 grub-install grub-mkimage mcopy mtype objcopy cpio; do
  command -v $tool >/dev/null || fail "$tool is missing"
done

# hardware KIND NAME BYTES: the facts of a machine whose disk has the sectors of this kind.
hardware() {
  local sector=512
  [ "$1" != 4kn ] || sector=4096
  cat <<EOF
class=system uuid=$(cat /proc/sys/kernel/random/uuid) vendor=QEMU product=small firmware=none arch=x86_64
class=cpu arch=x86_64 vendor=AuthenticAMD family=15 model=107 count=1
class=memory bytes=536870912
class=disk name=vda bus=virtio media=virtual bytes=$3 logical-sector=$sector physical-sector=$sector serial=$2
EOF
}

# deploy_copy KIND SIZE: image the disk of this kind and write it to a new disk of another size.
deploy_copy() {
  local kind=$1 size=$2 job
  small_disk "$kind" "$farm/$kind.src" >"$farm/$kind.log" 2>&1 || { cat "$farm/$kind.log" >&2; fail "no source disk of kind $kind"; }
  hardware "$kind" source 4294967296 >"$farm/$kind.facts"
  lab source "$farm" "$kind" "$farm/$kind.src" --hardware "$farm/$kind.facts"
  ramet image create "$kind" --name "$kind-1" --wait --timeout 3m
  # What stands on the target's disk before must not matter.
  truncate -s "$size" "$farm/$kind.disk"
  mkfs.ext4 -q -F "$farm/$kind.disk"
  hardware "$kind" "copy-$kind" "$(stat -c %s "$farm/$kind.disk")" >"$farm/copy-$kind.facts"
  lab target "$farm" "copy-$kind" "$farm/$kind.disk" --hardware "$farm/copy-$kind.facts"
  job=$(ramet deploy start "$kind-1" --engine lab --targets "copy-$kind" --yes)
  await_phase "$job" "copy-$kind" awaiting-first-boot 120
}

# starts KIND FIRMWARE MARK...: the copy starts; its console shows each mark.
starts() {
  local kind=$1 firmware=$2 log=$farm/$1.$2.serial line mark; shift 2
  cp --sparse=always "$farm/$kind.disk" "$farm/$kind.run"     # A start writes
  boot_disk "$farm/$kind.run" "$firmware" "$log" || { tail -c 2000 "$log" >&2; fail "$kind by $firmware did not come to its end"; }
  line=$(tr -d '\r' <"$log" | grep -o 'ramet-booted .*') || { tail -c 2000 "$log" >&2; fail "$kind does not start by $firmware"; }
  echo "$kind by $firmware: $line"
  [ "${line##* env=}" = "saved_entry=0 " ] || fail "GRUB's environment block is not fresh"
  for mark in "$@"; do
    case "$line " in *" $mark "*) ;; *) fail "$kind by $firmware lacks '$mark': $line" ;; esac
  done
}

# seed FILE: what systemd-boot hands to the kernel.
seed() { mtype -i "$farm/$1@@1M" ::/loader/random-seed 2>/dev/null | sha256sum; }

# The subvolumes of the copy, whatever their numbers: paths, the default one, what is read-only.
check_subvolumes() {
  local loop mnt=$farm/mnt start size
  read -r start size < <(sfdisk -J "$farm/btrfs.disk" | jq -r '.partitiontable.partitions[1] | "\(.start) \(.size)"')
  loop=$(losetup -f --show -r -o $((start * 512)) --sizelimit $((size * 512)) "$farm/btrfs.disk")
  mkdir -p "$mnt"; mount -o ro,subvolid=5 "$loop" "$mnt"
  { btrfs subvolume list "$mnt" | sed 's/.* path //' | LC_ALL=C sort
    echo "default $(btrfs subvolume get-default "$mnt" | sed 's/.* path //')"
    btrfs property get "$mnt/@/var/lib/machines" ro; cat "$mnt/@/var/lib/machines/file"
    grep -c subvolid "$mnt/@/etc/fstab" || true; ls -A "$mnt/@/snapshot"
  } >"$farm/subvolumes"
  umount "$mnt"; losetup -d "$loop"
  printf '%s\n' @ @/var/lib/machines @home 'default @' ro=true kept 0 | diff - "$farm/subvolumes" ||
    fail "the subvolumes of the copy are others"
}

lab up "$farm"
eval "$(lab sh "$farm")"
kinds=${*:-dos gpt xfs btrfs 4kn uki stub}
for kind in $kinds; do
  case $kind in
  dos) deploy_copy dos 1500M
    starts dos bios host=copy-dos root=ext4 swap=32764 mark=marked ;;
  gpt) deploy_copy gpt 1500M
    starts gpt bios host=copy-gpt root=ext4 mark=marked /boot/efi
    starts gpt uefi host=copy-gpt root=ext4 mark=marked /boot/efi ;;
  xfs) deploy_copy xfs 2G
    starts xfs uefi host=copy-xfs root=xfs swap=32764 mark=marked /boot /boot/efi ;;
  4kn) deploy_copy 4kn 1G
    DISK_SECTOR=4096 starts 4kn uefi host=copy-4kn root=ext4 mark=marked /boot/efi
    # A disk of the other sectors is told in words, and stays as it is.
    truncate -s 2G "$farm/512.disk"
    hardware dos other 2147483648 >"$farm/other.facts"
    lab target "$farm" other "$farm/512.disk" --hardware "$farm/other.facts"
    expect 2 ramet deploy start 4kn-1 --engine lab --targets other --yes --wait
    grep -q 'sector' "$farm/out" || { cat "$farm/out" >&2; fail "the refusal does not name the sectors"; }
    [ "$(stat -c %b "$farm/512.disk")" = 0 ] || fail "a disk of other sectors was written to" ;;
  uki | stub) deploy_copy "$kind" 1G
    starts "$kind" uefi "host=copy-$kind" root=ext4 mark=marked /boot/efi
    [ "$kind" = stub ] || [ "$(seed uki.src)" != "$(seed uki.disk)" ] || fail "the copy has the source's seed" ;;
  btrfs) deploy_copy btrfs 450M      # Smaller than the source
    starts btrfs bios host=copy-btrfs root=btrfs mark=marked /home
    check_subvolumes ;;
  esac
done
# refused NAME WORDS: imaging this disk fails with these words.
refused() {
  lab source "$farm" "$1" "$farm/$1.src"
  expect 2 ramet image create "$1" --name "$1-1" --wait --timeout 1m
  grep -q "$2" "$farm/out" || { cat "$farm/out" >&2; fail "$1 is not refused as '$2'"; }
}

# Layers and loaders that are not supported are refused by name when the source is imaged.
truncate -s 64M "$farm/lvm.src" "$farm/lilo.src"
printf 'label: gpt\n,,\n' | sfdisk -q "$farm/lvm.src"
loop=$(losetup -f --show "$farm/lvm.src"); partx -a "$loop"
pvcreate -qq "${loop}p1" 2>/dev/null || fail "no LVM was made"
partx -d "$loop"; losetup -d "$loop"
refused lvm 'a physical volume of no volume group'
printf 'label: dos\n,,83\n' | sfdisk -q "$farm/lilo.src"
mkfs.ext4 -q -F -E offset=$((2048 * 512)) "$farm/lilo.src" 60M
printf 'LILO' | dd of="$farm/lilo.src" bs=1 seek=6 conv=notrunc status=none
refused lilo "boot code of the disk is LILO"
echo "boot record: passed"

#!/bin/bash
# Boot entries on real firmware (M23): a disk without a fallback path is not started by OVMF until
# an entry names its loader; made twice, there is one entry.
set -euo pipefail
source_dir=${RAMET_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
RAMET_BIN=${RAMET_BIN:-$source_dir/build/release/bin}
. "$(dirname "$0")/small_system.sh"
work=$(mktemp -d /var/tmp/ramet-nvram.XXXXXX)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; [ ! -f "$work/log" ] || tail -c 1500 "$work/log" >&2; exit 1; }

small_disk gpt "$work/disk" >"$work/log" 2>&1 || fail "no disk"
read -r guid start sectors < <(sfdisk -J "$work/disk" |
  jq -r '.partitiontable.partitions[] | select(.node | endswith("disk15")) | "\(.uuid) \(.start) \(.size)"')

# A system in memory that makes the entry twice and shows what the firmware keeps.
tree=$(kernel_tree); version=$(basename "$tree"/lib/modules/*)
mkdir -p "$work/root"/{bin,dev,proc,sys,lib64}
cp "$(command -v busybox)" "$RAMET_BIN/ramet-nvram" "$work/root/bin/"
ldd "$RAMET_BIN/ramet-nvram" | grep -o '/[^ ]*' | xargs -I{} cp -L --parents {} "$work/root"
cp "$tree/lib/modules/$version/kernel/fs/efivarfs/efivarfs.ko" "$work/root/"
ln -s busybox "$work/root/bin/sh"

# enter ENTRY...: make these entries, each the words of one ramet-nvram, from a system in memory, and show
# what the firmware keeps.
enter() {
  cat >"$work/root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
insmod /efivarfs.ko; mount -t efivarfs efivarfs /sys/firmware/efi/efivars
$(printf 'ramet-nvram %s\n' "$@")
echo "entries: \$(grep -l 'r.a.m.e.t' /sys/firmware/efi/efivars/Boot0* | wc -l)"
poweroff -f
INIT
  chmod 755 "$work/root/init"
  (cd "$work/root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd"
  boot_disk "$work/disk" uefi "$work/log" "$work/vars" -kernel "$tree/boot/vmlinuz-$version" \
    -initrd "$work/initrd" -append "console=ttyS0 quiet panic=1" || fail "the system in memory did not end"
  [ "$(tr -d '\r' <"$work/log" | grep -c 'ramet-nvram: Boot')" = $# ] || fail "not each entry was made"
  tr -d '\r' <"$work/log" | grep -q 'entries: 1' || fail "there is not one entry"
}
starts() {
  boot_disk "$work/disk" uefi "$work/log" "$work/vars" || fail "the entry does not start the disk"
  grep -q 'ramet-booted' "$work/log" || fail "the entry does not start the disk"
}

cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/vars"
loader="debian EFI/debian/grubx64.efi $guid 15 $start $sectors"
enter "$loader" "$loader"
starts

# Without any loader: the firmware starts the kernel itself, with the options of its entry (M32).
esp=$work/disk@@$((start * 512))
small_initramfs "$tree" "$work/small.img"
root=$(sfdisk -J "$work/disk" | jq -r '.partitiontable.partitions[] | select(.node | endswith("disk1")) | .start')
uuid=$(blkid -p -O $((root * 512)) -s UUID -o value "$work/disk")
mdeltree -i "$esp" ::/EFI
mcopy -i "$esp" "$tree/boot/vmlinuz-$version" ::/vmlinuz
mcopy -i "$esp" "$work/small.img" ::/small.img
enter "small vmlinuz $guid 15 $start $sectors 'initrd=\\small.img root=UUID=$uuid rootfstype=ext4 ro console=ttyS0 quiet panic=1'"
starts
echo "nvram: passed"

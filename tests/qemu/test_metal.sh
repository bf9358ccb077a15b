#!/bin/bash
# M20: the metal flavour starts in 1 GiB and finds disks on SATA, NVMe, USB and SAS, and two network
# cards of different makers; its modules and firmware stay compressed.
set -euo pipefail
. "$(dirname "$0")/bare.sh"
thin=$(thin_kernel metal)
zstd -dc "$thin/initramfs" | cpio -it --quiet >"$farm/list"
answers_no grep -E '/(modules/.*\.ko|firmware/.*\.(fw|bin|dat))$' "$farm/list" || fail "a module or firmware is not compressed"
grep -q 'firmware/bnx2/.*\.xz$' "$farm/list" || fail "no firmware of Debian's firmware packages"
unpacked=$(zstd -dc "$thin/initramfs" | wc -c)
[ $((unpacked * 100)) -le $(((1 << 30) * 45)) ] || fail "unpacked $unpacked bytes, over 45 % of 1 GiB"
farm_up
for name in sata nvme usb sas; do truncate -s 1G "$farm/$name"; done
machine metal "$thin" 1024 "ramet.broker=10.0.2.2:$port ramet.token=$token" \
  -uuid 4c4c4544-0031-4410-8058-b4c04f4a3234 \
  -netdev user,id=n0 -device e1000e,netdev=n0 -netdev user,id=n1,net=10.0.3.0/24 -device rtl8139,netdev=n1 \
  -drive "file=$farm/sata,if=none,id=sata,format=raw" -device ide-hd,drive=sata,serial=SATA1 \
  -drive "file=$farm/nvme,if=none,id=nvme,format=raw" -device nvme,drive=nvme,serial=NVME1 \
  -device qemu-xhci -drive "file=$farm/usb,if=none,id=usb,format=raw" -device usb-storage,drive=usb,serial=USB1 \
  -device megasas -drive "file=$farm/sas,if=none,id=sas,format=raw" \
  -device scsi-hd,drive=sas,serial=SAS1,wwn=0x5000c500a1b2c3d4
shown metal 120 "waiting for orders as "
name=$(sed -n 's/.*waiting for orders as \([^,]*\),.*/\1/p' "$farm/metal.serial" | head -n 1)
ramet target inventory "$name" --raw >"$farm/inventory"
for text in "class=disk .*bus=ata" "class=disk .*bus=nvme" "class=disk .*bus=usb" "class=disk .*wwn=naa.5000c500a1b2c3d4" \
  "class=nic .*driver=e1000e" "class=nic .*driver=8139"; do
  grep -qE "$text" "$farm/inventory" || { cat "$farm/inventory" >&2; fail "the inventory has no line '$text'"; }
done
answers_no grep -qa "Invalid ELF" "$farm/metal.serial" || fail "modules were loaded in a way the kernel does not know"
echo "waiting for orders after $(uptime_at metal "waiting for orders") hundredths of a second"

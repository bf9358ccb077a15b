#!/bin/bash
# A Debian on xfs with a /boot of its own, swap, and systemd-networkd, which runs and images itself by
# its service, becomes a BIOS and a UEFI machine (M4, M8, M19, M20, M21, M22, M23, M25). A user's scripts run at their first
# boot: one tells what the machine is, one fails, and the console says so (M18 b).
. "$(dirname "$0")/variant.sh"
variant_farm networkd xfs 1200M
machine b1 11 --bios --disk 1200M
machine u1 12 --uefi --disk 1400M
variant_image
printf '#!/bin/sh\necho first words\necho no licence for this machine >&2\nexit 3\n' >"$farm/broken"
ramet script add lab 10-look "$farm/look" >/dev/null
ramet script add lab 20-broken "$farm/broken" --select rack=r1 >/dev/null
ramet target set u1 rack=r1 >/dev/null
present b1 u1
variant_install b1 u1
start=$(sfdisk -J "$farm/golden.disk" | jq '.partitiontable.partitions[] | select(.name == "swap") | .start')
swap=$(blkid -p -O $((start * 512)) -s UUID -o value "$farm/golden.disk")
for name in b1 u1; do
  look_has $name "mounts=/:xfs:/;/boot:ext4:/;/boot/efi:vfat:/" "swap=$swap" "active=systemd-networkd"
done
debian_is_itself b1 11 golden
debian_is_itself u1 12 golden
[ "$(phase_of "$job" b1)" = confirmed ] || fail "b1 is $(phase_of "$job" b1)"
[ "$(phase_of "$job" u1)" = "confirmed (degraded)" ] || fail "the failed script of u1 does not show"
ramet job show "$job"
ramet job show "$job" --json | jq -r '.targets[] | select(.name == "u1") | .warning' |
  grep -q "script 02-20-broken ended with status 3" || fail "the job does not say which script failed"
ramet job logs "$job" u1 | grep -q "no licence for this machine" || fail "the log lacks the last words of the script"
variant_compare b1 u1
stamp "passed"

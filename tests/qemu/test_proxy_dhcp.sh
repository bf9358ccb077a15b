#!/bin/bash
# Netboot in a network where somebody else gives the addresses (M20): ops/netboot adds where to boot
# from at both ports, and a BIOS and a UEFI machine come to the thin-kernel with addresses of the other server.
. "$(dirname "$0")/lib.sh"
export RAMET_LAB_DHCP=site
lab up "$farm"
eval "$(lab sh "$farm")"
. "$source_dir/ops/lib/vm.sh"
lab vm "$farm" p1 --bios --disk 100M
lab vm "$farm" p2 --uefi --disk 100M
# The ROM of QEMU's card for BIOS is iPXE; what others ask for is told to them as well.
. "$farm/run/net-lab.env"
nsenter -t "$(cat "$farm/run/site-lab.pid")" -n -- "$source_dir/tests/tools/pxe_ask" eth0 | sort >"$farm/asked"
printf '%s\n' "boot $gateway undionly.kpxe" "offer $gateway 0.0.0.0 PXEClient undionly.kpxe" >"$farm/wanted"
grep -v "^offer $subnet.3 $subnet.1[0-9]* - -$" "$farm/asked" | cmp - "$farm/wanted" ||
  { cat "$farm/asked" >&2; fail "the ROM of a card is told something else"; }
present p1 p2
for name in p1 p2; do
  grep -q " $(vm_mac $name) " "$farm/run/dhcp-lab.leases" || fail "$name has no address of the site's server"
  console $name 'waiting for orders' 10
done
[ ! -s "$farm/netboot-lab/leases" ] || fail "ops/netboot gave an address: $(cat "$farm/netboot-lab/leases")"
echo "proxy DHCP: passed"

#!/bin/bash
# A copy of each distribution is a machine of its own: its name in that system's places, addresses in the
# grammar of that stack, another machine-id and other host keys; whichever init it has starts its first
# boot, which reports and leaves nothing; an init that is not known refuses the plan (P23, M6, M23, [3.42]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/systems.sh"
farm_up

run debian12 "$unit"
has debian12 etc/network/interfaces "^    address $address/24\$"
run devuan5 etc/init.d/ramet-firstboot
has devuan5 etc/network/interfaces "^    address $address/24\$"
run ubuntu2404 "$unit"
has ubuntu2404 etc/netplan/10-ramet.yaml "addresses: \[\"$address/24\"\]"
look ubuntu2404 0 test -e etc/cloud/cloud-init.disabled || fail "cloud-init runs again"
run alpine320 etc/runlevels/default/ramet-firstboot
has alpine320 etc/network/interfaces '^    netmask 255.255.255.0$'
run_dhcp void etc/runit/runsvdir/default/ramet-firstboot
has void etc/rc.conf '^HOSTNAME="copy"$'

for system in chimera:dinit s6:s6-linux-init; do
  source_of "${system%:*}"
  plan_refused "${system%:*}" "configure: .*starts its services with ${system#*:}, which ramet does not know"
done
echo "systems: passed ($ran )"

#!/bin/bash
# The same as test_systems.sh for the families of Red Hat and SUSE, and for Arch (P23, M6, M23, [3.42]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/systems.sh"
farm_up

keyfile=etc/NetworkManager/system-connections/ramet.nmconnection
for system in rocky8 alma9 rhel10 tumbleweed; do
  run $system "$unit"
  has $system $keyfile "^address1=$address/24,10.1.0.1\$"
done
run arch "$unit"
has arch etc/systemd/network/10-ramet.network "^Address=$address/24\$"
echo "systems of RPM: passed ($ran )"

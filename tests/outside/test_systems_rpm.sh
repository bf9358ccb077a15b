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
# What ramet writes has the labels of the image's own rules; without rules the copy labels itself ([3.43]).
for system in rocky8 alma9 rhel10; do
  labelled $system etc/hostname hostname_etc_t
  labelled $system etc/machine-id machineid_t
  labelled $system etc/ssh/ssh_host_ed25519_key sshd_key_t
  labelled $system $keyfile NetworkManager_etc_rw_t
  look $system 0 test ! -e .autorelabel || fail "$system is labelled a second time"
done
labelled rocky8 etc/NetworkManager NetworkManager_etc_t
disk bare 32M
on bare 0 mke2fs -q -t ext4 -L sys
fill_bare() { fill_system alma9; rm -r etc/selinux/targeted/contexts; }
at bare 0 fill_bare
capture bare
plan bare hostname=copy || { echo "$said" >&2; fail "no plan without rules of SELinux"; }
grep -q '^warnings: .*/.autorelabel: SELinux is on' <<<"$said" || { echo "$said" >&2; fail "the plan does not tell of labels"; }
deploy bare hostname=copy
look bare 0 test -e .autorelabel || fail "the copy without rules does not label itself"

run arch "$unit"
has arch boot/loader/loader.conf '^default [0-9a-f]{32}-\*$'
has arch etc/systemd/network/10-ramet.network "^Address=$address/24\$"
# wicked's settings are read, and not written: its name is in the refusal.
source_of leap156
plan_refused leap156 'network: .*sets its network with wicked' address=10.1.0.99/24
echo "systems of RPM: passed ($ran )"

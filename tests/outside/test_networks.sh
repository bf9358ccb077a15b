#!/bin/bash
# The source's address is on no copy, whichever file gave it to the source; what cannot be taken away
# or read refuses the plan, also without an address in the record; a bond, a VLAN or a bridge that the
# target does not get is named (P23, [3.40], [3.41]).
. "$(dirname "$0")/lib.sh"
farm_up
# source_of NAME SCRIPT: a system that is changed so, imaged.
source_of() {
  disk "$1" 48M
  fill "$1" 0 mke2fs -q -t ext4
  at "$1" 0 sh -ec "$2"
  capture "$1"
}

# ---- ifupdown in force, and files of five other programs beside it
source_of tabs 'mkdir -p etc/network/interfaces.d etc/network/sites etc/systemd/network/50-lan.network.d
  mkdir -p etc/NetworkManager/system-connections etc/wireguard etc/dhcp etc/netplan etc/cloud/cloud.cfg.d
  printf "auto lo\niface lo inet loopback\nsource-directory interfaces.d\nsource sites/*\n" >etc/network/interfaces
  printf "auto eno1\niface\teno1\tinet\tstatic\n\taddress\t192.0.2.9/24\n" >etc/network/interfaces.d/eno1
  printf "iface eno2 \\\\\n inet static\n  address 192.0.2.10\n" >etc/network/sites/eno2.cfg
  printf "# 198.51.100.1 is the console\n" >etc/network/interfaces.d/notes
  printf "[Match]\nName=lan\n" >etc/systemd/network/50-lan.network
  printf "[Network]\nAddress = 192.0.2.11/24\n" >etc/systemd/network/50-lan.network.d/fixed.conf
  printf "[connection]\ntype = ethernet\n[ipv4]\naddress1 = 192.0.2.12/24\n" >etc/NetworkManager/system-connections/lan
  printf "[Interface]\nPrivateKey = 192.0.2.13\n" >etc/wireguard/wg0.conf
  printf "timeout 60;\nalias {\n  fixed-address 192.0.2.14;\n}\n" >etc/dhcp/dhclient.conf
  printf "network: {ethernets: {e1: {addresses: [192.0.2.15/24]}}}\n" >etc/netplan/50.yaml
  printf "locale: C\nnetwork:\n  config: [192.0.2.16]\n" >etc/cloud/cloud.cfg.d/50-net.cfg'
deploy tabs hostname=copy address=10.1.0.7/24
left=$(look tabs 0 grep -rl 192.0.2 etc || true)
[ -z "$left" ] || fail "the source's addresses are on the copy, in: $left"
look tabs 0 grep -q 'address 10.1.0.7/24' etc/network/interfaces || fail "the copy lacks its own address"
look tabs 0 grep -q 198.51.100.1 etc/network/interfaces.d/notes || fail "a file that sets nothing is gone"
look tabs 0 grep -q 'timeout 60' etc/dhcp/dhclient.conf || fail "a setting that is nobody's own is gone"
look tabs 0 grep -q 'locale: C' etc/cloud/cloud.cfg.d/50-net.cfg || fail "a setting of cloud-init is gone"

# ---- Topology is named
shaped() { # NAME WORDS SCRIPT
  source_of "$1" "$3"
  plan "$1" address="10.1.0.$((8 + ${#1}))/24" || { echo "$said" >&2; fail "$1 does not fit"; }
  grep -q "^warnings: .*$2" <<<"$said" || { echo "$said" >&2; fail "the plan of $1 does not name: $2"; }
}
shaped bond 'bond bond3, vlan bond3.7, bridge br7' 'printf "iface bond3 inet manual\n\tbond-slaves eno1 eno2\n
iface bond3.7 inet manual\niface br7 inet static\n\taddress 192.0.2.9/24\n\tbridge_ports bond3.7\n" >etc/network/interfaces'
plan bond net.bond3.ports=eno1,eno2 net.v7.interface=bond3.7 net.v7.link=bond3 net.v7.vlan=7 \
  net.br7.kind=bridge net.br7.ports=bond3.7 net.br7.address=10.1.0.90/24 address= && fail "ifupdown without ifenslave makes a bond"
grep -Eq 'install (ifenslave|bridge-utils) on the source' <<<"$said" || { echo "$said" >&2; fail "the plan does not say what makes a bond"; }
shaped plans 'bond b0, vlan v7' 'rm -r etc/network usr/sbin/ifup; : >usr/sbin/netplan; mkdir etc/netplan
  printf "network:\n  bonds: {b0: {interfaces: [e1, e2]}}\n  vlans: {v7: {id: 7, link: b0, addresses: [192.0.2.9/24]}}\n" >etc/netplan/a.yaml'
deploy plans address= net.b0.ports=e1,52:54:00:00:00:07 net.v7.link=b0 net.v7.vlan=7 net.v7.address=10.1.0.91/24
for words in 'interfaces: \[ramet-port-e1, ramet-port-525400000007\]' 'link: b0' 'addresses: \["10.1.0.91/24"\]'; do
  look plans 0 grep -q "$words" etc/netplan/10-ramet.yaml || fail "the copy's netplan lacks: $words"
done
answers_no look plans 0 grep -r 192.0.2 etc/netplan || fail "the source's address is on the copy"

# ---- What cannot be taken away or read
refused() { # NAME WORDS SCRIPT [FIELD=VALUE...]
  source_of "$1" "$3"
  plan_refused "$1" "network: .*$2" "${@:4}"
}
refused ifcfg 'sets its network with ifcfg' 'rm -r etc/network usr/sbin/ifup; mkdir -p etc/sysconfig/network-scripts
  printf "DEVICE=eth0\nIPADDR=192.0.2.9\n" >etc/sysconfig/network-scripts/ifcfg-eth0' address=10.1.0.9/24
refused local '/etc/rc.local:3 sets address 192.0.2.9/24 by a command' \
  'printf "#!/bin/sh\n\nip a a 192.0.2.9/24 dev eth0\n" >etc/rc.local'
refused kernel '/etc/default/grub:1 sets an address at the start' \
  'mkdir etc/default; echo "GRUB_CMDLINE_LINUX=\"quiet ip=192.0.2.9::192.0.2.1\"" >etc/default/grub'
refused unknown '/etc/conf.d/net:1 sets address 192.0.2.9/24.*no network stack' 'rm -r etc/network usr/sbin/ifup; mkdir etc/conf.d
  echo "config_eth0=\"192.0.2.9/24\"" >etc/conf.d/net'
refused template '/etc/network/interfaces:2 is not in the form of interfaces' \
  'printf "auto lo\n%%for i in range(9):\niface eth\${i}\n%%endfor\n" >etc/network/interfaces'
echo "networks: passed"

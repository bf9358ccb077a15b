#!/bin/bash
# What personalisation writes is read by the real programs of a Debian 12 (M18): ifup and
# systemd-networkd set the addresses on interfaces of a namespace, netplan's generator and
# NetworkManager's parser take their files. The system is made once and kept in RAMET_CACHE.
set -euo pipefail
source_dir=${RAMET_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
bin=${RAMET_BIN:-$source_dir/build/release/bin}
work=$(mktemp -d /var/tmp/ramet-stacks.XXXXXX)
root=$work/root
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
. "$source_dir/tests/system/services.sh"
fail() { echo "FAILED: $*" >&2; cat "$work/out" >&2; exit 1; }

mkdir -p "$root"
make_services
tar -C "$root" --exclude='./dev/*' --exclude='./usr/share/*' --exclude='./var/cache/*' \
  --exclude='./boot/*' --exclude='./usr/lib/modules/*' -xpf "$cache/machine-12.tar"
mknod -m 666 "$root/dev/null" c 1 3
cp -a "$root/etc" "$work/etc"

# A fresh system with one stack in force, personalised.
fresh() { # STACK RECORD
  rm -rf "${root:?}/etc"; cp -a "$work/etc" "$root/etc"
  systemctl --root="$root" --quiet disable NetworkManager networking 2>/dev/null
  rm -f "$root"/etc/network/interfaces
  case $1 in
  ifupdown) systemctl --root="$root" --quiet enable networking 2>/dev/null
    printf 'auto lo\niface lo inet loopback\nauto eth9\niface eth9 inet dhcp\n' >"$root/etc/network/interfaces" ;;
  networkd) systemctl --root="$root" --quiet enable systemd-networkd 2>/dev/null ;;
  networkmanager) systemctl --root="$root" --quiet enable NetworkManager 2>/dev/null ;;
  netplan) printf 'network:\n  version: 2\n' >"$root/etc/netplan/01.yaml" ;;
  esac
  "$bin/rmt-personalise" "$root" "class=target name=a $2" >"$work/out"
}

# Two interfaces with the MACs of the record, in a namespace of their own; COMMAND runs there.
with_nics() { # COMMAND
  unshare -n -m bash -e -c "$(declare -f within); mount -t proc proc '$root/proc'; mount -t sysfs -o ro sysfs '$root/sys'
    mount -t tmpfs tmpfs '$root/run'; mkdir -p '$root/run/network' '$root/run/systemd/netif'
    chown -R 998:998 '$root/run/systemd' ; ip link set lo up
    ip link add nic1 type veth peer name far1; ip link add nic2 type veth peer name far2; ip link set far1 up; ip link set far2 up
    ip link set nic1 address 52:54:00:ab:cd:ef; ip link set nic2 address 52:54:00:00:00:02
    $1" >"$work/out" 2>&1
}

main='address=10.0.0.17/24,fd00:7::17/64 gateway=10.0.0.1,fd00:7::1 dns=10.0.0.2 domain=lan mac=52:54:00:ab:cd:ef'
data='net.data.mac=52:54:00:00:00:02 net.data.address=10.1.0.7/16,10.1.0.8/16'
is_set() { # After the stack has run: each address, the way out
  local text
  for text in 'nic1.* 10.0.0.17/24' 'nic1.* fd00:7::17/64' 'nic2.* 10.1.0.7/16' 'nic2.* 10.1.0.8/16' \
    'default via 10.0.0.1 dev nic1' 'default via fd00:7::1 dev nic1'; do
    grep -q "$text" "$work/out" || fail "$1 did not set: $text"
  done
}
show='ip -br addr; ip route; ip -6 route'

fresh ifupdown "$main $data"
with_nics "chroot '$root' /sbin/ifup -a --force; $show" || fail "ifup"
is_set ifupdown

# The interfaces of a namespace have no permanent MAC, so names tell them here.
fresh networkd "${main/mac=*/} interface=nic1 net.data.interface=nic2 net.data.address=10.1.0.7/16,10.1.0.8/16"
with_nics "chroot '$root' /usr/lib/systemd/systemd-networkd & trap \"kill \$!\" EXIT
  is_up() { ip addr show nic2 | grep -q 10.1.0.8 && ip route | grep -q default; }; within 10 is_up || true; $show" || fail "networkd"
is_set networkd

fresh netplan "$main $data"
chroot "$root" /usr/libexec/netplan/generate >"$work/out" 2>&1 || fail "netplan refuses its file"
cat "$root"/run/systemd/network/10-netplan-ramet*.network >"$work/out"
for text in PermanentMACAddress=52:54:00:ab:cd:ef Address=fd00:7::17/64 Gateway=fd00:7::1 Address=10.1.0.8/16 Domains=lan; do
  grep -qx "$text" "$work/out" || fail "netplan did not understand: $text"
done

# A bond of two cards, and a bridge on its VLAN.
shapes='net.bond0.ports=nic1,52:54:00:00:00:02 net.bond0.mode=active-backup net.v7.interface=bond0.7 net.v7.link=bond0 net.v7.vlan=7
  net.br7.kind=bridge net.br7.ports=bond0.7 net.br7.address=10.7.0.17/24'
shapes=$(tr '\n' ' ' <<<"$shapes")
fresh netplan "$shapes"
chroot "$root" /usr/libexec/netplan/generate >"$work/out" 2>&1 || fail "netplan refuses its file of a bond"
cat "$root"/run/systemd/network/10-netplan-*.net* >"$work/out"
for text in Kind=bond Kind=vlan Kind=bridge Bond=bond0 VLAN=bond0.7 Bridge=br7 Address=10.7.0.17/24 Id=7; do
  grep -qx "$text" "$work/out" || fail "netplan did not understand: $text"
done

for record in "$main $data" "$shapes" "" "mac=52:54:00:ab:cd:ef address=10.0.0.17/32 gateway=172.16.0.1"; do
  fresh networkmanager "$record"
  for file in "$root"/etc/NetworkManager/system-connections/*.nmconnection; do
    chroot "$root" nmcli --offline connection modify connection.zone x <"$file" >"$work/out" 2>&1 || fail "NetworkManager refuses $file"
    # What its parser did not understand would be missing now.
    while IFS= read -r line; do
      case $line in address*|dns*|gateway*|method=manual|mac-address*|mode=*|id=*|parent=*|interface-name=*) grep -qixF "$line" "$work/out" || fail "NetworkManager lost: $line" ;; esac
    done <"$file"
  done
done
echo "stacks: passed"

# Sourced by ops/lab: QEMU machines, and the network of an engine that they netboot from.
#
# The network of an engine is a network namespace: a bridge, a tap for each machine, ops/netboot,
# and a veth to the computer where the brokers and workers listen. The namespace is held by a
# process (run/net-ENGINE.pid) and is gone with everything in it when that is ended.
# run/net-ENGINE.env tells subnet, gateway and host to programs that write records of targets.

. "$top/ops/lib/thin.sh"

in_net() { local e=$1; shift; nsenter -t "$(cat "$run/net-$e.pid")" -n -- "$@"; }

# The one it had before, if no other network has taken it: records of targets may have addresses in it.
free_subnet() { # ENGINE
  local n before
  before=$(sed -n 's/^subnet=10\.77\.//p' "$run/net-$1.env" 2>/dev/null || true)
  for n in $before $(shuf -i 1-254); do
    ip -4 route show 2>/dev/null | grep -q "^10\.77\.$n\." || { echo "10.77.$n"; return; }
  done
  die "10.77.0.0/16 has no free network"
}

# A network is taken when the computer has its route; farms look and take one after the other.
take_subnet() ( # ENGINE VETH
  flock 9
  subnet=$(free_subnet "$1") && ip addr add "$subnet.2/24" dev "$2" && ip link set "$2" up &&
    echo "$subnet"
) 9>>"$shared/lock"

# The network has no router for IPv6. iPXE waits 13 seconds for one at each start, unless it is told:
# this router advertisement (RFC 4861, 4.2) has the lifetime 0 and no prefix, so it gives no address.
# shellcheck disable=SC2016  # Another shell expands it.
say_no_router='pause() { sleep "$1"; }
while pause 1 "between two advertisements"; do
  printf "\206\0\0\0\100\0\0\0\0\0\0\0\0\0\0\0" |
    socat -u - "IP6-DATAGRAM:[ff02::1%$1]:58,setsockopt-int=41:18:255" 2>/dev/null # 41:18 IPV6_MULTICAST_HOPS
done'

net_up() { # ENGINE
  local e=$1 subnet pid veth
  alive "net-$e" && return 0
  start "net-$e" unshare -n sleep infinity
  pid=$(cat "$run/net-$e.pid")
  wait_for 5 "the network namespace" has_own_net "$pid"
  # Names of interfaces have 15 characters at most, and farms of one computer share them.
  veth=rmt$(printf %s "$dir $e" | md5sum | cut -c1-8)
  ip link del "$veth" 2>/dev/null || true
  ip link add "$veth" type veth peer name host netns "$pid"
  subnet=$(take_subnet "$e" "$veth")
  in_net "$e" ip link set lo up
  in_net "$e" ip link add br0 type bridge
  in_net "$e" ip link set host master br0
  in_net "$e" ip addr add "$subnet.1/24" dev br0
  in_net "$e" ip link set host up
  in_net "$e" ip link set br0 up
  start "router-$e" nsenter -t "$pid" -n -- bash -c "$say_no_router" say-no-router br0
  printf 'subnet=%s\ngateway=%s\nhost=%s\nveth=%s\n' "$subnet" "$subnet.1" "$subnet.2" "$veth" \
    >"$run/net-$e.env"
}

# What ops/netboot needs wherever it runs.
netboot_options() { # ENGINE HOST
  local folder file=$run/netboot-$1.token
  [ -f "$file" ] || (umask 077; token target "" "$1" >"$file")
  folder=$(thin_kernel "${RAMET_FLAVOUR:-cloud}")
  printf '%s\n' --kernel "$folder/vmlinuz" --initramfs "$folder/initramfs" --boot "$dir/boot/$1" \
    --append "quiet $emulated_words" --broker "$2:$(port)" --key "$dir/keys/broker.pub" --token "$file" --engine "$1"
}

# A DHCP server as a farm's network may have one, that knows nothing of ramet; a computer of its own on the network.
site_dhcp_up() { # ENGINE SUBNET GATEWAY
  local e=$1 pid
  alive "dhcp-$e" && return 0
  start "site-$e" unshare -n sleep infinity
  pid=$(cat "$run/site-$e.pid")
  wait_for 5 "the network namespace" has_own_net "$pid"
  in_net "$e" ip link add site type veth peer name eth0 netns "$pid"
  in_net "$e" ip link set site master br0 up
  nsenter -t "$pid" -n -- sh -c "ip link set lo up; ip addr add $2.3/24 dev eth0; ip link set eth0 up"
  start "dhcp-$e" nsenter -t "$pid" -n -- dnsmasq --keep-in-foreground --conf-file=/dev/null --log-facility=- \
    --user=root --pid-file= --port=0 --no-ping --interface=eth0 --dhcp-authoritative --dhcp-range="$2.100,$2.199,1h" \
    --dhcp-option=option:router,"$3" --dhcp-leasefile="$run/dhcp-$e.leases"
}

netboot_up() { # ENGINE
  local e=$1 subnet gateway host text options addresses
  alive "netboot-$e" && return 0
  # shellcheck disable=SC1090
  . "$run/net-$e.env"
  text=$(netboot_options "$e" "$host")
  mapfile -t options <<<"$text"
  addresses=(--gateway "$gateway" --range "$subnet.100,$subnet.199")
  if [ "${RAMET_LAB_DHCP:-own}" = site ]; then
    site_dhcp_up "$e" "$subnet" "$gateway"
    addresses=(--proxy "$subnet.0")
  fi
  start "netboot-$e" nsenter -t "$(cat "$run/net-$e.pid")" -n -- "$top/ops/netboot" \
    "$dir/netboot-$e" --interface br0 --address "$gateway" "${addresses[@]}" "${options[@]}"
  wait_for 10 "an answer of ops/netboot" in_net "$e" busybox wget -q -O /dev/null "http://$gateway:8080/boot.ipxe"
}

# QEMU's own network knows its host as 10.0.2.2; its DHCP names boot.ipxe, served by its TFTP.
user_netboot_up() { # ENGINE
  local e=$1 http text options
  [ -f "$run/user-netboot-$e.port" ] || free_port "$run/user-netboot-$e.port"
  http=$(cat "$run/user-netboot-$e.port")
  alive "user-netboot-$e" && return 0
  text=$(netboot_options "$e" 10.0.2.2)
  mapfile -t options <<<"$text"
  "$top/ops/netboot" "$dir/user-netboot-$e" --files-only --address 10.0.2.2 --http-port "$http" \
    "${options[@]}"
  start "user-netboot-$e" busybox httpd -f -p "127.0.0.1:$http" -h "$dir/user-netboot-$e/http"
}

# What makes machine and disks themselves, the same at each start: digits made from a name.
digits() { printf %s "$1" | md5sum | cut -c1-32; }
vm_uuid() { local h; h=$(digits "$1"); echo "${h:0:8}-${h:8:4}-${h:12:4}-${h:16:4}-${h:20:12}"; }
vm_mac() { local h; h=$(digits "$1"); echo "52:54:00:${h:0:2}:${h:2:2}:${h:4:2}"; }
disk_serial() { if [ "$2" = 1 ]; then digits "$1" | cut -c1-16; else digits "$1-$2" | cut -c1-16; fi; }

# Options to run/vm-NAME.def, which is what a machine is made from at each start. An emulated machine
# with one processor does more than one with two, which wait for each other.
vm_define() { # NAME OPTIONS...
  local name=$1 firmware=bios engine=lab net=tap memory=1024 cpus=1 shuffle="" boot=net disks=()
  shift
  while [ $# -gt 0 ]; do
    case $1 in
    --bios | --uefi) firmware=${1#--} ;;
    --user-net) net=user ;;
    --shuffle) shuffle=yes ;;
    --disk) disks+=("${2:?size or file}"); shift ;;
    --engine) engine=${2:?name}; shift ;;
    --memory) memory=${2:?MiB}; shift ;;
    --cpus) cpus=${2:?number}; shift ;;
    --boot) boot=${2:?net or disk}; shift ;;
    *) usage ;;
    esac
    shift
  done
  [ ${#disks[@]} -gt 0 ] || disks=(4G)
  declare -p firmware engine net memory cpus shuffle boot disks >"$run/vm-$name.def"
}

# One disk: SIZE|FILE[,virtio|scsi|nvme|ata|usb][,4kn]. Appends to the array qemu.
vm_disk() { # NAME NUMBER SLOT SPEC
  local name=$1 k=$2 slot=$3 what rest bus=virtio sector="" file device serial
  what=${4%%,*}; rest=",${4#"$what"},"
  for device in virtio scsi nvme ata usb; do [[ $rest != *,$device,* ]] || bus=$device; done
  [[ $rest != *,4kn,* ]] || sector=,logical_block_size=4096,physical_block_size=4096
  case $what in
  */*) file=$(realpath "$what") ;;
  *) file=$dir/$name.disk$([ "$k" = 1 ] || echo "$k"); [ -f "$file" ] || truncate -s "$what" "$file" ;;
  esac
  serial=$(disk_serial "$name" "$k")
  case $bus in
  virtio) device=virtio-blk-pci,addr=$slot,disable-legacy=on ;;
  scsi) device=scsi-hd,bus=scsi0.0,wwn=0x5$(cut -c1-15 <<<"$serial") ;;
  nvme) device=nvme,addr=$slot ;;
  ata) device=ide-hd,bus=ide.$((k - 1)) ;;
  usb) device=usb-storage,bus=usb0.0 ;;
  esac
  if [ $bus = scsi ] && [[ ${qemu[*]} != *virtio-scsi-pci* ]]; then
    qemu+=(-device virtio-scsi-pci,id=scsi0,addr=0x18)
  elif [ $bus = usb ] && [[ ${qemu[*]} != *qemu-xhci* ]]; then
    qemu+=(-device qemu-xhci,id=usb0,addr=0x19)
  fi
  # What a guest flushed is in the host's memory, which a killed QEMU does not lose.
  qemu+=(-drive "if=none,id=d$k,file=$file,format=raw,cache=unsafe,discard=unmap"
    -device "$device,drive=d$k,serial=$serial,bootindex=$((k + 1))$sector")
}

# PCI slots for the disks of a machine that shuffles them. A shuffle that leaves the first two in the
# order they had at the last start is mirrored, so that each start differs in that.
vm_slots() { # NAME COUNT
  local slots order k
  mapfile -t slots < <(seq 4 $((3 + $2)) | shuf)
  order=$((slots[0] < ${slots[1]:-0}))
  if [ "$order" = "$(cat "$run/vm-$1.order" 2>/dev/null)" ]; then
    for k in "${!slots[@]}"; do slots[k]=$((7 + $2 - slots[k])); done
    order=$((1 - order))
  fi
  echo $order >"$run/vm-$1.order"
  printf '0x%x\n' "${slots[@]}"
}

vm_firmware() { # NAME
  local vars=$run/vm-$1.vars
  [ "$firmware" = uefi ] || return 0
  [ -f "$vars" ] || cp /usr/share/OVMF/OVMF_VARS_4M.fd "$vars"
  qemu+=(-drive if=pflash,unit=0,readonly=on,format=raw,file=/usr/share/OVMF/OVMF_CODE_4M.fd
    -drive "if=pflash,unit=1,format=raw,file=$vars")
}

vm_nic() { # NAME
  local tap rom="" index=1
  [ "$boot" = net ] || index=90
  tap=t$(digits "$1" | cut -c1-12)
  if [ "$net" = user ]; then
    qemu+=(-netdev "user,id=n0,tftp=$dir/user-netboot-$engine/http,bootfile=boot.ipxe")
  else
    in_net "$engine" ip link show "$tap" >/dev/null 2>&1 || {
      in_net "$engine" ip tuntap add "$tap" mode tap
      in_net "$engine" ip link set "$tap" master br0 up
    }
    qemu+=(-netdev "tap,id=n0,ifname=$tap,script=no,downscript=no")
    # Without the card's ROM, which is iPXE, UEFI netboots by its own driver and PXE.
    [ "$firmware" = bios ] || rom=,romfile=
  fi
  qemu+=(-device "virtio-net-pci,netdev=n0,mac=$(vm_mac "$1"),addr=0x3,disable-legacy=on,bootindex=$index$rom")
}

vm_start() { # NAME
  local name=$1 firmware engine net memory cpus shuffle boot disks=() qemu=() k slots wrap=()
  alive "vm-$name" && return 0
  [ -f "$run/vm-$name.def" ] || die "the lab has no machine $name; make it with: ops/lab vm DIR $name"
  # shellcheck disable=SC1090
  . "$run/vm-$name.def"
  if [ "$net" = user ]; then
    user_netboot_up "$engine"
  else
    net_up "$engine"; netboot_up "$engine"
    wrap=(nsenter -t "$(cat "$run/net-$engine.pid")" -n --)
  fi
  qemu=(qemu-system-x86_64 -name "$name" -machine q35,graphics=off -accel "${RAMET_ACCEL:-tcg}" -cpu qemu64,+rdrand
    -smp "$cpus" -m "$memory" -uuid "$(vm_uuid "$name")" -nodefaults -display none
    -chardev "socket,id=c0,path=$run/vm-$name.console,server=on,wait=off,logfile=$dir/$name.serial,logappend=on"
    -serial chardev:c0 -monitor "unix:$run/vm-$name.monitor,server=on,wait=off")
  vm_firmware "$name"
  vm_nic "$name"
  mapfile -t slots < <(if [ -n "$shuffle" ]; then vm_slots "$name" ${#disks[@]}; else
    printf '0x%x\n' $(seq 4 $((3 + ${#disks[@]}))); fi)
  for k in "${!disks[@]}"; do
    vm_disk "$name" $((k + 1)) "${slots[$k]}" "${disks[$k]}"
  done
  start "vm-$name" "${wrap[@]}" "${qemu[@]}"
  wait_for 5 "the monitor of machine $name" test -S "$run/vm-$name.monitor"
}

vm_up() { # NAME OPTIONS...
  local name=$1; shift
  if [ $# -gt 0 ] || [ ! -f "$run/vm-$name.def" ]; then
    alive "vm-$name" && die "the machine $name is running; end it with: ops/lab power DIR $name off"
    vm_define "$name" "$@"
  fi
  # The record gives the machine its name: the thin-kernel tells only who the hardware is.
  # shellcheck disable=SC1090
  [ "$(. "$run/vm-$name.def"; echo "$boot")" = disk ] || ramet target show "$name" >/dev/null 2>&1 ||
    ramet target add "$name" "identity=uuid:$(vm_uuid "$name")" \
      "engine=$(. "$run/vm-$name.def"; echo "$engine")" >/dev/null
  vm_start "$name"
}

vm_off() { # NAME
  local pid
  pid=$(cat "$run/vm-$1.pid" 2>/dev/null) || return 0
  kill -9 "$pid" 2>/dev/null || true
  within 5 has_ended "$pid" || true
  rm -f "$run/vm-$1.pid" "$run/vm-$1.cmd" "$run/vm-$1.monitor" "$run/vm-$1.console"
}

power() { # NAME on|off|cycle
  case ${2:-} in
  on) vm_start "$1" ;;
  off) vm_off "$1" ;;
  cycle) vm_off "$1"; vm_start "$1" ;;
  *) usage ;;
  esac
}

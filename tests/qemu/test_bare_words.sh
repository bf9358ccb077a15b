#!/bin/bash
# M20: a bare machine shows what is wrong in words when there is another broker key, no network, no
# disk, no broker, or a wrong command line. Nothing is written.
set -euo pipefail
. "$(dirname "$0")/bare.sh"
thin=$(thin_kernel cloud)
farm_up
good="ramet.broker=10.0.2.2:$port ramet.token=$token ramet.engine=lab"
other=$("$RAMET_BIN/ramet" key init "$farm/other" >/dev/null; sed -n 's/.*public-key = "\(.*\)"/\1/p' "$farm/other/broker.pub")
start_wrong() { # NAME LINE QEMU-OPTION...
  local name=$1 line=$2; shift 2
  machine "$name" "$thin" 256 "$line" "$@"
}
# shellcheck disable=SC2046
{
  start_wrong key "$good ramet.key=$other" $(net 52:54:00:aa:00:02) $(disk "$farm/d1" D1)
  start_wrong nocard "$good" $(disk "$farm/d3" D3)
  shown key 120 "is not a broker, its public key differs from the one that is set here, or it is still starting; what to do: "
  shown nocard 120 "no network: this machine has no wired card that the kernel has a driver for; what to do: "
  power_off key; power_off nocard
  start_wrong silent "$good" -netdev socket,id=n0,udp=127.0.0.1:9,localaddr=127.0.0.1:0 \
    -device virtio-net-pci,netdev=n0 $(disk "$farm/d4" D4)
  start_wrong nodisk "$good" $(net 52:54:00:aa:00:05)
  shown silent 120 "no network: eth0 got no answer to DHCP; what to do: "
  shown nodisk 120 "no disk: this machine has no disk that the kernel has a driver for; without a driver: 8086:2922; what to do: "
  power_off silent; power_off nodisk
  start_wrong words "$good ramet.tokn=x" $(net 52:54:00:aa:00:06) $(disk "$farm/d6" D6)
  kill "$(cat "$farm/run/broker.pid")"
  start_wrong nobroker "$good" $(net 52:54:00:aa:00:07) $(disk "$farm/d7" D7)
  shown words 120 "ramet.tokn=x on the kernel's command line is not an option"
  shown nobroker 120 "the broker at 10.0.2.2:$port does not answer; what to do: "
}
# It goes on by itself once the broker is back.
lab up "$farm"
shown nobroker 120 "waiting for orders as "
for file in "$farm"/d[1-9]; do
  [ "$(stat -c %b "$file")" = 0 ] || fail "something was written to $file"
done
echo "bare words: passed"

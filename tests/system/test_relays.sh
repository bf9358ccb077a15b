#!/bin/bash
# Six targets behind an engine with a narrow line give each other what they read: the engine sends no more than
# four images (without relays it is six; mostly it is two, and how many chains there are at first is chance), one that is killed holds up no other, and what they have is
# right; a target alone opens no relay (M35).
[ -n "${RAMET_OWN_NET:-}" ] || exec env RAMET_OWN_NET=1 unshare --net "$0" "$@"
ip link set lo up
. "$(dirname "$0")/lib.sh"
command -v nft >/dev/null || fail "nft is missing"
mib=${RAMET_RELAYS_MIB:-24} line=${RAMET_RELAYS_LINE:-40mbit}
names=(n1 n2 n3 n4 n5 n6)

make_tree "$farm/tree" "$mib"
mkdir -p "$farm/run"
# The machine's memory is shared by six.
printf 'relay-mib = 64\n' >"$farm/target.extra"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in "${names[@]}"; do lab target "$farm" "$n" "$farm/$n.disk" 1G --like web; done
ramet image create web --name web-1 --wait --timeout 2m

# The line of the engine: what it sends by its data port, counted and slow.
installer=$(cat "$farm/run/installer-lab-1.pid")
port=$(ss -ltnpH | sed -n "s/.*:\([0-9]*\) .*pid=$installer,.*/\1/p")
[ -n "$port" ] || fail "no data port of the installer"
tc qdisc add dev lo root handle 1: htb default 1
tc class add dev lo parent 1: classid 1:1 htb rate 10gbit quantum 60000
tc class add dev lo parent 1: classid 1:10 htb rate "$line" burst 64k quantum 60000
nft add table inet line
nft add counter inet line engine
nft add chain inet line out '{ type filter hook output priority 0; }'
nft add rule inet line out tcp sport "$port" counter name engine meta priority set 1:10
sent() { nft -j list counter inet line engine | jq '.nftables[] | select(.counter) | .counter.bytes'; }

size=$((mib * 1048576)) begun=$(date +%s)
job=$(ramet deploy start web-1 --engine lab --targets 'n[1-6]' --yes)
has_read() { [ "$(sent)" -gt $((size / 2)) ]; }
within 120 has_read || { ramet job show "$job"; fail "the engine sends nothing"; }
kill -KILL "$(cat "$farm/run/target-n2.pid")"
for n in n1 n3 n4 n5 n6; do await_phase "$job" $n awaiting-first-boot 180; done
images=$(($(sent) * 100 / size))
echo "six, one killed: $(($(date +%s) - begun)) s, the engine sent $images % of an image"
[ "$images" -le 400 ] || fail "the engine sent $images % of an image to six targets"
for n in n1 n4 n6; do same_as_source $n "$farm/tree" || fail "$n is not as the source"; done
grep -l "event=relay.end chunks-from-peers=[1-9]" "$farm"/run/target-n?.log | wc -l | grep -qx "[345]" ||
  fail "targets do not say that they read from others: $(grep -h event=relay.end "$farm"/run/target-n?.log)"

# One alone, by the whole line.
nft delete table inet line
for n in n1 n3; do lab boot "$farm" $n; done
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 awaiting-first-boot 120
grep -q 'event=relay.none text="the job has no other target"' "$farm/run/target-n1.log" || fail "a target alone has a relay"
echo "relays: passed"

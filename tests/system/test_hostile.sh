#!/bin/bash
# Hostile peers at every port of a farm while it deploys (P16, P17, P18): half-open connections, a storm of
# them, peers that send an octet a second, foreign protocols, frames of no bytes and of 2 GiB, messages of
# ten thousand frames and without end, flipped bits, a recorded session, topics of 64 KiB. The job ends
# well, commands are answered within a second, each program stays within its memory, and what is half open
# ends with the time for a handshake. RAMET_HOSTILE_S says for how many seconds; figures are printed.
. "$(dirname "$0")/lib.sh"
seconds=${RAMET_HOSTILE_S:-15} half_open=5000
ulimit -n "$(ulimit -Hn)"
clean_up() { [ ${#peers[@]} -eq 0 ] || kill "${peers[@]}" 2>/dev/null; }
peers=()
make_tree "$farm/tree" 16
lab up "$farm"
lab source "$farm" web "$farm/tree"
for name in bad n1; do lab target "$farm" $name "$farm/$name.disk" 2G --like web; done
eval "$(lab sh "$farm")"
base=$(cat "$farm/port")
pid() { cat "$farm/run/$1.pid"; }
data_port() { ss -Htlnp | grep "pid=$(pid "$1")," | awk '{ sub(/.*:/, "", $4); print $4 }'; }
programs=(broker imager-hq-1 installer-lab-1 source-web target-n1) limits=(150 256 256 72 72)
mapfile -t pids < <(for name in "${programs[@]}"; do pid "$name"; done)
most() { awk '$1 == "VmHWM:" { print int($2 / 1024) }' "/proc/$(pid "$1")/status"; }

# Sources and targets that were served keep their grants for a while: these two are hostile from now on.
ramet image create web --name web-1 --wait --timeout 4m
job=$(ramet deploy start web-1 --engine lab --targets bad --yes)
await_phase "$job" bad awaiting-first-boot 240

ports=("$base" $((base + 1)) $((base + 2)) $((base + 3)) $((base + 4)) "$(data_port imager-hq-1)" "$(data_port installer-lab-1)")
strangers() { nice -n 10 "$source_dir/tests/tools/strangers" "$@"; }

# The session that is sent again: an admin holds a machine.
ramet target add spare engine=lab
listens() { ss -Htln "sport = $1" | grep -q .; }
relay=$(shuf -i 10100-11900 -n 1)
! listens $((relay + 3)) || relay=$((relay + 10))
strangers record "$farm/session" $((relay + 3)) $((base + 3)) &
peers+=($!)
sed "s/:$base/:$relay/" "$farm/console.cfg" >"$farm/relay.cfg"
wait_for 10 "the relay" listens $((relay + 3))
RAMET_CONFIG=$farm/relay.cfg ramet target hold spare --reason recorded
wait_for 10 "the session" test -s "$farm/session"
ramet target unhold spare

# Before all others: the time for a handshake ends what is half open.
"$source_dir/tests/tools/strangers" half-open $half_open "${ports[@]}" | tee "$farm/half-open"
read -r _ _ _ _ _ left _ longest <"$farm/half-open"
[ "$left" -eq 0 ] || fail "$left half-open connections were left"
[ "$longest" -le 9000 ] || fail "a half-open connection stood for $longest ms"
grep -q 'event=peer.cut .*say nothing' "$farm/run/broker.log" || fail "the broker has kept more than the number of one network"

attack() { "$@" >>"$farm/attack-${#peers[@]}.log" 2>&1 & peers+=($!); }
with_key() { attack nice -n "$1" "$RAMET_BIN/ramet-hostile" "${@:2}"; }
hold_half_open() { while [ $SECONDS -lt "$1" ]; do strangers half-open $half_open "${ports[@]}"; done; }
begin=${#peers[@]}
attack strangers storm "$seconds" "${ports[@]}"
attack strangers drip "$seconds" "${ports[@]}"
attack strangers garbage "$seconds" "$farm/session" "${ports[@]}"
for role in source:hq installer:lab viewer dashboard; do
  place=${role#"${role%%:*}"} place=${place#:} role=${role%%:*}
  token=$(ramet key token "$role" ${place:+--place "$place"} --approve)
  with_key 10 "127.0.0.1:$base" "$farm/keys/broker.pub" "$token" "$role" "hostile-$role" "$place" "$seconds"
done
with_key 10 "127.0.0.1:$base" "$farm/keys/broker.pub" "$farm/keys/bad.key" "$seconds"
with_key 0 "127.0.0.1:${ports[5]}" "$farm/keys/imager-hq-1.key" "$farm/keys/web.key" "$seconds"
with_key 0 "127.0.0.1:${ports[6]}" "$farm/keys/installer-lab-1.key" "$farm/keys/bad.key" "$seconds"
attack hold_half_open $((SECONDS + seconds))

runs() { local one; for one in "${peers[@]:$begin}"; do kill -0 "$one" 2>/dev/null && return; done; return 1; }
timed() {
  local start=${EPOCHREALTIME/./}
  "$@" >"$farm/out" 2>&1 || fail "$*: $(cat "$farm/out")"
  echo $(((${EPOCHREALTIME/./} - start) / 1000)) >>"$farm/times"
}
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
while runs; do
  timed ramet target list
  timed ramet job show "$job"
done
await_phase "$job" n1 awaiting-first-boot 240
lab boot "$farm" n1
ramet job wait "$job" --timeout 4m
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"

cat "$farm"/attack-*.log
sort -n "$farm/times" -o "$farm/times"
count=$(wc -l <"$farm/times")
p99=$(sed -n "$(((count * 99 + 99) / 100))p" "$farm/times")
echo "commands: $count, median $(sed -n "$(((count + 1) / 2))p" "$farm/times") ms, 99 of 100 within $p99 ms, slowest $(tail -n 1 "$farm/times") ms"
[ "$p99" -le 1000 ] || fail "one command of a hundred took $p99 ms"
for n in "${!programs[@]}"; do
  lives "${pids[n]}" || fail "${programs[n]} has ended"
  read -r name limit <<<"${programs[n]} ${limits[n]}"
  echo "most memory of $name: $(most "$name") MiB, limit $limit MiB"
  [ "$(most "$name")" -le "$limit" ] || fail "$name had more memory than it may"
done
for name in imager-hq-1 installer-lab-1; do
  grep -q 'event=peer.cut .*without end' "$farm/run/$name.log" || fail "$name has cut nothing"
done
[ "$(grep -c event=peer.muted "$farm/run/broker.log")" -ge 1 ] || fail "the broker has muted no key"
[ "$(ramet target show spare --json | jq -r '.held // ""')" = "" ] || fail "a session that was sent again held a machine"
echo "hostile: passed"

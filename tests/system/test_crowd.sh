#!/bin/bash
# A thousand targets at one broker (P5, P17): all are there again after the broker was killed, and
# its memory is bounded. RAMET_CROWD says how many; figures are printed.
. "$(dirname "$0")/lib.sh"
count=${RAMET_CROWD:-1000}
each=1000                       # In one process: libzmq and the descriptors of a process have limits
ulimit -n "$(ulimit -Hn)"
clean_up() { [ ${#crowd[@]} -eq 0 ] || kill "${crowd[@]}" 2>/dev/null; }
crowd=()

lab up "$farm"
eval "$(lab sh "$farm")"
token=$(ramet key token target --place lab --uses "$count" --ttl-s 3600 --approve)
now() { echo "${EPOCHREALTIME/./}"; }
seconds() { awk -v us=$(($(now) - $1)) 'BEGIN { printf "%.1f", us / 1e6 }'; }
welcome() { tail -q -n 1 "$farm"/crowd-*.log | awk '$1 == "welcome" { n += $2 } END { print n + 0 }'; }
all_are_welcome() {
  kill -0 "${crowd[@]}" || fail "a crowd ended: $(tail -q -n 1 "$farm"/crowd-*.log)"
  [ "$(welcome)" -eq "$count" ]
}
memory() { awk '/VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$(cat "$farm/run/broker.pid")/status"; }

empty=$(memory)
start=$(now)
for first in $(seq 0 $each $((count - 1))); do
  "$RAMET_BIN/ramet-crowd" "127.0.0.1:$(cat "$farm/port")" "$farm/keys/broker.pub" "$token" "$first" \
    $((count - first < each ? count - first : each)) >"$farm/crowd-$first.log" 2>&1 &
  crowd+=($!)
done
wait_for 300 "$count targets" all_are_welcome
echo "$count targets enrolled and welcome after $(seconds "$start") s"
[ "$(ramet target list --json | jq '.items | length')" -eq "$count" ] || fail "not all targets are listed"

end broker KILL
none_is_welcome() { [ "$(welcome)" -eq 0 ]; }
wait_for 60 "the loss of the broker at $count targets" none_is_welcome
start=$(now)
lab up "$farm"
wait_for 60 "$count targets after the broker's end" all_are_welcome
listens=$(sed -nE 's/^time=([^ ]+) .* event=broker.started .*/\1/p' "$farm/run/broker.log" | tail -n 1)
[ -n "$listens" ] || fail "the broker has not said since when it listens"
echo "$count targets welcome again $(seconds "$start") s after the start of a broker," \
  "$(seconds "$(date -d "$listens" +%s%6N)") s after it listens"

for _ in $(seq 100); do
  start=$(now)
  ramet target show n00007 >"$farm/out"
  echo $((($(now) - start) / 1000))
done | sort -n >"$farm/times"
[ "$(grep -cE '^[0-9]+$' "$farm/times")" -eq 100 ] || fail "not 100 times of target show were measured"
echo "target show: median $(sed -n 50p "$farm/times") ms, 99 of 100 within $(sed -n 99p "$farm/times") ms"

used=$(memory)
[[ $used =~ ^[0-9]+$ && $empty =~ ^[0-9]+$ ]] || fail "the memory of the broker is not known: '$used', '$empty'"
echo "memory of the broker: $used MiB (empty: $empty MiB)"
[ "$used" -le $((50 + count / 20)) ] || fail "the broker has $used MiB for $count targets"

#!/bin/bash
# Keys of each role flood every port (P16, P17): commands go on, the broker's memory stays bounded and
# is given back. RAMET_FLOOD_S says for how many seconds; figures are printed.
. "$(dirname "$0")/lib.sh"
seconds=${RAMET_FLOOD_S:-8}
roles="viewer dashboard imager:hq installer:lab source:hq target:lab"
clean_up() { [ ${#flood[@]} -eq 0 ] || kill "${flood[@]}" 2>/dev/null; }
flood=()

lab up "$farm"
eval "$(lab sh "$farm")"
memory() { awk '/VmRSS/ { print $2 }' "/proc/$(cat "$farm/run/broker.pid")/status"; }
ask() { ramet doctor >"$farm/out" 2>&1 || [ $? -lt 64 ] || fail "doctor: $(cat "$farm/out")"; }
runs() { local pid; for pid in "${flood[@]}"; do kill -0 "$pid" 2>/dev/null && return; done; return 1; }
is_given_back() { [ "$(memory)" -le $((before + 20480)) ]; }

ask
before=$(memory)
for role in $roles; do
  place=${role#"${role%%:*}"} place=${place#:} role=${role%%:*}
  token=$(ramet key token "$role" ${place:+--place "$place"} --approve)
  "$RAMET_BIN/ramet-flood" "127.0.0.1:$(cat "$farm/port")" "$farm/keys/broker.pub" "$token" "$role" \
    "flood-$role" "$place" "$seconds" >"$farm/flood-$role.log" 2>&1 &
  flood+=($!)
done
most=0
while runs; do
  start=${EPOCHREALTIME/./}
  ask
  echo $(((${EPOCHREALTIME/./} - start) / 1000)) >>"$farm/times"
  now=$(memory); [ "$now" -le "$most" ] || most=$now
done
sort -n "$farm/times" -o "$farm/times"
slowest=$(tail -n 1 "$farm/times")
cat "$farm"/flood-*.log
[ "$(grep -c '^sent [1-9]' "$farm"/flood-*.log | grep -c ':1$')" -eq 6 ] || fail "not every key flooded"
echo "doctor: $(wc -l <"$farm/times") times, median $(awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }' \
  "$farm/times") ms, slowest $slowest ms"
echo "memory of the broker: before $((before / 1024)) MiB, most $((most / 1024)) MiB"
[ "$slowest" -le 5000 ] || fail "doctor took $slowest ms"
[ "$most" -le $((150 * 1024)) ] || fail "the broker had $((most / 1024)) MiB"
wait_for 60 "memory that is given back" is_given_back
echo "memory after the flood: $(($(memory) / 1024)) MiB"
lines=$(wc -l <"$farm/run/broker.log")
[ "$lines" -le $((1000 + seconds * 100)) ] || fail "the broker wrote $lines lines"
ask

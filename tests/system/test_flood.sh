#!/bin/bash
# Keys of each role flood every port (P16, P17): commands are answered within a second, the broker's
# memory stays bounded and is given back, and the audit stream has what it had and each mute.
# RAMET_FLOOD_S says for how many seconds; figures are printed.
. "$(dirname "$0")/lib.sh"
seconds=${RAMET_FLOOD_S:-8}
roles="viewer dashboard imager:hq installer:lab source:hq target:lab"
clean_up() { [ ${#flood[@]} -eq 0 ] || kill "${flood[@]}" 2>/dev/null; }
flood=()

lab up "$farm"
eval "$(lab sh "$farm")"
memory() { awk -v field="$1:" '$1 == field { print $2 }' "/proc/$(cat "$farm/run/broker.pid")/status"; }
audit() { redis-cli -s "$farm/redis/redis.sock" "$@"; }
ask() { ramet doctor >"$farm/out" 2>&1 || [ $? -lt 64 ] || fail "doctor: $(cat "$farm/out")"; }
runs() { local pid; for pid in "${flood[@]}"; do kill -0 "$pid" 2>/dev/null && return; done; return 1; }
is_given_back() { [ "$(memory VmRSS)" -le $((before + 20480)) ]; }

timed_ask() {
  local start=${EPOCHREALTIME/./}
  ask
  echo $(((${EPOCHREALTIME/./} - start) / 1000))
}
for _ in 1 2 3 4 5; do timed_ask; done >"$farm/calm"
calm=$(sort -n "$farm/calm" | tail -n 1)
before=$(memory VmRSS)
first=$(audit xrange ramet:audit - + count 1 | head -n 1)
for role in $roles; do
  place=${role#"${role%%:*}"} place=${place#:} role=${role%%:*}
  token=$(ramet key token "$role" ${place:+--place "$place"} --approve)
  "$RAMET_BIN/ramet-flood" "127.0.0.1:$(cat "$farm/port")" "$farm/keys/broker.pub" "$token" "$role" \
    "flood-$role" "$place" "$seconds" >"$farm/flood-$role.log" 2>&1 &
  flood+=($!)
done
while runs; do timed_ask >>"$farm/times"; done
sort -n "$farm/times" -o "$farm/times"
most=$(memory VmHWM)
slowest=$(tail -n 1 "$farm/times")
cat "$farm"/flood-*.log
[ "$(grep -c '^sent [1-9]' "$farm"/flood-*.log | grep -c ':1$')" -eq 6 ] || fail "not every key flooded"
echo "doctor: $(wc -l <"$farm/times") times, median $(awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }' \
  "$farm/times") ms, slowest $slowest ms, without a flood $calm ms"
echo "memory of the broker: before $((before / 1024)) MiB, most $((most / 1024)) MiB"
[ "$slowest" -le 1000 ] || fail "doctor took $slowest ms"
[ "$most" -le $((150 * 1024)) ] || fail "the broker had $((most / 1024)) MiB"
wait_for 60 "memory that is given back" is_given_back
echo "memory after the flood: $(($(memory VmRSS) / 1024)) MiB"
[ "$(audit xrange ramet:audit - + count 1 | head -n 1)" = "$first" ] || fail "the audit stream lost its beginning"
audit --raw xrange ramet:audit - + >"$farm/audit"
for role in $roles; do
  grep -q "^the key of ${role%%:*} flood-${role%%:*} had more than" "$farm/audit" || fail "no mute of ${role%%:*} was audited"
done
entries=$(grep -c '^act.refused$' "$farm/audit")
echo "audit stream: $(audit xlen ramet:audit) entries, $entries of them refused acts"
[ "$entries" -le $((6 * 40 * (1 + seconds / 60) * 2)) ] || fail "$entries entries for refused acts"
lines=$(wc -l <"$farm/run/broker.log")
[ "$lines" -le $((1000 + seconds * 100)) ] || fail "the broker wrote $lines lines"
ask

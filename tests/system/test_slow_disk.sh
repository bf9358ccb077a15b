#!/bin/bash
# The disk of a broker's audit files takes three seconds for each sync (P5, P24): commands are answered as
# ever, no peer looks for another broker, and the audit is whole, also when the broker dies in such a sync.
. "$(dirname "$0")/lib.sh"
lab up "$farm"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G
greetings() { grep -c event=peer.hello "$farm/run/broker.log"; }
all_are_back() { [ "$(greetings)" -ge $((before + 3)) ]; }      # Imager, installer, target
before=$(greetings)
end broker
echo 0 >"$farm/slow"
slow_up() { LD_PRELOAD="$RAMET_BIN/../tests/slow_sync.so" RAMET_SLOW_SYNC="$farm/slow" lab up "$farm"; }
slow_up
wait_for 30 "each peer" all_are_back
before=$(greetings)
echo 3000 >"$farm/slow"
till=$((SECONDS + 20)) count=0
while [ $SECONDS -lt $till ]; do
  start=${EPOCHREALTIME/./}
  ramet target hold n1 --reason "look $count" >/dev/null
  ramet target unhold n1 >/dev/null
  echo $(((${EPOCHREALTIME/./} - start) / 2000)) >>"$farm/times"
  count=$((count + 1))
done
sort -n "$farm/times" -o "$farm/times"
slowest=$(tail -n 1 "$farm/times")
echo "commands: $((2 * count)), median $(sed -n "$(((count + 1) / 2))p" "$farm/times") ms, slowest pair $slowest ms each"
[ "$slowest" -le 1000 ] || fail "a command took $slowest ms: the loop waits for the disk"
[ "$(greetings)" = "$before" ] || fail "a peer had to greet again"
expect 0 ramet doctor

# In the middle of a sync.
ramet target hold n1 --reason last >/dev/null
end broker KILL
echo 0 >"$farm/slow"
slow_up
# The file has what Redis kept for it.
exported() { rm -f "$farm/export"; ramet audit export "$farm/export" && grep -q '"last"' "$farm/export"; }
wait_for 20 "the last entry in the audit files" exported
expect 0 ramet audit verify "$farm/export"
[ "$(grep -c '"look [0-9]*"' "$farm/export")" -ge $count ] || fail "the audit lacks entries"
echo "slow disk: passed"

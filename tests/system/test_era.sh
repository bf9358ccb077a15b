#!/bin/bash
# Redis comes back from an older copy of its file under a running farm: the broker notices and
# raises the era, the write that nobody remembers is ended, an order under a lock of the old era
# is refused, and the lock stays until the agent has told the end of that write (M14, P6, P11).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 400
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m

agent() { kill "-$1" "$(cat "$farm/run/target-n1.pid")"; }
logged() { grep -q "$2" "$farm/run/$1.log"; }
failed() { ramet job show "$1" --json | jq -e '.targets[0].state == "failed"'; }

# The copy is of the moment when the target is locked and its order waits for it.
agent STOP
first=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$first" n1 ordered 60
cp -a "$farm/redis" "$farm/redis.old"
agent CONT
await_phase "$first" n1 unpack 60
end redis KILL
rm -rf "$farm/redis"; mv "$farm/redis.old" "$farm/redis"
lab up "$farm"

wait_for 30 "the new era" logged broker 'event=era.raised.* era=2'
grep -q '^era = 2' "$farm/broker.state" || fail "the state file has another era"
wait_for 60 "the end of the old order" failed "$first"
ramet job show "$first" --json | jq -e '.targets[0].error | test("era 1")' >/dev/null || fail "the reason does not name the era"
wait_for 60 "the end of the forgotten write" logged target-n1 event=write.failed
[ "$(ramet lock list --json | jq '.items | length')" = 1 ] || fail "the lock of the old era is gone"
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait --timeout 60s

# The agent has told the end of that writer by a new life ([1.47]).
second=$(ramet deploy start web-1 --engine lab --targets n1 --yes --take-over)
await_phase "$second" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$second" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "the lock is left"
echo "era: passed"

#!/bin/bash
# A target's agent dies while it writes and does not come back in time: the job fails, the lock stays and names the phase; a new
# job is refused until it says --take-over, and is then installed well (M14, M27, P6, P11).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 300
echo 'silent-s = 15' >"$farm/broker.extra"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m
first=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$first" n1 unpack 60
kill -9 "$(cat "$farm/run/target-n1.pid")"
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait --take-over --timeout 60s
grep -qE "job $first still installs it" "$farm/out" || { cat "$farm/out" >&2; fail "a target that may still be written was taken over"; }
status=0; ramet job wait "$first" --timeout 90s || status=$?
[ $status = 2 ] || fail "the first job ended with $status"
ramet job show "$first" --json | jq -e '.targets[0].state == "failed" and (.targets[0].error | length) > 0' >/dev/null ||
  fail "the failed target has no reason"
lab up "$farm"                                  # The agent comes back with another boot nonce
[ "$(ramet lock list --json | jq '.items | length')" = 1 ] || fail "the lock of a target that may be half written is gone"
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait --timeout 60s
second=$(ramet deploy start web-1 --engine lab --targets n1 --yes --take-over)
await_phase "$second" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$second" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "the lock is left"
echo "take-over: passed"

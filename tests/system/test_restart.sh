#!/bin/bash
# A target's agent dies while it writes and is back within the broker's patience: the same job
# prepares it anew, writes from the start and ends well; nothing is left of the first try (P6, P10, [1.24]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 300
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
for phase in unpack verify; do
  await_phase "$job" n1 $phase 60
  kill -9 "$(cat "$farm/run/target-n1.pid")"
  lab up "$farm"
done
await_phase "$job" n1 awaiting-first-boot 120
[ "$(ramet lock list --json | jq '.items | length')" = 1 ] || fail "the lock is gone before the first boot"
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s || fail "the job did not end well"
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "the lock is left"
echo "restart: passed"

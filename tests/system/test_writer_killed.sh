#!/bin/bash
# A target's writer dies in mid-write, whatever it did just then: the job fails, the lock stays, and
# the agent, which never restarts, begins a new life, so that a retry and a take-over end well without
# a walk to the machine. What the writer had started dies with it (M14, P6, P10, [1.47]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 300
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
agent=$(cat "$farm/run/target-n1.pid")
ramet image create web --name web-1 --wait --timeout 3m

# kill_writer JOB PHASE: end the writer in that phase; the job fails and says it.
kill_writer() {
  await_phase "$1" n1 "$2" 120
  local writer; writer=$(pgrep -P "$agent" ramet-diskw) || fail "n1 has no writer in phase $2"
  kill -9 "$writer"
  expect 2 ramet job wait "$1" --timeout 60s
  ramet job show "$1" --json | jq -e '.targets[0].error | test("ended without a result")' >/dev/null ||
    { ramet job show "$1" >&2; fail "the job does not say that its writer ended"; }
  [ "$(ramet lock list --json | jq '.items | length')" = 1 ] || fail "the lock of a half written target is gone"
  [ -z "$(pgrep -g "$writer")" ] || fail "a program of the dead writer lives"
}

job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
kill_writer "$job" unpack
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait --timeout 60s
job=$(ramet job retry "$job" --failed --yes)
kill_writer "$job" verify
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes --take-over)
await_phase "$job" n1 awaiting-first-boot 120
[ "$(cat "$farm/run/target-n1.pid")" = "$agent" ] && kill -0 "$agent" || fail "the agent of n1 was started again"
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "the lock is left"
echo "writer-killed: passed"

#!/bin/bash
# One target of two is cancelled while its disk is written: its writer stops, the target ends as half written under its lock, the
# answer names the command that installs it, the other target goes on; that command ends well (M28, P6, [6.22], [6.23]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 150
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in n1 n2; do lab target "$farm" $n "$farm/$n.disk" 2G --like web; done
ramet image create web --name web-1 --wait --timeout 3m
agent=$(cat "$farm/run/target-n1.pid")
has_no_writer() { [ -z "$(pgrep -P "$agent" ramet-diskw)" ]; }
job=$(ramet deploy start web-1 --engine lab --targets n1,n2 --yes)
await_phase "$job" n1 unpack 120
ramet job cancel "$job" n1 >"$farm/out"
command=$(grep -o 'ramet deploy start .*--take-over' "$farm/out") || { cat "$farm/out" >&2; fail "the answer names no command"; }
[ "$(phase_of "$job" n1)" = "cancelled, half written" ] || fail "n1 is in phase $(phase_of "$job" n1)"
look_s=0.1 wait_for 15 "the end of the writer" has_no_writer
answers_no grep -q event=write.done "$farm/run/target-n1.log" || fail "the writer went on to its end"
[ "$(ramet lock show n1 --json | jq -r .armed)" = true ] || fail "the lock of a half written target is gone"
await_phase "$job" n2 awaiting-first-boot 120
lab boot "$farm" n2
expect 1 ramet job wait "$job" --timeout 60s
same_as_source n2 "$farm/tree" || fail "n2 is not as the source"
job=$($command --yes)
await_phase "$job" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(cat "$farm/run/target-n1.pid")" = "$agent" ] || fail "the agent of n1 was started again"
echo "cancel: passed"

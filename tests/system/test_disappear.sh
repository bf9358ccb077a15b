#!/bin/bash
# A source disappears while it is imaged, a target while it is written (M27, [5.4]): silence is shown
# within seconds, then the job fails with the machine and the phase; no image is committed and the
# store is clean; the target's lock stays. Both work again when the machine is back. The only holder of
# an image stands still while a target is written: the target's row says what it waits for (P4, [1.76]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 400
echo 'silent-s = 15' >"$farm/broker.extra"
lab up "$farm"
lab source "$farm" web "$farm/tree"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
eval "$(lab sh "$farm")"

kill_agent() { kill -9 "$(cat "$farm/run/$1.pid")"; }
logs_say() { ramet job logs "$1" --json | grep -q "$2"; }
packs() { find "$farm/store/hq/packs" "$farm/store/hq/tmp" -type f -size +1M | grep -q .; }
sealed() { grep -q event=stream.sealed "$farm/run/imager-hq-1.log"; }

# A capture of this size takes a second or two: the agent dies when its first megabytes lie in
# the store, and the test is void, and fails, when that was its whole tree.
first=$(ramet image create web --name web-1)
look_s=0.02 wait_for 60 "the first megabytes in the store" packs
kill_agent source-web
! sealed || fail "the capture had ended; the kill came too late"
wait_for 30 "silence of the source" logs_say "$first" "source/web is silent"
expect 2 ramet job wait "$first" --timeout 60s
ramet job show "$first" --json | jq -e '.error | test("web was silent")' >/dev/null || fail "the job does not say why it failed"
[ "$(ramet image list --json | jq '.items | length')" = 0 ] || fail "an image was committed"
ramet-imager --check-store "$farm/store/hq" || fail "the store is not clean"
lab up "$farm"
ramet image create web --name web-1 --wait --timeout 3m

second=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$second" n1 unpack 60
kill_agent target-n1
wait_for 30 "silence of the target" logs_say "$second" "target/n1 is silent"
ramet job show "$second" --json | jq -e '.targets[0] | .stuck | test("n1 is silent")' >/dev/null || fail "the row of the target does not say that it is silent"
ramet target list --json | jq -e '.items[] | select(.name == "n1") | .reason | test("n1 is silent")' >/dev/null || fail "the list of targets does not say that one is silent"
expect 2 ramet job wait "$second" --timeout 60s
ramet job show "$second" --json | jq -e '.targets[0] | .state == "failed" and .["failed-phase"] == "unpack" and (.error | test("n1 was silent"))' >/dev/null ||
  { ramet job show "$second" >&2; fail "the target does not say why and in which phase it failed"; }
ramet lock show n1 --json | jq -e '.armed == true' >/dev/null || fail "the lock of a target that may be half written is gone"
lab up "$farm"
third=$(ramet deploy start web-1 --engine lab --targets n1 --yes --take-over)
installer=$(cat "$farm/run/installer-lab-1.pid")
clean_up() { kill -CONT "$installer" 2>/dev/null; }
writer_runs() { [ "$(grep -c event=write.start "$farm/run/target-n1.log")" = 2 ]; }
row_waits() { ramet job show "$third" --json | jq -e '.targets[0].stuck | test("waits for a holder of the image.*ramet doctor")'; }
row_goes_on() { ramet job show "$third" --json | jq -e '.targets[0].stuck == null'; }
look_s=0.02 wait_for 60 "the second start of the writer" writer_runs
kill -STOP "$installer"
wait_for 40 "what the target waits for" row_waits
kill -CONT "$installer"
wait_for 40 "the end of the waiting" row_goes_on
await_phase "$third" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$third" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
echo "disappear: passed"

#!/bin/bash
# An imager dies in the middle of a capture, and later for longer (P12, P3, P4): the capture is a task
# like others and goes on as a later attempt, from what the store has by then; the job ends well and
# its image is whole. A fault of the source itself is final.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 400
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"

kill_imager() { kill -9 "$(cat "$farm/run/imager-hq-1.pid")"; }
packs() { find "$farm/store/hq/packs" "$farm/store/hq/tmp" -type f -size +1M | grep -q .; }
sealed() { grep -q event=stream.sealed "$farm/run/imager-hq-1.log"; }
logs_say() { [[ $(ramet job logs "$1" --json) == *"$2"* ]]; }
awaits_imager() { [ "$(ramet job show "$1" --json | jq -r .phase)" = await-imager ]; }

# Cut off in its first megabytes, and back within a second.
first=$(ramet image create web --name web-1)
look_s=0.02 wait_for 60 "the first megabytes in the store" packs
kill_imager
! sealed || fail "the capture had ended; the kill came too late"
lab up "$farm"
ramet job wait "$first" --timeout 2m
logs_say "$first" 'task.again' || fail "the log does not tell the second attempt"
ramet-imager --check-store "$farm/store/hq" || fail "the store is not clean"

# A farm without an imager: the capture says so, and goes on when there is one.
kill_imager
echo changed >"$farm/tree/home/user/changed"
second=$(ramet image create web --name web-2)
wait_for 90 "the words that there is no imager" awaits_imager "$second"
lab up "$farm"
ramet job wait "$second" --timeout 2m
ramet image checkout web-2 "$farm/web-2"
diff -r "$farm/tree/home" "$farm/web-2/home" >&2 || fail "the image is not as the source"

# A source that cannot be read fails its job at the first attempt.
mv "$farm/tree" "$farm/tree.away"
third=$(ramet image create web --name web-3)
expect 2 ramet job wait "$third" --timeout 60s
ramet job logs "$third" --json | answers_no grep task.again || fail "a fault of the source was tried again"
echo "cut_capture: passed"

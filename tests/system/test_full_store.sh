#!/bin/bash
# A store without space makes its task wait, with a reason and a command, and loses nothing (T18, P4):
# the imager in the middle of a capture, the installer in the middle of a build. Both go on by
# themselves when there is space.
. "$(dirname "$0")/lib.sh"
clean_up() { umount -l "$farm/store/hq" "$farm/store/lab" 2>/dev/null || true; }
mkdir -p "$farm"/store/{hq,lab}
mount -t tmpfs -o size=160M none "$farm/store/hq"
mount -t tmpfs -o size=160M none "$farm/store/lab"
make_tree "$farm/tree" 100
lab up "$farm"
lab source "$farm" web "$farm/tree"
lab target "$farm" one "$farm/one.disk" 2G --like web
eval "$(lab sh "$farm")"

fill() { fallocate -l "$2" "$farm/store/$1/filler"; } # PLACE SIZE
waits() { # JOB PLACE
  local stuck; stuck=$(ramet job show "$1" --json | jq -r '.stuck // empty')
  [[ $stuck == *"no space at $2 ("*" MiB free of 160 MiB; need "*" MiB)"*"ramet store gc $2"* ]]
}

fill hq 100M
job=$(ramet image create web --name web-1)
wait_for 90 "the words that hq has no space" waits "$job" hq
[ "$(ramet job show "$job" --json | jq -r .state)" = running ] || fail "the job of a full store did not go on"
rm "$farm/store/hq/filler"
ramet job wait "$job" --timeout 2m
[ -z "$(ramet job show "$job" --json | jq -r '.stuck // empty')" ] || fail "the job is still said to wait"
ramet image checkout web-1 "$farm/web-1"
diff -r "$farm/tree/home" "$farm/web-1/home" >&2 || fail "the image is not as the source"
ramet-imager --check-store "$farm/store/hq" || fail "the store is not clean"

fill lab 100M
job=$(ramet deploy start web-1 --engine lab --targets one --yes)
wait_for 90 "the words that lab has no space" waits "$job" lab
ramet job show "$job" --json | jq -e '.targets[0].stuck | startswith("no space at lab")' >/dev/null ||
  fail "the row of the target does not say what it waits for"
rm "$farm/store/lab/filler"
await_phase "$job" one awaiting-first-boot 120
lab boot "$farm" one
ramet job wait "$job" --timeout 2m
echo "full_store: passed"

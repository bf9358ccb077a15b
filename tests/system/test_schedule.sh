#!/bin/bash
# A deployment that begins later ([4.74] [4.75]): at a time, which a broker that is
# killed meanwhile does not lose, and in a window of each day; it says until when it waits, and can be cancelled.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 1
lab up "$farm"
lab source "$farm" web "$farm/tree"
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m
start=(ramet deploy start web-1 --engine lab --targets n1)
says() { grep -qE -- "$1" "$farm/out" || { cat "$farm/out"; fail "it does not say: $1"; }; }
field() { ramet job show "$1" --json | jq -r ".$2"; }
jobs() { ramet job list --json | jq '[.items[] | select(.kind == "deploy")] | length'; }
hour() { date -u -d "+$1 hours" +%H:%MZ; }
window() { local from; from=$(hour "$1"); echo "${from%Z}-$(hour "$2")"; }

# What is no time to come, no window, and an order that ends before it may be carried out.
for at in tomorrow '2020-01-01 10:00' 2h +2x +99d; do expect 64 "${start[@]}" --at "$at" --count 1 </dev/null; done
for day in 22:00 22:00-22:00 22-04 25:00-26:00; do expect 64 "${start[@]}" --window "$day" --count 1 </dev/null; done
expect 77 "${start[@]}" --at +2h --valid 1h --count 1 </dev/null
says "the warrant of target n1 ends at .*Z, and the job may begin targets until .*Z; sign for longer with --valid"
expect 77 "${start[@]}" --window "$(window -1 3)" --valid 1h --count 1 </dev/null
says "sign for longer with --valid"
"${start[@]}" --at +2h --window 22:00-04:00Z --dry-run --json >"$farm/out.json"
jq -e '.begins > 1e12 and .window == "22:00-04:00 UTC" and .targets == 1' "$farm/out.json" >/dev/null ||
  { cat "$farm/out.json"; fail "it does not say when it would begin"; }
[ "$(jobs)" = 0 ] || fail "a job was made of what was refused or only asked about"

# One that is a long time ahead, or waits for its window, is there, says until when, and ends by a cancel.
for when in "--at +30h" "--window $(window 2 3)" "--at +5h --window $(window 2 3)"; do
  # shellcheck disable=SC2086
  expect 0 "${start[@]}" $when --count 1 </dev/null
  says '^begins (at|targets in the window)'
  job=$(ramet job list --json | jq -r '.items[0].name')
  [ "$(field "$job" state)" = queued ] || fail "$when: the job is $(field "$job" state)"
  [[ "$(field "$job" stuck)" == "begins at 2"*Z* ]] || fail "$when: it does not say until when it waits: $(field "$job" stuck)"
  [[ "$(field "$job" 'targets[0].stuck')" == "begins at 2"* ]] || fail "$when: the row of n1 does not say so"
  ramet job cancel "$job"
  [ "$(field "$job" state)" = cancelled ] || fail "$when: the job was not cancelled"
done
ramet lock list --json | jq -e '.items == []' >/dev/null || fail "a job that waited has locked its target"

# In an open window it begins at once; a retry keeps the window.
ramet target hold n1 --reason "power supply"
job=$("${start[@]}" --window "$(window -1 3)" --count 1 </dev/null)
expect 2 ramet job wait "$job" --timeout 60s
[ "$(field "$job" 'targets[0].error')" = "held: power supply" ] || fail "n1: $(field "$job" 'targets[0].error')"
again=$(ramet job retry "$job" --failed --count 1 </dev/null)
[ "$(field "$again" window)" = "$(field "$job" window)" ] || fail "the retry has lost the window"
expect 2 ramet job wait "$again" --timeout 60s
ramet target unhold n1

# The time passes while the broker is killed and started again.
job=$("${start[@]}" --at +8s --window "$(window -1 3)" --count 1 </dev/null)
[[ "$(field "$job" stuck)" == "begins at 2"* ]] || fail "the job does not wait"
end broker KILL
lab up "$farm"
await_phase "$job" n1 awaiting-first-boot 90
[ "$(field "$job" stuck)" = null ] || fail "the job waits still: $(field "$job" stuck)"

echo "schedule: passed"

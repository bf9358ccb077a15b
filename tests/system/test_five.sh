#!/bin/bash
# Five targets, and what happens to one of them: it is cancelled, it is protected before ARM and retried
# later; a canary that fails stops the rest, --max-failures lets as many fail; a token is used twice
# (P8, P18, M13, M27, M28, [4.9]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in n1 n2 n3 n4 n5; do lab target "$farm" $n "$farm/$n.disk" 1G --like web; done
ramet image create web --name web-1 --wait --timeout 2m
agent() { kill "-$1" "$(cat "$farm/run/target-$2.pid")"; }
field() { ramet job show "$1" --json | jq -r --arg t "$2" --arg f "$3" '.targets[] | select(.name == $t) | .[$f] // ""'; }
has_failed() { [ "$(field "$1" "$2" state)" = failed ]; }
locks() { ramet lock list --json | jq -r '[.items[].target] | join(" ")'; }

# Two agents stand still, so that their targets are locked and not armed.
agent STOP n3; agent STOP n5
job=$(ramet deploy start web-1 --engine lab --targets 'n[1-5]' --yes)
for n in n1 n2 n4; do await_phase "$job" $n awaiting-first-boot 120; done
ramet target protect n3 --reason "name server"
ramet job cancel "$job" n5
[ "$(field "$job" n5 state)" = cancelled ] || fail "n5 is not cancelled"
[ "$(locks)" = "n1 n2 n3 n4" ] || fail "the lock of a target that was cancelled before ARM is left: $(locks)"
agent CONT n3; agent CONT n5
within 60 has_failed "$job" n3 || { ramet job show "$job"; fail "a target that is protected before ARM was not stopped"; }
grep -q "protected: name server" <<<"$(field "$job" n3 error)" || fail "the error does not name the protection"
ramet job logs "$job" n3 --json | jq -e '[.items[] | select(.state == "failed" and (.text | test("name server")))] | length == 1' >/dev/null ||
  fail "the log of the target does not say why it failed"
for n in n1 n2 n4; do lab boot "$farm" $n; done
expect 1 ramet job wait "$job" --timeout 60s
for n in n3 n5; do [ "$(du -k "$farm/$n.disk" | cut -f1)" = 0 ] || fail "$n was written"; done
ramet target unprotect n3
again=$(ramet job retry "$job" --failed --yes)
[ "$(ramet job show "$again" --json | jq -r '[.targets[].name] | join(" ")')" = n3 ] || fail "the retry takes other targets than the failed one"
await_phase "$again" n3 awaiting-first-boot 120
lab boot "$farm" n3
ramet job wait "$again" --timeout 60s
same_as_source n3 "$farm/tree" || fail "n3 is not as the source"

# A canary whose first boot does not come stops the others before anything is written.
job=$(ramet deploy start web-1 --engine lab --targets 'n[1-5]' --canary 1 --boot-timeout 2s --yes)
expect 2 ramet job wait "$job" --timeout 3m
[ "$(field "$job" n1 error)" != "$(field "$job" n2 error)" ] || fail "all failed for one reason"
for n in n2 n3 n4 n5; do
  [ "$(field "$job" $n error)" = "stopped: too many targets have failed" ] || { ramet job show "$job"; fail "$n was not stopped"; }
done
[ "$(locks)" = n1 ] || fail "other locks than that of the canary are left: $(locks)"
[ "$(du -k "$farm/n5.disk" | cut -f1)" = 0 ] || fail "n5 was written"
lab boot "$farm" n1                          # A late report clears the lock

# Two may fail: the first two do, and the others begin; three do, and the last one does not.
job=$(ramet deploy start web-1 --engine lab --targets 'n[1-4]' --canary 2 --max-failures 2 --boot-timeout 30s --yes)
within 120 has_failed "$job" n1 && within 60 has_failed "$job" n2 || { ramet job show "$job"; fail "the first two did not fail"; }
for n in n3 n4; do await_phase "$job" $n awaiting-first-boot 120; lab boot "$farm" $n; done
expect 1 ramet job wait "$job" --timeout 60s
for n in n1 n2; do lab boot "$farm" $n; done
job=$(ramet deploy start web-1 --engine lab --targets 'n[1-4]' --canary 3 --max-failures 2 --boot-timeout 2s --yes)
expect 2 ramet job wait "$job" --timeout 3m
[ "$(field "$job" n4 error)" = "stopped: too many targets have failed" ] || { ramet job show "$job"; fail "the third failure did not stop the rest"; }

# A token of one use.
token=$(ramet key token viewer --name wall --approve --json | jq -r .token)
for n in 1 2; do
  mkdir "$farm/wall$n"
  sed "s|^ *key = .*|key = \"$farm/wall$n/key\"|" "$farm/console.cfg" >"$farm/wall$n.cfg"
done
ramet key enrol viewer --name wall --token "$token" --config "$farm/wall1.cfg"
expect 77 ramet key enrol viewer --name wall --token "$token" --config "$farm/wall2.cfg"
grep -q "has no use left; make one with: ramet key token viewer" "$farm/out" || { cat "$farm/out"; fail "the refusal does not name the way out"; }
echo "five: passed"

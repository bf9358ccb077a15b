#!/bin/bash
# What a user may do to many targets and to one of them, at the console (P8, M13, M27, M28, [4.8]): a
# large job is typed or counted.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m
seq -f '{"name":"x%02g","engine":"lab","rack":"r 1"}' 15 | jq -s '{items: .}' >"$farm/many.json"
ramet target import "$farm/many.json"

# typed ANSWER COMMAND...: the command at a terminal, where a user types the answer.
typed() { local answer=$1; shift; echo "$answer" | script -qec "$(printf '%q ' "$@")" /dev/null; }
jobs() { ramet job list --json | jq '[.items[] | select(.kind == "deploy")] | length'; }

# A fifth of 15 targets are 3. What is printed can be pasted.
large=(ramet deploy start web-1 --engine lab --targets 'x[01-04]' --boot-timeout 30m)
expect 64 "${large[@]}" --yes </dev/null
grep -q "4 targets of engine lab, more than a fifth of the 15 targets" "$farm/out" || { cat "$farm/out"; fail "the refusal does not say why"; }
line=$(sed -n 's/^to do it without a terminal: //p' "$farm/out")
[ "$line" = "ramet deploy start web-1 --engine lab --targets 'x[01-04]' --boot-timeout 30m --count 4" ] || fail "the command is not there: $line"
expect 64 "${large[@]}" --yes --json --config "$farm/console.cfg" </dev/null
grep -qxF "to do it without a terminal: ramet deploy start web-1 --engine lab --targets 'x[01-04]' --boot-timeout 30m --json --config $farm/console.cfg --count 4" "$farm/out" ||
  { cat "$farm/out"; fail "the command forgets options that every verb has"; }
expect 64 "${large[@]}" --yes --count 5 </dev/null
grep -q -- "--count 4" "$farm/out" || fail "the refusal does not name the number"
expect 64 "${large[@]}" --count 0x4 </dev/null
expect 2 typed 3 "${large[@]}" --yes        # At a terminal --yes does not answer either
grep -q "image web-1 will erase the disks of 4 targets of engine lab" "$farm/out" || fail "the question does not name image, number and engine"
grep -q "nothing was changed" "$farm/out" || fail "a wrong number was taken"
expect 64 ramet deploy start web-1 --engine lab --targets x01 </dev/null
[ "$(jobs)" = 0 ] || fail "a job was made without the number"
expect 0 typed 4 "${large[@]}"
eval "$line" </dev/null
expect 0 ramet deploy start web-1 --engine lab --targets x01 --yes </dev/null
[ "$(jobs)" = 3 ] || fail "a counted job was not made"

# A retry is counted likewise.
job=$(eval "$line" </dev/null)
expect 2 ramet job wait "$job" --timeout 60s       # No agent is there
expect 64 ramet job retry "$job" --failed --yes </dev/null
grep -qF "ramet job retry $job --failed --count 4" "$farm/out" || fail "the command is not there"
expect 0 ramet job retry "$job" --failed --count 4 </dev/null

# A job with more targets than one answer holds is shown whole.
seq -f '{"name":"m%03g","engine":"lab"}' 600 | jq -s '{items: .}' >"$farm/crowd.json"
ramet target import "$farm/crowd.json"
job=$(ramet deploy start web-1 --engine lab --targets 'm[001-600]' --count 600 </dev/null)
expect 2 ramet job wait "$job" --timeout 60s
[ "$(ramet job show "$job" --json | jq '.targets | length')" = 600 ] || fail "job show does not show all targets"

# A machine that an admin protects, and one that is a source.
ramet target protect x01 --reason "name server"
ramet target list --json | jq -e '.items[] | select(.name == "x01") | .state == "protected" and .reason == "name server"' >/dev/null ||
  fail "the list does not show the protection"
expect 2 ramet deploy start web-1 --engine lab --targets x01 --yes </dev/null
grep -qF "target x01 is protected: name server; to allow it: ramet target unprotect x01" "$farm/out" || { cat "$farm/out"; fail "the refusal does not say why"; }
ramet target set x02 "identity=uuid:$(sed -n 's/^class=system.* uuid=\([^ ]*\).*/\1/p' "$farm/run/source-web.facts")"
expect 2 ramet deploy start web-1 --engine lab --targets x02 --yes </dev/null
grep -qF "target x02 is protected: it is the machine of source web" "$farm/out" || { cat "$farm/out"; fail "the machine of a source may be erased"; }
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
ramet target protect n1 --reason "name server"
ramet deploy plan web-1 --engine lab --json | jq -e '.items[] | select(.target == "n1") | .fits == true and .available == false and .reason == "protected: name server"' >/dev/null ||
  fail "the plan does not show the protection"
ramet target unprotect n1

# An engine without an installer: the other one's answer is shown, and what is missing (M27, P4).
ramet engine add rome
expect 124 ramet deploy plan web-1 --engine lab --engine rome --json --timeout 15s
grep -q "^stuck: no worker offers match@rome" "$farm/out" || { cat "$farm/out"; fail "the plan waits in silence"; }
grep -q "not complete after 15s: no worker offers match@rome" "$farm/out" || { cat "$farm/out"; fail "the end does not say what is missing"; }
grep -v "^[a-z][a-z0-9 -]*:" "$farm/out" | jq -e '[.items[] | select(.target == "n1" and .fits == true)] | length == 1' >/dev/null || { cat "$farm/out"; fail "the answer of the other engine is lost"; }
ramet job list --json | jq -e '.items[0].stuck == "no worker offers match@rome; start an installer of rome: systemctl start ramet-installer"' >/dev/null || fail "the list does not say what the plan waits for"
echo "radius: passed"

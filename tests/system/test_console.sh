#!/bin/bash
# What a person and a program read from the console of a real farm: each list in each form ([10.1] [10.2]
# [10.5]), names that are printed and can be typed again (M13), states of machines, errors as objects
# ([10.7]), and no inner counters ([10.8]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 1
lab up "$farm"
lab source "$farm" web "$farm/tree"
truncate -s 1G "$farm/disk"
lab target "$farm" n1 "$farm/disk" 1G --like web
eval "$(lab sh "$farm")"
ramet target add n2 engine=lab rack=r1 comment='Küche'
ramet target add n3 engine=lab rack=r1
ramet target hold n2 --reason 'new disk'
job=$(ramet image create web --name web-1)
ramet job wait "$job" --timeout 2m

# Each list that needs no name of its own, in each form.
lists=('source list' 'engine list' 'target list' 'image list' 'job list' 'lock list' 'key list' 'token list'
  'audit list' 'audit heads' 'script list' events "job logs $job" 'image files web-1' 'image diff web-1 web-1'
  'store pins hq' 'target history n1' 'target inventory n1' 'deploy plan web-1 --engine lab')
for list in "${lists[@]}"; do
  read -ra words <<<"$list"
  ramet "${words[@]}" -o json >"$farm/out" 2>"$farm/err" || fail "$list -o json: $(cat "$farm/err")"
  jq -e '.schema == "ramet/v1" and (.items | type == "array") or .added == 0' "$farm/out" >/dev/null || fail "$list is no object of the schema: $(cat "$farm/out")"
  jq -e 'any(.. | objects; has("rev") or has("go") or has("t-done")) | not' "$farm/out" >/dev/null || fail "$list has inner counters"
  jq -e '[.. | objects | to_entries[] | select(.key == "present" or .key == "fits" or .key == "armed" or .key == "approve")
    | .value | type] | all(. == "boolean" or . == "string")' "$farm/out" >/dev/null || fail "$list has flags that are none"
  ramet "${words[@]}" -o wide --limit 1 >"$farm/out" 2>"$farm/err" || fail "$list -o wide: $(cat "$farm/err")"
  answers_no grep -qP '[^\x09\x0a\x0d\x20-\x7e\x80-\xff]' "$farm/out" || fail "$list -o wide has control characters"
  ramet "${words[@]}" -o csv --limit 1 >"$farm/out" 2>"$farm/err" || fail "$list -o csv: $(cat "$farm/err")"
  [ "$(wc -l <"$farm/out")" -le 2 ] || fail "$list does not hear --limit"
done

# What is printed can be typed again.
for noun in source engine target image job; do
  ramet "$noun" list -o name >"$farm/names"
  [ -s "$farm/names" ] || fail "$noun list -o name prints nothing"
  while read -r name; do
    ramet "$noun" show "$name" >"$farm/out" || fail "$noun show $name"
    grep -q "^name  *$name$" "$farm/out" || { cat "$farm/out"; fail "$noun show $name shows another one"; }
  done <"$farm/names"
done
created=$(ramet image list -o wide --columns created | tail -n 1)
[ "$(ramet image list -o name --filter "created>=$created")" = web-1 ] || fail "the time $created cannot be typed again"
[ "$(ramet image list -o name --filter 'created>1h')" = web-1 ] || fail "the image is not of the last hour"
[ -z "$(ramet image list -o name --filter 'created<1h')" ] || fail "the image is older than an hour"

# States: free, held with its reason, absent.
states=$(ramet target list --sort name -o csv --columns name,state,reason | tr -d '\r')
[ "$states" = $'name,state,reason\nn1,free,\nn2,held,new disk\nn3,absent,' ] || fail "states of targets: $states"
[ "$(ramet target list --filter 'rack=r1,state!=held' -o name)" = n3 ] || fail "a filter of two conditions"
ramet target list --columns name,comment | grep -q 'n2  *Küche' || fail "UTF-8 is not drawn"
ramet target history n2 | grep -q 'target.hold  *admin .*new disk' || fail "the history does not tell who held the machine"
expect 64 ramet target history n99

# A list of a spreadsheet, by standard input, and one that ramet has printed (U13).
sheet() { printf '\xef\xbb\xbfName;Rack;IP Address;Engine\r\nn3;r3;10.0.0.3/24;lab\r\nn4;"r;4";10.0.0.4/24;lab\r\n'; }
sheet | ramet target import - --map 'IP Address=address' --dry-run -o csv | tr -d '\r' >"$farm/out"
grep -qx 'n3,change,rack,r1,r3' "$farm/out" || { cat "$farm/out"; fail "the dry run does not tell the change"; }
grep -qx 'n4,add,rack,,r;4' "$farm/out" || fail "the dry run does not tell what is added"
expect 64 ramet target show n4                                    # Nothing was changed
sheet | ramet target import - --map 'IP Address=address' --json | jq -e '.added == 1 and .changed == 1' >/dev/null || fail "the list is not imported"
ramet target list --json >"$farm/list.json"
ramet target import "$farm/list.json" --json | jq -e '.added == 0 and .changed == 4' >/dev/null || fail "what was printed cannot be imported"
[ -z "$(ramet target import "$farm/list.json" --dry-run -o name)" ] || fail "an import of what is there changes something"

# What people write on an image, and another name.
ramet image set web-1 tags=web,stable 'description=the first'
[ "$(ramet image list --filter tags=stable -o name)" = web-1 ] || fail "a tag is not found"
[ -z "$(ramet image list --filter tags!=stable -o name)" ] || fail "a tag is found where it is not wanted"
[ "$(ramet image list -o csv --columns name,tags,description | tail -n 1 | tr -d '\r')" = 'web-1,"web,stable",the first' ] || fail "the tags are not shown"
ramet image rename web-1 web-2
[ "$(ramet image list -o name)" = web-2 ] || fail "the image has not the new name"
ramet image files web-2 --limit 1 >/dev/null || fail "the contents of a renamed image are not there"
ramet image rename web-2 web-1

# One verb over many machines (M13): all are done that can be, and equal outcomes are told once.
expect 64 ramet target set 'n[3-4]' group=spare </dev/null
grep -q 'acts on 2 targets: n\[3-4\]; confirm it with --count 2' "$farm/out" || { cat "$farm/out"; fail "set does not name the machines"; }
ramet target set 'n[3-4]' group=spare --count 2 2>"$farm/err"
grep -qx 'target set n\[3-4\]: done' "$farm/err" || { cat "$farm/err"; fail "set does not tell what it did"; }
ramet target hold group=spare --reason moving
[ "$(ramet target list --filter state=held -o name --sort name | xargs)" = 'n2 n3 n4' ] || fail "hold takes no list"
expect 64 ramet target remove group=spare </dev/null
grep -q 'acts on 2 targets: n\[3-4\]; confirm it with --count 2' "$farm/out" || { cat "$farm/out"; fail "remove does not name the machines"; }
expect 64 ramet target remove group=spare --count 3 </dev/null
[ "$(ramet target list -o name | wc -l)" = 4 ] || fail "a wrong count removes something"
ramet target remove group=spare --count 2
[ "$(ramet target list -o name --sort name | xargs)" = 'n1 n2' ] || fail "remove takes no list"

# On a terminal the user selects from the list that is shown, and sees what will be erased (M13).
terminal() { tmux -f /dev/null -S "$farm/terminal" "$@"; }
clean_up() { terminal kill-server 2>/dev/null || true; }
screen_has() { terminal capture-pane -p -J -t person | grep -qE "$1"; }
terminal new-session -d -s person -x 120 -y 40 "bash -c 'ramet deploy start web-1 --engine lab; echo ended \$?; read -r'"
within 20 screen_has '^Targets .*: ' || fail "nothing is asked"
screen_has '^n1  *lab .*free' && screen_has '^n2  *lab .*held .*new disk' || { terminal capture-pane -p -t person; fail "the targets are not shown"; }
terminal send-keys -t person n1 Enter
within 20 screen_has 'Type the number of targets' || { terminal capture-pane -p -t person; fail "nothing is confirmed"; }
screen_has '^NAME .*DISKS' && screen_has '^n1 .* GiB' && screen_has 'erase the disks of 1 target of engine lab' ||
  { terminal capture-pane -p -t person; fail "what will be erased is not told"; }
terminal send-keys -t person 7 Enter
within 20 screen_has 'nothing was changed' || fail "a wrong number is taken"
within 20 screen_has '^ended [1-9]' || fail "the refusal has no status"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a lock was taken"

# Mistakes, for people and as objects; the output stays empty.
expect 64 ramet job lst
refused() { # CODE WORDS...: one object on standard error alone
  local code=$1; shift
  "$@" >"$farm/out" 2>"$farm/err" && fail "$* is done"
  [ ! -s "$farm/out" ] || fail "$* prints to standard output"
  jq -e --arg code "$code" '.schema == "ramet/v1" and .error.code == $code and .error.exit > 0' "$farm/err" >/dev/null ||
    fail "$*: $(cat "$farm/err")"
}
refused usage ramet job lst --json
refused usage ramet --json job list --filtre x
refused usage ramet target list --json --sort nmae
refused not-found ramet job show j-zzzzz -o json
refused not-found ramet image show nothing --output=json

# A list that one request cannot hold: all of it, or nothing. A job over too many machines is refused.
many() { seq -f '{"name":"m%05g","engine":"lab","rack":"r 9"}' "$1" | jq -s --argjson more "$2" '{items: (. + $more)}' >"$farm/many.json"; }
count() { ramet target list --json | jq '.items | length'; }
had=$(count)
many 4200 '[{"name":"m00001"}]'
refused exists ramet target import "$farm/many.json" --json
many 4200 '[{"name":"last","no such field":"x"}]'
refused usage ramet target import "$farm/many.json" --json
[ "$(count)" = "$had" ] || fail "a list with a bad record was taken in part"
many 4200 '[]'
ramet target import "$farm/many.json" --json | jq -e '.added == 4200 and .changed == 0' >/dev/null || fail "the long list is not taken"
ramet target import "$farm/many.json" --json | jq -e '.added == 0 and .changed == 4200' >/dev/null || fail "the long list is not taken again"
refused too-big ramet deploy start web-1 --engine lab --targets 'm[00001-04200]' --count 4200 --json
echo "console: passed"

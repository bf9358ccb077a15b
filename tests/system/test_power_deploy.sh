#!/bin/bash
# A deployment brings machines to their agents by itself (M36, [4.73]): one that is off, beside one that is
# there, one whose power cannot be switched, and one that is switched on and never comes.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 1
mkdir "$farm/power"
program=$farm/power/switch
cat >"$program" <<'END'
#!/bin/sh
# A switched socket. It tells what it was asked.
echo "$1 $2" >>"${0%/*}/asked"
case $1 in
  n3) echo 'the socket is broken' >&2; exit 3 ;;
esac
echo on
END
chmod 755 "$program"; : >"$farm/power/asked"
printf 'power-program = "%s"\npower-timeout-s = 10\n' "$program" >"$farm/installer.extra"
lab up "$farm"
lab source "$farm" web "$farm/tree"
for n in 1 2 3 4; do lab target "$farm" n$n "$farm/n$n.disk" 1G --like web; done
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m
for n in 1 2 3 4; do ramet target set n$n power=exec; done
for n in 2 3 4; do end target-n$n; done
is_absent() { ramet target show "$1" --json | jq -e '.present == false' >/dev/null; }
for n in 2 3 4; do wait_for 40 "n$n to be absent" is_absent n$n; done
asked() { grep -qx "$1" "$farm/power/asked"; }
error_of() { ramet job show "$1" --json | jq -r --arg n "$2" '.targets[] | select(.name == $n) | .error'; }

# What is only asked about switches nothing.
start=(ramet deploy start web-1 --engine lab --power)
"${start[@]}" --targets 'n[1-3]' --dry-run --json >"$farm/out.json"
jq -e '."switched-count" == 2 and .switched == "n2, n3" and .targets == 3' "$farm/out.json" >/dev/null ||
  { cat "$farm/out.json"; fail "it does not say what will be switched"; }
[ ! -s "$farm/power/asked" ] || fail "a dry run has switched a machine"
ramet job list --json | jq -e '[.items[] | select(.kind == "deploy")] == []' >/dev/null || fail "a dry run has made a job"
expect 64 "${start[@]}" --targets 'n[1-3]' </dev/null
grep -qF "switched by this job: n2, n3" "$farm/out" || { cat "$farm/out"; fail "the question does not name the machines"; }

# n1 is there and is not switched; n2 is awaited; n3 fails alone, with the reason and what to do.
job=$("${start[@]}" --targets 'n[1-3]' --boot-timeout 10m --count 3 </dev/null)
wait_for 60 "n2 to be told to start from the network" asked 'n2 netboot'
await_phase "$job" n2 awaiting-agent 30
await_phase "$job" n1 awaiting-first-boot 90
await_phase "$job" n3 failed 30
[ "$(error_of "$job" n3)" = "target n3, exec: $program ended with status 3: the socket is broken; look with: ramet target power n3 status" ] ||
  fail "n3: $(error_of "$job" n3)"
lab target "$farm" n2 "$farm/n2.disk"
await_phase "$job" n2 awaiting-first-boot 90
answers_no asked 'n1 netboot'
[ "$(grep -c '^n2 ' "$farm/power/asked")" = 1 ] || fail "n2 was switched more than once"
ramet lock list --json | jq -e '[.items[].target] | sort == ["n1", "n2"]' >/dev/null || fail "the locks are not those of n1 and n2"

# One that fails is a failure of the job's: no more begin.
ramet target set n4 power=none
expect 64 "${start[@]}" --targets n4 </dev/null
grep -qF "with no way to switch their power: n4" "$farm/out" || { cat "$farm/out"; fail "the question does not name n4"; }
ramet target set n4 power=exec

# One that does not come is given up after its time, and is free again.
job=$("${start[@]}" --targets n4 --boot-timeout 1s --count 1 </dev/null)
expect 2 ramet job wait "$job" --timeout 90s
[ "$(error_of "$job" n4)" = "its machine was switched on, and its agent did not come; look at its console, and whether it starts from the network: ramet target power n4 status" ] ||
  fail "n4: $(error_of "$job" n4)"
expect 64 ramet lock show n4

# --max-failures counts a machine whose power cannot be switched; a cancel ends one that is awaited.
job=$("${start[@]}" --targets 'n[3-4]' --canary 1 --boot-timeout 10m --count 2 </dev/null)
expect 2 ramet job wait "$job" --timeout 90s
grep -q 'too many targets have failed' <<<"$(error_of "$job" n4)" || fail "n4 began after the failure of n3: $(error_of "$job" n4)"
job=$("${start[@]}" --targets n4 --boot-timeout 10m --count 1 </dev/null)
await_phase "$job" n4 awaiting-agent 60
ramet job cancel "$job"
expect 2 ramet job wait "$job" --timeout 30s
expect 64 ramet lock show n4
echo "power_deploy: passed"

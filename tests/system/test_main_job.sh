#!/bin/bash
# The main job in small: image, plan, deploy to two targets of two engines, first boot, compare; with
# the bad input that a user gives on the way (M1, M2, M7, M10, M11, M13, M14, M18, M19, M25, M26).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
lab up "$farm"
lab up "$farm"                        # On a live farm nothing is started twice
lab engine "$farm" paris
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
lab target "$farm" n2 "$farm/n2.disk" 1G --engine paris --like web
ramet target set n1 hostname=one address=10.9.0.1 mask=255.255.255.0 gateway=10.9.0.254 dns=10.9.0.254
expect 64 ramet target set n2 address=10.9.0.1/24        # Double address
expect 64 ramet target set n2 address=10.9.0.999/24      # No address
expect 64 ramet target set nobody rack=r1
expect 64 ramet image create nobody
[ "$(ramet source list --json | jq -r '.items[].name')" = web ] || fail "the console does not list the source"
ramet engine list --json | jq -e '[.items[].name] | contains(["lab", "paris"])' >/dev/null || fail "the console does not list the engines"
expect 64 ramet nonsense
ramet image create web --name web-1 --wait --timeout 2m
expect 64 ramet image create web --name web-1            # A name twice
ramet image show web-1 --json | jq -e '(.hardware | length) > 3 and (.layout | length) > 1 and (.os | length) > 0' >/dev/null ||
  fail "the image lacks what the agent told of disks, hardware and configuration"
[ "$(ramet image list --json | jq -r '.items[0].state')" = COMPLETE ] || fail "the image is not COMPLETE"
ramet image verify web-1
ramet image files web-1 etc | grep -q etc/hostname || fail "the file list lacks etc/hostname"
expect 64 ramet deploy start web-1 --engine lab --targets nobody --yes
expect 64 ramet deploy start nothing --engine lab --targets n1 --yes
expect 64 ramet deploy start web-1 --engine lab --targets n1 </dev/null   # Neither --yes nor a terminal
ramet deploy plan web-1 --engine lab --engine paris --json | jq -e '[.items[] | select(.fits == true)] | length == 2' >/dev/null ||
  fail "the plan does not find both targets"
job=$(ramet deploy start web-1 --engine lab --engine paris --targets 'n[1-2]' --yes)
for n in n1 n2; do await_phase "$job" $n awaiting-first-boot 120; done
[ "$(ramet lock list --json | jq '.items | length')" = 2 ] || fail "both targets must be locked until they have booted"
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait    # Locked
grep -q "locked by job" "$farm/out" || fail "the refusal does not name the lock's owner"
for n in n1 n2; do lab boot "$farm" $n; done
ramet job wait "$job" --timeout 60s
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "locks are left"
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
same_as_source n2 "$farm/tree" || fail "n2 is not as the source"
[ "$(cat "$farm/n1.hostname")" = one ] || fail "n1 has not its host name"
answers_no cmp -s "$farm/n1.machine-id" "$farm/n2.machine-id" || fail "the machine-id was cloned"
answers_no cmp -s "$farm/n1.machine-id" "$farm/tree/etc/machine-id" || fail "the machine-id is that of the source"
echo "main job: passed"

#!/bin/bash
# A dashboard's key subscribes late, gets the snapshot, follows a deployment to its end without a
# gap in phases, and can do nothing else (M24, P18, [1.32]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 400
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m

sed "s|^key = .*|key = \"$farm/keys/wall.key\"|" "$farm/console.cfg" >"$farm/wall.cfg"
wall() { RAMET_CONFIG=$farm/wall.cfg ramet "$@"; }
expect 64 wall key enrol dashboard                       # No token
expect 77 wall key enrol viewer --name wall --token "$(ramet key token dashboard --name wall --approve)"
rm -f "$farm"/keys/wall.key*
wall key enrol dashboard --name wall --token "$(ramet key token dashboard --name wall --approve)"

job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 unpack 60
RAMET_CONFIG=$farm/wall.cfg timeout 300 "$RAMET_BIN/ramet" events --follow --json >"$farm/wall.out" &
follower=$!
await_phase "$job" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
uid=$(ramet job show "$job" --json | jq -r .id)
wait_for 10 "the end of the deployment at the dashboard" grep -q '"phase": *"confirmed"' "$farm/wall.out"
kill "$follower" 2>/dev/null || true

# The first value is the snapshot, the others are events, one a line.
jq -s '.[0]' "$farm/wall.out" >"$farm/snapshot.json"
from=$(jq -r --arg t "job/$uid/target/n1" '.items[] | select(.topic == $t) | .phase' "$farm/snapshot.json")
[ -n "$from" ] || fail "the snapshot does not have the target"
{ echo "$from"; jq -rs --arg t "job/$uid/target/n1" '.[1:][] | select(.topic == $t) | .phase // empty' "$farm/wall.out"; } | uniq >"$farm/wall.phases"
ramet job logs "$job" n1 --json | jq -r '.items[] | .phase // empty' | uniq | sed -n "/^$from\$/,\$p" >"$farm/all.phases"
diff "$farm/all.phases" "$farm/wall.phases" || fail "the dashboard missed a phase"
[ "$(tail -n 1 "$farm/wall.phases")" = confirmed ] || fail "the dashboard did not see the end"

refused=$(grep -c 'event=act.refused' "$farm/run/broker.log" || true)
expect 77 wall deploy start web-1 --engine lab --targets n1 --yes
expect 77 wall image create web --name web-2
expect 77 wall image remove web-1
expect 77 wall target set n1 rack=r1
expect 77 wall lock break n1 --force --reason "because"
expect 77 wall key token admin
expect 77 wall job cancel "$job"
[ "$(grep -c 'event=act.refused' "$farm/run/broker.log")" -ge $((refused + 7)) ] || fail "the refusals were not logged"
ramet image list --json | jq -e '.items | length == 1' >/dev/null || fail "a dashboard changed something"
echo "dashboard: passed"

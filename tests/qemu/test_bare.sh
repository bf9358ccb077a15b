#!/bin/bash
# M20: a bare machine of 256 MiB starts the cloud flavour, waits for orders within 10 s of its uptime,
# and is the same target at its next start with a fresh key. Nothing is written.
set -euo pipefail
. "$(dirname "$0")/bare.sh"
thin=$(thin_kernel cloud)
farm_up
good="ramet.broker=10.0.2.2:$port ramet.token=$token ramet.engine=lab"
uuid=4c4c4544-0031-4410-8058-b4c04f4a3233

# Twice the same machine; the second start waits until its old key has been silent, the better one counts.
# shellcheck disable=SC2046
start_known() { machine "$1" "$thin" 256 "$good" -uuid $uuid $(net 52:54:00:aa:00:01) $(disk "$farm/d1" D1); }
start_known first
shown first 90 "waiting for orders as "
took=$(($(uptime_at first "waiting for orders") - $(waited first)))
name=$(sed -n 's/.*waiting for orders as \([^,]*\),.*/\1/p' "$farm/first.serial" | head -n 1)
ramet target show "$name" --json >"$farm/record"
jq -e --arg u "uuid:$uuid" '.identity == $u and .engine == "lab"' "$farm/record" >/dev/null ||
  fail "the record of $name has another identity or engine: $(cat "$farm/record")"
ramet target inventory "$name" --raw | grep -q "class=disk .*serial=D1" || fail "the disk is not in the inventory"
old=$(ramet key list --json | jq -r --arg n "$name" '.items[] | select(.name == $n and .state == "approved") | .key')
power_off first
start_known second
shown second 120 "waiting for orders as $name,"
again=$(($(uptime_at second "waiting for orders") - $(waited second)))
[ $again -gt $took ] || took=$again
keys=$(ramet key list --json | jq -r --arg n "$name" '.items[] | select(.name == $n and .state == "approved") | .key')
[ "$(wc -w <<<"$keys")" = 1 ] && [ "$keys" != "$old" ] || fail "after a second start these keys live: $keys"
[ "$(ramet target list --json | jq '.items | length')" = 1 ] || fail "a second start made a second target"
power_off second
[ "$(stat -c %b "$farm/d1")" = 0 ] || fail "something was written to its disk"
times="$(uptime_at first "waiting for orders") and $(uptime_at second "waiting for orders") with, $took without the host's queues"
[ "$took" -lt 1000 ] || fail "waiting for orders not within 10 s; hundredths of a second: $times"
echo "waiting for orders after hundredths of a second: $times"

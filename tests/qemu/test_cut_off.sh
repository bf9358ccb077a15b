#!/bin/bash
# The broker cannot be reached for a minute in the middle of an install, and again for a minute when
# the installed system starts: both go on by themselves, with the same attempt (P5, P6).
. "$(dirname "$0")/lib.sh"
command -v nft >/dev/null || fail "nft is missing"
table=ramet_cut_$$
uncut() { nft delete table inet "$table" 2>/dev/null || true; }
trap 'status=$?; set +e; uncut; (exit $status); finish_machines' EXIT
live_farm
# More to unpack than the connection holds at once.
machine b1 11 --bios --disk 1G
present b1
base=$(cat "$farm/port")
cut() { # The machine's packets to the broker are lost; those to the engine's data port are not
  nft add table inet "$table"
  nft add chain inet "$table" in '{ type filter hook input priority 0; }'
  nft add rule inet "$table" in iifname "${veth:?}" tcp dport "$base-$((base + 9))" drop
}
job=$(ramet deploy start web-1 --engine lab --targets b1 --yes)
look_s=0.02 wait_for 150 "the unpacking of b1" grep -aqE 'ramet, up .*: unpack ' "$farm/b1.serial"
cut; pause 60 "the broker cannot be reached for a minute"
grep -aq 'ramet, up .*: boot-record 100' "$farm/b1.serial" || fail "the install stood still without the broker"
answers_no grep -aq 'ramet-live' "$farm/b1.serial" || fail "the machine restarted before its result was recorded"
uncut
console b1 'starting the installed system' 60
cut
console b1 'host-b1 login:' 120
pause 60 "the broker cannot be reached for a minute"
[ "$(phase_of "$job" b1)" = awaiting-first-boot ] || { ramet job show "$job" >&2; fail "it was heard through a cut"; }
uncut
ramet job wait "$job" --timeout 120s || { ramet job show "$job" >&2; fail "the job did not end well"; }
ramet job logs "$job" --json | answers_no grep task.again || { ramet job logs "$job" >&2; fail "there was another attempt"; }
is_itself b1 11
no_locks
echo "cut off: passed"

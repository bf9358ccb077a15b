#!/bin/bash
# A machine loses its power while it is partitioned, unpacked, verified and while its boot record is
# written: each time it comes back to the thin-kernel, never to what lies on its disks, and the same
# job installs it well in the end (P6, P10). The disk, twice as large as the source's, is used to its
# end; when the machine netboots once more, it starts it by BIOS, and not the first disk, which has
# another system on it (M20, M23).
. "$(dirname "$0")/lib.sh"
live_farm
other_disk b1
machine b1 11 --bios --disk 400M --disk 1G
present b1
job=$(ramet deploy start web-1 --engine lab --targets b1 "${second_disk[@]}" --yes)

# said_since OFFSET PATTERN: does the console say it behind this byte?
said_since() { tail -c "+$(($1 + 1))" "$farm/b1.serial" | grep -aqE "$2"; }
size() { stat -c %s "$farm/b1.serial"; }
# cut_at OFFSET PATTERN: the power is gone as soon as the console says it. No process is started between
# the word and the kill: a boot record is written in a quarter of a second.
cut_at() {
  local pid; pid=$(cat "$farm/run/vm-b1.pid")
  grep -aqE -m 1 "$2" < <(exec timeout 150 tail --pid="$pid" -c "+$(($1 + 1))" -F "$farm/b1.serial" 2>/dev/null) &&
    kill -9 "$pid"
}

at=0
for phase in partition unpack verify boot-record; do
  cut_at "$at" "ramet, up .*: $phase " || { ramet job show "$job" >&2; fail "the phase $phase did not come within 150 s"; }
  lab power "$farm" b1 off
  echo "no power while: $phase; job: $(phase_of "$job" b1)"
  [ "$(phase_of "$job" b1)" != awaiting-first-boot ] || fail "the kill came too late, b1 is installed"
  at=$(size)
  answers_no grep -aq 'ramet-live' "$farm/b1.serial" || fail "the system was started before it was installed"
  lab power "$farm" b1 on
  within 120 said_since "$at" 'waiting for orders' || fail "b1 does not come back to the thin-kernel after $phase"
  answers_no grep -aq 'boots its own disk' "$farm/b1.serial" || fail "b1 was sent to its disk before it was installed"
done
console b1 'host-b1 login:' 240
is_itself b1 11
ramet job wait "$job" --timeout 120s || { ramet job show "$job" >&2; fail "the job did not end well"; }
no_locks
[ "$(live_field b1 kib)" -gt 800000 ] || fail "the disk of b1 is not used to its end"
ramet target show b1 --json | grep -q "$subnet.11" || fail "the report of b1 does not tell its address"

# By accident it netboots.
lab power "$farm" b1 cycle
console b1 '^ramet: b1 boots its own disk' 120 2
console b1 'host-b1 login:' 120 2
no_locks
other_untouched b1
echo "power: passed"

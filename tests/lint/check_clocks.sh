#!/bin/bash
# Programs read seconds by lib/base/rmt_clock.h alone. time(2) is late by some milliseconds, and the time
# of a file may not be: right after the turn of a second the file is of a second that is still to come.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
found=$(grep -rnE --include='*.[ch]' '\b(time|gettimeofday)\(' lib broker workers console gateway)
[ -z "$found" ] && exit 0
printf '%s\n' "$found"
echo "a clock that is late: use rmt_clock_wall_ms() of base/rmt_clock.h"
exit 1

#!/bin/bash
# [6.1] A state is changed by R.move alone, and compared by R.is and R.can alone: no other Lua file
# of the library writes or compares the fields in which states are kept.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}/lib/state" || exit 1
bad=0
complain() { # WORDS PATTERN
  local hits
  hits=$(grep -nE "$2" ramet.lua ramet_*.lua | grep -v '^ramet_states\.lua:' | grep -vE '^[^:]*:[0-9]+: *--' || true)
  [ -z "$hits" ] || { printf '%s:\n%s\n' "$1" "$hits"; bad=1; }
}
fields="state|armed|held|protected|approved"
complain "a state is written; use R.move" "\b(state|armed|approved) = '"
complain "a state is written; use R.move" "'(HSET|HDEL|HSETNX)'.*'($fields)'"
complain "a state is compared; use R.is or R.can" "\.(state|armed) *[=~]="
complain "a state is compared; use R.is or R.can" "[=~]= *'(queued|running|done|failed|cancelled|partial|waiting|leased|silent|pending|approved|revoked|used)'"
complain "a state is compared; use R.is or R.can" "set\([a-z]+\.($fields)\)"
complain "a lock or an image begins and ends by R.move" "'(DEL|HSET|HDEL|HMSET)', *(lock_key\(|P \.\. '(lock:|image:|image-names'))"
exit $bad

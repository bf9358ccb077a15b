#!/bin/bash
# Processes die in the middle of an install and the job ends well all the same (P1, P3, P5, P6, M26):
# one of two installers, the broker, Redis. No target is written twice.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 400
lab up "$farm"
lab worker "$farm" imager
lab worker "$farm" installer --engine lab
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 3m

# Kill a process with SIGKILL once a target has unpacked a fifth; the test is void, and fails,
# when the target was through before.
kill_while_unpacking() { # JOB TARGET PID
  local phase
  look_s=0.05 wait_for 120 "20 % of unpack at $2" has_unpacked "$1" "$2"
  [ "$phase" = unpack ] || fail "$2 is already in $phase; the kill came too late"
  kill -9 "$3"
}
has_unpacked() { # JOB TARGET: a fifth, or all; sets phase
  local at total
  read -r phase at total < <(ramet job show "$1" --json |
    jq -r --arg t "$2" '.targets[] | select(.name == $t) | "\(.phase) \(.done // 0) \(.total // 0)"') || return
  case $phase in
  unpack) [ "$total" -gt 0 ] && [ $((100 * at / total)) -ge 20 ] ;;
  configure | verify | boot-record | reboot | awaiting-first-boot | failed | confirmed) ;;
  *) return 1 ;;
  esac
}

round() { # TARGET PROCESS
  local job target=$1 process=$2
  lab target "$farm" "$target" "$farm/$target.disk" 2G --like web
  job=$(ramet deploy start web-1 --engine lab --targets "$target" --yes)
  kill_while_unpacking "$job" "$target" "$(cat "$farm/run/$process.pid")"
  [ "$process" = installer-lab-1 ] || lab up "$farm"
  await_phase "$job" "$target" awaiting-first-boot 180
  lab boot "$farm" "$target"
  ramet job wait "$job" --timeout 90s
  same_as_source "$target" "$farm/tree" || fail "$target is not as the source after the kill of $process"
  [ "$(grep -c 'event=write.start' "$farm/run/target-$target.log")" = 1 ] || fail "$target was written more than once"
  echo "killed $process: the job ended well"
}
round n1 installer-lab-1
lab up "$farm"
round n2 broker
round n3 redis
echo "kills: passed"

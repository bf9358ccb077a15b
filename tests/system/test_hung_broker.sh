#!/bin/bash
# A broker hangs for 40 s: connections stand, and nothing answers (P5). Each agent and each worker comes
# back by itself, each retry has left no descriptor behind, and the farm does its job. RAMET_HANGS says how
# often the broker hangs (1; in the long form 20).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 4
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
targets=(n1 n2 n3 n4)
for name in "${targets[@]}"; do lab target "$farm" "$name" "$farm/$name.disk" 2G --like web; done
peers=(imager-hq-1 installer-lab-1 source-web "${targets[@]/#/target-}")
descriptors() { find "/proc/$(cat "$farm/run/$1.pid")/fd" -mindepth 1 | wc -l; }
all_present() { ramet target list --json | jq -e '[.items[] | select(.present == "yes")] | length == 4'; }
offered() { farm_status | jq -e '[.services[] | select(.peers >= 1) | .service] | any(startswith("capture@")) and any(startswith("commit@"))'; }
wait_for 30 "each target" all_present
declare -A before
for peer in "${peers[@]}"; do before[$peer]=$(descriptors "$peer"); done

few_descriptors() { [ "$(descriptors "$1")" -le $((before[$1] + 3)) ]; }
hang() {
  local peer
  kill -STOP "$(cat "$farm/run/broker.pid")"
  pause 40 "each peer gives the silent broker up, and greets it again, more than once"
  kill -CONT "$(cat "$farm/run/broker.pid")"
  wait_for 40 "each target" all_present
  wait_for 40 "the source and the imager" offered
  for peer in "${peers[@]}"; do
    wait_for 10 "the end of the connections of $peer" few_descriptors "$peer"
  done
}
for _ in $(seq "${RAMET_HANGS:-1}"); do hang; done
ramet image create web --name web-1 --wait --timeout 60s
ramet deploy plan web-1 --engine lab --json | jq -e '[.items[] | select(.fits == "yes")] | length == 4' >/dev/null ||
  fail "the engine does not match after the hang"
echo "hung broker: passed"

#!/bin/bash
# A broker hangs for 40 s: it is stopped, so that connections stand and nothing reads them; or a program in
# its place takes all and never answers (P5). Each agent, each worker, the source and a dashboard come back
# by themselves, each retry has left no descriptor behind, and the farm does its job. RAMET_HANGS says how
# often the broker hangs in each way (1; in the long form 20).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 4
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
targets=(n1 n2 n3 n4)
for name in "${targets[@]}"; do lab target "$farm" "$name" "$farm/$name.disk" 2G --like web; done
peers=(imager-hq-1 installer-lab-1 source-web "${targets[@]/#/target-}")
descriptors() { find "/proc/$(cat "$farm/run/$1.pid")/fd" -mindepth 1 | wc -l; }
all_present() { ramet target list --json | jq -e '[.items[] | select(.present == true)] | length == 4'; }
offered() { farm_status | jq -e '[.services[] | select(.peers >= 1) | .service] | any(startswith("capture@")) and any(startswith("commit@"))'; }
wait_for 30 "each target" all_present
declare -A before
for peer in "${peers[@]}"; do before[$peer]=$(descriptors "$peer"); done

few_descriptors() { [ "$(descriptors "$1")" -le $((before[$1] + 3)) ]; }
base=$(cat "$farm/port")
clean_up() { kill "${listeners[@]}" 2>/dev/null || true; }
listeners=()
# A dashboard listens all the time.
ramet events --follow --json >"$farm/events" 2>&1 &
listeners+=($!)
hears() { ramet target set n1 "label.turn=$1" && grep -q target/n1 "$farm/events"; }
few_of_dashboard() { [ "$(find "/proc/${listeners[0]}/fd" -mindepth 1 | wc -l)" -le $((dashboard + 3)) ]; }
wait_for 20 "an event" hears 0
dashboard=$(find "/proc/${listeners[0]}/fd" -mindepth 1 | wc -l)

all_are_back() { # KIND
  local peer
  wait_for 40 "each target after a $1 broker" all_present
  wait_for 40 "the source and the imager after a $1 broker" offered
  : >"$farm/events"
  wait_for 20 "an event after a $1 broker" hears "$SECONDS"
  wait_for 10 "the end of the connections of the dashboard" few_of_dashboard
  for peer in "${peers[@]}"; do
    wait_for 10 "the end of the connections of $peer" few_descriptors "$peer"
  done
}
# The kernel takes connections, and nobody the octets.
stop() {
  kill -STOP "$(cat "$farm/run/broker.pid")"
  pause 40 "each peer gives the silent broker up, and greets it again, more than once"
  kill -CONT "$(cat "$farm/run/broker.pid")"
  all_are_back stopped
}
# In its place a program takes connections and octets, and says nothing.
silence() {
  end broker KILL
  "$source_dir/tests/tools/strangers" silence 40 "$base" $((base + 1)) $((base + 2)) $((base + 3)) $((base + 4))
  lab up "$farm"
  all_are_back silent
}
for turn in $(seq "${RAMET_HANGS:-1}"); do
  stop
  silence
  echo "after $turn of each: $(for peer in "${peers[@]}"; do echo -n "$peer $(descriptors "$peer") (${before[$peer]}) "; done)dashboard $(find "/proc/${listeners[0]}/fd" -mindepth 1 | wc -l) ($dashboard) descriptors"
done
ramet image create web --name web-1 --wait --timeout 60s
ramet deploy plan web-1 --engine lab --json | jq -e '[.items[] | select(.fits == true)] | length == 4' >/dev/null ||
  fail "the engine does not match after the hang"
echo "hung broker: passed"

#!/bin/bash
# Fifty agents, a job every two seconds, and every ten seconds a program that dies, hangs or starts again
# (P1, P2, P4, P5, P6, P11, P17): no job is lost or stuck, no target is written twice under one fence, locks
# have one owner after another, and no program grows. tests/tools/history reads the audit stream, the logs
# of the targets and what the console was told.
#
#   RAMET_SOAK_S   for how many seconds (3000)
#   RAMET_SEED     seed of faults and jobs; they meet the same farm at other moments
. "$(dirname "$0")/lib.sh"
seconds=${RAMET_SOAK_S:-3000} seed=${RAMET_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
echo "soak: $seconds s, seed $seed"
RANDOM=$seed
targets=(n1 n2 n3 n4) sources=(web1 web2)
crowd=44                      # And these make fifty
programs=(redis broker imager-hq-1 imager-hq-2 installer-lab-1 installer-lab-2
  source-web1 source-web2 target-n1 target-n2 target-n3 target-n4)
helpers=()
clean_up() {
  [ ${#helpers[@]} -eq 0 ] || kill "${helpers[@]}" 2>/dev/null || true
  [ -z "${crowd_pid:-}" ] || kill "$crowd_pid" 2>/dev/null || true
}
chance() { echo $((RANDOM % $1)); }
goes_on() { [ -f "$farm/goes-on" ]; }

# ---- Jobs. Each is a line "MICROSECONDS asked NUMBER VERB", and one of its end: "told NUMBER STATUS JOB".

ask() { # VERB COMMAND...: sets told to what the console printed
  local number=$BASHPID-$((asked += 1)) verb=$1 status=0; shift
  echo "${EPOCHREALTIME/./} asked $number $verb" >>"$farm/told"
  told=$("$@" 2>>"$farm/run/console.log") || status=$?
  echo "${EPOCHREALTIME/./} told $number $status ${told%%[[:space:]]*} -" >>"$farm/told"
  return $status
}
asked=0

any_image() { ramet image list --json 2>/dev/null | jq -r '.items[].name' | shuf -n 1; }
one_job() { # NUMBER
  local image source=${sources[$(($1 % 2))]}
  case $(($1 % 5)) in
  0 | 3) ask image ramet image create "$source" --name "soak-$1" ;;
  1) image=$(any_image) && ask plan ramet deploy plan "$image" --engine lab ;;
  2) ask check ramet store check hq ;;
  4) ask gc ramet store gc lab ;;
  esac || true
}
job_maker() {
  local number=0
  while goes_on; do
    number=$((number + 1))
    head -c 64K /dev/urandom >"$farm/tree-${sources[$((number % 2))]}/home/user/new"
    one_job $number &
    pause 2 "a job every two seconds"
  done
  wait
}

# A person in front of a target: installs it again and again, boots it, takes over what failed.
phase() { jq -r '.targets[0].phase // ""'; }
state() { jq -r '.state // ""'; }
ended_or_boots() {
  seen=$(ramet job show "$1" --json 2>/dev/null) || return
  [[ $(state <<<"$seen") != queued && $(state <<<"$seen") != running ]] ||
    [ "$(phase <<<"$seen")" = awaiting-first-boot ]
}
install() { # TARGET
  local job image seen told take_over=()
  image=$(any_image) || return 0
  [ -n "$image" ] || return 0
  [ ! -f "$farm/failed-$1" ] || take_over=(--take-over)
  ask deploy ramet deploy start "$image" --engine lab --targets "$1" --yes "${take_over[@]}" || return 0
  job=$told
  look_s=1 within 700 ended_or_boots "$job" || { echo "$job: no end within 700 s" >>"$farm/stuck"; return 0; }
  if [ "$(phase <<<"$seen")" = awaiting-first-boot ]; then
    timeout 120 "$source_dir/ops/lab" boot "$farm" "$1" >>"$farm/run/boot.log" 2>&1 || true
    look_s=1 within 60 job_has_ended "$job" || true
  fi
  seen=$(ramet job show "$job" --json 2>/dev/null) || true
  if [ "$(state <<<"$seen")" = "done" ]; then rm -f "$farm/failed-$1"; echo "$job" >>"$farm/installed"; else : >"$farm/failed-$1"; fi
}
job_has_ended() { [[ $(ramet job show "$1" --json | state) != @(queued|running) ]]; }
person() { while goes_on; do install "$1"; pause 3 "between two installs"; done; }

# ---- Faults

# The same program again, without a question to the farm.
again() {
  local command
  eval "command=($(cat "$farm/run/$1.cmd"))"
  setsid "${command[@]}" >>"$farm/run/$1.log" 2>&1 </dev/null &
  echo $! >"$farm/run/$1.pid"
  disown
}
fault() {
  local name=${programs[$(chance ${#programs[@]})]} kind pid
  kind=$(chance 3)
  pid=$(cat "$farm/run/$name.pid")
  echo "${EPOCHREALTIME/./} fault $kind $name" >>"$farm/faults"
  lives "$pid" || { again "$name"; return; }
  case $kind in
  0) kill -KILL "$pid" ;;
  1) kill -TERM "$pid" ;;
  2) kill -STOP "$pid"; pause "$(($(chance 9) + 1))" "the program hangs"; kill -CONT "$pid"; return ;;
  esac
  look_s=0.05 within 20 has_ended "$pid" || kill -KILL "$pid"
  look_s=0.05 within 20 has_ended "$pid" || fail "$name does not die"
  pause "$(chance 6)" "the program is away"
  again "$name"
}

# ---- Figures: a line for each program: seconds, name, resident KiB, threads

sample() {
  local name pid
  for name in "${programs[@]}"; do
    pid=$(cat "$farm/run/$name.pid")
    [ -r "/proc/$pid/status" ] || continue
    awk -v at=$SECONDS -v name="$name" \
      '$1 == "VmRSS:" { rss = $2 } $1 == "Threads:" { threads = $2 } END { if (rss) print at, name, rss, threads }' \
      "/proc/$pid/status" 2>/dev/null >>"$farm/figures" || true
  done
}

# Of each program the most memory and threads, in the first third after a minute, and in the last third.
growth() {
  awk -v from=$((began_s + 60)) -v to=$SECONDS '
    $1 < from { next }
    { kind = $2; sub(/-[a-z0-9]*$/, "", kind); part = $1 < from + (to - from) / 3 ? 1 : $1 > to - (to - from) / 3 ? 3 : 2
      if ($3 > memory[kind, part]) memory[kind, part] = $3
      if ($4 > threads[kind, part]) threads[kind, part] = $4
      kinds[kind] = 1 }
    END { for (kind in kinds) {
      printf "%s: %d to %d KiB, %d to %d threads\n", kind, memory[kind, 1], memory[kind, 3], threads[kind, 1], threads[kind, 3]
      if (memory[kind, 1] && (memory[kind, 3] > memory[kind, 1] * 1.25 + 8192 || threads[kind, 3] > threads[kind, 1] + 8)) bad = 1 }
      exit bad }' "$farm/figures"
}
# Descriptors are compared while nothing runs; a worker over a store keeps up to 64 of its packs open.
descriptors() {
  local name
  for name in "${programs[@]}"; do
    echo "$name $(find "/proc/$(cat "$farm/run/$name.pid")/fd" -mindepth 1 | wc -l)"
  done
}
few_descriptors() {
  descriptors >"$farm/fds-after"
  paste -d ' ' "$farm/fds-before" "$farm/fds-after" | awk '
    $4 > $2 + ($1 ~ /^(imager|installer)/ ? 72 : 8) { bad = 1 } END { exit bad }'
}

# ---- The farm

for name in "${sources[@]}"; do make_tree "$farm/tree-$name" 1; done
lab up "$farm"
lab worker "$farm" imager
lab worker "$farm" installer --engine lab
for name in "${sources[@]}"; do lab source "$farm" "$name" "$farm/tree-$name"; done
for name in "${targets[@]}"; do lab target "$farm" "$name" "$farm/$name.disk" 1G --like web1; done
eval "$(lab sh "$farm")"
token=$(ramet key token target --place lab --uses "$crowd" --ttl-s 3600 --approve)
"$RAMET_BIN/ramet-crowd" "127.0.0.1:$(cat "$farm/port")" "$farm/keys/broker.pub" "$token" 0 "$crowd" \
  >"$farm/run/crowd.log" 2>&1 &
crowd_pid=$!
ramet image create web1 --name soak-0 --wait --timeout 60s
descriptors >"$farm/fds-before"
touch "$farm"/{goes-on,told,stuck,installed,figures,faults}
job_maker & helpers+=($!)
for name in "${targets[@]}"; do person "$name" & helpers+=($!); done

began_s=$SECONDS until_s=$((SECONDS + seconds)) next_s=$SECONDS
while [ $SECONDS -lt $until_s ]; do
  next_s=$((next_s + 10))
  fault
  sample
  pause $((next_s > SECONDS ? next_s - SECONDS : 0)) "a fault every ten seconds"
done
rm "$farm/goes-on"
echo "the faults have ended: $(wc -l <"$farm/faults")"
for name in "${programs[@]}"; do lives "$(cat "$farm/run/$name.pid")" || again "$name"; done
wait "${helpers[@]}"
helpers=()
growth || fail "a program has grown"

# ---- What is left

none_open() { [ "$(ramet job list --json | jq '[.items[] | select(.state == "queued" or .state == "running")] | length')" = 0 ]; }
cancel_boots() { # An install whose boot was cut off waits for it; nobody comes
  ramet job list --json | jq -r '.items[] | select(.state == "queued" or .state == "running") | .name' |
    while read -r job; do
      [ "$(ramet job show "$job" --json | phase)" != awaiting-first-boot ] || ramet job cancel "$job" >/dev/null 2>&1 || true
    done
}
within 120 none_open || { cancel_boots; within 60 none_open || { ramet job list >&2; fail "a job is stuck"; }; }
within 60 few_descriptors || { paste -d ' ' "$farm/fds-before" "$farm/fds-after" >&2; fail "descriptors are left open"; }
[ ! -s "$farm/stuck" ] || { cat "$farm/stuck" >&2; fail "a job was stuck"; }
aof=$(du -sm "$farm/redis" | cut -f1)
echo "Redis has $aof MiB of files; $(wc -l <"$farm/installed") installs, $(grep -c ' told ' "$farm/told") answers"
[ "$aof" -le 256 ] || fail "the files of Redis have $aof MiB"
redis-cli -3 --json -s "$farm/redis/redis.sock" xrange ramet:audit - + >"$farm/audit.json"
ramet job list --json >"$farm/jobs.json"
history() { "$source_dir/tests/tools/history" "$@" "$farm"/run/target-n*.log; }
history "$farm/audit.json" "$farm/jobs.json" "$farm/told" || fail "the history cannot have happened"

# And it is seen when a job is lost, when a lock is cleared twice, and when an epoch comes again.
is_refused() { ! history "$@" >/dev/null || fail "history does not see it: $*"; }
jq '.items = []' "$farm/jobs.json" >"$farm/lost.json"
jq 'map(., select(tostring | contains("\"lock.cleared\"")))' "$farm/audit.json" >"$farm/cleared.json"
jq 'map(., select(tostring | contains("\"lock.taken\"")))' "$farm/audit.json" >"$farm/taken.json"
is_refused "$farm/audit.json" "$farm/lost.json" "$farm/told"
is_refused "$farm/cleared.json" "$farm/jobs.json" "$farm/told"
is_refused "$farm/taken.json" "$farm/jobs.json" "$farm/told"

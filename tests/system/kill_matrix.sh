#!/bin/bash
# The kill matrix: each of eight processes dies by SIGKILL in each of 17 stages of an image and of an
# install. A process stops itself at a failpoint, so that the stage is exact; another one, or the same,
# is killed; all is started again. No job is lost, none is stuck, no target is written twice
# (P1, P3, P4, P5, P6, P10, M14, M26). Needs a build with failpoints.
#
#   RAMET_KILL_CELLS    how many cells of the matrix, chosen by RAMET_SEED (all)
#   RAMET_KILL_PART     "I/N": of these, each Nth from the Ith (0/1)
. "$(dirname "$0")/lib.sh"

processes=(redis broker imager installer source target writer console)

# A row: the stage, the kind of its job, who stops there, at which failpoint (@N: the Nth time), and
# with whom the job is lost and says so: a retry then ends well. The writer lives in its own stages alone.
# The first match of an install is that of the plan which its warrants are signed over.
stages=(
  "capture-ends   image   source    worker.result.send            -"
  "capture-told   image   source    worker.result.sent            -"
  "pack-written   image   imager    store.pack.write              -"
  "pack-synced    image   imager    store.pack.sync               -"
  "commit         image   imager    store.commit.rename           -"
  "publish        image   imager    store.image.publish           -"
  "published      image   imager    store.image.published         -"
  "match-ends     deploy  installer worker.result.send@2          -"
  "order-told     deploy  installer worker.result.sent@3          -"
  "recorded       deploy  broker    broker.result.recorded@4      -"
  "prepare-ends   deploy  target    worker.result.send            -"
  "table          deploy  writer    disk.table.write              writer"
  "file-system    deploy  writer    disk.fs.make                  writer"
  "unpack         deploy  writer    disk.tree.entry@40            writer"
  "configure      deploy  writer    disk.configure                writer"
  "boot-durable   deploy  writer    disk.boot.durable             writer"
  "write-ends     deploy  target    worker.result.send@2          -"
)

declare -A program=([redis]=redis [broker]=broker [imager]=imager-hq-1 [installer]=installer-lab-1
  [source]=source-web [target]=target-n1)

all_cells() {
  local process stage
  for stage in "${!stages[@]}"; do
    for process in "${processes[@]}"; do
      [[ $process != writer || ${stages[stage]} == *" writer "* ]] || continue
      echo "$process $stage"
    done
  done
}

# The cells of this run, those of one stage after another; when they are not all, each stage has as many.
my_cells() {
  local part=${RAMET_KILL_PART:-0/1}
  all_cells | awk -v seed="${RAMET_SEED:-1}" 'BEGIN { srand(seed) } { print rand(), $0 }' | sort -n |
    awk '{ print n[$3]++, $2, $3 }' | sort -s -n -k1,1 | head -n "${RAMET_KILL_CELLS:-1000}" | cut -d' ' -f2- |
    awk -v at="${part%/*}" -v of="${part#*/}" 'NR % of == at' | sort -k2n
}

# ---- The processes

pid_of() { # PROCESS
  case $1 in
  writer) pgrep -P "$(cat "$farm/run/target-n1.pid")" ramet-diskw ;;
  console) echo "$console" ;;
  *) cat "$farm/run/${program[$1]}.pid" ;;
  esac
}
log_of() { if [ "$1" = writer ]; then echo "$farm/run/target-n1.log"; else echo "$farm/run/${program[$1]}.log"; fi; }
stops() { grep -c "^failpoint ${2%@*} stop" "$(log_of "$1")" || true; }

# Start the holder of a stage again, so that it stops there once.
arm() { # HOLDER POINT[@N]
  local nth=1 plan
  [[ $2 != *@* ]] || nth=${2#*@}
  plan="${2%@*}=stop@$nth"
  if [ "$1" = writer ]; then
    echo "$plan" >"$farm/writer.plan"
  else
    end "${program[$1]}" KILL
    RAMET_FAILPOINT=$plan lab up "$farm"
  fi
}

# ---- The jobs

count=0 installs=0
begin() { # KIND: sets job
  count=$((count + 1))
  case $1 in
  image)
    head -c 64K /dev/urandom >"$farm/tree/home/user/new"    # Else there is nothing to store
    job=$(ramet image create web --name "i$count")
    ;;
  deploy)
    # It waits for its plan, which does not end when a stage stops one that the plan needs.
    job=$(timeout 90 ramet deploy start web-1 --engine lab --targets n1 --yes) || fail "$cell: no job was begun within 90 s"
    installs=$((installs + 1))
    ;;
  esac
  ramet job wait "$job" --timeout 10m >/dev/null 2>&1 &
  console=$!
}
look_at() { ramet job show "$job" --json >"$farm/job.json" 2>/dev/null; }
state() { jq -r .state "$farm/job.json"; }
has_moved() { # it has ended, or waits for its first boot
  look_at || return
  [[ $(state) != queued && $(state) != running ]] ||
    [ "$(jq -r '.targets[0].phase // ""' "$farm/job.json")" = awaiting-first-boot ]
}
starts() { grep -c event=write.start "$farm/run/target-n1.log" || true; }

# The job ends well. When a write died with its process the job fails and says so, and a retry ends well.
finish_job() { # CELL MAY-FAIL
  within 90 has_moved || { ramet job show "$job" >&2; fail "$1: the job is stuck"; }
  if [ "$(state)" = failed ] && [ "$2" = yes ]; then
    job=$(ramet job retry "$job" --failed --yes)
    within 90 has_moved || { ramet job show "$job" >&2; fail "$1: the retry is stuck"; }
  fi
  if [ "$(state)" = running ]; then
    lab boot "$farm" n1 >>"$farm/run/boot.log" 2>&1
    ramet job wait "$job" --timeout 60s >/dev/null || { ramet job show "$job" >&2; fail "$1: the first boot did not end the job"; }
    look_at
  fi
  [ "$(state)" = "done" ] || { ramet job show "$job" >&2; fail "$1: the job is $(state)"; }
}

cell() { # PROCESS STAGE-NUMBER
  local process=$1 name kind holder point loser before writes victim held
  read -r name kind holder point loser <<<"${stages[$2]}"
  local cell="$process in $name" began=$SECONDS
  rm -f "$farm/writer.plan"
  before=$(stops "$holder" "$point") writes=$(starts)
  arm "$holder" "$point"
  begin "$kind"
  look_s=0.05 wait_for 60 "the stop of $holder at $point" has_stopped
  victim=$(pid_of "$process") held=$(pid_of "$holder")
  rm -f "$farm/writer.plan"
  kill -9 "$victim"
  [ "$victim" = "$held" ] || go_on "$held" || [ "$process" = target ]
  within 10 has_ended "$victim" || fail "$cell: the process does not die"
  lab up "$farm"
  local may_fail=no most=1
  [ "$process" != "$loser" ] || may_fail=yes
  case $process in writer | target) most=2 ;; esac       # Once more, as a later attempt
  finish_job "$cell" $may_fail
  kill "$console" 2>/dev/null || true; wait "$console" 2>/dev/null || true
  writes=$(($(starts) - writes))
  [ "$writes" -le "$most" ] || fail "$cell: n1 was written $writes times"
  echo "$cell: the job ended well after $((SECONDS - began)) s"
}
# A writer may have stopped in the process that parses for it.
go_on() { pkill -CONT -P "$1" ramet-parser; kill -CONT "$1" 2>/dev/null; } # PID
has_stopped() { [ "$(stops "$holder" "$point")" -gt "$before" ]; }

make_tree "$farm/tree" 1
cp -a "$farm/tree" "$farm/first"
cat >"$farm/diskw" <<END
#!/bin/sh
[ ! -f "$farm/writer.plan" ] || { RAMET_FAILPOINT=\$(cat "$farm/writer.plan"); export RAMET_FAILPOINT; }
exec "$RAMET_BIN/ramet-diskw" "\$@"
END
chmod +x "$farm/diskw"
echo "diskw = \"$farm/diskw\"" >"$farm/target.extra"
lab up "$farm"
lab source "$farm" web "$farm/tree"
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m

mapfile -t cells < <(my_cells)
for entry in "${cells[@]}"; do
  # shellcheck disable=SC2086
  cell $entry
done
[ "$(ramet job list --json | jq '[.items[] | select(.state == "queued" or .state == "running")] | length')" = 0 ] || fail "a job is open"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a lock is left"
[ $installs = 0 ] || same_as_source n1 "$farm/first" || fail "n1 is not as the source"
echo "kill matrix: ${#cells[@]} cells passed"

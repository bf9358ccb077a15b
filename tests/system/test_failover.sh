#!/bin/bash
# A farm over a Redis of others (P1, P6, M26, [1.73], [1.75]): users with the least rights, passwords, a database, and sentinels.
# The primary is killed while a target is written and jobs are asked for: no acknowledged job is lost, and the
# target is written once.
. "$(dirname "$0")/redis.sh"
make_tree "$farm/tree" 150
farm_redis
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m
ramet source add ghost place=hq
ramet source approve ghost

# Jobs of a source that is not there wait; each that is acknowledged is written down.
ask_for_jobs() {
  local n=0 job
  while [ ! -e "$farm/enough" ]; do
    n=$((n + 1))
    job=$(ramet image create ghost --name "ghost-$n" 2>>"$farm/refused") && echo "$job" >>"$farm/acknowledged"
  done
}
acknowledged() { [ "$(wc -l <"$farm/acknowledged")" -ge "$1" ]; }
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 unpack 60
ask_for_jobs &
asking=$!
wait_for 30 "jobs before the failover" acknowledged 5
end redis-1 KILL
wait_for 30 "another primary" is_other 1
wait_for 30 "jobs after the failover" acknowledged $(($(wc -l <"$farm/acknowledged") + 10))
: >"$farm/enough"
wait "$asking"
now=$(primary)
ramet job list --json | jq -r '.items[].name' | sort >"$farm/known"
lost=$(sort "$farm/acknowledged" | comm -23 - "$farm/known")
[ -z "$lost" ] || fail "acknowledged jobs are lost: $lost"
await_phase "$job" n1 awaiting-first-boot 180
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(grep -c event=write.start "$farm/run/target-n1.log")" = 1 ] || fail "n1 was written more than once"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a lock is left"
answers_no grep event=era.raised "$farm/run/broker.log" || fail "the era was raised, though nothing was lost"
grep -q "event=redis.up address=$(redis_at "$now"):6379" "$farm/run/broker.log" || fail "the broker is not at the new primary"

# The broker was refused nothing, has used its own database alone, and can do nothing else.
for n in 2 3; do
  redis $n acl log >"$farm/acl" || fail "redis $n does not tell its ACL LOG"
  [ -z "$(cat "$farm/acl")" ] || { cat "$farm/acl" >&2; fail "the broker's user lacks a right"; }
done
[ "$(redis "$now" -n 0 dbsize)" = 0 ] && [ "$(redis "$now" -n 3 dbsize)" -gt 10 ] || fail "the farm is in another database"
redis "$now" -n 3 --scan | answers_no grep -qv '^ramet:' || fail "there are keys of other names"
while read -r -a words; do
  as_broker "$now" "${words[@]}" 2>&1 | grep -q ^NOPERM || fail "the broker's user may: ${words[*]}"
done <<'END'
flushall
flushdb
keys *
config set appendfsync no
eval return 0
shutdown nosave
replicaof no one
acl list
function flush
get other:key
publish other:channel x
monitor
client kill type normal
script flush
swapdb 0 3
END
# What it may are the commands of the library and of the broker, and no other.
{
  sed -n "s/.*[^A-Za-z_.]call('\([A-Z]*\)'.*/\1/p; s/^.*call('[A-Z]*'.*[^A-Za-z_.]call('\([A-Z]*\)'.*/\1/p" "$source_dir"/lib/state/*.lua
  printf '%s\n' FCALL 'FUNCTION|LOAD' SUBSCRIBE SELECT ROLE WAIT 'CONFIG|GET'
} | sort -u >"$farm/sent"
grep -oE '\+[a-z|]+' "$source_dir/ops/redis-user.acl" | tr -d + | tr '[:lower:]' '[:upper:]' | sort >"$farm/allowed"
cmp "$farm/sent" "$farm/allowed" || { diff "$farm/sent" "$farm/allowed" >&2 || true; fail "ops/redis-user.acl differs from what the broker sends"; }
# What the last replica does not confirm is told to nobody.
last=$((5 - now))
kill -STOP "$(cat "$farm/run/redis-$last.pid")"
told=0
ramet source add late place=hq 2>"$farm/said" || told=$?
kill -CONT "$(cat "$farm/run/redis-$last.pid")"
[ $told = 69 ] || { cat "$farm/said" >&2; fail "a record was acknowledged that one Redis alone had: $told"; }
grep -q "redis-replicas demands 1" "$farm/said" || { cat "$farm/said" >&2; fail "the answer does not say what is missing"; }
# No secret is where others read.
answers_no grep -rE 'of-the-(broker|sentinels)' "$farm"/run/{broker,imager,installer,target}*.log || fail "a password is in a log"
tr '\0' '\n' <"/proc/$(cat "$farm/run/broker.pid")/cmdline" | answers_no grep -E 'of-the-(broker|sentinels)' || fail "a password is in the broker's words"
echo "failover: passed ($(wc -l <"$farm/acknowledged") jobs acknowledged, $(wc -l <"$farm/refused") refused)"

#!/bin/bash
# A failover that lost writes (P6, M14): the replicas are cut off from the primary, a target is locked and written,
# the primary dies, and a replica that knows nothing of it takes its place. The broker notices it by what it has
# seen, as it notices a Redis that was restored: the era is raised, the write that nobody remembers is ended, and
# the target is not written again before a person asks for it.
. "$(dirname "$0")/redis.sh"
make_tree "$farm/tree" 300
farm_redis "redis-replicas = 0"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m
logged() { grep -q "$2" "$farm/run/$1.log"; }
knows_job() { ramet job list --json | jq -e --arg n "$1" '[.items[] | select(.name == $n)] | length > 0' >/dev/null; }
agent() { kill "-$1" "$(cat "$farm/run/target-n1.pid")"; }
has_no_replica() { redis 1 info replication | grep -q '^connected_slaves:0'; }

# A stopped replica would read later what was sent to it; so its connection is ended, too.
for n in 2 3; do kill -STOP "$(cat "$farm/run/redis-$n.pid")"; done
redis 1 client kill type replica >/dev/null
wait_for 20 "a primary without replicas" has_no_replica
first=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$first" n1 unpack 60
agent STOP      # However quick the disk is, the write goes on behind the failover
end redis-1 KILL
for n in 2 3; do kill -CONT "$(cat "$farm/run/redis-$n.pid")"; done
wait_for 40 "another primary" is_other 1
# One failover is enough: without replicas that confirm, each may lose what was asked since.
for n in 1 2 3; do sentinel $n sentinel set ramet down-after-milliseconds 60000 >/dev/null; done

wait_for 60 "the new era" logged broker 'event=era.raised.* era=2'
agent CONT
wait_for 60 "the end of the forgotten write" logged target-n1 event=write.failed
answers_no knows_job "$first" || fail "the new primary knows the job, so nothing was lost"
[ "$(grep -c event=write.start "$farm/run/target-n1.log")" = 1 ] || fail "n1 was written again, and nobody has said so"
second=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$second" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$second" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "the lock is left"

# The old primary comes back, and is made a replica: the farm stays where it is.
now=$(primary)
redis_start 1
wait_for 40 "the old primary as a replica" follows 1
ramet job list >/dev/null
tail -n 1 <(grep event=redis.up "$farm/run/broker.log") | grep -q "address=$(redis_at "$now"):6379" || fail "the broker went back to the old primary"
echo "lost writes: passed"

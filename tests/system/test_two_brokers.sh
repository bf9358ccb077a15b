#!/bin/bash
# Two brokers over one Redis (M26, P1): both serve; the one that the agents use is killed in the
# middle of an install, and the job ends well by the other, the target written once.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 400
lab up "$farm"
lab broker "$farm"
# Whoever is started from here on knows both; the workers of `up` are started anew for that.
for name in imager-hq-1 installer-lab-1; do
  end "$name"
  sed -i '/^brokers/d' "$farm/run/$name.cfg"
  grep '^brokers' "$farm/console.cfg" >>"$farm/run/$name.cfg"
done
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
lab target "$farm" n2 "$farm/n2.disk" 2G --like web
job=$(ramet image create web --name web-1)
ramet job wait "$job" --timeout 3m
ramet job logs "$job" | answers_no grep "the lease ran out" || fail "a task was sent to a worker that had gone to the other broker"

# Each broker by itself tells the same.
for port in "$farm/port" "$farm"/port-broker-*; do
  sed "s|^brokers = .*|brokers = \"127.0.0.1:$(cat "$port")\"|" "$farm/console.cfg" >"$farm/one.cfg"
  RAMET_CONFIG=$farm/one.cfg ramet image list --json | jq -e '.items[0].name == "web-1"' >/dev/null || fail "broker $port does not know the image"
  RAMET_CONFIG=$farm/one.cfg ramet target list --json | jq -e '[.items[] | select(.present == true)] | length == 2' >/dev/null || fail "broker $port does not see both targets"
done

job=$(ramet deploy start web-1 --engine lab --targets 'n[1-2]' --yes)
await_phase "$job" n1 unpack 60
kill -9 "$(cat "$farm/run/broker.pid")"
for n in n1 n2; do await_phase "$job" $n awaiting-first-boot 180; done
for n in n1 n2; do lab boot "$farm" $n; done
ramet job wait "$job" --timeout 60s
for n in n1 n2; do
  same_as_source $n "$farm/tree" || fail "$n is not as the source"
  [ "$(grep -c 'event=write.start' "$farm/run/target-$n.log")" = 1 ] || fail "$n was written more than once"
done
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a lock is left"
grep -q 'event=peer.hello role=target' "$farm/run/broker-1.log" || fail "no target came to the other broker"
echo "two brokers: passed"

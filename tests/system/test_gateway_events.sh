#!/bin/bash
# Events of the gateway: 500 streams follow a deployment while the broker is killed once, a client that
# does not read is bounded, and ops/examples/follow.py sees the end ([11.10], [11.11], [11.12], [11.13]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/gateway.sh"
make_tree "$farm/tree" 150
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 3m
gateway_key wall
gateway_up wall http wall 'streams = 501
connections = 600'

# One stream by the example; 499 by one program, which keeps the last phase of each; one that never reads.
until_end=(--until /target/n1 phase=confirmed)
timeout 200 "$source_dir/ops/examples/follow.py" "$url" "${until_end[@]}" >"$farm/follow.out" 2>"$farm/follow.err" &
follower=$!
cat >"$farm/crowd.py" <<'PY'
import json, selectors, socket, sys, time
port, count, until = int(sys.argv[1]), int(sys.argv[2]), time.monotonic() + 180
polled = selectors.DefaultSelector()
for number in range(count):
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.setblocking(False)
    polled.register(client, selectors.EVENT_READ, [b""])
# HTTP's chunks may part a line anywhere, so the end is looked for in all that came last.
print("open", flush=True)
left = count
while left and time.monotonic() < until:
    for key, _ in polled.select(1):
        data = key.fileobj.recv(65536)
        key.data[0] = (key.data[0] + data)[-8192:]
        if not data:
            sys.exit("a stream ended: %r" % key.data[0])
        if b'"phase":"confirmed"' in key.data[0]:
            polled.unregister(key.fileobj)
            left -= 1
print("left", left, flush=True)
PY
python3 "$farm/crowd.py" "${url##*:}" 499 >"$farm/crowd.out" 2>&1 &
crowd=$!
wait_for 90 "499 streams" grep -q open "$farm/crowd.out"
streams() { curl -s --max-time 20 "$url/metrics" | sed -n 's/^ramet_gateway_event_streams //p'; }
are_open() { [ "$(streams)" = "$1" ]; }
wait_for 90 "500 streams" are_open 500
exec 7<>"/dev/tcp/127.0.0.1/${url##*:}"
printf 'GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n' >&7
wait_for 90 "the stream that is never read" are_open 501
curl -s --max-time 20 "$url/api/v1/events" | jq -e '.error.code == "busy"' >/dev/null || fail "a stream too many is not refused"
curl -s --max-time 20 "$url/api/v1/jobs" | jq -e .items >/dev/null || fail "500 streams keep others out"

job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 unpack 60
end broker KILL
wait_for 90 "the word that the broker is away" grep -q '"topic": "broker", "state": "away"' "$farm/follow.out"
lab up "$farm"
has_come_back() { tail -n +2 "$farm/follow.out" | grep -q '"topic": "broker", "state": "up"'; }
wait_for 60 "the word that the broker is back" has_come_back
await_phase "$job" n1 awaiting-first-boot 120
# A job that ends while the gateway has no broker is told as an end, without its last phase.
follows() { grep "job/.*/target/n1" "$farm/follow.out" | tail -n 1 | grep -q '"phase": "awaiting-first-boot"'; }
wait_for 90 "the phase in the stream" follows
lab boot "$farm" n1
wait "$follower" || fail "the example: $(cat "$farm/follow.err")"
wait "$crowd" || fail "$(cat "$farm/crowd.out")"
grep -qx 'left 0' "$farm/crowd.out" || fail "streams without the end: $(cat "$farm/crowd.out")"
exec 7>&-

# What the streams say at the end is what the console says.
uid=$(ramet job show "$job" --json | jq -r .id)
last=$(jq -rs --arg t "job/$uid/target/n1" '[.[] | select(.topic == $t)] | last | .phase' "$farm/follow.out")
[ "$last" = confirmed ] || fail "the last phase is $last"
# A stream that begins now has the whole state, and the job no more, or as it ended.
timeout 60 "$source_dir/ops/examples/follow.py" "$url" --until target/n1/state target=n1 >"$farm/late.out"

# A gateway that starts anew is found again by those who follow it.
timeout 120 "$source_dir/ops/examples/follow.py" "$url" --until target/n1/state state=held >"$farm/again.out" 2>"$farm/again.err" &
follower=$!
wait_for 90 "the second follower" grep -q '"state": "up"' "$farm/again.out"
end wall
gateway_up wall http wall
ramet target hold n1 --reason "a test"
wait "$follower" || fail "a new gateway is not followed: $(cat "$farm/again.err")"
grep -q 'trying again' "$farm/again.err" || fail "the follower did not tell that it was cut"
echo "gateway events: passed"

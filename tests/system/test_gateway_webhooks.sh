#!/bin/bash
# A gateway tells webhooks each new state of each job, signed, and again until they have taken it, also when it was
# killed between; one that never answers hinders neither another one nor the readers ([11.24], [11.25], [11.26]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/gateway.sh"
clean_up() { local pid; for pid in ${taker:-} ${mute:-} ${picky:-}; do kill "$pid" 2>/dev/null || true; done; }
make_tree "$farm/tree" 1
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
gateway_key wall
mkdir "$farm/hooks"
(umask 077; openssl rand -hex 24 >"$farm/hook.secret")
make_image() { ramet image create web --name "$1" --wait --timeout 60s >/dev/null; }

# What is over before the first start is not told.
make_image before-1

# One that takes, one that never answers, and one that is not there.
taker_up() { # [PORT]
  : >"$farm/taker.out"
  python3 "$source_dir/ops/examples/webhook.py" "${secret_file:-$farm/hook.secret}" "$@" >>"$farm/taker.out" 2>&1 & taker=$!
  wait_for 20 "the webhook" grep -q 'listens at' "$farm/taker.out"
  hook=$(sed -n 's/listens at //p' "$farm/taker.out")
}
taker_down() { kill "$taker"; wait "$taker" 2>/dev/null || true; cat "$farm/taker.out" >>"$farm/all.out"; }
python3 - >"$farm/mute.out" <<'PY' & mute=$!
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
held = []
while True:
    held.append(server.accept())
PY
wait_for 20 "the webhook that never answers" test -s "$farm/mute.out"
# One that refuses a job by its name.
python3 - >"$farm/picky.out" <<'PY' & picky=$!
import http.server
class Picky(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400 if b"bad-1" in body else 204)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Picky)
print(server.server_port, flush=True)
server.serve_forever()
PY
wait_for 20 "the webhook that refuses a job" test -s "$farm/picky.out"
taker_up
settings="webhooks = \"http://127.0.0.1:$(cat "$farm/mute.out")/ $hook http://127.0.0.1:1/ http://127.0.0.1:$(cat "$farm/picky.out")/\"
webhook-secret = \"$farm/hook.secret\"
state = \"$farm/hooks\""
gateway_up wall http wall "$settings"
told() { grep -qE " $1\$" "$farm/taker.out"; }
wait_for 20 "a baseline" sh -c "ls '$farm'/hooks/webhook-* >/dev/null 2>&1"
make_image one-1
job=$(ramet job list -o name | head -n 1)
wait_for 20 "the end of $job at the webhook" told "$job image done"
[ "$(grep -c ' done$' "$farm/taker.out")" = 1 ] || { cat "$farm/taker.out" >&2; fail "not the one job was told once"; }
begin=$(date +%s%3N)
curl -s --fail --max-time 5 "$url/api/v1/whoami" >/dev/null || fail "a webhook that never answers holds up a reader"
[ $(($(date +%s%3N) - begin)) -lt 3000 ] || fail "a webhook that never answers slows a reader"

# A job that is refused is told again, later and later; other jobs do not wait for it.
make_image bad-1
refusals() { [ "$(grep -c 'event=webhook.failed index=3' "$farm/run/wall.log")" -ge 4 ]; }
wait_for 60 "refusals" refusals
make_image good-1
job=$(ramet job list -o name | head -n 1)
uid=$(ramet job show "$job" --json | jq -r .id)
wait_for 4 "the end of $job at a webhook that refuses another job" grep -q "event=webhook.told index=3 job=$uid state=done" "$farm/run/wall.log"

# The metrics have each webhook: who takes, and who does not answer.
curl -s --fail --max-time 10 "$url/metrics" >"$farm/metrics"
promtool check metrics <"$farm/metrics" >"$farm/lint" 2>&1 || { cat "$farm/lint" >&2; fail "promtool"; }
metric() { sed -n "s/^ramet_gateway_webhook_$1{webhook=\"$2\"} //p" "$farm/metrics"; }
[ "$(metric up 1) $(metric up 2)" = "1 0" ] || { grep webhook "$farm/metrics"; fail "the metrics do not tell who answers"; }
[ "$(metric told_total 1)" -ge 3 ] || fail "the metrics do not count what was told"
[ "$(metric told_total 2) $(metric failures_total 1)" = "0 0" ] || fail "the metrics tell of one webhook what is another's"
[ "$(metric failures_total 2)" -ge 1 ] && [ "$(metric failures_total 3)" -ge 4 ] || fail "the metrics do not count failures"

# The webhook is away, a job ends, the gateway is killed and started again: the webhook gets it all the same.
port=${hook##*:}; port=${port%/}
taker_down
make_image two-1
job=$(ramet job list -o name | head -n 1)
wait_for 20 "a failure that is told" grep -q 'event=webhook.failed index=1' "$farm/run/wall.log"
end wall KILL
taker_up "$port"
gateway_up wall http wall "$settings"
wait_for 30 "the end of $job after a restart" told "$job image done"

# Signed by another secret it is refused, is not forgotten, and taken when the secret is right.
taker_down
(umask 077; openssl rand -hex 24 >"$farm/other.secret")
secret_file=$farm/other.secret taker_up "$port"
make_image three-1
job=$(ramet job list -o name | head -n 1)
wait_for 20 "a refusal that is told" grep -q 'event=webhook.failed index=1 .*status 403' "$farm/run/wall.log"
answers_no grep -q "$job" "$farm/taker.out" || fail "a delivery with another secret was taken"
taker_down
taker_up "$port"
wait_for 60 "the end of $job by the right secret" told "$job image done"
taker_down
[ "$(grep -c 'before-1' "$farm/all.out")" = 0 ] || fail "a job of before was told"
end wall

# Settings that would tell the farm to others, or unsigned, are refused by name.
start_with() { timeout 20 "$RAMET_BIN/ramet-gateway" -c "$farm/bad.cfg"; }
for address in http://host.example/ http://127.0.0.1@host.example/ http://127.0.0.1.host.example/ ftp://127.0.0.1/ https://a@host.example/; do
  gateway_cfg wall "$farm/bad.cfg" 127.0.0.1:0 "webhooks = \"$address\"
webhook-secret = \"$farm/hook.secret\"
state = \"$farm/hooks\""
  expect 78 start_with; grep -q 'setting webhooks' "$farm/out" || fail "$address is not refused by name"
done
gateway_cfg wall "$farm/bad.cfg" 127.0.0.1:0 "webhooks = \"$hook\""
expect 78 start_with; grep -q 'webhook-secret' "$farm/out" || fail "a webhook without a secret is not refused by name"
echo "gateway webhooks: passed"

#!/bin/bash
# The gateway says over HTTP what the console says, is silent under promtool, and has a clear word for
# each bad question ([11.1], [11.2], [11.3], [11.4], [11.5], [11.6], [11.7], [11.8], [11.9]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/gateway.sh"
command -v promtool >/dev/null || fail "promtool is missing; install the package prometheus"

make_tree "$farm/tree"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in 1 2 3; do ramet target add "n$n" engine=lab; done
odd='<b>"n2"</b>\ & %0a'
ramet target hold n2 --reason "$odd"
ramet image create web --name web-1 --wait --timeout 2m

gateway_key wall
# status WANTED CURL-ARGUMENTS...: the status, and an error that is JSON.
status() {
  local want=$1 got; shift
  got=$(curl -s --max-time 30 -o "$farm/answer" -w '%{http_code}' "$@") || true
  [ "$got" = "$want" ] || { cat "$farm/answer" >&2; fail "curl $* gave $got, not $want"; }
  [ "$want" = 200 ] || jq -e '.schema == "ramet/v1" and (.error.text | length > 0)' "$farm/answer" >/dev/null ||
    fail "curl $* gave no error in JSON"
}
get() { curl -s --max-time 30 --fail-with-body "$url/api/v1/$1"; }

gateway_up wall
get whoami | jq -e '.role == "dashboard" and .name == "wall"' >/dev/null || fail "whoami"

# A client that sends its headers letter by letter is closed in its time; the rest goes on meanwhile.
python3 - "${url##*:}" >"$farm/slow.out" <<'PY' &
import select, socket, sys, time
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
begin = time.monotonic()
for letter in "GET /api/v1/jobs HTTP/1.1\r\n" + "X-Slow: 1\r\n" * 1000:
    try:
        client.send(letter.encode())
    except OSError:
        break
    if time.monotonic() - begin > 60 or select.select([client], [], [], 0.2)[0]:
        break
print("closed after %d s" % (time.monotonic() - begin))
PY
slow=$!

# The console's words: one JSON for both.
same() { # PATH CONSOLE-WORDS...
  local path=$1; shift
  get "$path" | jq -S 'del(.. | ."last-seen"?)' >"$farm/web.json"
  ramet "$@" --json | jq -S 'del(.. | ."last-seen"?)' >"$farm/console.json"
  diff "$farm/console.json" "$farm/web.json" >&2 || fail "$path is not what the console says"
}
job=$(ramet job list -o name | tail -n 1)
same jobs job list
same "jobs/$job" job show "$job"
same "jobs/$job/logs" job logs "$job"
same targets target list
same sources source list
same sources/web source show web
same engines engine list
same engines/lab engine show lab
same images image list
same locks lock list
get targets | jq -e --arg odd "$odd" '.items[] | select(.name == "n2") | .reason == $odd and .state == "held"' >/dev/null ||
  fail "a reason with letters of HTML is changed"
get doctor | jq -e '.services and .findings' >/dev/null || fail "doctor"
# More services than one answer of the broker has.
redis-cli -s "$farm/redis/redis.sock" eval "for i = 1, 600 do redis.call('ZADD', 'ramet:services', 0, 'lab@' .. i) end" 0 >/dev/null
has_all() { [ "$(jq '[.services[] | select(.service | startswith("lab@"))] | length')" = 600 ]; }
get doctor | has_all || fail "/api/v1/doctor leaves services out"
farm_status | has_all || fail "ramet doctor leaves services out"
curl -s --max-time 30 --head "$url/api/v1/jobs" | grep -qi '^content-security-policy: default-src .self.' || fail "no policy for browsers"

# Metrics: their form, what they count, and no label of a machine.
status 200 "$url/metrics"
promtool check metrics <"$farm/answer" >"$farm/lint" 2>&1 || { cat "$farm/lint" >&2; fail "promtool"; }
[ ! -s "$farm/lint" ] || { cat "$farm/lint" >&2; fail "promtool is not silent"; }
grep -qx 'ramet_targets{state="held"} 1' "$farm/answer" || fail "the held target is not counted"
grep -qx 'ramet_broker_up 1' "$farm/answer" || fail "the broker is not up"
answers_no grep -E '^[^#].*(n1|n2|n3|web)' "$farm/answer" || fail "a label has the name of a machine"

# Bad questions.
head -c 10M /dev/zero >"$farm/big"
status 413 -X POST --data-binary "@$farm/big" "$url/api/v1/jobs"
status 411 -X POST -H 'Transfer-Encoding: chunked' --data-binary "@$farm/big" "$url/api/v1/jobs"
status 405 -X POST -d '{"broken":' "$url/api/v1/jobs"
status 405 -X DELETE "$url/api/v1/jobs/$job"
status 400 "$url/api/v1/jobs?state=done"
status 400 -X GET -d x "$url/api/v1/jobs"
status 404 "$url/api/v1/jobs/j-aaaaaaaa"
status 404 "$url/api/v1/targets/n9"
status 404 "$url/api/v1/targets/n1%2f..%2fn2"
status 404 "$url/api/v1/metrics"
status 404 "$url/etc/passwd"
status 421 -H 'Host: other.example' "$url/api/v1/jobs"
[ "$(curl -s --max-time 30 -o "$farm/answer" -w '%{http_code}' -H "X-Long: $(head -c 20000 /dev/zero | tr '\0' x)" "$url/api/v1/jobs")" = 431 ] ||
  fail "headers of 20,000 octets were not refused"
printf 'this is no HTTP\r\n\r\n' | timeout 10 socat - "TCP:127.0.0.1:${url##*:}" >"$farm/answer" 2>&1 || true
get whoami >/dev/null || fail "the gateway did not outlive nonsense"

# The broker goes and comes again.
end broker
curl -s --max-time 30 "$url/metrics" >"$farm/metrics" & asked=$!    # Beside the next one: each waits for 5 s
status 503 "$url/api/v1/jobs"
wait "$asked"; mv "$farm/metrics" "$farm/answer"
grep -qx 'ramet_broker_up 0' "$farm/answer" || fail "metrics do not tell that the broker is away"
answers_no grep -q '^ramet_targets' "$farm/answer" || fail "metrics count a farm that nobody has seen"
promtool check metrics <"$farm/answer" || fail "promtool, without a broker"
lab up "$farm"
wait_for 30 "an answer after the broker's return" get jobs

# A secret for readers, and TLS of its own.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
  -keyout "$farm/tls.key" -out "$farm/tls.pem" 2>/dev/null
chmod 600 "$farm/tls.key"
secret=0123456789abcdef0123
(umask 077; echo "$secret" >"$farm/read.token")
keeps="read-token = \"$farm/read.token\"
tls-certificate = \"$farm/tls.pem\"
tls-key = \"$farm/tls.key\""
gateway_up kept https wall "$keeps"
status 401 --cacert "$farm/tls.pem" "$url/api/v1/whoami"
status 401 --cacert "$farm/tls.pem" -H "Authorization: Bearer ${secret}4" "$url/api/v1/whoami"
status 200 --cacert "$farm/tls.pem" -H "Authorization: Bearer $secret" "$url/api/v1/whoami"

# Settings that would open the farm to others are refused by name.
start_with() { timeout 20 "$RAMET_BIN/ramet-gateway" -c "$farm/bad.cfg"; }
gateway_cfg wall "$farm/bad.cfg" 0.0.0.0:0
expect 78 start_with; grep -q 'give read-token' "$farm/out" || fail "an open listener is not refused by name"
chmod 644 "$farm/read.token"
gateway_cfg wall "$farm/bad.cfg" 127.0.0.1:0 "$keeps"
expect 78 start_with; grep -q "chmod 600 $farm/read.token" "$farm/out" || fail "a secret that others read is not refused"
(umask 077; echo short >"$farm/read.token.new"; mv "$farm/read.token.new" "$farm/read.token")
expect 78 start_with
gateway_cfg wall "$farm/bad.cfg" 127.0.0.256:0
expect 64 start_with

wait "$slow"
grep -Eqx 'closed after (9|1[0-9]) s' "$farm/slow.out" || fail "the slow client: $(cat "$farm/slow.out")"
for name in wall kept; do end "$name"; done
grep -q 'event=gateway.stopped.*rc=0' "$farm/run/wall.log" || fail "the gateway did not end well"
echo "gateway: passed"

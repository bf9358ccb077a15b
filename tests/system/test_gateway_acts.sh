#!/bin/bash
# An operator acts over HTTP by the console's words: an image, a plan, a deployment that is confirmed by its
# count, cancel, retry, hold; each in the operator's own name and once however often it is sent; and who or
# what may not act has a clear word ([11.17], [11.18], [11.19], [11.20], [11.21]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/gateway.sh"
make_tree "$farm/tree" 60
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in n1 n2; do lab target "$farm" $n "$farm/$n.disk" 2G --like web; done
ramet target add m3 engine=lab
gateway_key wall
gateway_operator alice
gateway_operator bob
gateway_up wall http wall "operators = \"$farm/alice.cfg $farm/bob.cfg\""

new_key() { openssl rand -hex 16; }
# post PATH JSON [KEY] [CURL-ARGUMENTS...]: act as alice, or by another secret or type. Sets status; the answer is in $farm/answer.
post() {
  local path=$1 body=$2 key=${3:-$(new_key)}
  shift 2; [ $# = 0 ] || shift
  status=$(curl -s --max-time 60 -o "$farm/answer" -w '%{http_code}' -H "Authorization: Bearer ${secret:-$secret_alice}" \
    -H "Content-Type: ${type:-application/json}" -H "Idempotency-Key: $key" -d "$body" "$@" "$url/api/v1/$path")
}
# done_by PATH JSON [KEY]: it must be done.
done_by() { post "$@"; [ "$status" = 200 ] || { cat "$farm/answer" >&2; fail "$1 $2 gave $status"; }; }
# refused STATUS WORD PATH JSON ...: it must not be.
refused() {
  local want=$1 word=$2; shift 2
  post "$@"
  [ "$status" = "$want" ] && jq -e --arg word "$word" '.schema == "ramet/v1" and (.error.text | contains($word))' "$farm/answer" >/dev/null ||
    { cat "$farm/answer" >&2; fail "$* gave $status, not $want with \"$word\""; }
}
answer() { jq -r "$1" "$farm/answer"; }
ended() { ramet job wait "$1" --timeout 120s >/dev/null; }
jobs() { ramet job list --json | jq '.items | length'; }

# Who may.
before=$(jobs)
hold='{"targets": "m3", "reason": "x"}'
secret=0123456789abcdef0123 refused 401 'secret of an operator' target/hold "$hold"
refused 403 'not by one of another place' target/hold "$hold" "" -H 'Origin: http://other.example'
refused 403 'not by one of another place' target/hold "$hold" "" -H 'Origin: null'
refused 403 'not by one of another place' target/hold "$hold" "" -H 'Sec-Fetch-Site: cross-site'
refused 421 'setting hosts' target/hold "$hold" "" -H 'Host: other.example'
type=text/plain refused 415 'application/json' target/hold "$hold"
type=application/json-seq refused 415 'application/json' target/hold "$hold"
refused 400 'Idempotency-Key' target/hold "$hold" short
refused 400 'line 1' target/hold '{"targets": '
refused 400 'is not an object' target/hold '[]'
refused 400 'reason is missing' target/hold '{"targets": "m3"}'
refused 400 'no field force' target/hold '{"targets": "m3", "reason": "x", "force": true}'
refused 400 'must be text' target/hold '{"targets": ["m3"], "reason": "x"}'
refused 404 'm9' target/hold '{"targets": "m9", "reason": "x"}'
refused 404 'does not exist' deploy/plan '{"image": "none-1", "engine": "lab"}'
[ "$(curl -s -o "$farm/answer" -w '%{http_code}' "$url/api/v1/target/hold")" = 405 ] || fail "an act by GET"
[ "$(ramet target show m3 --json | jq -r .held)" != true ] || fail "a refused act has an effect"
curl -s -H "Authorization: Bearer $secret_bob" "$url/api/v1/operator" | jq -e '.name == "bob" and .role == "operator"' >/dev/null ||
  fail "bob is not known by his secret"

# Hold, in the operator's own name, and once: the same act sent again changes nothing.
key=$(new_key)
done_by target/hold '{"targets": "m3", "reason": "dust"}' "$key"
[ "$(ramet target list --json | jq -r '.items[] | select(.name == "m3") | "\(.state) \(.reason)"')" = "held dust" ] || fail "m3 is not held"
done_by target/unhold '{"targets": "m3"}'
done_by target/hold '{"targets": "m3", "reason": "dust"}' "$key"
[ "$(ramet target list --json | jq -r '.items[] | select(.name == "m3") | .state')" != held ] || fail "an act that was sent again had its effect again"
refused 400 'belongs to an earlier request' image/create '{"source": "web"}' "$key"
ramet audit list --target m3 --json | jq -e '[.items[] | select(.what == "target.hold") | .by] == ["alice"]' >/dev/null ||
  { ramet audit list --target m3 >&2; fail "the audit stream does not name alice, once"; }

# An image; the same act again is the same job.
key=$(new_key)
done_by image/create '{"source": "web", "name": "web-1"}' "$key"; job=$(answer .name)
done_by image/create '{"source": "web", "name": "web-1"}' "$key"
[ "$(answer .name)" = "$job" ] || fail "the same act made another job"
ended "$job"
[ "$(ramet job show "$job" --json | jq -r .by)" = alice ] || fail "the job is not alice's"

# A plan, what it would erase, and the count.
done_by deploy/plan '{"image": "web-1", "engine": "lab"}'; plan=$(answer .name)
ended "$plan"
curl -s "$url/api/v1/jobs/$plan/verdicts" | jq -e '[.items[] | select(.target == "n1" and .fits) | .choice[0].disk] | length == 1' >/dev/null ||
  fail "the plan tells no disk of n1"
start="\"plan\": \"$plan\", \"targets\": \"n[1-2]\""
done_by deploy/start "{$start, \"dry-run\": true}"
[ "$(answer '"\(.targets) \(."image-name") \([.erased[].name] | join(","))"')" = "2 web-1 n1,n2" ] || { cat "$farm/answer" >&2; fail "what would be erased"; }
answer '.erased[0].disks' | grep -q GiB || fail "the disks of n1 are not told"
refused 400 'count is missing' deploy/start "{$start}"
refused 400 '2' deploy/start "{$start, \"count\": 3}"
refused 409 'is not a plan' deploy/start "{\"plan\": \"$job\", \"targets\": \"n1\", \"count\": 1}"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a refused deployment has locked something"

# The deployment; its answer is lost, the gateway is killed, and the same act gets the same job.
key=$(new_key)
done_by deploy/start "{$start, \"count\": 2}" "$key"; job=$(answer .name)
end wall KILL
gateway_up wall http wall "operators = \"$farm/alice.cfg $farm/bob.cfg\""
done_by deploy/start "{$start, \"count\": 2}" "$key"
[ "$(answer .name)" = "$job" ] || fail "the same deployment made another job"
await_phase "$job" n1 unpack 120
done_by job/cancel "{\"job\": \"$job\", \"targets\": \"n2\"}"
await_phase "$job" n1 awaiting-first-boot 120
lab boot "$farm" n1
expect 1 ramet job wait "$job" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(jobs)" = $((before + 3)) ] || { ramet job list >&2; fail "there are $(jobs) jobs"; }
ramet audit list --job "$job" --json | jq -e '[.items[] | select(.what == "job.cancel" or .what == "deploy.start") | .by] | length > 0 and all(. == "alice")' >/dev/null ||
  { ramet audit list --job "$job" >&2; fail "the audit stream does not name alice"; }

# A flood is stopped, without harm to the other operator; a gateway without operators only reads.
for _ in $(seq 45); do post target/hold "$hold"; [ "$status" != 429 ] || break; done
[ "$status" = 429 ] || fail "45 acts at once were taken"
secret=$secret_bob done_by target/unhold '{"targets": "m3"}'
gateway_up bare http wall
refused 403 'setting operators' target/hold "$hold"

# Settings that would let others act are refused by name.
gateway_cfg wall "$farm/bad.cfg" 127.0.0.1:0 "operators = \"$farm/alice.cfg $farm/bob.cfg\""
start_with() { timeout 20 "$RAMET_BIN/ramet-gateway" -c "$farm/bad.cfg"; }
chmod 644 "$farm/bob.token"
expect 78 start_with; grep -q "chmod 600 $farm/bob.token" "$farm/out" || fail "a secret that others read is not refused"
(umask 077; rm "$farm/bob.token"; cp "$farm/alice.token" "$farm/bob.token")
expect 78 start_with; grep -q 'alice and bob' "$farm/out" || fail "two operators with one secret are not refused"
echo "gateway acts: passed"

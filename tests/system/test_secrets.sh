#!/bin/bash
# No secret of a farm is where others read it: not in Redis' files, logs, command lines,
# environments or settings; and no program takes a secret from a file that others can read
# (P23, P18).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
lab up "$farm"
eval "$(lab sh "$farm")"

# ---- Each reader of a secret refuses one that is open, and says what to do
console=$(sed -n 's/^key = "\(.*\)"$/\1/p' "$RAMET_CONFIG")
closed() { # FILE MODE STATUS COMMAND...: the command refuses FILE while it has MODE
  local file=$1 mode=$2 status=$3 was; shift 3
  was=$(stat -c %a "$file")
  chmod "$mode" "$file"
  expect "$status" "$@"
  grep -qE "chmod (600|go-w) $file" "$farm/out" || { cat "$farm/out" >&2; fail "the way out is not named"; }
  chmod "$was" "$file"
}
closed "$console" 644 78 ramet image list
closed "$RAMET_CONFIG" 646 78 ramet image list
closed "$farm/keys/broker.key" 640 78 "$RAMET_BIN/ramet-broker" -c "$farm/run/broker.cfg"
closed "$farm/keys/admin.pub" 666 78 "$RAMET_BIN/ramet-broker" -c "$farm/run/broker.cfg"
closed "$farm/run/broker.cfg" 622 78 "$RAMET_BIN/ramet-broker" -c "$farm/run/broker.cfg"
for worker in imager:imager-hq-1 installer:installer-lab-1; do
  name=${worker#*:}
  closed "$farm/keys/$name.token" 644 78 "$RAMET_BIN/ramet-${worker%:*}" -c "$farm/run/$name.cfg"
  sed "s|^token = .*|token = \"$(cat "$farm/keys/$name.token")\"|" "$farm/run/$name.cfg" >"$farm/open.cfg"
  closed "$farm/open.cfg" 644 78 "$RAMET_BIN/ramet-${worker%:*}" -c "$farm/open.cfg"
done
(umask 077; ramet key token viewer --name wall >"$farm/wall.token")
sed "s|^key = .*|key = \"$farm/wall.key\"|" "$RAMET_CONFIG" >"$farm/wall.cfg"
closed "$farm/wall.token" 604 78 ramet key enrol viewer --token "$farm/wall.token" --config "$farm/wall.cfg"
rm "$farm/open.cfg"

# ---- A farm at work, and all that others can read of it
: >"$farm/seen"
look() { cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' >>"$farm/seen" || true; }
asks() { ramet doctor --json >"$farm/doctor" || true; grep -q 'wait for approval: wall' "$farm/doctor"; }
ramet key enrol viewer --name wall --token "$(cat "$farm/wall.token")" --config "$farm/wall.cfg" >"$farm/enrolled" 2>&1 &
enrolling=$!
wait_for 20 "the knock" asks
look
ramet key approve wall
wait "$enrolling"
lab source "$farm" web "$farm/tree"
look
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
ramet image create web --name web-1 --wait --timeout 3m
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 awaiting-first-boot 120
look
mount_root "$farm/n1.disk" "$farm/mnt"
cp -a "$farm/mnt" "$farm/copy"
umount "$farm/mnt"; losetup -d "$loop"
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
ramet key revoke wall
look
redis-cli -s "$farm/redis/redis.sock" config set rdbcompression no >/dev/null
redis-cli -s "$farm/redis/redis.sock" bgrewriteaof >/dev/null
rewritten() { redis-cli -s "$farm/redis/redis.sock" info persistence | grep -q 'aof_rewrite_in_progress:0'; }
wait_for 20 "the rewritten file of Redis" rewritten
redis-cli -s "$farm/redis/redis.sock" save >/dev/null

# The secrets: of each key pair, of the keys that sign, of the copy's key for its first boot, of each token.
{ grep -rhoIE '(secret-key|sign-secret) = "[^"]+"' "$farm/keys" "$farm/trust" "$farm/state" "$farm/wall.key" "$farm/copy/usr/lib/ramet" | cut -d'"' -f2
  cut -d. -f4 "$farm"/keys/*.token "$farm/wall.token"; } | sort -u >"$farm/secrets"
[ "$(wc -l <"$farm/secrets")" -ge 10 ] || fail "too few secrets were found: $(wc -l <"$farm/secrets")"
places=("$farm"/{seen,run,redis,store,boot,enrolled,broker.state,broker.state.audit})
stat "${places[@]}" >"$farm/out" || fail "a place to search is missing"
grep -rlFf "$farm/secrets" "${places[@]}" >"$farm/leaks" 2>/dev/null || true
[ ! -s "$farm/leaks" ] || fail "secrets are in: $(tr '\n' ' ' <"$farm/leaks")"
{ ramet key list --json; ramet job logs "$job" --json; ramet target show n1 --json; } >"$farm/told"
answers_no grep -qFf "$farm/secrets" "$farm/told" || fail "the console tells a secret"
# The search finds what is there.
grep -qFf "$farm/secrets" "$farm/keys/broker.key" || fail "the search finds nothing at all"
echo "secrets: passed"

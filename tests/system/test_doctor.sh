#!/bin/bash
# `ramet doctor` names what is wrong, and what to do: eight faults and more are planted one after the
# other, and mended (M27).
. "$(dirname "$0")/lib.sh"
clean_up() { umount -l "$farm/store/hq" "$farm/broker.state.d" 2>/dev/null || true; }
mkdir -p "$farm/store/hq" "$farm/broker.state.d"
mount -t tmpfs -o size=64M none "$farm/store/hq"
lab up "$farm"
eval "$(lab sh "$farm")"
redis() { redis-cli -s "$farm/redis/redis.sock" "$@" >/dev/null; }
names() { ramet doctor --json >"$farm/doctor" || true; jq -r '.findings[] | "\(.level) \(.check) \(.text) -> \(.next)"' "$farm/doctor"; }
# planted STATUS WORDS: doctor ends with STATUS and says WORDS.
planted() {
  expect "$1" ramet doctor
  names | grep -qF "$2" || { names; fail "doctor does not name: $2"; }
}

names_now() { names | grep -qF "$1"; }
# mended WORDS: doctor no longer says them.
names_not() { ! names_now "$1"; }
mended() { within 20 names_not "$1" || { names; fail "what was mended is named still: $1"; }; }
expect 0 ramet doctor
[ "$(names)" = "" ] || { names; fail "doctor finds faults in a sound farm"; }

redis config set appendfsync everysec
planted 1 "wrong redis Redis has appendfsync everysec, so a crash may lose jobs -> redis-cli CONFIG SET appendfsync always"
redis config set appendfsync always
redis config set appendonly no
planted 1 "wrong redis Redis has appendonly no"
mended "appendfsync everysec"
redis config set appendonly yes
mended "appendonly no"
redis config set maxmemory-policy allkeys-lru
planted 1 "wrong redis Redis has maxmemory-policy allkeys-lru"
redis config set maxmemory-policy noeviction
mended "maxmemory-policy allkeys-lru"

token=$(ramet key token viewer --name wall --json | jq -r .token)
mkdir "$farm/wall"
sed "s|^ *key = .*|key = \"$farm/wall/key\"|" "$farm/console.cfg" >"$farm/wall.cfg"
timeout 5 ramet key enrol viewer --name wall --token "$token" --config "$farm/wall.cfg" >"$farm/out" 2>&1 || true
planted 0 "note keys 1 keys wait for approval: wall -> ramet key approve NAME"
ramet key revoke wall
mended "keys wait for approval"

ramet target add n1 engine=lab
ramet target hold n1 --reason fan
planted 0 "note targets 1 targets are held: n1"
ramet target unhold n1
mended "targets are held"

# An engine without an installer, and an imager that is gone: shown within 20 s.
ramet engine add rome
planted 1 "wrong services no worker offers match@rome -> start an installer of rome"
ramet engine remove rome
mended "match@rome"
end imager-hq-1 KILL
within 20 names_now "wrong services no worker offers commit@hq -> start an imager of hq" || { names; fail "the dead imager is not named"; }
head -c 62M /dev/zero >"$farm/store/hq/filler"
lab up "$farm"
within 20 names_now "the store of imager/" || { names; fail "the full store is not named"; }
rm "$farm/store/hq/filler"

# The state file of the broker: its folder cannot be written.
end broker
sed "s|^state = .*|state = \"$farm/broker.state.d/state\"|" "$farm/run/broker.cfg" >"$farm/other.cfg"
ramet-broker -c "$farm/other.cfg" 2>"$farm/run/other.log" &
echo $! >"$farm/run/broker.pid"
within 20 farm_status || fail "the broker did not come back"
mount -t tmpfs -o ro none "$farm/broker.state.d"
planted 1 "wrong broker the broker cannot write its state file"
umount "$farm/broker.state.d"
within 20 ramet doctor || { names; fail "what was mended is named still"; }
echo "doctor: passed"

#!/bin/bash
# `ramet doctor` names what is wrong, and what to do: faults are planted one after the other as users have
# them, and mended (M27). The eight of issue 10: settings of Redis, mode of a key file, a broker that is away,
# clocks apart, versions apart, a full store, a silent target, a token that ends soon.
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

# Key files of this computer: which other users can read, which are gone, which are no trust root.
chmod 644 "$farm/keys/admin.key"
planted 1 "wrong files other users can read or write key file $farm/keys/admin.key (mode 644); run: chmod 600 $farm/keys/admin.key"
chmod 600 "$farm/keys/admin.key"
expect 0 ramet doctor
chmod 640 "$farm/trust/order.key"
planted 1 "(mode 640); run: chmod 600 $farm/trust/order.key"
chmod 600 "$farm/trust/order.key"
mv "$farm/keys/broker.pub" "$farm/keys/kept"
planted 1 "wrong files key file $farm/keys/broker.pub: No such file or directory"
mv "$farm/keys/kept" "$farm/keys/broker.pub"
chmod o+w "$farm/trust/farm.root"
planted 1 "wrong files other users can write trust root $farm/trust/farm.root"
chmod o-w "$farm/trust/farm.root"
expect 0 ramet doctor

# A token that the settings of many machines have, and that ends soon.
ramet key token target --uses 40 --ttl-s 7200 >/dev/null
made=$(ramet token list --json | jq -r ".items[] | select((.uses | tostring) == \"40\") | .id")
planted 0 "note keys 1 tokens that machines enrol with end soon: $made (target, in 120 min)"
ramet token revoke "$made"
mended "end soon"

# A program of another time of day, and of another version, such as one that was forgotten at an upgrade.
printf '%-31s\n' 7200 >"$farm/shift"
end imager-hq-1
LD_PRELOAD="$RAMET_BIN/../tests/shift_clock.so" RAMET_SHIFT="$farm/shift" lab up "$farm"
within 20 names_now "note clocks the clock is ahead (+) or behind (-) that of the broker: imager/" || { names; fail "the clock is not named"; }
expect 0 ramet doctor
# The first digit alone: a linker lets other words end with the same octets.
version=$(ramet --version); version=${version#ramet }; other=9${version#?}
mkdir "$farm/older"
sed "s/${version//./\\.}/$other/g" "$RAMET_BIN/ramet-imager" >"$farm/older/ramet-imager"
chmod +x "$farm/older/ramet-imager"
end imager-hq-1
"$farm/older/ramet-imager" -c "$farm/run/imager-hq-1.cfg" 2>>"$farm/run/imager-hq-1.log" &
echo $! >"$farm/run/imager-hq-1.pid"
within 20 names_now "note peers other versions than $version of the broker: imager/" || { names; fail "the version is not named"; }
sed "s/${version//./\\.}/$other/g" "$RAMET_BIN/ramet" >"$farm/older/ramet"
chmod +x "$farm/older/ramet"
"$farm/older/ramet" doctor >"$farm/out" || fail "a note is taken for a fault"
grep -q "broker .* has version $version, and this console $other" "$farm/out" || fail "the console's own version is not named"
mended "note clocks"
end imager-hq-1
lab up "$farm"
mended "other versions"

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

# One of two brokers is away, and the other one does all the work.
lab broker "$farm"
expect 0 ramet doctor
end broker-1 KILL
planted 1 "wrong broker broker 127.0.0.1:$(cat "$farm/port-broker-1") does not answer"
ramet target list >/dev/null || fail "one broker does not do the work of both"
lab up "$farm"
mended "does not answer"

# A Redis that refuses the broker's password does not pass for one that is away.
redis CONFIG SET requirepass another-word
redis --no-auth-warning -a another-word CLIENT KILL TYPE normal SKIPME yes
refused() {
  local got=0; ramet target list >"$farm/out" 2>&1 || got=$?
  [ $got = 69 ] && grep -q 'Redis refused the password' "$farm/out"
}
within 30 refused || { cat "$farm/out"; fail "the console does not say that Redis refused the password"; }
grep -q 'event=redis.away text="Redis refused the password: ' "$farm/run/broker-1.log" || fail "the broker's log does not say it"
redis --no-auth-warning -a another-word CONFIG SET requirepass ''
within 30 ramet target list || fail "the broker does not come back"

# A target that says nothing any more, in the middle of a job.
make_tree "$farm/tree"
lab source "$farm" web "$farm/tree"
lab target "$farm" n2 "$farm/n2.disk" 2G --like web
ramet image create web --name web-1 --wait --timeout 60s
kill -STOP "$(cat "$farm/run/target-n2.pid")"
job=$(ramet deploy start web-1 --engine lab --targets n2 --yes)
silent="wrong jobs job $job is stuck: target/n2 is silent; look at the machine and its network, and see: ramet target show n2 -> ramet job show $job"
within 60 names_now "$silent" || { names; ramet job show "$job"; fail "the silent target is not named"; }
expect 1 ramet doctor
kill -CONT "$(cat "$farm/run/target-n2.pid")"
mended "is silent"
await_phase "$job" n2 awaiting-first-boot 120
echo "doctor: passed"

#!/bin/bash
# A chunk is damaged in a store between imaging and installing (P14): it is found when it is read,
# named at the console, and never delivered. At the imager, and at the engine before and after ARM: the
# target is never marked as installed; its lock is cleared before ARM and stays after.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 64
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m

# Flip a bit in the stored bytes of the chunk that is the whole of a file of at most 64 KiB, in every
# pack of a store; prints the chunk's id. The record's head tells it from its mention in a manifest.
damage() { # STORE FILE
  python3 - "$1" "$2" <<'EOP'
import glob, hashlib, struct, sys
plain = open(sys.argv[2], 'rb').read()
name = b'\1' + hashlib.sha256(plain).digest()
heads = [name + bytes([codec, 0, 0]) + struct.pack('<I', len(plain)) for codec in (0, 1)]
done = False
for path in glob.glob(sys.argv[1] + '/packs/*'):
    with open(path, 'r+b') as f:
        data = f.read()
        at = max(data.find(head) for head in heads)
        if at < 0: continue
        f.seek(at + 48 + 10); f.write(bytes([data[at + 48 + 10] ^ 4]))
        done = True
print(name.hex()) if done else sys.exit('no such chunk')
EOP
}
mend() { damage "$1" "$2" >/dev/null; }       # The same bit again

locks() { ramet lock list --json | jq '.items | length'; }
state_of() { ramet job show "$1" --json | jq -r '.targets[0].state'; }
error_of() { ramet job show "$1" --json | jq -r '"\(.error // "") \(.targets[0].error // "")"'; }
head -c 60000 /dev/urandom >"$farm/tree/home/user/victim"
ramet image create web --name web-2 --wait --timeout 2m
victim=$farm/tree/home/user/victim

# ---- At the imager: the engine's build fetches nothing wrong, and nothing is armed
chunk=$(damage "$farm/store/hq" "$victim")
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
job=$(ramet deploy start web-2 --engine lab --targets n1 --yes)
status=0; ramet job wait "$job" --timeout 120s || status=$?
[ $status = 2 ] || fail "a deployment of a damaged image ended with $status"
error_of "$job" | grep -q "$chunk" || { ramet job show "$job"; fail "the job does not name the chunk"; }
ramet job logs "$job" | grep -q "$chunk" || { ramet job logs "$job"; fail "the job's log does not name the chunk"; }
[ "$(locks)" = 0 ] || fail "a lock is left though nothing was armed"
[ ! -e "$farm/n1.disk.installed" ] || fail "the target is marked as installed"
# [5.7] What was fetched before is kept for the next build.
[ -n "$(ls "$farm/store/lab/packs")" ] || fail "the failed build has kept nothing"
answers_no grep -q 'event=write.start' "$farm/run/target-n1.log" || fail "the write began"
answers_no grep -rqF "$chunk" "$farm/store/lab/images" || fail "the engine has the image"
grep -q "event=chunk.damaged" "$farm"/run/imager*.log || fail "the imager's log does not tell"
expect 2 ramet image verify web-2 --json
sed -n '/^{/,$p' "$farm/out" | jq -e --arg c "$chunk" '[.findings[] | select(.chunk == $c and .path == "/home/user/victim")] | length == 1' >/dev/null || fail "verify does not name the file"
mend "$farm/store/hq" "$victim"
ramet image verify web-2

# ---- At the engine, after the build: the agent is not given it; the lock stays, as the disk was touched
# The agent stands still until the damage is done, however busy this computer is.
agent=$(cat "$farm/run/target-n1.pid")
kill -STOP "$agent"
job=$(ramet deploy start web-2 --engine lab --targets n1 --yes)
damage_the_build() { chunk=$(damage "$farm/store/lab" "$victim"); }
look_s=0.02 within 60 damage_the_build || true
kill -CONT "$agent"
[ -n "$chunk" ] || fail "the engine never had the chunk"
status=0; ramet job wait "$job" --timeout 180s || status=$?
[ $status = 2 ] || fail "an install from a damaged store ended with $status"
if ramet job logs "$job" --json | jq -e '[.items[] | select(.phase == "armed" or .phase == "format" or .phase == "unpack")] | length > 0' >/dev/null; then
  [ "$(locks)" = 1 ] || fail "the lock of a half written target is gone"
else
  fail "the damage was found before ARM; the test shows nothing"
fi
error_of "$job" | grep -q "$chunk" || { ramet job show "$job"; fail "the job does not name the chunk"; }
ramet job show "$job" | sed -n '/^last lines of the log, n1:/,$p' | grep -q "event=write.failed.*$chunk" || { ramet job show "$job"; fail "the agent's last log lines are not shown (M27)"; }
ramet job logs "$job" n1 | grep -q "event=write.failed.*$chunk" || { ramet job logs "$job" n1; fail "job logs lacks the agent's last log lines"; }
[ ! -e "$farm/n1.disk.installed" ] || fail "the half written target is marked as installed"
[ "$(state_of "$job")" = failed ] || fail "the target has not failed"
expect 2 ramet image verify web-2 --place lab
grep -q '/home/user/victim' "$farm/out" || { cat "$farm/out"; fail "verify at the engine does not name the file"; }

# ---- Scrub puts it aside, the next deployment fetches it anew and is well
expect 2 ramet store scrub lab --wait
[ "$(find "$farm/store/lab/quarantine" -type f | wc -l)" = 1 ] || fail "the pack is not in quarantine"
kill -9 "$(cat "$farm/run/target-n1.pid")"       # A take-over asks for another start of the machine
lab up "$farm"
job=$(ramet deploy start web-2 --engine lab --targets n1 --yes --take-over)
await_phase "$job" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
[ "$(locks)" = 0 ] || fail "the lock is left"
echo "damaged pack: passed"

#!/bin/bash
# An engine that holds an image installs it while the place that sent it is down; a chunk that was damaged at the engine is then
# found before ARM, and fetched again when that place is back (P14, [4.41], [4.42]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 8
head -c 60000 /dev/urandom >"$farm/tree/home/user/victim"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m
for n in n1 n2; do lab target "$farm" $n "$farm/$n.disk" 1G --like web; done
install() { # TARGET
  local job; job=$(ramet deploy start web-1 --engine lab --targets "$1" --yes)
  await_phase "$job" "$1" awaiting-first-boot 120
  lab boot "$farm" "$1"
  ramet job wait "$job" --timeout 60s
  phases=$(ramet job logs "$job" --json | jq -r '.items[].phase // empty')
}
install n1
at=$farm/at; mkdir "$at" "$farm/out1"
clean_up() { fusermount3 -uz "$at" 2>/dev/null; }
is_told() { [ -s "$farm/mounted" ] || has_ended "$pid"; }
ramet image mount web-1 "$at" >"$farm/mounted" 2>"$farm/mount.err" & pid=$!
wait_for 30 "the line of the mount" is_told
end imager-hq-1
# A mount goes on from the engine that holds the image, and so does what is asked anew.
cmp "$farm/tree/home/user/victim" "$at/home/user/victim" || { cat "$farm/mount.err" >&2; fail "a mounted image does not go on from an engine"; }
fusermount3 -u "$at"
wait_for 10 "the end of the mount" has_ended "$pid"
ramet image files web-1 /home/user --place lab | grep -q victim || fail "no files from an engine"
ramet image checkout web-1 "$farm/out1" --place lab
"$RAMET_BIN/ramet-compare" "$farm/tree" "$farm/out1" || fail "the tree from an engine is not the source"
expect 69 ramet image files web-1 --place hq2
install n2
ramet image files web-1 /home/user | grep -q victim || fail "no files when the place is down"
[[ $phases == *check* && $phases != *fetch* ]] || fail "the build of an engine that has all does not say that it checks: $phases"
damage() { # Flip a bit of the file's chunk in the engine's packs
  python3 - "$farm/store/lab" "$farm/tree/home/user/victim" <<'EOP'
import glob, hashlib, struct, sys
plain = open(sys.argv[2], 'rb').read()
name = b'\1' + hashlib.sha256(plain).digest()
heads = [name + bytes([codec, 0, 0]) + struct.pack('<I', len(plain)) for codec in (0, 1)]
for path in glob.glob(sys.argv[1] + '/packs/*'):
    with open(path, 'r+b') as f:
        data = f.read()
        at = max(data.find(head) for head in heads)
        if at >= 0: f.seek(at + 58); f.write(bytes([data[at + 58] ^ 4]))
EOP
}
damage
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait --timeout 120s
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a target was armed for a damaged image"
lab up "$farm"
install n1
grep -q 'event=build.done .*fetched=1 mended=1 ' "$farm/run/installer-lab-1.log" || fail "the build has not mended one chunk"
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
echo "engine-alone: passed"

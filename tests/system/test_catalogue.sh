#!/bin/bash
# The catalogue (M7, M16, M17, P14, P15): two images with a change between them, and a diff that says
# exactly that; a flipped byte in a pack is found and named with image, chunk and file; a machine that
# has drifted from its image is told so; archives come back as the same image; gc takes what no image
# names and nothing else, while a capture runs.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 8
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
store=$farm/store/hq
json() { "$@" --json; }
image_id() { json ramet image show "$1" | jq -r .id; }
packs() { find "$store/packs" -type f | wc -l; }

# ---- Two images with a change between
ramet image create web --name a --wait --timeout 2m
t=$farm/tree
echo changed >"$t/usr/lib/f2"; touch -d '2020-01-01' "$t/usr/lib/f2"
rm "$t/usr/lib/f3"; echo new >"$t/usr/lib/new"
chmod 600 "$t/usr/lib/f4"; chown 7:8 "$t/usr/lib/f5"; setfattr -n user.x -v y "$t/usr/lib/f6"
touch -d '2021-01-01 00:00:00.5' "$t/usr/lib/f7"; ln "$t/usr/lib/f8" "$t/usr/lib/f8.link"
rm "$t/bin"; ln -s /bin2 "$t/bin"; rm "$t/usr/lib/f9"; mkdir "$t/usr/lib/f9"
echo other >"$t/usr/lib/f10"; touch -r "$t/usr/lib/f2" "$t/usr/lib/f10"   # As long as before
touch -d '2022-01-01' "$t/usr/lib" "$t" "$t/home/user"
ramet image create web --name b --wait --timeout 2m
json ramet image diff a b | jq -r '.items[] | "\(.change) \(.path) \(.what // "")"' | sort >"$farm/diff"
sort >"$farm/wanted" <<'EOT'
added /usr/lib/f8.link 
added /usr/lib/new 
changed / mtime
changed /bin mtime,target
changed /home/user mtime
changed /usr/lib mtime
changed /usr/lib/f10 mtime,size
changed /usr/lib/f2 mtime,size
changed /usr/lib/f4 mode
changed /usr/lib/f5 owner
changed /usr/lib/f6 xattr
changed /usr/lib/f7 mtime
changed /usr/lib/f9 type
removed /usr/lib/f3 
EOT
diff "$farm/wanted" "$farm/diff" || fail "the diff is not what was changed"
[ "$(json ramet image diff a a | jq '.items | length')" = 0 ] || fail "an image differs from itself"
json ramet image diff b a | jq -e '.added == 1 and .removed == 2' >/dev/null || fail "the other way round is not the reverse"
expect 64 ramet image diff a nothing
json ramet image show b | jq -e '.state == "COMPLETE" and (.hardware | length) > 3 and (.layout | length) > 1 and (.os | length) > 0 and .fuzzy == [] and .unreadable == []' >/dev/null ||
  fail "image show lacks a part"
[ "$(json ramet image files b usr/lib/f9 | jq -r '.items[0].mode')" = 040755 ] || fail "files does not show the folder f9"
expect 64 ramet image files b no/such/path

# ---- An archive comes back as the same image
echo mine >"$farm/own"
ln -s own "$farm/a.tar.part"
ramet image export a "$farm/a.tar"
[ "$(cat "$farm/own")" = mine ] || fail "the export has written through a symlink"
[ -z "$(find "$farm" -maxdepth 1 -name "a.tar.part-*")" ] || fail "the export has left its unfinished file"
expect 64 ramet image export a "$farm/a.tar"
ramet image import "$farm/a.tar" --name again --wait --timeout 2m
[ "$(image_id a)" = "$(image_id again)" ] || fail "the archive came back as another image"
ramet image export a - | ramet image import - --name streamed --wait --timeout 2m
[ "$(image_id a)" = "$(image_id streamed)" ] || fail "a stream came back as another image"
tar -C "$t" --format=pax --acls --xattrs --xattrs-include='*' --sparse -cf "$farm/foreign.tar" .
expect 64 ramet image import "$farm/foreign.tar" --name foreign --wait
grep -q -- --like "$farm/out" || fail "an archive that says nothing is refused without a way out"
ramet image import "$farm/foreign.tar" --name foreign --like b --wait --timeout 2m
json ramet image diff b foreign | jq -e '[.items[] | select(.path != "/home/user/old")] == []' >/dev/null || fail "what GNU tar has packed was not all taken"
json ramet image show b | jq -e '.["left-out"] | length > 0' >/dev/null || fail "the profile of b is not told"
json ramet image show foreign | jq -e '.["left-out"] == []' >/dev/null || fail "what b has left out is told of the archive"
head -c 100000 "$farm/a.tar" >"$farm/cut.tar"
status=0; ramet image import "$farm/cut.tar" --name cut --wait 2>"$farm/out" || status=$?
[ $status != 0 ] || fail "half an archive was taken for an image"
ramet image remove again; ramet image remove streamed; ramet image remove foreign

# ---- A machine that has drifted from its image, by the agent there
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
job=$(ramet deploy start b --engine lab --targets n1 --yes)
expect 64 ramet image verify b --against nobody
await_phase "$job" n1 awaiting-first-boot 120
expect 75 ramet image verify b --against target/n1               # Locked
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
ramet image verify b --against n1 || fail "a fresh install has drifted"
json ramet image verify b --against target/n1 --all | jq -e '.differences == 0 and .["by-intent"] > 0' >/dev/null || fail "what differs by intent is not told"
start=$(sfdisk -J "$farm/n1.disk" | jq -r '.partitiontable.partitions[0].start')
loop=$(losetup -f --show -o $((start * 512)) "$farm/n1.disk")
mkdir -p "$farm/mnt"; mount "$loop" "$farm/mnt" || { losetup -d "$loop"; fail "cannot mount the installed disk"; }
echo drifted >"$farm/mnt/usr/lib/f20"; chmod 4755 "$farm/mnt/usr/lib/f21"
umount "$farm/mnt"; losetup -d "$loop"
expect 2 ramet image verify b --against target/n1 --json
sed -n '/^{/,$p' "$farm/out" | jq -r '.findings[] | "\(.path) \(.what)"' | sort >"$farm/drift"
printf '%s\n' '/usr/lib/f20 content' '/usr/lib/f20 mtime' '/usr/lib/f21 mode' | diff - "$farm/drift" || fail "the drift is not what was changed"
ramet image verify b --against target/n1 --ignore /usr/lib/f20 --ignore 'f21' || fail "--ignore did not leave out the changed files"
ramet image verify b --against web || fail "the source differs from its own image"
expect 2 ramet image verify a --against source/web
ramet image verify b --place lab || fail "the engine's copy is not sound"

# ---- gc, while a capture runs: B goes, what A needs and what the capture brings stays
ramet image remove b
json ramet store pin hq "$(image_id a)" --reason test >/dev/null
json ramet store gc hq --wait | jq -e '.["images-removed"] >= 1 and .removed == 0' >/dev/null || fail "gc did not let go of the removed images"
pause 6 "what gc has marked gets older than its --age of 5 s"
for i in $(seq 20); do head -c 8M /dev/urandom >"$t/home/user/slow$i"; done
before=$(packs)
job=$(ramet image create web --name c)
captures() { grep -q 'event=capture.start.*attempt=1' <(tail -n 1 "$farm/run/source-web.log"); }
look_s=0.02 wait_for 20 "the start of the capture" captures
kill -STOP "$(cat "$farm/run/source-web.pid")"      # In the middle of its stream, however fast this machine is
json ramet store gc hq --age 5s --wait >"$farm/gc.json" || { kill -CONT "$(cat "$farm/run/source-web.pid")"; cat "$farm/gc.json"; fail "gc failed while a capture ran"; }
state=$(json ramet job show "$job" | jq -r .state)
kill -CONT "$(cat "$farm/run/source-web.pid")"
[ "$state" = running ] || fail "the capture was over before gc ran; the test shows nothing"
jq -e '.removed >= 1' "$farm/gc.json" >/dev/null || fail "gc removed no pack, of $before"
ramet job wait "$job" --timeout 120s
ramet image verify a; ramet image verify c
ramet store check hq --deep --wait || fail "the store is not whole after gc"
expect 64 ramet store gc nowhere
for i in 1 2 3; do
  json ramet store gc hq --age 1s --wait >/dev/null
  pause 2 "what gc has marked gets older than its --age of 1 s"
done
ramet image verify a; ramet image verify c
[ -z "$(ls -A "$store/tmp")" ] || fail "tmp/ of the store is not empty"

# ---- An image that the catalogue promises and the store has lost
mv "$store/images/$(image_id a)" "$farm/lost"
expect 2 ramet store check hq --wait
grep -q 'image a (.*) is in the catalogue, and the store lacks it' "$farm/out" || fail "check does not miss an image"
expect 2 ramet image verify a
mv "$farm/lost" "$store/images/$(image_id a)"

# ---- A flipped byte in a pack
pack=$(find "$store/packs" -type f -size +1M -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
python3 - "$pack" <<'EOP'
import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek(500000); byte = f.read(1); f.seek(500000); f.write(bytes([byte[0] ^ 1]))
EOP
found=0
for image in a c; do
  status=0; ramet image verify "$image" --json >"$farm/verify.json" 2>/dev/null || status=$?
  [ $status = 2 ] || continue
  found=1
  jq -e --arg id "$(image_id "$image")" '[.findings[] | select(.image == $id and .what == "damaged" and (.chunk | length) == 66 and (.path | startswith("/home/user/")))] | length >= 1' "$farm/verify.json" >/dev/null ||
    { cat "$farm/verify.json"; fail "the finding does not name image, chunk and file"; }
done
[ $found = 1 ] || fail "no image is hit by the flipped byte"
expect 2 ramet store check hq --deep --wait
expect 2 ramet store scrub hq --wait
grep -q '/home/user/' "$farm/out" || fail "scrub does not name the file that is hit"
[ "$(find "$store/quarantine" -type f | wc -l)" = 1 ] || fail "the damaged pack is not in quarantine"
ramet image create web --name d --wait --timeout 3m               # Heals the store
ramet store check hq --deep --wait || fail "imaging again did not heal the store"
ramet image verify a; ramet image verify c
ramet job list --json | jq -e '[.items[].kind] | contains(["gc", "check", "scrub", "verify", "compare", "import"])' >/dev/null || fail "a kind of job is not listed"
echo "catalogue: passed"

#!/bin/bash
# A source that runs while it is imaged (M8): snapshots, hooks, files that change and files that
# cannot be read; and imaging again (M9): unchanged files, a store that has lost everything.
. "$(dirname "$0")/lib.sh"
clean_up() { [ -z "${writer:-}" ] || kill "$writer"; fusermount3 -uz "$farm/at"; } 2>/dev/null
state_of() { ramet image list --json | jq -r --arg n "$1" '.items[] | select(.name == $n) | .state'; }
field_of() { ramet job show "$1" --json | jq -r --arg f "$2" '.[$f] // empty'; }
image() { # NAME [OPTION...]: make an image, print its job
  local name=$1 job; shift
  job=$(ramet image create web --name "$name" "$@")
  ramet job wait "$job" --timeout 2m >&2 || return
  echo "$job"
}
restart_source() { # SETTING...: with other settings in the end of its file
  end source-web
  cp "$farm/source.cfg" "$farm/run/source-web.cfg"
  printf '%s\n' "$@" >>"$farm/run/source-web.cfg"
  lab source "$farm" web "$farm/mnt"
}

mkdir "$farm/mnt"
truncate -s 512M "$farm/btrfs"; mkfs.btrfs -q "$farm/btrfs"; mount "$farm/btrfs" "$farm/mnt"
make_tree "$farm/mnt"
mark=$(head -c 24 /dev/urandom | base64 -w0)
yes "$mark" | head -c 100000 >"$farm/mnt/home/user/broken" || true
sync -f "$farm/mnt"; umount "$farm/mnt"
# Data that no longer has its checksum cannot be read.
offset=$(grep -obaF -m1 "$mark" "$farm/btrfs" | head -n1 | cut -d: -f1)
printf X | dd of="$farm/btrfs" bs=1 seek=$((offset + 5)) conv=notrunc status=none
mount "$farm/btrfs" "$farm/mnt"
printf '#!/bin/sh\necho before >>%s/hooks\n' "$farm" >"$farm/before"
printf '#!/bin/sh\ntest -d %s/mnt/.ramet-snapshot && echo in-snapshot >>%s/hooks\necho after >>%s/hooks\n' "$farm" "$farm" "$farm" >"$farm/after"
printf '#!/bin/sh\necho no disk for the dump >&2\nexit 3\n' >"$farm/fails"
printf '#!/bin/sh\nsleep 60\n' >"$farm/hangs"
chmod +x "$farm"/{before,after,fails,hangs}
lab up "$farm"
lab source "$farm" web "$farm/mnt"
eval "$(lab sh "$farm")"
cp "$farm/run/source-web.cfg" "$farm/source.cfg"
lab target "$farm" n1 "$farm/n1.disk" 1G --like web

restart_source "hook-before = \"$farm/before\"" "hook-after = \"$farm/after\"" 'cache-margin-s = 0'
mtime=$(stat -c %y "$farm/mnt")
job=$(image first)
[ "$(state_of first)" = INCOMPLETE ] || fail "an image without a file's contents is $(state_of first)"
[ "$(field_of "$job" read-from)" = "/ snapshot" ] || fail "it was read from $(field_of "$job" read-from)"
[ "$(tr '\n' ' ' <"$farm/hooks")" = "before in-snapshot after " ] || fail "hooks ran as $(cat "$farm/hooks")"
[ ! -e "$farm/mnt/.ramet-snapshot" ] || fail "the snapshot is left"
[ "$(stat -c %y "$farm/mnt")" = "$mtime" ] || fail "imaging has changed the source's root folder"
ramet image files first | answers_no grep ramet-snapshot || fail "the snapshot is in the image"
ramet image show first --json | jq -e '.unreadable | length > 0 and all(.path and .reason)' >/dev/null || fail "image show does not list what is unreadable"
# Mounted, it says so, and what it lacks cannot be opened.
lacks=$(ramet image show first --json | jq -r '.unreadable[0].path')
at=$farm/at; mkdir "$at"
is_told() { [ -s "$farm/mounted" ] || has_ended "$pid"; }
ramet image mount first "$at" --json >"$farm/mounted" 2>"$farm/err" & pid=$!
wait_for 30 "the line of the mount" is_told
jq -e --arg at "$at" '.image == "first" and .folder == $at and .files > 300 and ."unreadable-count" == 1' "$farm/mounted" >/dev/null || fail "the mount says: $(cat "$farm/mounted")"
grep -q "image first is INCOMPLETE; files without contents: 1; " "$farm/err" || fail "the mount does not say what is missing: $(cat "$farm/err")"
expect 1 cat "$at$lacks"
grep -q "Input/output error" "$farm/out" || fail "reading $lacks says: $(cat "$farm/out")"
[ "$(cat "$at/etc/hostname")" = source ] || fail "the rest of an INCOMPLETE image cannot be read"
fusermount3 -u "$at"
wait_for 10 "the end of the mount" has_ended "$pid"
! ramet deploy plan first --engine lab 2>"$farm/err" || fail "an INCOMPLETE image was planned with"
grep -q -- --accept-incomplete "$farm/err" || fail "the refusal does not say what to do: $(cat "$farm/err")"
! ramet deploy start first --engine lab --targets n1 --yes 2>"$farm/err" || fail "an INCOMPLETE image was deployed"
grep -q -- --accept-incomplete "$farm/err" || fail "no deployment for another reason: $(cat "$farm/err")"
ramet deploy plan first --engine lab --accept-incomplete --json | jq -e '.items[0].fits == true' >/dev/null || fail "the plan finds no target"

# A writer never rests; a snapshot stands still all the same.
rm "$farm/mnt/home/user/broken"
touch "$farm/before-writer"
python3 -c 'import itertools, os, sys
file = os.open(sys.argv[1], os.O_WRONLY)
for i in itertools.count():
    os.pwrite(file, bytes([i % 256]) * 65536, i % 16 * 65536)' "$farm/mnt/home/user/big1" & writer=$!
wait_for 20 "the first write" test "$farm/mnt/home/user/big1" -nt "$farm/before-writer"
job=$(image second)
[ "$(state_of second)" = COMPLETE ] || fail "an image of a snapshot is $(state_of second)"
[ "$(field_of "$job" cached)" -gt 250 ] || fail "only $(field_of "$job" cached) unchanged files were not read again"
restart_source 'snapshot = no' 'cache-margin-s = 0'
job=$(image third)
[ "$(state_of third)" = FUZZY ] || fail "an image of files that change is $(state_of third)"
ramet image show third --json | jq -e '[.fuzzy[].path] == ["/home/user/big1"] and .["fuzzy-count"] == 1' >/dev/null || fail "image show does not list the fuzzy file"
[ "$(field_of "$job" read-from)" = "/ live" ] || fail "it was read from $(field_of "$job" read-from)"
ramet image show third --json | jq -e '.fuzzy[] | select(.path == "/home/user/big1")' >/dev/null || fail "the image does not list the file that changed"
ramet image show first --json | jq -e '.unreadable[] | select(.path == "/home/user/broken") | .reason' >/dev/null || fail "the image does not list the file that cannot be read"
# Frozen, it stands still; nobody is left frozen, also when the time is too short.
restart_source 'snapshot = no' 'freeze-s = 30' 'cache-margin-s = 0'
image frozen >/dev/null
[ "$(state_of frozen)" = COMPLETE ] || fail "an image of a frozen volume is $(state_of frozen)"
grep -q freeze.begin "$farm/run/source-web.log" || fail "the volume was not frozen"
timeout 10 touch "$farm/mnt/home/user/thawed" || fail "the volume is still frozen"
rm "$farm/mnt/home/user/thawed"
kill $writer; wait $writer 2>/dev/null || true

# Unchanged: nothing is sent, the image is the same. Paranoid: all is read, it is the same.
image fourth >/dev/null
job=$(image fifth)
[ "$(field_of "$job" cached)" -gt 300 ] || fail "$(field_of "$job" cached) files were not read again"
job=$(image sixth --paranoid)
[ "$(field_of "$job" cached)" = 0 ] || fail "a paranoid capture trusts its cache"
ids=$(ramet image list --json | jq -r '.items[] | select(.name | test("fourth|fifth|sixth")) | .id' | sort -u | wc -l)
[ "$ids" = 1 ] || fail "one tree has $ids images"

# A store that has lost all its chunks is given them again, whatever the cache says.
end imager-hq-1
rm -rf "$farm"/store/hq/{packs,index,images}/*
lab up "$farm"
image seventh >/dev/null
ramet image verify seventh

restart_source "hook-before = \"$farm/fails\"" "hook-after = \"$farm/after\""; : >"$farm/hooks"
job=$(ramet image create web --name eighth)
expect 2 ramet job wait "$job" --timeout 1m
ramet job show "$job" | grep -q "no disk for the dump" || fail "the job does not say why the hook failed"
[ "$(cat "$farm/hooks")" = after ] || fail "the second hook did not run"
restart_source "hook-before = \"$farm/hangs\"" 'hook-timeout-s = 1'
job=$(ramet image create web --name ninth)
expect 2 ramet job wait "$job" --timeout 1m
ramet job show "$job" | grep -q "was ended after 1 s" || fail "the job does not say that the hook took too long"
echo "running source: passed"

#!/bin/bash
# An image is mounted, and nothing of it differs from its source; contents come by chunk, from another
# holder where one has died, else reads fail within a bound and come back by themselves (M17, P9).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 6
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 "$farm/tree/usr/lib/f2"
setfacl -m u:1234:rw "$farm/tree/usr/lib/f3"
chattr +i "$farm/tree/usr/lib/f4"
mkdir "$farm/tree/opt"; for i in $(seq 2000); do : >"$farm/tree/opt/$i"; done
for n in kept lost back killed damaged; do head -c 300K /dev/urandom >"$farm/tree/home/user/$n"; done
clean_up() { fusermount3 -uz "$farm/at"; chattr -i "$farm/tree/usr/lib/f4"; } 2>/dev/null
lab up "$farm"
lab worker "$farm" imager
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 2m
at=$farm/at; mkdir "$at"

is_told() { [ -s "$farm/mounted" ] || has_ended "$pid"; }
mount_image() { # OPTION...: in the background; sets pid
  : >"$farm/mounted"
  ramet image mount web-1 "$at" "$@" >"$farm/mounted" 2>"$farm/mount.err" & pid=$!
  wait_for 30 "the line of the mount" is_told
  [ -s "$farm/mounted" ] || { cat "$farm/mount.err" >&2; fail "web-1 is not mounted"; }
}
unmounted() { # The program has ended well, and the folder is empty again
  wait_for 10 "the end of the mount" has_ended "$pid"
  wait "$pid" || fail "the program of the mount ended with $?"
  [ -z "$(ls -A "$at")" ] || fail "$at is still mounted"
}
says() { # WORDS COMMAND...: it is refused with these words
  local words=$1 got=0; shift
  "$@" >"$farm/out" 2>&1 || got=$?
  [ $got -ne 0 ] && grep -qF -- "$words" "$farm/out" || { cat "$farm/out" >&2; fail "'$*' does not say '$words' (status $got)"; }
}
microseconds() { echo $((${EPOCHREALTIME/./} - $1)); }

# ---- What is shown
mount_image
grep -qxE "mounted web-1 at $at \([0-9]+ files, [0-9]+ bytes\): unmount with fusermount3 -u $at" "$farm/mounted" ||
  fail "the mount says: $(cat "$farm/mounted")"
start=${EPOCHREALTIME/./}
[ "$(cat "$at/etc/hostname")" = source ] || fail "the first file that is read is another one"
echo "first cat: $(($(microseconds "$start") / 1000)) ms"
says "something is mounted on $at already" ramet image mount web-1 "$at"
"$RAMET_BIN/ramet-compare" "$farm/tree" "$at" || fail "the mounted image is not as its source"
says "Read-only file system" touch "$at/new"
fusermount3 -u "$at"
unmounted

# ---- A holder dies: the next one
mount_image --cache 4
kill -STOP "$(cat "$farm/run/imager-hq-1.pid")"
end imager-hq-2 KILL
kill -CONT "$(cat "$farm/run/imager-hq-1.pid")"
cmp "$farm/tree/home/user/kept" "$at/home/user/kept" || fail "the next holder does not serve"

# ---- No holder is left
end imager-hq-1 KILL
start=${EPOCHREALTIME/./}
says "Input/output error" cat "$at/home/user/lost"
took=$(microseconds "$start")
[ "$took" -le 30000000 ] || fail "a read without a holder took $took microseconds"
[ "$(stat -c %s "$at/home/user/lost")" = 307200 ] || fail "attributes need a holder"
[ "$(grep -c "reads of image web-1 wait, or fail (EIO): " "$farm/mount.err")" = 1 ] || { cat "$farm/mount.err" >&2; fail "it is not said once"; }
lab up "$farm"
comes_back() { cmp -s "$farm/tree/home/user/back" "$at/home/user/back"; }
wait_for 60 "reads after the holder is back" comes_back
grep -q "image web-1 can be read again" "$farm/mount.err" || fail "it does not say that reads work again"

# ---- A chunk that is damaged in the store is never shown
python3 - "$farm/store/hq" "$farm/tree/home/user/damaged" <<'EOP'
import glob, sys
plain = open(sys.argv[2], 'rb').read()
for path in glob.glob(sys.argv[1] + '/packs/*'):
    with open(path, 'r+b') as f:
        at = f.read().find(plain[:4096])
        if at >= 0: f.seek(at + 50); f.write(bytes([plain[50] ^ 4])); print('damaged')
EOP
says "Input/output error" cat "$at/home/user/damaged"

# ---- Killed while a read waits; Ctrl-C
for n in 1 2; do kill -STOP "$(cat "$farm/run/imager-hq-$n.pid")"; done
cat "$at/home/user/killed" >/dev/null 2>&1 & reader=$!
is_waiting() { grep -qE 'folio_wait|fuse' "/proc/$reader/stack"; }
wait_for 10 "a read that waits" is_waiting
kill -KILL $reader
wait_for 5 "the end of a reader that was killed" has_ended $reader
for n in 1 2; do kill -CONT "$(cat "$farm/run/imager-hq-$n.pid")"; done
kill -INT "$pid"
unmounted

# ---- Another user, for himself alone
chmod 711 "$farm"; mkdir "$farm/nobody"; cp -r "$farm/keys" "$RAMET_BIN/ramet" "$farm/nobody/"
sed "s|$farm/keys|$farm/nobody/keys|" "$farm/console.cfg" >"$farm/nobody/console.cfg"
chown -R 65534:65534 "$farm/nobody" "$at"
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups env RAMET_CONFIG="$farm/nobody/console.cfg" "$@"; }
says "only root may show a mounted image to other users" as_nobody "$farm/nobody/ramet" image mount web-1 "$at" --allow-other
as_nobody "$farm/nobody/ramet" image mount web-1 "$at" >"$farm/mounted" 2>"$farm/mount.err" & pid=$!
: >"$farm/mounted"
wait_for 30 "the line of the mount" is_told
[ "$(as_nobody cat "$at/etc/hostname")" = source ] || { cat "$farm/mount.err" >&2; fail "another user cannot mount"; }
[ "$(as_nobody stat -c %u:%g "$at/home/user/big1")" = 1000:1000 ] || fail "the owner is not shown"
says "Permission denied" ls "$at"
as_nobody fusermount3 -u "$at"
unmounted
chown 0:0 "$at"

# ---- Root, for all: owners and modes hold
mount_image --allow-other
as_nobody cat "$at/etc/hostname" >/dev/null || fail "other users see nothing"
says "Permission denied" as_nobody cat "$at/etc/ssh/ssh_host_ed25519_key"
kill -TERM "$pid"
unmounted

# ---- What is refused
says "the folder $farm/none does not exist; make it with: mkdir $farm/none" ramet image mount web-1 "$farm/none"
says "the folder $farm/tree is not empty" ramet image mount web-1 "$farm/tree"
says "Not a directory" ramet image mount web-1 "$farm/port"
says "web-9" ramet image mount web-9 "$at"
says "--cache takes a number of MiB from 4 to 65536" ramet image mount web-1 "$at" --cache 3
says "this kernel has no FUSE; load it with: modprobe fuse" unshare -m sh -c "mount -t tmpfs none /dev && exec '$RAMET_BIN/ramet' image mount web-1 '$at'"
[ -z "$(ls -A "$at")" ] || fail "what is refused leaves something mounted"
echo "mount: passed"

#!/bin/bash
# A disk that fails while it is written, and one that lets nothing be written (T18): the job names the
# disk and what failed, the machine is held with that reason, and the lock stays only where the disk may
# be half written. The disks are files in file systems that are too small, so what does not fit comes
# back as a real I/O error, or that are read-only.
. "$(dirname "$0")/lib.sh"
clean_up() { umount -l "$farm/small" "$farm/fixed" 2>/dev/null || true; }
mkdir -p "$farm"/{small,fixed}
mount -t tmpfs -o size=40M none "$farm/small"
mount -t tmpfs -o size=200M none "$farm/fixed"
make_tree "$farm/tree" 60
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
ramet job wait "$(ramet image create web --name web-1)" --timeout 2m
lab target "$farm" one "$farm/small/disk" 2G --like web
lab target "$farm" two "$farm/fixed/disk" 2G --like web
mount -o remount,ro "$farm/fixed"

field() { ramet target show "$1" --json | jq -r ".$2 // empty"; }
reason() { field "$1" reason; }
row() { ramet job show "$1" --json | jq -r ".targets[] | select(.name == \"$2\") | .$3 // empty"; }

job=$(ramet deploy start web-1 --engine lab --targets one,two --yes)
expect 2 ramet job wait "$job" --timeout 3m
[[ $(row "$job" one error) == *"disk "*"serial "*" fails: "* ]] || fail "one: $(row "$job" one error)"
[[ $(reason one) == *" fails: "*"ramet target unhold one" ]] || fail "one is not held with the reason: $(reason one)"
ramet lock show one >/dev/null || fail "the lock of a half written disk is gone"
[[ $(row "$job" two error) == *"disk "*"is read-only"* ]] || fail "two: $(row "$job" two error)"
[ "$(field two state)" = held ] || fail "two is $(field two state), and not held"
[[ $(reason two) == *"is read-only"* ]] || fail "two is not held with the reason: $(reason two)"
expect 64 ramet lock show two
echo "broken_disk: passed"

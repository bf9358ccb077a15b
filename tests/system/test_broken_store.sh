#!/bin/bash
# The disk of a store fails: while an image is put into it, and when its packs are read (P10, P14, M27). The
# store is a file system on a loop device whose file ends, or whose own file system is full, so what does
# not fit comes back as a real I/O error.
. "$(dirname "$0")/lib.sh"
clean_up() {
  umount -l "$farm/store/hq" "$farm/medium" 2>/dev/null || true
  [ -z "${loop:-}" ] || losetup -d "$loop" 2>/dev/null || true
}
mkdir -p "$farm/store/hq" "$farm/medium"
mount -t tmpfs -o size=120M none "$farm/medium"
truncate -s 1G "$farm/medium/disk"
loop=$(losetup -f --show "$farm/medium/disk")
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1,nodiscard "$loop"
mount "$loop" "$farm/store/hq"
make_tree "$farm/tree" 30
lab up "$farm"
lab source "$farm" web "$farm/tree"
lab target "$farm" n1 "$farm/n1.disk" 2G --like web
eval "$(lab sh "$farm")"
ramet image create web --name web-1 --wait --timeout 60s

# To get: the medium ends within the packs. What the kernel keeps in memory of them goes.
packs() { find "$farm/store/hq/packs" -type f -size +1M; }
first_byte() { filefrag -e -b4096 "$1" | awk '$1 == "0:" { sub(/\.\..*/, "", $4); print $4 * 4096 }'; }
forget() { local pack; for pack in $(packs); do dd if="$pack" iflag=nocache count=0 status=none; done; }
sync -f "$farm/store/hq"
begin=$(first_byte "$(packs | head -1)")
cp --sparse=always "$farm/medium/disk" "$farm/kept"
truncate -s $((begin + 1048576)) "$farm/medium/disk"
forget
# names_disk TEXT: it names the disk under the store, and says what failed.
names_disk() { [[ $1 == *"disk ${loop#/dev/} fails: "*"Input/output error"* ]]; }
! ramet image checkout web-1 "$farm/checkout" 2>"$farm/out" || fail "what cannot be read was delivered"
names_disk "$(cat "$farm/out")" || fail "checkout: $(cat "$farm/out")"
! ramet deploy start web-1 --engine lab --targets n1 --yes 2>"$farm/out" || fail "what cannot be read is installed"
error() { ramet job list --json | jq -r "[.items[] | select(.kind == \"$1\")][-1] | \"\(.code) \(.error)\""; }
[[ $(error plan) == "12 "*"imager-hq-1"* ]] || fail "plan: $(error plan)"
names_disk "$(error plan)" || fail "plan: $(error plan)"
[ "$(ramet target show n1 --json | jq -r .state)" = free ] || fail "a machine is held for the disk of another one"
dd if="$farm/kept" of="$farm/medium/disk" conv=notrunc,sparse bs=64K status=none
forget
ramet image checkout web-1 "$farm/checkout" || fail "a medium that is whole again is not read"

# To put: the medium is full, which the file system on it does not know.
head -c 150M /dev/urandom >"$farm/tree/home/user/large"
job=$(ramet image create web --name web-2)
expect 2 ramet job wait "$job" --timeout 90s
error=$(ramet job show "$job" --json | jq -r '"\(.code) \(.error)"')
[[ $error == "21 "* ]] && names_disk "$error" || fail "put: $error"
echo "broken store: passed"

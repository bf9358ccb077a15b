#!/bin/bash
# Disks of machines that crashed: the image has what the machine itself would see at its next start, or
# the capture is refused with "not cleanly unmounted: ..." (M2); not a byte of the source is written.
. "$(dirname "$0")/lib.sh"
farm_up

# 300 files that were paid for by an fsync, and one that was deleted with an fsync of its folder.
pay() {
  mkdir srv; sync .
  for i in $(seq 300); do echo "paid order $i" >"srv/order$i"; done
  rm etc/hosts
  for i in $(seq 0 50 250); do mv "srv/order$((i + 1))" "srv/moved$((i + 1))"; done
  sync srv/* srv etc .
}
# image NAME: capture it; the source is the same afterwards.
image() {
  cp --sparse=always "$farm/$1.source" "$farm/before"
  capture "$1"
  cmp "$farm/$1.source" "$farm/before" || fail "the disk of $1 was written"
  tells "$1" 'not cleanly unmounted: '
}
tells() {
  ramet image show "$1-1" >"$farm/out"
  grep -q "$2" "$farm/out" || { cat "$farm/out" >&2; fail "the image of $1 does not tell: $2"; }
}
is_paid() {
  [ "$(look "$1" "$2" sh -c 'cat srv/* | sort -u | wc -l')" = 300 ] || fail "$1: not all of the 300 files are there"
  [ "$(look "$1" "$2" sh -c 'ls srv | grep -c moved')" = 6 ] || fail "$1: files have not their new names"
}

make_of() { case $1 in ext*) echo "mke2fs -q -t $1" ;; vfat) echo mkfs.vfat ;; *) echo "mkfs.$1 -q -f" ;; esac; }

for fs in ext4 xfs btrfs; do
  disk $fs 320M type=L,name=root
  # shellcheck disable=SC2046  # A command in words
  fill $fs 1 $(make_of $fs)
  crash $fs 1 pay
  image $fs
  ramet job list --json | jq -e '[.items[] | .warning? // empty] | any(test("partition 1: not cleanly unmounted"))' >/dev/null ||
    fail "the job of $fs has no warning"
  deploy $fs
  is_paid $fs 1
done
echo "unclean: passed"

#!/bin/bash
# A disk with a layer that is not supported (M4): imaging fails with the name of the layer, where it
# stands, and no image is made; the same for a dry run; the next disk is imaged.
. "$(dirname "$0")/lib.sh"
lab up "$farm"
eval "$(lab sh "$farm")"
disk() { # NAME: a disk with one ext4 in a partition of 64 MiB, and 2 MiB behind it
  truncate -s 67M "$farm/$1"
  printf 'label: gpt\nstart=2048, size=131072\n' | sfdisk -q --no-reread --no-tell-kernel "$farm/$1"
  mkfs.ext4 -q -F -E offset=1048576 "$farm/$1" 64m
}
disk plain; disk luks; disk mirror
"$source_dir/tests/tools/make_layer" luks2 "$farm/luks" 1048576 67108864
"$source_dir/tests/tools/make_layer" md-1.0 "$farm/mirror"
for name in plain luks mirror; do lab source "$farm" "$name" "$farm/$name"; done
refused() { # SOURCE WORDS
  local job
  job=$(ramet image create "$1" --name "$1-1")
  expect 2 ramet job wait "$job" --timeout 1m
  ramet job show "$job" --json | jq -e --arg words "$2" '.error | test($words)' >/dev/null ||
    { ramet job show "$job" >&2; fail "the image of $1 is not refused by: $2"; }
  ramet image create "$1" --dry-run >"$farm/out" 2>&1 && fail "the dry run of $1 is not refused"
  grep -Eq "$2" "$farm/out" || { cat "$farm/out" >&2; fail "the dry run of $1 does not say: $2"; }
}
refused luks 'partition 1: .*holds crypto_LUKS, which is not supported'
refused mirror 'mirror holds linux_raid_member, which is not supported'
ramet image create plain --name plain-1 --wait --timeout 1m
[ "$(ramet image list --json | jq -r '[.items[].name] | join(" ")')" = plain-1 ] || fail "an image was made of a disk that was refused"
echo "layers: passed"

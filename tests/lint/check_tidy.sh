#!/bin/bash
# Refuses what clang-tidy finds in the product: .clang-tidy is the law. Files by their compile commands
# in RAMET_BUILD.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
build=${RAMET_BUILD:-build/release}
# Options of gcc alone are no findings, nor what is in the macros of ctype.h.
found=$(jq -r --arg top "$PWD" '.[].file | select(test("^" + $top + "/(lib|broker|workers|console)/"))' \
  "$build/compile_commands.json" | sort -u |
  xargs -P "$(nproc)" -n 8 clang-tidy -p "$build" --quiet \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-D__NO_CTYPE 2>&1) && exit 0
grep -vE '^[0-9]+ warnings? ' <<<"$found"
exit 1

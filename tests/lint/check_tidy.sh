#!/bin/bash
# Refuses what clang-tidy finds in the product, where .clang-tidy is the law, and what clang warns of in
# all C files. Files by their compile commands in RAMET_BUILD.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
build=${RAMET_BUILD:-build/release}

# tidy FOLDERS [OPTION...]: the warnings that gcc's command asks for are clang's too, and are findings.
# Options of gcc alone are none, nor what is in the macros of ctype.h.
tidy() {
  jq -r --arg folders "^$PWD/($1)/" '.[].file | select(test($folders))' "$build/compile_commands.json" | sort -u |
    xargs -r -P "$(nproc)" -n 8 clang-tidy -p "$build" --quiet "${@:2}" \
      --extra-arg=-Wno-unknown-warning-option --extra-arg=-D__NO_CTYPE 2>&1
}
bad=0
found=$(tidy 'lib|broker|workers|console|gateway') || { bad=1; grep -vE '^[0-9]+ warnings? ' <<<"$found"; }
# Warnings alone; clang-tidy wants at least one check.
found=$(tidy tests '--checks=-*,bugprone-suspicious-semicolon') || { bad=1; grep -vE '^[0-9]+ warnings? ' <<<"$found"; }
exit $bad

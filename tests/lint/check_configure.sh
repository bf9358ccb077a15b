#!/bin/bash
# A tree that is configured again compiles and links by the same commands. Otherwise a build of a tree
# that is built would write its programs anew, below the tests that run them.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for time in 1 2; do
  cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
  grep -E '^ +(FLAGS|DEFINES|INCLUDES|LINK_[A-Z]+|COMMAND) =|^build [^:]*: [A-Z]' "$work/build/build.ninja" |
    grep -v RERUN_CMAKE >"$work/commands.$time"
done
[ "$(wc -l <"$work/commands.1")" -gt 1000 ] || { echo "the commands were not found in build.ninja"; exit 1; }
wrong=$(diff "$work"/commands.[12] | grep '^[<>]' | LC_ALL=C sort -u | head -n 12)
[ -z "$wrong" ] && exit 0
echo "cmake writes other commands (>) when it configures this tree for the second time:"
echo "$wrong"
exit 1

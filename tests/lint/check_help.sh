#!/bin/bash
# Each script of ops/, each bench and the scoreboard says with --help what it does, and with words that
# it does not know the same on standard error with status 64; neither makes anything.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
top=$PWD status=0
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
bad() { echo "$*"; status=1; }
mkdir "$work/here"; cd "$work/here" || exit 1
for script in "$top"/ops/* "$top"/tests/bench/* "$top/tests/fidelity/scoreboard"; do
  [ -x "$script" ] && [ -f "$script" ] || continue
  name=${script#"$top/"}
  timeout 10 "$script" --help >"$work/out" 2>"$work/err" || bad "$name --help: status $?"
  grep -q "$name" "$work/out" || bad "$name --help does not show how $name is called"
  [ ! -s "$work/err" ] || bad "$name --help writes to standard error"
  timeout 10 "$script" --no-such-option x >"$work/out" 2>"$work/err"
  got=$?
  [ $got = 64 ] || bad "$name --no-such-option: status $got, not 64"
  [ ! -s "$work/out" ] || bad "$name --no-such-option writes to standard output"
  grep -q "$name" "$work/err" || bad "$name --no-such-option does not show how $name is called"
done
[ -z "$(ls -A "$work/here")" ] || bad "made: $(ls -A "$work/here")"
exit $status

#!/bin/bash
# docs/testing.md lists each failpoint once, as the code names it; and a build without
# RAMET_FAILPOINTS has nothing of them in its programs and libraries.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
bad=0
code=$(grep -rhoE 'RMT_FAILPOINT\("[^"]*"' --include='*.c' lib broker workers console gateway |
  cut -d'"' -f2 | sort)
page=$(awk '/^## Failpoints/ { on = 1; next } /^## / { on = 0 } on' docs/testing.md |
  grep -oE '^\| `[a-z-]+\.[a-z.-]+`' | tr -d '|` ' | sort)
[ -n "$code" ] || { echo "the code has no failpoint"; bad=1; }
twice=$(uniq -d <<<"$code")
[ -z "$twice" ] || { echo "two places have the name $twice"; bad=1; }
diff <(echo "$page") <(echo "$code") >/dev/null ||
  { echo "docs/testing.md (<) and the code (>) name other failpoints:"
    diff <(echo "$page") <(echo "$code"); bad=1; }
if [ "${RAMET_FAILPOINTS:-OFF}" = OFF ]; then
  { printf '%s\n' rmt_failpoint_ RAMET_FAILPOINT; echo "$code"; } >"${TMPDIR:-/tmp}/failpoints.$$"
  found=$(find "$RAMET_BUILD/bin" "$RAMET_BUILD/lib" -type f \( -perm -u+x -o -name '*.a' \) \
    ! -name '*_failpoints.a' -exec grep -lFf "${TMPDIR:-/tmp}/failpoints.$$" {} +)
  rm -f "${TMPDIR:-/tmp}/failpoints.$$"
  [ -z "$found" ] || { echo "failpoints are in the release build: $found"; bad=1; }
fi
exit $bad

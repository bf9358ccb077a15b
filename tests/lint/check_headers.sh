#!/bin/bash
# Refuses a header that needs more than itself. That a header stands alone is shown by the build when a
# source includes it first; each other one is compiled alone here.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
shown=$(find lib broker workers console gateway -name '*.c' -print0 |
  xargs -0 awk '/^#include/ { print $2; nextfile }' | sort -u)
find lib broker workers console gateway -name '*.h' -printf '%p "%p"\n' | sed -E 's,"(lib|workers)/,",' |
  awk 'NR == FNR { shown[$1]; next } !($2 in shown) { print $1 }' <(echo "$shown") - |
  xargs -r -P "$(nproc)" -I{} sh -c 'echo "#include \"{}\"" |
    cc -std=gnu11 -D_GNU_SOURCE -Wall -Werror -fsyntax-only -Ilib -Iworkers -I. -x c - ||
    { echo "{} does not stand alone"; exit 1; }'

#!/bin/bash
# Refuses a function of the product with more than 70 lines, functions of which more than one in a
# hundred has over 40, and a file of the product or of tests with more than 600 (docs/hacking.md).
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
find lib broker workers console gateway tests -name '*.[ch]' -print0 | xargs -0 awk '
  function file_ends() { if (lines > 600) { print name ": " lines " lines"; bad = 1 } }
  FNR == 1 { file_ends(); name = FILENAME; start = 0 }
  { lines = FNR }
  FILENAME ~ /^tests/ { next }   # Tests may be long tables
  /^\{/ { start = FNR }
  /^\}/ && start {
    size = FNR - start - 1; start = 0; total++
    if (size > 40) long++
    if (size > 70) { print FILENAME ":" FNR - size - 1 ": a function of " size " lines"; bad = 1 }
  }
  END {
    file_ends()
    if (100 * long > total) { print long " of " total " functions have over 40 lines"; bad = 1 }
    exit bad
  }'

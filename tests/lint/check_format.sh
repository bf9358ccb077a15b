#!/bin/bash
# Refuses C that clang-format would write otherwise: .clang-format is the law.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
found=$(find lib broker workers console gateway tests -name '*.[ch]' -print0 |
  xargs -0 -P "$(nproc)" -n 16 clang-format --dry-run -Werror 2>&1) && exit 0
sed -n 's/: error: .*/: clang-format -i would change this line/p; /^xargs/p' <<<"$found" | sort -u
exit 1

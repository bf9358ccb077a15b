#!/bin/bash
# Every header needs nothing but itself: each is compiled alone.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
bad=0
includes='-Ilib -Iworkers -I.'
for header in $(find lib broker workers console -name '*.h'); do
  printf '#include "%s"\n' "$PWD/$header" |
    cc -std=gnu11 -D_GNU_SOURCE -Wall -Werror -fsyntax-only $includes -x c - || { echo "$header does not stand alone"; bad=1; }
done
exit $bad

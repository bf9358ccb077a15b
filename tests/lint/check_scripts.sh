#!/bin/bash
# Refuses a file that names its interpreter and may not be executed, and one that may be executed and
# does not name it.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
wrong=$(diff <(find .ci ops tests -type f -print0 | LC_ALL=C xargs -0 awk 'FNR == 1 { if (/^#!/) print FILENAME; nextfile }' | sort) \
  <(find .ci ops tests -type f -perm /111 | sort) |
  sed -n 's/^< \(.*\)/\1: it begins with #! and may not be executed/p
          s/^> \(.*\)/\1: it may be executed and does not begin with #!/p')
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }

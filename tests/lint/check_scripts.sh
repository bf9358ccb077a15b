#!/bin/bash
# What names its interpreter can be started, and nothing else can.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
status=0
while read -r file; do
  if head -c 2 "$file" | grep -q '^#!'; then wanted=1; else wanted=0; fi
  if [ -x "$file" ]; then found=1; else found=0; fi
  [ $wanted = $found ] || { echo "$file: begins with #!: $wanted, may be executed: $found"; status=1; }
done < <(find .ci ops tests -type f)
exit $status

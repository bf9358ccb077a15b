#!/bin/bash
# Refuses what shellcheck finds in a shell script, or in a file that scripts source; .shellcheckrc says
# what is not looked for, and why.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
mapfile -t scripts < <(grep -rIlE -m 1 --exclude-dir=corpus '^#!/bin/(ba)?sh' .ci ops tests |
  while read -r file; do head -n 1 "$file" | grep -qE '^#!/bin/(ba)?sh' && echo "$file"; done)
mapfile -t sourced < <(find .ci ops tests -name '*.sh' ! -perm /111)
status=0
printf '%s\n' "${scripts[@]}" | xargs -P "$(nproc)" -n 4 shellcheck -f gcc || status=1
# What a sourced file sets is used by the script that sources it.
printf '%s\n' "${sourced[@]}" | xargs -P "$(nproc)" -n 4 shellcheck -f gcc -s bash -e SC2034 || status=1
exit $status

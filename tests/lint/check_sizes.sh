#!/bin/bash
# Functions of the product have at most 70 lines, files at most 600 (docs/hacking.md).
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
files=$(find lib broker workers console -name '*.[ch]')
long=$(awk 'FNR==1{s=0} /^\{/{s=FNR} /^\}/{ if (s && FNR-s>71) print FILENAME ":" s ": " FNR-s-1 " lines"; s=0 }' $files)
big=$(wc -l $files | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }')
[ -z "$long$big" ] || { printf '%s\n' "$long" "$big"; exit 1; }

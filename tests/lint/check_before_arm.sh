#!/bin/bash
# Each refusal of the writer stands in docs/spec/9-before-arm.md with its class: a new one is found
# earlier, or the page says why it cannot be (M33, [9.1]).
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
page=docs/spec/9-before-arm.md
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
perl -0777 -ne 'while (/rmt_fail\(\s*[^,"]*,\s*[^,"]*,\s*((?:"(?:[^"\\]|\\.)*"|\s|PRI\w+)+)/g) {
  my $text = $1; $text =~ s/^\s+|\s+$//g; $text =~ s/"\s*(?:PRI\w+\s*)?"//g; $text =~ s/"|\s*PRI\w+$//g; print "$text\n"; }' \
  workers/agent/diskw/*.c | sort -u >"$work/code"
sed -n '/^## What remains/,/^## /s/^| "\(.*\)" | [a-z]* |$/\1/p' "$page" | sort -u >"$work/page"
[ -s "$work/page" ] || { echo "$page has no table of what remains"; exit 1; }
bad=0
while IFS= read -r text; do
  echo "$page lacks: $text; find it before ARM, or give it a row with its class"; bad=1
done < <(comm -23 "$work/code" "$work/page")
exit $bad

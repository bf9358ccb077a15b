#!/bin/bash
# docs/fidelity.md has all 52 cases, names tests that exist, quotes words that the sources say,
# and no case of tests/fidelity is missing in it.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
page=${1:-docs/fidelity.md}
bad=0
wrong() { echo "$page: $*"; bad=1; }
# Literals that the compiler joins are one text here too.
said=$(cat lib/*/*.c workers/*/*.c workers/*/*/*.c | tr '\n' ' ' | sed 's/" *"//g')
tests=$(grep -rhow '[a-z0-9_]*' --include='*.c' tests | sort -u)
rows=$(grep -E '^\| [0-9]+ \|' "$page")

for number in $(seq 52); do
  grep -qE "^\| $number \|" <<<"$rows" || wrong "case $number is missing"
done

# Every row says what becomes of its case, and shows it.
while IFS='|' read -r _ number _ verdict shown _; do
  grep -qE 'carried|refused|remade|dropped|see `' <<<"$verdict" || wrong "case$number has no verdict"
  grep -q '`' <<<"$shown" || wrong "case$number is shown by nothing"
  for name in $(grep -oE '`[^`]+`' <<<"$shown" | tr -d '`'); do
    case $name in
      */*) [ -f "$name" ] || wrong "case$number: there is no $name" ;;
      *) grep -qx -- "$name" <<<"$tests" || wrong "case$number: there is no test $name" ;;
    esac
  done
  while IFS= read -r words; do
    [ -z "$words" ] || grep -qF -- "$words" <<<"$said" || wrong "case$number: nobody says '$words'"
  done < <(grep -oE '"[^"]+"' <<<"$verdict" | tr -d '"')
done <<<"$rows"

for name in $(grep -hoE '\.name = "[a-z0-9_]+"' tests/fidelity/*.c | cut -d'"' -f2) \
            $(grep -hoE '^test_[a-z0-9_]+' tests/fidelity/*.c); do
  grep -q "\`$name\`" <<<"$rows" || wrong "$name is not in it"
done
exit $bad

#!/bin/bash
# docs/fidelity.md has all 52 cases, names tests that exist, quotes words that the sources say,
# and no case of tests/fidelity is missing in it.
set -u
export LC_ALL=C
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
page=${1:-docs/fidelity.md}
bad=0
wrong() { echo "$page: $*"; bad=1; }
# Literals that the compiler joins are one text here too.
said=$(cat lib/*/*.c workers/*/*.c workers/*/*/*.c | tr '\n' ' ' | sed 's/" *"//g')
declare -A tests
while read -r name; do tests[$name]=yes; done < <(grep -rhoE 'test_[a-z0-9_]+|"[a-z0-9_]+"' --include='*.c' tests | tr -d '"' | sort -u)
rows=$(grep -E '^\| [0-9]+ \|' "$page")

for number in $(seq 52); do
  [[ $'\n'$rows == *$'\n'"| $number |"* ]] || wrong "case $number is missing"
done

# Every row says what becomes of its case, and shows it.
while IFS='|' read -r _ number _ verdict shown _; do
  [[ $verdict =~ carried|refused|remade|dropped|'see `' ]] || wrong "case$number has no verdict"
  [[ $shown == *'`'* ]] || wrong "case$number is shown by nothing"
  for name in $(grep -oE '`[^`]+`' <<<"$shown" | tr -d '`'); do
    case $name in
      */*) [ -f "$name" ] || wrong "case$number: there is no $name" ;;
      *) [ -n "${tests[$name]:-}" ] || wrong "case$number: there is no test $name" ;;
    esac
  done
  while IFS= read -r words; do
    [[ $said == *"$words"* ]] || wrong "case$number: no message has the words '$words'"
  done < <(grep -oE '"[^"]+"' <<<"$verdict" | tr -d '"')
done <<<"$rows"

for name in $(grep -hoE '\.name = "[a-z0-9_]+"' tests/fidelity/*.c | cut -d'"' -f2) \
            $(grep -hoE '^test_[a-z0-9_]+' tests/fidelity/*.c); do
  [[ $rows == *"\`$name\`"* ]] || wrong "$name is not in it"
done
exit $bad

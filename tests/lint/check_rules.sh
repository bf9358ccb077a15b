#!/bin/bash
# Every rule of docs/spec ([1.12]), every requirement (M12) and every promise (P3) is named by a
# test that shows it, or stands in tests/lint/debts with the reason. A test names a number in its
# function's name (test_m12_...) or in a comment: at the head of its file, right above the test, or
# inside it.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
debts=tests/lint/debts
limit=2                              # Lines of the debts; this number may only be lowered
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0
refuse() { echo "$*"; bad=1; }

# The numbers that exist, one a line. A rule that begins a line is given there; elsewhere on the
# pages its number may be a reference.
grep -ohE '\[[0-9]+\.[0-9]+\]' docs/spec/*.md | tr -d '[]' | sort -u >"$work/rules"
grep -ohE '^(- )?\[[0-9]+\.[0-9]+\]' docs/spec/*.md | tr -d '[] -' >"$work/given"
grep -ohE '^\| M[0-9]+ \|' docs/requirements.md | tr -d '| ' | tee -a "$work/rules" >>"$work/given"
grep -ohE '^\| P[0-9]+ \|' docs/promises.md | tr -d '| ' | tee -a "$work/rules" >>"$work/given"
for twice in $(sort "$work/given" | uniq -d); do refuse "$twice is given twice in docs/"; done

# A MUST without a number cannot be named.
for page in docs/spec/*.md; do
  grep -nE '\bMUST\b' "$page" | grep -vE '\[[0-9]+\.[0-9]+\]|RFC 2119' | sed "s|^|$page:|; s|$| (a MUST without a number)|"
done >"$work/unnumbered"
[ ! -s "$work/unnumbered" ] || { cat "$work/unnumbered"; bad=1; }

# "FILE:LINE NUMBER" for each number that a test names; "FILE:LINE stray NUMBER" for one above
# something that is no test, and "range" for one that stands for several.
find tests -name '*.[ch]' -o -name '*.sh' -o -path 'tests/qemu/*' -type f | grep -v '^tests/lint/check_rules' | sort >"$work/files"
xargs awk '
  function tell(line, at,   text, number) {
    text = line
    if (match(text, /[^A-Za-z0-9_][MP][0-9]+ ?- ?[MP]?[0-9]+/))
      print FILENAME ":" at " range " substr(text, RSTART + 1, RLENGTH - 1)
    while (match(text, /\[[0-9]+\.[0-9]+\]|[^A-Za-z0-9_.][MP][0-9]+[^A-Za-z0-9_]|[^A-Za-z0-9_.][MP][0-9]+$/)) {
      number = substr(text, RSTART, RLENGTH)
      gsub(/[^MP0-9.]/, "", number); sub(/\.$/, "", number)
      print FILENAME ":" at " " kind number
      text = substr(text, RSTART + RLENGTH - 1)
    }
  }
  function flush(is_named,   i) {
    kind = is_named ? "" : "stray "
    for (i = 1; i <= held; i++) tell(lines[i], places[i])
    held = 0; kind = ""
  }
  FNR == 1 { held = 0; is_head = 1; is_code = FILENAME ~ /\.[ch]$/ }
  !is_code { if (/^[ \t]*#/) { kind = ""; tell($0, FNR) } next }
  /^\/\// { if (FNR == 1) is_head = 1; lines[++held] = $0; places[held] = FNR; next }
  is_head { if (held) flush(1); is_head = 0 }
  held && /^(static )?(void|int)$/ { next }        # The type of the function that follows
  held { flush(/^test_[a-z0-9_]*\(/ || /^    /) }
  /^test_[mp][0-9]+_/ { number = $0; sub(/^test_/, "", number)
    while (match(number, /^[mp][0-9]+_/)) {
      print FILENAME ":" FNR " " toupper(substr(number, 1, RLENGTH - 1)); number = substr(number, RLENGTH + 1)
    }
  }
  match($0, /(^|[ \t])\/\/ /) { kind = ""; tell(substr($0, RSTART), FNR) }
' <"$work/files" >"$work/named" || exit 1
while read -r place what number; do
  case $what in
  range) refuse "$place: a range names nothing; name each number ($number)" ;;
  stray) refuse "$place: $number stands above something that is no test" ;;
  *) grep -qxF "$what" "$work/rules" || refuse "$place: there is no $what in docs/" ;;
  esac
done <"$work/named"
awk 'NF == 2 { print $2 }' "$work/named" | sort -u >"$work/shown"

# The debts: "NUMBER reason".
count=0
while read -r number reason; do
  count=$((count + 1))
  [ -n "$reason" ] || refuse "$debts: $number has no reason"
  grep -qxF "$number" "$work/rules" || refuse "$debts: there is no $number in docs/"
  ! grep -qxF "$number" "$work/shown" || refuse "$debts: $number is named by a test; take the line out"
  echo "$number" >>"$work/shown"
done <"$debts"
[ $count -le $limit ] || refuse "$debts has $count lines; it may have $limit, and only shrinks"
[ $count -ge $limit ] || refuse "$debts has $count lines; lower the limit in $0 to $count"

while read -r number; do
  grep -qxF "$number" "$work/shown" || refuse "$number is named by no test, and is no debt"
done <"$work/rules"

# What the page of promises names is there: files, and tests of C by their function.
grep -oE '`[^`]+`' docs/promises.md | tr -d '`' | sort -u >"$work/words"
while read -r word; do
  case $word in
  test_*) grep -rqE "^$word\(" tests --include='*.c' || refuse "docs/promises.md: there is no test $word" ;;
  */*) [ -e "$word" ] || refuse "docs/promises.md: there is no $word" ;;
  esac
done <"$work/words"
exit $bad

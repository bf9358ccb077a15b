#!/bin/bash
# The manual pages and the completion have what the tables of the sources have: each verb, each option,
# each setting. man finds nothing wrong with a page.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
export RAMET_BIN=${RAMET_BUILD:-$PWD/build/release}/bin
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
ops/manual "$work" >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
status=0
lacks() { echo "$1 lacks $2"; status=1; }
has() { grep -qF -- "$2" "$work/$1" || lacks "$1" "$2"; }

for page in "$work"/man/*; do
  wrong=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >"$work/shown")
  [ -z "$wrong" ] || { echo "${page##*/}: $wrong"; status=1; }
done
# Rows of the tables: strings in parts are joined.
rows() { # FILE...
  perl -0777 -ne 's/"\s*\n\s*"//g;
    s/\\\n/ /g; my @verbs; push @verbs, $1 while /\{\s*noun_,\s*"([a-z]+)"/g;
    while (/^ +RECORD_ROWS\("([a-z]+)"/gm) { print "verb $1 $_\n" for @verbs }
    while (/\{"([a-z]+)",\s*"([a-z]*)",\s*[^,{}]*,\s*-?\d+,/g) { print "verb $1 $2\n" }
    while ($ARGV =~ /^console/ && /\{"([a-z-]+)",\s*(?:"([A-Z][A-Za-z=-]*)"|NULL),\s*["A-Z]/g) { print "option $1 $2\n" }
    while (/\{"([a-z-]+)",\s*RMT_CONFIG_/g) { print "setting $1\n" }' "$@" | sort -u
}
rows console/cmd_*.c console/command.c console/call.c broker/settings.c gateway/settings.c workers/*/*.c workers/agent/*/*.c >"$work/rows"
while read -r kind name word; do
  case $kind in
  verb)
    has man/ramet.1 "ramet $name${word:+ $word}"
    [ -z "$word" ] || grep -qE "^  $name\) echo \"(.* )?${word}[ \"]" "$work/completion/ramet" || lacks completion/ramet "the verb $name $word" ;;
  option)
    has man/ramet.1 "\\-\\-${name//-/\\-}${word:+ ${word//-/\\-}}"
    for file in completion/ramet completion/_ramet; do has $file "--$name${word:+=$word}"; done ;;
  setting) grep -qxF ".B ${name//-/\\-}" "$work/man/ramet.cfg.5" || lacks man/ramet.cfg.5 "the setting $name" ;;
  esac
done <"$work/rows"
for kind in verb:$("$RAMET_BIN/ramet" --help | grep -c '^  [a-z]') option:60 setting:40; do
  [ "$(grep -c "^${kind%:*} " "$work/rows")" -ge "${kind#*:}" ] || { echo "the rows of each $kind were not found in the sources"; status=1; }
done
exit $status

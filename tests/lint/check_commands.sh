#!/bin/bash
# Each command of the console that a message, a help text, a page or a script names is in the console's
# tables: a user who pastes it is not told that it does not exist. In pages a command has backquotes or
# begins a line; in messages it stands behind a colon, or begins with a noun of the console.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
ramet=${RAMET_BUILD:-build/release}/bin/ramet
tables=$("$ramet" --help | sed -nE 's/^  ([a-z]+) ([a-z]*) .*/\1 \2/p')
[ "$(wc -l <<<"$tables")" -gt 30 ] || { echo "$ramet --help shows no commands"; exit 1; }

# The overview has the first sentence of each help text, whole.
while IFS= read -r line; do
  read -r noun verb _ <<<"$line"
  [[ $verb =~ ^[a-z]+$ ]] || verb=""
  # shellcheck disable=SC2086
  help=$("$ramet" $noun $verb --help | sed -n 3p) brief=${line:47}
  [[ $help == "$brief." || $help == "$brief. "* ]] || { echo "ramet --help cuts the help of $noun $verb: $brief"; exit 1; }
done < <("$ramet" --help | grep -E '^  [a-z]')

# Strings that are written in parts are joined; a word that is put together at run time is left out.
# shellcheck disable=SC2016
named=$(find README.md docs console gateway broker lib workers ops -type f \
  \( -name '*.md' -o -name '*.[ch]' -o -name '*.lua' -o -path 'ops/*' \) -print0 2>/dev/null |
  xargs -0 perl -0777 -ne '
    s/"\s*\n\s*"//g; s/\x27\s*(\n\s*)?\.\.\s*\x27//g;
    while (/(^|[`:,(;] ?|\x27|"|\bor |\bthen )ramet ([a-z]+)(?: ([a-z]+))?(?![\w.\/-])/gm) {
      my ($before, $noun, $verb) = ($1, $2, $3 // "");
      print join("\t", $ARGV, $before =~ /^[`:]/ ? "sure" : "perhaps", $noun, $verb), "\n";
    }')
[ "$(wc -l <<<"$named")" -gt 100 ] || { echo "no commands were found"; exit 1; }

unknown=$(awk -F'\t' '
  NR == FNR { split($0, part, " "); noun[part[1]] = 1; verb[part[1], part[2]] = 1; next }
  $3 == "help" { next }               # It takes nouns and verbs, and has no row
  !($3 in noun) { if ($2 == "sure") print $1 ": ramet " $3 " " $4; next }
  !(($3, "") in verb) && $4 != "" && !(($3, $4) in verb) { print $1 ": ramet " $3 " " $4 }
' <(echo "$tables") <(echo "$named") | sort -u)
[ -z "$unknown" ] && exit 0
echo "the console has no such commands:"
echo "$unknown"
exit 1

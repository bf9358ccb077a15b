#!/bin/bash
# docs/security.md, "Who may use which verb", says of each verb which roles may use it, as the
# table of the broker has it.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
table=broker/verbs.c page=docs/security.md

# Each row of the code as "verb role,role": the named sets of roles are put in.
roles_of() {
  awk '
    /^enum \{/ { in_enum = 1 } in_enum && /^\};/ { in_enum = 0 }
    in_enum && match($0, /^ +[A-Z]+ = [A-Z_| ]+,/) {
      line = substr($0, RSTART, RLENGTH); gsub(/[ ,]/, "", line); split(line, part, "=")
      sets[part[1]] = part[2]
    }
    match($0, /^ +\{"[a-z]+(\.[a-z]+)?", [A-Z][A-Z| ]*, /) {
      line = substr($0, RSTART, RLENGTH); split(line, part, "\""); verb = part[2]
      words = part[3]; gsub(/[ ,]/, "", words)
      do {
        count = split(words, list, "|"); words = ""; again = 0
        for (i = 1; i <= count; i++) {
          word = list[i]
          if (word in sets) { word = sets[word]; again = 1 }
          if (word !~ /^(QUIET|SETS|JUDGES|RMT_VERB_[A-Z]+)$/) words = words (words == "" ? "" : "|") word
        }
      } while (again)
      print verb, tolower(words)
    }' "$table" | while read -r verb words; do
    echo "$verb $(tr '|' '\n' <<<"$words" | sort -u | paste -sd,)"
  done | sort
}

# The same of the page: rows "| role, role | `verb` `verb` |".
told() {
  sed -n '/^## Who may use which verb/,/^## [^W]/p' "$page" | grep -E '^\| [a-z`, ]+ \| `' |
    while IFS='|' read -r _ roles verbs _; do
      set=$(tr -d ' `' <<<"$roles" | tr ',' '\n' | sort -u | paste -sd,)
      grep -oE '`[a-z.]+`' <<<"$verbs" | tr -d '`' | sed "s|\$| $set|"
    done | sort
}

[ "$(roles_of | wc -l)" -gt 50 ] || { echo "$table: the table of verbs was not found"; exit 1; }
wrong=$(diff <(roles_of) <(told) | grep '^[<>]')
[ -z "$wrong" ] && exit 0
echo "the verbs of $table (<) and of $page (>) differ:"
echo "$wrong"
exit 1

# Sourced by ops/manual: what the programs print of their verbs, options and settings, as lines with tabs
# between. They print their tables, so nothing of it is written a second time.

# ramet_verbs: NOUN, VERB (- for none), OPERANDS (- for none), HELP
ramet_verbs() {
  local noun verb
  "$bin/ramet" --help | sed -nE 's/^  ([a-z]+) ([a-z]*) .*/\1 \2/p' | while read -r noun verb; do
    # shellcheck disable=SC2086  # A noun may have no verb.
    "$bin/ramet" $noun $verb --help | awk -v noun="$noun" -v verb="$verb" '
      NR == 1 {
        words = $0; sub(/ \[OPTION\]\.\.\.$/, "", words)
        words = substr(words, length("usage: ramet " noun (verb == "" ? "" : " " verb)) + 2)
      }
      NR == 3 { printf "%s\t%s\t%s\t%s\n", noun, verb == "" ? "-" : verb, words == "" ? "-" : words, $0 }'
  done
}

# ramet_options NOUN VERB: OPTION, ARGUMENT (- for none), HELP
ramet_options() {
  # shellcheck disable=SC2046  # A noun may have no verb.
  "$bin/ramet" "$1" $([ "$2" = - ] || echo "$2") --help | awk '
    /^Options:$/ { inside = 1; next }
    inside && match($0, /^  --[a-z-]+ /) {
      name = substr($0, 5, RLENGTH - 5); text = substr($0, RLENGTH + 1); argument = "-"
      if (text !~ /^ /) { argument = text; sub(/ .*/, "", argument); text = substr(text, length(argument) + 1) }
      sub(/^ +/, "", text); printf "%s\t%s\t%s\n", name, argument, text
    }'
}

# settings PROGRAM [WORD]: SETTING, PRESET (- for one that must be given), HELP
settings() {
  "$bin/$1" "${@:2}" --print-config | awk '
    /^# [^ ]+ = \(must be given\)$/ { printf "%s\t-\t%s\n", $2, help; next }
    /^# / { help = substr($0, 3); next }
    / = "/ { name = $1; value = $0; sub(/^[^"]*/, "", value); printf "%s\t%s\t%s\n", name, value, help }'
}

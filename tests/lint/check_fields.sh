#!/bin/bash
# Every field name that stands in a call on records is in docs/spec/3-facts.md, 4-control.md,
# 5-image.md, 7-trust.md or 8-audit.md, as `code` or in {braces}; of the console also the options of its commands,
# which are records too. A slip of the pen in a field's name is found here.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
specs=(docs/spec/3-facts.md docs/spec/4-control.md docs/spec/5-image.md docs/spec/7-trust.md
  docs/spec/8-audit.md)
name='[a-z0-9][a-z0-9._-]*'

# The second argument of rmt_record_text(record, "name", ...) and its like, also over lines.
first='(?:[^(),"]|"[^"]*"|(\((?:[^()]|(?1))*\)))*'
calls='\brmt_record(?:s_find|_(?:text|u64|set|setf|set_u64|put|add|get|has|is|flag|remove))\s*\('
used=$(grep -rzohP --include='*.[ch]' "$calls\\s*$first,\\s*\"\\K$name(?=\"\\s*[,)])" \
  lib broker workers console gateway | tr '\0' '\n' | sort -u)
[ "$(wc -l <<<"$used")" -gt 100 ] || { echo "no calls on records were found"; exit 1; }

told=$({
  cat "${specs[@]}" | tr '\n' ' ' | grep -oE '`[^`]*`|\{[^}]*\}'
  grep -rhoE '^ *\{"[a-z-]+", (NULL|"[A-Z]+[^"]*"),' --include='*.c' console
} | grep -oE "$name" | sort -u)

missing=$(comm -23 <(echo "$used") <(echo "$told"))
[ -z "$missing" ] && exit 0
echo "these field names are used, and no page of ${specs[*]} tells them:"
while IFS= read -r field; do
  echo "  $field: $(grep -rlF "\"$field\"" --include='*.[ch]' lib broker workers console gateway | tr '\n' ' ')"
done <<<"$missing"
exit 1

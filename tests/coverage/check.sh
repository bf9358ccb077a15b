#!/bin/bash
# Hold a table of gcovr (--csv) against the floors of one group in tests/coverage/floors.
#
#   tests/coverage/check.sh GROUP TABLE    exit 1 when a file or a sum is below its floor
#
# Each file below its floor is named. A row that names no file is an error too.
set -euo pipefail
group=$1 table=$2
exec awk -F, -v group="$group" -v floors="$(dirname "$0")/floors" '
function percent(covered, total) { return total > 0 ? 100 * covered / total : 100 }
function hold(what, line_percent, branch_percent, row) {
  if (lines[row] != "-" && line_percent < lines[row]) {
    printf "below its floor: %s: %.1f of 100 lines, not %s\n", what, line_percent, lines[row]; below = 1
  }
  if (branches[row] != "-" && branch_percent < branches[row]) {
    printf "below its floor: %s: %.1f of 100 branches, not %s\n", what, branch_percent, branches[row]; below = 1
  }
}
# Whether a file is one of a row: an expression, "all", or "@" and a group.
function is_named(file, row,    other) {
  if (files[row] == "all") return 1
  if (files[row] !~ /^@/) return file ~ "^(" files[row] ")$"
  for (other = 1; other <= count; other++)
    if (groups[other] == substr(files[row], 2) && is_named(file, other)) return 1
  return 0
}
BEGIN {
  while ((getline text < floors) > 0) {
    if (text ~ /^(#|$)/) continue
    split(text, words, " "); count++
    groups[count] = words[1]; lines[count] = words[2]; branches[count] = words[3]; files[count] = words[4]
  }
}
FNR > 1 {
  for (row = 1; row <= count; row++) {
    if (groups[row] != group || !is_named($1, row)) continue
    seen[row]++; line_total[row] += $2; line_covered[row] += $3; branch_total[row] += $5; branch_covered[row] += $6
    if (files[row] !~ /^(all$|@)/) hold($1, percent($3, $2), percent($6, $5), row)
  }
}
END {
  for (row = 1; row <= count; row++) {
    if (groups[row] != group) continue
    rows++
    if (!seen[row]) { printf "error: the floor of %s names no file\n", files[row]; below = 1; continue }
    line_percent = percent(line_covered[row], line_total[row])
    branch_percent = percent(branch_covered[row], branch_total[row])
    printf "%5.1f of 100 lines, %5.1f of 100 branches: %s\n", line_percent, branch_percent, files[row]
    if (files[row] ~ /^(all$|@)/) hold(files[row], line_percent, branch_percent, row)
  }
  if (!rows) { printf "error: no floor of group %s in %s\n", group, floors; below = 1 }
  exit below
}' "$table"

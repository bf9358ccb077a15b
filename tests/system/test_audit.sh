#!/bin/bash
# The audit, as a person sees it (P24, C10.17): who did what and what was refused; files that were
# edited, cut, reordered or added to are known, and the first such line is named; two brokers each have
# all; brokers that are killed while they write lose nothing and write nothing twice ([8.2] [8.5] [8.11]
# [8.12]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 1
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"

# ---- Who did what, and what was refused

token=$(ramet key token viewer --name wall --approve --json | jq -r .token)
mkdir "$farm/wall"
sed "s|^ *key = .*|key = \"$farm/wall/key\"|" "$farm/console.cfg" >"$farm/wall.cfg"
ramet key enrol viewer --name wall --token "$token" --config "$farm/wall.cfg" >/dev/null
job=$(ramet image create web --name web-1)
ramet job wait "$job" --timeout 2m
ramet target add n1 engine=lab
expect 77 ramet target add n2 engine=lab --config "$farm/wall.cfg"
expect 77 ramet audit list --config "$farm/wall.cfg"

has_entry() { # FILTER-OF-JQ OPTIONS...
  local filter=$1; shift
  ramet audit list "$@" --json | jq -e "any(.items[]; $filter)" >/dev/null
}
has_entry '.what == "target.add" and .target == "n1" and .role == "admin" and .address == "127.0.0.1"' --target n1 ||
  fail "the new target is not in the audit"
has_entry '.what == "job.submit"' --job "$job" || fail "the job is not in the audit"
within 5 has_entry '.what == "act.refused" and .by == "wall" and .role == "viewer" and .act == "target.add"
  and .address == "127.0.0.1" and (.text | test("role viewer may not"))' --refused --by wall ||
  { ramet audit list >&2; fail "the refused act is not in the audit"; }
[ "$(ramet audit list --limit 3 --json | jq '.items | length')" = 3 ] || fail "--limit 3 does not give 3"
[ "$(ramet audit list --since 2h --json | jq '.items | length')" -gt 5 ] || fail "--since 2h gives too few"
[ "$(ramet audit list --since 2100-01-01 --json | jq '.items | length')" = 0 ] || fail "--since is not heard"
ramet job logs "$job" --json | jq -e '[.items[] | has("address")] | any | not' >/dev/null || fail "job logs tell addresses"

# ---- Files

# The ids of a stream and of files.
stream_ids() { redis-cli -s "$farm/redis/redis.sock" --raw eval "local out = {}
  for _, e in ipairs(redis.call('XRANGE', 'ramet:audit', '-', '+')) do out[#out + 1] = e[1] end return out" 0; }
file_ids() { cat "$@" | jq -r 'select(.mark == null) | .id'; }
newest() { redis-cli -s "$farm/redis/redis.sock" --raw xrevrange ramet:audit + - count 1 | head -n 1; }
all_written() { [ "$(newest)" = "$(file_ids "$1"/audit-*.jsonl | tail -n 1)" ]; }
one=$farm/broker.state.audit
within 20 all_written "$one" || fail "the newest entries are in no file"
ramet audit export "$farm/all.jsonl"
expect 0 ramet audit verify "$farm/all.jsonl"
expect 0 ramet audit verify "$farm/all.jsonl" --key "$one/audit.pub" --config /nonexistent
count=$(wc -l <"$farm/all.jsonl")
[ "$count" -gt 24 ] || fail "an export of $count lines"
[ "$(stat -c %a "$one/audit.key")" = 600 ] || fail "the key of the audit can be read by others"

# bad WORDS SCRIPT-OF-AWK: the export, changed so, is refused, and the words name where.
bad() {
  awk "$2" "$farm/all.jsonl" >"$farm/bad.jsonl"
  expect 1 ramet audit verify "$farm/bad.jsonl" --key "$one/audit.pub"
  ramet audit verify "$farm/bad.jsonl" --key "$one/audit.pub" --json >"$farm/out" || true
  jq -r '.items[0].state' "$farm/out" | grep -qE "$1" || { cat "$farm/out" >&2; fail "not named: $1"; }
}
at=$farm/bad.jsonl
bad "^$at:12: record 12: .*edited" 'NR == 12 { sub(/"what":"[^"]*"/, "\"what\":\"nothing\"") } { print }'
bad "^$at:12: the records 12 to 14 were cut out" 'NR < 12 || NR > 14'
bad "^$at:12: record 12 is missing here and is at $at:13: .*reordered" \
  'NR == 12 { held = $0; next } { print } NR == 13 { print held }'
bad "^$at:14: record 12 was inserted" '{ print } NR == 12 { held = $0 } NR == 13 { print held }'
bad "^$at:20: record 20: the text is not a line" 'NR == 20 { $0 = "{}" } { print }'
bad "^$at:$((count - 1)): the records behind .* are not signed" "NR < $count"
"$RAMET_BIN/ramet" trust key "$farm/other" >/dev/null
expect 1 ramet audit verify "$farm/all.jsonl" --key "$farm/other.pub"

# ---- A broker that ends signs; one whose files were cut behind its back says so

end broker
expect 0 ramet audit verify "$one"/audit-*.jsonl --key "$one/audit.pub"
newest=$(find "$one" -name 'audit-*.jsonl' | sort | tail -n 1)
truncate -s "$(head -n -9 "$newest" | wc -c)" "$newest"
lab up "$farm"
within 20 grep -q 'event=audit.cut' "$farm/run/broker.log" || fail "the broker did not see that its file was cut"
within 20 all_written "$one" || fail "what was cut is not written again"
# finds FILTER: doctor has such a finding.
finds() { ramet doctor --json >"$farm/doctor" || true; jq -e "any(.findings[]; $1)" "$farm/doctor" >/dev/null; }
finds '.check == "audit" and (.text | test("lines that are gone"))' ||
  { ramet doctor >&2; fail "doctor does not tell of the cut"; }
ramet audit export "$farm/cut.jsonl"
ramet audit verify "$farm/cut.jsonl" --json >"$farm/out" && fail "files that were cut are whole"
jq -r '.items[0].state' "$farm/out" | grep -q 'the broker found here that lines were gone' || fail "the cut is not named"

# ---- A disk that cannot be written

end broker
mv "$one" "$farm/away"; : >"$one"
lab up "$farm"
named() { finds '.level == "wrong" and (.text | test("cannot write its audit files"))'; }
within 20 named || { ramet doctor >&2; fail "doctor does not tell that the audit cannot be written"; }
ramet target set n1 rack=r1
rm "$one"; mv "$farm/away" "$one"
within 20 all_written "$one" || fail "what came meanwhile is not written"
not_named() { ! named; }
within 20 not_named || fail "doctor tells of a fault that is mended"

# ---- Two brokers, killed while they write

lab broker "$farm"
two=$farm/broker-1.state.audit
within 20 all_written "$two" || fail "the second broker does not write"
# again NAME: start a broker that was killed.
again() {
  setsid "$RAMET_BIN/ramet-broker" -c "$farm/run/$1.cfg" >>"$farm/run/$1.log" 2>&1 </dev/null &
  echo $! >"$farm/run/$1.pid"
}
touch "$farm/changing"
change() { local i=0; while [ -f "$farm/changing" ]; do i=$((i + 1)); ramet target set n1 "rack=r$i" || true; done >/dev/null 2>&1; }
change & changes=$!
for i in $(seq 8); do
  name=broker; [ $((i % 2)) = 0 ] || name=broker-1
  before=$(stream_ids | wc -l)
  more() { [ "$(stream_ids | wc -l)" -gt $((before + 4)) ]; }
  within 20 more || fail "nothing was changed meanwhile"
  end $name KILL
  again $name
done
rm "$farm/changing"
wait $changes
stream_ids | sort >"$farm/ids"
has_each() { [ -z "$(comm -23 "$farm/ids" <(file_ids "$1"/audit-*.jsonl | sort))" ]; }
for folder in "$one" "$two"; do
  within 20 has_each "$folder" || { comm -23 "$farm/ids" <(file_ids "$folder"/audit-*.jsonl | sort) >&2; fail "$folder lacks entries"; }
  [ -z "$(file_ids "$folder"/audit-*.jsonl | sort | uniq -d)" ] || fail "$folder has entries twice"
done
end broker; end broker-1
expect 0 ramet audit verify "$two"/audit-*.jsonl --key "$two/audit.pub"

# ---- A file ends with its day, and when it is large; the next one goes on

marks() { jq -r 'select(.mark != null) | .mark' "$@" | tr '\n' ' '; }
shift_clock=$RAMET_BIN/../tests/shift_clock.so
shift_to() { printf '%-31s\n' "$1" | dd of="$farm/shift" conv=notrunc status=none; }
shift_to 0
LD_PRELOAD=$shift_clock RAMET_SHIFT=$farm/shift setsid "$RAMET_BIN/ramet-broker" -c "$farm/run/broker-1.cfg" \
  >>"$farm/run/broker-1.log" 2>&1 </dev/null &
echo $! >"$farm/run/broker-1.pid"
two_is_written() { [ "$(newest)" = "$(find "$two" -name 'audit-*.jsonl' | sort | tail -n 1 | xargs tail -n 1 | jq -r .id)" ]; }
within 20 ramet target set n1 rack=day || fail "the broker does not come back"
within 20 two_is_written || fail "the broker does not go on"
count_files() { find "$two" -name 'audit-*.jsonl' | wc -l; }
files=$(count_files)
shift_to 86400
old=$(find "$two" -name 'audit-*.jsonl' | sort | tail -n 1)
signed_day() { [ "$(tail -n 1 "$old" | jq -r .mark)" = day ]; }
within 20 signed_day || fail "the file of a day is not signed at its end"
redis-cli -s "$farm/redis/redis.sock" eval "for i = 1, 70000 do redis.call('XADD', 'ramet:audit', '*',
  'what', 'note', 'moment', i, 'serial', redis.call('INCR', 'ramet:audit-serial'), 'text', string.rep('x', 100)) end" 0 >/dev/null
within 120 two_is_written || fail "70,000 entries are not written within 120 s"
[ "$(count_files)" = $((files + 2)) ] || fail "there are $(count_files) files, not $((files + 2))"
new=$(find "$two" -name 'audit-*.jsonl' | sort | tail -n 1)
large=$(find "$two" -name 'audit-*.jsonl' | sort | tail -n 2 | head -n 1)
[ "$(marks <(head -n 1 "$large") <(tail -n 1 "$large") <(head -n 1 "$new"))" = "open size open " ] ||
  fail "the marks are not those of a large file and of the next one"
end broker-1
expect 0 ramet audit verify "$two"/audit-*.jsonl --key "$two/audit.pub"
mv "$large" "$farm/large"
expect 1 ramet audit verify "$two"/audit-*.jsonl --key "$two/audit.pub"
grep -q 'were cut out' "$farm/out" || { cat "$farm/out" >&2; fail "a file that is missing is not named"; }
echo "audit: passed"

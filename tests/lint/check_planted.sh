#!/bin/bash
# Refuses a promise (docs/promises.md) of which no test was seen failing: each has a planted fault
# (tests/planted), or a mistake of the simulation (tests/sim/sim_bugs.c), or stands in tests/lint/debts.
# Refuses a fault that can no longer be planted: its text is not in its file exactly once, or its test is gone.
# The column "seen failing" of a promise names faults that break it, and none that does not.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
. tests/planted/table.sh
bad=0
refuse() { echo "$*"; bad=1; }
read_faults tests/planted || exit 1

# The file of a test, if any.
test_file() {
  case $1 in
  system.*) ls "tests/system/test_${1#*.}.sh" ;;
  fuzz.*) ls "tests/fuzz/fuzz_${1#*.}.c" ;;
  sim.state_*) ls "tests/integration/test_${1#*.}.c" ;;
  *) ls "tests/${1%%.*}/test_${1#*.}.c" ;;
  esac 2>/dev/null
}
for name in "${faults[@]}"; do
  count=${fault_changes[$name]}
  for ((i = 1; i <= count; i++)); do
    words=$(put_change "$name $i" "${change_file["$name $i"]}" /dev/null) || refuse "$words"
  done
  [ "$count" -gt 0 ] || refuse "the fault $name changes nothing"
  read -r test function <<<"${fault_test[$name]-}"
  if ! file=$(test_file "$test"); then refuse "the fault $name names a test that is not there: $test"
  elif [ -n "$function" ]; then
    grep -q "^$function(" "$file" || refuse "the fault $name names a test that is not there: $function of $file"
  fi
  for promise in ${fault_promises[$name]}; do
    grep -q "^| $promise |" docs/promises.md || refuse "the fault $name names $promise, which docs/promises.md does not have"
  done
done
for name in "${!mistake_promises[@]}"; do
  grep -q "\.name = \"$name\"" tests/sim/sim_bugs.c || refuse "the simulation has no mistake $name; see tests/sim/sim_bugs.c"
done
for promise in $(grep -oE '^\| P[0-9]+ \|' docs/promises.md | tr -d '| '); do
  breaks=$({
    for name in "${faults[@]}"; do [[ " ${fault_promises[$name]} " != *" $promise "* ]] || echo "$name"; done
    for name in "${!mistake_promises[@]}"; do [[ " ${mistake_promises[$name]} " != *" $promise "* ]] || echo "$name"; done
  } | sort)
  [ -n "$breaks" ] || grep -q "^$promise " tests/lint/debts ||
    refuse "no fault of tests/planted breaks $promise, so no test of it was seen failing"
  listed=$(sed -n "s/^| $promise |//p" docs/promises.md | cut -d '|' -f 4 | grep -oE '`[^`]+`' | tr -d '`' | sort)
  [ -z "$breaks" ] || [ -n "$listed" ] || refuse "docs/promises.md, seen failing of $promise, names no fault, and tests/planted has some"
  for name in $(comm -13 <(echo "$breaks") <(echo "$listed")); do
    refuse "docs/promises.md, seen failing of $promise: no fault $name of tests/planted breaks it"
  done
done
exit $bad

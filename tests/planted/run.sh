#!/bin/bash
# Plants faults, one at a time, and looks that the test of each finds it.
#
#   tests/planted/run.sh [NAME...]    all faults of tests/planted/*.faults, or these
#   tests/planted/run.sh --promise P6 the faults of one promise
#
# In a copy of the tree, build/planted/tree with a build of its own: each test runs once without the
# fault and must pass; then with it, and must fail, in the function that the fault names.
# Prints "found NAME", or "MISSED NAME" with the reason, and at the end "N found, N missed, N not tried".
# A fault is not tried when RAMET_PLANTED_S seconds (3300) are over. Succeeds when all are found.
set -euo pipefail
. "$(dirname "$0")/../../ops/lib/common.sh"
. "$(dirname "$0")/table.sh"
answer_help "$@"
limit_s=${RAMET_PLANTED_S:-3300}
place=$top/build/planted
tree=$place/tree
compiled=$place/build
mkdir -p "$tree" "$place/sound"
read_faults "$top/tests/planted" || die "the faults cannot be read"
case ${1:-} in
'') chosen=("${faults[@]}") ;;
--promise)
  [ $# -eq 2 ] || usage
  chosen=()
  for name in "${faults[@]}"; do [[ " ${fault_promises[$name]} " != *" $2 "* ]] || chosen+=("$name"); done
  [ ${#chosen[@]} -gt 0 ] || die "the promise $2 has no fault" ;;
*)
  chosen=("$@")
  for name in "$@"; do [ -n "${fault_promises[$name]+set}" ] || die "there is no fault $name; see: grep ^= $top/tests/planted/*.faults"; done ;;
esac

# The copy has no fault, whatever an earlier run left there; what is equal keeps its time.
copy_tree() {
  local file
  cd "$top"
  find .ci CMakeLists.txt broker cmake console docs gateway lib ops proto tests workers -type f | sort >"$place/files"
  while IFS= read -r file; do
    cmp -s "$file" "$tree/$file" || cp --parents --preserve=mode "$file" "$tree"
  done <"$place/files"
  cd "$tree"
  find . -type f -printf '%P\n' | sort | comm -13 "$place/files" - | tr '\n' '\0' | xargs -0r rm -f
}

# Faults leave things unused behind, which is no error here. Nothing is optimised: it is built often.
configure() {
  cmake -G Ninja -S "$tree" -B "$compiled" -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="-g -w" >"$place/cmake.log" ||
    die "the copy cannot be configured; see $place/cmake.log"
  ctest --test-dir "$compiled" --show-only=json-v1 >"$place/tests.json"
}
# starts_programs FILE: a test that does, or has a helper that does.
starts_programs() {
  local helpers
  helpers=$(grep -l RAMET_BIN "$tree"/tests/integration/*.c | xargs -n 1 basename -s .c | paste -sd '|')
  grep -qE "RAMET_BIN|\"integration/($helpers)\.h\"" "$1"
}
# targets_of TEST: what must be built for it. Tests over real programs need those too.
targets_of() {
  local program
  program=$(jq -r --arg name "$1" --arg folder "$compiled/" \
    '.tests[] | select(.name == $name) | .command[] | select(startswith($folder))' "$place/tests.json" | head -n 1)
  [ -z "$program" ] || basename "$program"
  case $1 in
  system.*) echo programs ;;
  integration.*) ! starts_programs "$tree/tests/integration/test_${1#*.}.c" || echo programs ;;
  esac
}
build_for() { # build_for TEST...
  local test targets=()
  for test in "$@"; do mapfile -t -O ${#targets[@]} targets < <(targets_of "$test"); done
  cmake --build "$compiled" --target "${targets[@]}" >"$place/build.log" 2>&1
}
# run_test TEST [FUNCTION]: its words are in said.
run_test() {
  RAMET_TEST=${2:-} ctest --test-dir "$compiled" -R "^${1//./\\.}\$" --output-on-failure --no-tests=error -V >"$place/said" 2>&1
}
said() { grep -qF -- "$1" "$place/said"; }
passes() { # passes TEST [FUNCTION]
  run_test "$@" && { [ -z "${2:-}" ] || said "[       OK ] $2"; }
}
# fails TEST [FUNCTION]: or why it does not count.
fails() {
  if run_test "$@"; then echo "$* passes"; return 1; fi
  [ -n "${2:-}" ] || return 0
  said "[ RUN      ] $2" || { echo "$1 ends before $2"; return 1; }
  ! said "[       OK ] $2" || { echo "$2 passes"; return 1; }
  ! said "[  ERROR   ] $2" || { echo "$2 has no set-up"; return 1; }
}

copy_tree
configure
mapfile -t tests < <(for name in "${chosen[@]}"; do echo "${fault_test[$name]%% *}"; done | sort -u)
say "building ${#tests[@]} tests without a fault"
build_for "${tests[@]}" || die "the copy cannot be built; see $place/build.log"
declare -A sound=()
for name in "${chosen[@]}"; do
  read -r -a test <<<"${fault_test[$name]}"
  [ -z "${sound[${test[*]}]+set}" ] || continue
  sound[${test[*]}]=yes
  passes "${test[@]}" || { sound[${test[*]}]=no; cp "$place/said" "$place/said.${test[*]: -1}"; }
done
found=0 missed=0 left=0
miss() { echo "MISSED $1: $2"; missed=$((missed + 1)); }
say "planting ${#chosen[@]} faults"
for name in "${chosen[@]}"; do
  if [ $SECONDS -ge "$limit_s" ]; then left=$((left + 1)); continue; fi
  began=$SECONDS
  read -r -a test <<<"${fault_test[$name]}"
  if [ "${sound[${test[*]}]}" = no ]; then miss "$name" "${test[*]} fails without it; see $place/said.${test[*]: -1}"; continue; fi
  (cd "$tree" && files_of "$name" | xargs cp --parents -t "$place/sound")
  if ! why=$(put_fault "$name" "$tree"); then miss "$name" "$why"
  elif ! build_for "${test[0]}"; then miss "$name" "it cannot be built: $(grep -m 1 -E 'error|FAILED' "$place/build.log")"
  elif why=$(fails "${test[@]}"); then echo "found $name ($((SECONDS - began)) s)"; found=$((found + 1))
  else miss "$name" "$why"; fi
  for file in $(files_of "$name"); do cp "$place/sound/$file" "$tree/$file"; done
done
echo "$found found, $missed missed, $left not tried"
[ $((missed + left)) -eq 0 ]

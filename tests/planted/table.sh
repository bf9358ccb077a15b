# Sourced by run.sh and by lint.planted: the planted faults.
#
# A fault is a mistake in the code that a test must find. tests/planted/*.faults has each as a block:
#   = NAME PROMISE...
#   test LABEL.NAME [FUNCTION]
#   file FILE
#   -TEXT    what the file has, exactly once: whole lines, or one part of a line
#   +TEXT    what is there instead
# More than one change, in the same file or in others, begins with a line "file" each.
# A line "simulation NAME PROMISE..." says what a mistake of tests/sim/sim_bugs.c breaks; the tests
# sim.bug_NAME plant those. A comment begins with # and a blank.
declare -A fault_promises=() fault_test=() fault_changes=() # By name
declare -A change_file=() change_was=() change_is=()        # By name and number
declare -A mistake_promises=()                              # By the name of a mistake of the simulation
faults=()                                                   # Names, as the files have them
read_faults() { # read_faults FOLDER
  local line name='' at=''
  while IFS= read -r line; do
    case $line in
    '' | '# '*) ;;
    '= '*)
      read -r _ name line <<<"$line"
      [ -z "${fault_promises[$name]+set}" ] || { echo "the fault $name is given twice"; return 1; }
      faults+=("$name")
      fault_promises[$name]=$line
      fault_changes[$name]=0 ;;
    'simulation '*)
      read -r _ at line <<<"$line"
      mistake_promises[$at]=$line ;;
    'test '*) fault_test[$name]=${line#test } ;;
    'file '*)
      at="$name $((++fault_changes[$name]))"
      change_file[$at]=${line#file } ;;
    -*) change_was[$at]+=${change_was[$at]+$'\n'}${line#-} ;;
    +*) change_is[$at]+=${change_is[$at]+$'\n'}${line#+} ;;
    *) echo "a line of the faults is not understood: $line"; return 1 ;;
    esac
  done < <(cat "$1"/*.faults)
  [ ${#faults[@]} -gt 0 ]
}

# put_change AT FROM TO: write the file FROM with the change to TO. Fails, and says why, unless FROM has
# the text exactly once.
put_change() {
  perl -e '
    my ($at, $file, $was, $is, $from, $to) = @ARGV;
    open my $in, "<", $from or die "$file: $!\n";
    local $/; my $text = <$in>;
    my $place = index $text, $was;
    die "the fault $at changes nothing\n" if $was eq "" || $was eq $is;
    die "$file does not have the text of the fault $at\n" if $place < 0;
    die "$file has the text of the fault $at more than once\n" if index($text, $was, $place + 1) >= 0;
    substr $text, $place, length $was, $is;
    open my $out, ">", $to or die "$to: $!\n";
    print $out $text; close $out or die "$to: $!\n";
  ' "$1" "${change_file[$1]}" "${change_was[$1]-}" "${change_is[$1]-}" "$2" "$3" 2>&1
}

# put_fault NAME TREE: plant it there, whole, or fail and say why.
put_fault() {
  local i at
  [ "${fault_changes[$1]}" -gt 0 ] || { echo "the fault $1 changes nothing"; return 1; }
  for ((i = 1; i <= fault_changes[$1]; i++)); do
    at="$1 $i"
    put_change "$at" "$2/${change_file[$at]}" "$2/${change_file[$at]}" || return 1
  done
}
# files_of NAME: what it changes.
files_of() {
  local i
  for ((i = 1; i <= fault_changes[$1]; i++)); do echo "${change_file["$1 $i"]}"; done | sort -u
}

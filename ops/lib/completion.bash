
# ---- bash

# Names of the farm are compared, and never expanded.
_ramet() {
  local line=${COMP_LINE:0:COMP_POINT} current="" words=() list word
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] || { current=${words[-1]}; unset 'words[-1]'; }
  list=$(_ramet_complete "$current" "${words[@]:1}")
  COMPREPLY=()
  if [ "$list" = / ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  fi
  while read -r word; do
    [[ -z $word || $word != "$current"* ]] || COMPREPLY+=("$word")
  done < <(tr ' ' '\n' <<<"$list")
  # What stands before = is no part of the word that readline replaces.
  [[ $current != --*=* || $COMP_WORDBREAKS != *=* ]] || COMPREPLY=("${COMPREPLY[@]#--*=}")
}
complete -F _ramet ramet

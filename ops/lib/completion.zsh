
# ---- zsh

_ramet() {
  local -a before list
  before=("${(@)words[2,CURRENT-1]}")
  list=("${(@f)$(emulate sh; _ramet_complete "$PREFIX" "${before[@]}" | tr ' ' '\n')}")
  if [[ $list == / ]]; then
    _files
  else
    compadd -- ${list:#}
  fi
}
_ramet "$@"

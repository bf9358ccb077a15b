
# ---- What bash and zsh have in common

# Names, and nothing else that a broker may say: a shell takes what is completed as typed by its user.
_ramet_names() { LC_ALL=C grep -xE '[A-Za-z0-9][A-Za-z0-9._-]*'; }
# Places have no list of their own: they are where the farm's stores are. CSV has a head, and ends of lines
# with a carriage return.
_ramet_places() {
  timeout 2 ramet key list --filter 'role=(imager,installer)' --columns place -o csv 2>/dev/null | tr -d '\r' | tail -n +2 | _ramet_names | sort -u
}
_ramet_ask() { timeout 2 ramet "$@" -o name 2>/dev/null | _ramet_names; }
# Words for an argument of this name. / asks for files.
_ramet_values() { # NOUN ARGUMENT
  case $2 in
  *FILE* | *FOLDER*) echo / ;;
  IMAGE*) _ramet_ask image list ;;
  JOB*) _ramet_ask job list --limit 50 ;;
  TARGET* | LIST) _ramet_ask target list ;;
  SOURCE*) _ramet_ask source list ;;
  E | ENGINE) _ramet_ask engine list ;;
  PLACE*) _ramet_places ;;
  ROLE) case $1 in trust) echo root order image ;; *) echo operator viewer dashboard imager installer source target ;; esac ;;
  FORMAT) echo table wide json csv name ;;
  WHEN) echo auto always never ;;
  NAME) case $1 in source | engine | target | key) _ramet_ask "$1" list ;; esac ;;
  esac
}
# The name of an option's argument; nothing for a flag. Before the verb, of an option that all have.
_ramet_argument() { # NOUN VERB OPTION
  local option
  for option in $(_ramet_options "${1:-doctor}" "${2:--}"); do
    case $option in "$3="*) echo "${option#*=}" ;; esac
  done
}
# The name of the operand with this number; the last one may stand for all behind it.
_ramet_operand() { # NOUN VERB NUMBER
  local word last="" number=0
  for word in $(_ramet_operands "$1" "$2"); do
    last=$word
    [ $number -lt "$3" ] || break
    number=$((number + 1))
  done
  case $number:$last in "$3":*) ;; *...) ;; *) return ;; esac
  last=${last#\[}; last=${last%...}
  echo "${last%\]}"
}
# _ramet_complete CURRENT WORD...: the words that may stand for the current one, behind the others.
_ramet_complete() {
  local current=$1 noun="" verb="" count=0 argument="" word
  shift
  for word in "$@"; do
    if [ -n "$argument" ]; then argument=""; continue; fi
    case $word in
    --*=*) ;;
    -o) argument=FORMAT ;;
    --*) argument=$(_ramet_argument "$noun" "$verb" "$word") ;;
    -* | help) ;;
    *)
      if [ -z "$noun" ]; then
        noun=$word
        [ -n "$(_ramet_verbs "$noun")" ] || verb=-
      elif [ -z "$verb" ]; then
        verb=$word
      else
        count=$((count + 1))
      fi ;;
    esac
  done
  case $current in
  --*=*)
    argument=$(_ramet_argument "$noun" "$verb" "${current%%=*}")
    for word in $(_ramet_values "$noun" "$argument"); do echo "${current%%=*}=$word"; done
    return ;;
  -*)
    for word in $(_ramet_options "${noun:-doctor}" "${verb:--}"); do echo "${word%%=*}"; done
    return ;;
  esac
  if [ -n "$argument" ]; then
    _ramet_values "$noun" "$argument"
  elif [ -z "$noun" ]; then
    _ramet_nouns; echo help
  elif [ -z "$verb" ]; then
    _ramet_verbs "$noun"
  else
    _ramet_values "$noun" "$(_ramet_operand "$noun" "$verb" "$count")"
  fi
}

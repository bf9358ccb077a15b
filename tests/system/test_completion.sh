#!/bin/bash
# A person types in a real bash and a real zsh, and presses Tab: verbs, options, values, and names
# that the farm is asked for.
. "$(dirname "$0")/lib.sh"
export TMUX_TMPDIR=$farm
clean_up() { tmux kill-server 2>/dev/null || true; }
lab up "$farm"
eval "$(lab sh "$farm")"
ramet target add rack-one-17 engine=lab mac=52:54:00:00:00:01
ramet target add 'rack-two-18' engine=lab mac=52:54:00:00:00:02
"$source_dir/ops/manual" "$farm/made"
PATH=$RAMET_BIN:$PATH

# What the shell shows in the place of a prompt is told by an end that no shell prints by itself.
printf '%s\n' 'PS1="ready> "' ". $farm/made/completion/ramet" >"$farm/bashrc"
mkdir "$farm/zsh"
printf '%s\n' 'PS1="ready> "' "fpath=($farm/made/completion \$fpath)" 'autoload -U compinit; compinit -u -D' >"$farm/zsh/.zshrc"
screen() { tmux capture-pane -p -J -t "$shell"; }
shows() { screen | grep -qF -- "$1"; }
is_ready() { screen | grep -q '^ready> *$'; }
# typed TEXT WANTED: after Tab and an X the screen has what is wanted; then the line is given up.
typed() {
  tmux send-keys -t "$shell" -l "$1"
  tmux send-keys -t "$shell" Tab X
  look_s=0.05 wait_for 20 "'$2' behind '$1' in $shell" shows "$2"
  tmux send-keys -t "$shell" C-c
  # What comes before the new prompt is echoed by the terminal, and stands in the line.
  look_s=0.05 wait_for 20 "the next line of $shell" is_ready
  tmux send-keys -t "$shell" C-l
}
for shell in bash zsh; do
  case $shell in
  bash) tmux new-session -d -s bash -x 120 -y 30 bash --noprofile --rcfile "$farm/bashrc" ;;
  zsh) ZDOTDIR=$farm/zsh tmux new-session -d -s zsh -x 120 -y 30 env ZDOTDIR="$farm/zsh" zsh -i ;;
  esac
  look_s=0.05 wait_for 20 "$shell" is_ready
  typed "ramet tar" "ramet target X"
  typed "ramet target unp" "ramet target unprotect X"
  typed "ramet job list --lim" "ramet job list --limit X"
  typed "ramet job list --output=j" "--output=json X"
  typed "ramet job list -o w" "-o wide X"
  typed "ramet target show rack-o" "rack-one-17 X"
  typed "ramet deploy start web-1 --targets rack-t" "--targets rack-two-18 X"
  typed "ramet store gc h" "ramet store gc hq X"
  typed "ramet image verify web-1 --place la" "--place lab X"
  typed "ramet key token ins" "ramet key token installer X"
  typed "ramet trust add farm.root or" "farm.root order X"
  typed "ramet image import $farm/bash" "$farm/bashrc X"
done
# A broker in a stranger's hand has names that a shell would obey.
mkdir "$farm/foreign"
printf '#!/bin/sh\necho "web-1;reboot"; echo "\$(reboot)"; echo "-x"; echo web-2\n' >"$farm/foreign/ramet"
chmod +x "$farm/foreign/ramet"
for words in 'ramet target show ' 'ramet image verify web-2 --place '; do
  # shellcheck disable=SC2016  # Of the shell that completes.
  names=$(PATH=$farm/foreign:$PATH bash -c '. "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _ramet; echo "${COMPREPLY[@]}"' - "$farm/made/completion/ramet" "$words")
  [ "$names" = web-2 ] || fail "behind '$words' stands: $names"
done
echo "completion: passed"

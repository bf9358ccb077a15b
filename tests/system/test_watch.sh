#!/bin/bash
# What `job watch` draws, as a real terminal (tmux) shows it, with 30 and 1,000 targets, at 100 and 60
# columns: no line twice, none left of a frame before, none broken, nothing scrolled away; sums by phase
# where the targets are more than the lines; equal reasons once, with the next command (U5).
set -euo pipefail
source_dir=${RAMET_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
RAMET_BIN=${RAMET_BIN:-$source_dir/build/release/bin}
. "$source_dir/ops/lib/common.sh"
work=$(mktemp -d /var/tmp/ramet-watch.XXXXXX)
terminal() { tmux -f /dev/null -S "$work/socket" "$@"; }
trap 'terminal kill-server 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; [ ! -e "$work/screen" ] || cat -A "$work/screen" >&2; exit 1; }

scrolled() { terminal display-message -p -t board '#{history_size}'; }
look() { terminal capture-pane -p -t board | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$work/screen"; }
has_begun() { look; grep -q '^job j-abcdefgh: [0-9]* of' "$work/screen"; }
has_ended() { look; grep -q '^job j-abcdefgh: partial$' "$work/screen"; }

# Each line of a frame is the head, a target, a sum, or the word above the slowest; no target is there twice.
check_frame() { # COLUMNS
  look
  answers_no grep -vE "^(job j-abcdefgh: [0-9]+ of [0-9]+ done, [0-9]+ failed, for [0-9]+s.*|  n[0-9]{4} .*|  [a-z-]+ +[0-9]+( \[.*)?|slowest:)$" "$work/screen" >"$work/odd" ||
    { grep -q "^job j-abcdefgh: partial" "$work/screen" || fail "a stale or broken line: $(cat "$work/odd")"; }
  [ "$(grep -c '^job j-abcdefgh: [0-9]' "$work/screen")" -le 1 ] || fail "two heads"
  [ -z "$(grep -oE '^  n[0-9]{4}' "$work/screen" | sort | uniq -d)" ] || fail "a target is there twice"
  [ "$(wc -L <"$work/screen")" -lt "$1" ] || fail "a line is wider than the terminal"
  [ "$(scrolled)" = 0 ] || fail "lines have scrolled away"
}

show() { # TARGETS COLUMNS LINES
  terminal new-session -d -s board -x "$2" -y "$3" -e TERM=screen-256color \
    "'$RAMET_BIN/ramet-board' $1 40; read -r"
  within 20 has_begun || fail "no frame comes"
  local frames=0
  until has_ended; do check_frame "$2"; frames=$((frames + 1)); [ $frames -lt 600 ] || fail "the board does not end"; done
  [ $frames -ge 3 ] || fail "only $frames frames were seen"
  [ "$(scrolled)" = 0 ] || fail "lines have scrolled away"
  answers_no grep -qE 'unpack|slowest' "$work/screen" || fail "lines of the last frame are left"
  grep -q "^  n0*$1: the disk is gone$" "$work/screen" || fail "the reason is not told"
  grep -q 'ramet job retry j-abcdefgh --failed' "$work/screen" || fail "the next command is not told"
  terminal kill-session -t board
  rm "$work/screen"
}

show 30 100 40     # All fit
show 30 60 20      # They do not
show 1000 100 24
echo "watch: passed"

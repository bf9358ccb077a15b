#!/bin/bash
# In tests and scripts time passes by helpers alone, so that each wait has a limit and each pause its
# reason: tests/tools/rmt_wait.h in C, within, wait_for and pause of ops/lib/common.sh in scripts.
# A script that runs elsewhere defines such helpers in one line. Not looked at: what GRUB and iPXE
# are told, and sleep as a word of another command. tests/tools/slow_sync.c plays a slow disk.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
c=$(grep -rnE --include='*.[ch]' '\b((clock_)?nano|u|zclock_)?sleep *\(|\bpoll *\(NULL' tests |
  grep -vE '^tests/tools/(rmt_wait\.h|slow_sync\.c):')
mapfile -t scripts < <({ grep -rIlE -m 1 --exclude-dir=corpus '^#!/bin/(ba)?sh' ops tests
  find ops tests -name '*.sh'; } | sort -u)
shell=$(awk '
  FNR == 1 { other = "" }
  other != "" { if ($0 == other) other = ""; next }
  match($0, /<<-?.?(GRUB|IPXE)/) { other = substr($0, RSTART, RLENGTH); gsub(/[^A-Z]/, "", other); next }
  /^[ \t]*#/ || /pause\(\) \{ [s]leep "\$1"; \}/ || /^within\(\) \{/ || /^ *sleep "\$\{look_s:-[0-9.]+\}"$/ { next }
  /(^|[;&|({!"\047]|(^|[ \t;"\047])(do|then|else|if|while|until)[ \t])[ \t]*(busybox[ \t]+)?u?sleep[ \t]/ {
    print FILENAME ":" FNR ":" $0 }' "${scripts[@]}" /dev/null)
python=$(grep -rIlE -m 1 --exclude-dir=corpus '^#!/usr/bin/(env )?python3' ops tests | xargs -r awk '
  /time\.sleep\(/ && before !~ /^def pause\(/ { print FILENAME ":" FNR ":" $0 } { before = last; last = $0 }')
[ -z "$c$shell$python" ] && exit 0
printf '%s\n' "$c" "$shell" "$python" | sed '/^$/d'
echo "a bare sleep: wait for an event with RMT_WAIT_UNTIL or wait_for, or say why time passes with rmt_pause or pause"
exit 1

#!/bin/bash
# A foreign tree may have a device, a FIFO or a link to elsewhere in place of every file, so the rooms
# that read one open nothing by a path of their own: lib/base/rmt_rooted.h and lib/tree/rmt_beneath.h do.
# What they open beside it, of this machine, is in tests/lint/own_paths with its reason. [P22]
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
bad=0
rooms=(lib/system lib/kernel lib/tree lib/disk/rmt_esp.c lib/disk/rmt_btrfs.c workers/agent/diskw workers/agent/disk_tools workers/agent/source)
there=(); for room in "${rooms[@]}"; do [ ! -e "$room" ] || there+=("$room"); done
list=tests/lint/own_paths
# A folder is opened again by the name of itself.
hits=$(grep -rnE --include='*.c' '\b(open|open64|openat|creat|fopen|freopen|opendir|scandir|scandirat|rmt_io_load|btrfs_util_[a-z_]*(subvolume|iterator|snapshot)) ?\(' "${there[@]}" /dev/null |
  grep -vE '^[^:]+:[0-9]+: *//' | grep -vE 'openat\([^,]*, "\.\.?",')
while IFS= read -r hit; do
  [ -n "$hit" ] || continue
  file=${hit%%:*} is_known=
  while IFS= read -r line; do
    [[ "$line" == "$file ; "* ]] || continue
    text=${line#"$file ; "}; text=${text%% ; *}
    [[ "$hit" != *"$text"* ]] || is_known=yes
  done <"$list"
  [ -n "$is_known" ] || { echo "$hit: use rmt_rooted_* or rmt_beneath_open; a path of this machine stands in $list"; bad=1; }
done <<<"$hits"
while IFS= read -r line; do
  case $line in ''|'#'*) continue ;; esac
  file=${line%% ; *} text=${line#* ; }; text=${text%% ; *}
  grep -F -- "$text" <<<"$hits" | grep -qF -- "$file:" || { echo "$list: nothing in $file needs: $text"; bad=1; }
done <"$list"
exit $bad

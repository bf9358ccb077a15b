#!/bin/bash
# What cannot be carried out on a target is told by the capture or by the plan, and its disk is as it
# was; what is planned is shown, and is what is done (M33, [3.20]).
. "$(dirname "$0")/lib.sh"
farm_up
cases=0
# refused NAME WORDS SCRIPT: a system that is changed so is imaged, and the plan says why it is no use.
refused() {
  disk "$1" 48M
  fill "$1" 0 mke2fs -q -t ext4
  at "$1" 0 sh -ec "$3"
  capture "$1"
  plan_refused "$1" "$2"
  cases=$((cases + 1))
}
refused init 'configure: .*no program that starts services' \
  'rm -r usr/lib/systemd etc/systemd'
refused ssh 'configure: /etc/ssh/ssh_host_[a-z0-9]*_key: /etc/ssh on the way to it is a symlink' \
  'rm -r etc/ssh; ln -s ../nowhere etc/ssh; : >usr/sbin/sshd'
refused units 'configure: .*/etc/systemd/system on the way to it is a symlink' \
  'mkdir srv; mv etc/systemd/system srv/units; ln -s ../../srv/units etc/systemd/system'
refused name 'configure: /etc/hostname is a folder' 'rm etc/hostname; mkdir etc/hostname'
refused ramet 'configure: .*/usr/lib/ramet on the way to it is no plain folder' ': >usr/lib/ramet'
refused id 'configure: .*/etc/machine-id is a folder' 'rm etc/machine-id; mkdir etc/machine-id'
refused hosts 'configure: .*/etc/hosts is a folder' 'rm etc/hosts; mkdir etc/hosts'
refused systemd 'configure: .*/etc/systemd on the way to it is a symlink' \
  'mkdir srv; mv etc/systemd srv/units; ln -s ../srv/units etc/systemd'
refused wants 'configure: .*multi-user.target.wants on the way to it is no plain folder' \
  'rm -r etc/systemd/system/multi-user.target.wants; : >etc/systemd/system/multi-user.target.wants'
refused usr 'configure: .*/usr/lib on the way to it is a symlink' 'mv usr/lib usr/lib64; ln -s lib64 usr/lib'
refused rc 'configure: .*/etc/init.d on the way to it is a symlink' \
  'rm -r usr/lib/systemd etc/systemd; mkdir -p srv/init.d; ln -s ../srv/init.d etc/init.d; echo id:2:initdefault: >etc/inittab'

# ---- What is planned is shown, and is what is done
disk web 64M
fill web 0 mke2fs -q -t ext4
capture web
plan web hostname=copy address=10.1.0.7/24 || { echo "$said" >&2; fail "web does not fit"; }
ramet deploy plan web-1 --engine lab --explain >"$farm/explained"
for words in 'configure +/etc/hostname +- +write +file +yes +hostname' 'volume +/ +- +ext4 .*erased' \
  'configure +/etc/ssh/ssh_host_ed25519_key +- +remove +file +yes +ssh-host-key' 'configure +/etc/network/interfaces +- +write' \
  'configure +/etc/systemd/system/ramet-firstboot.service +- +write +nothing +yes +first-boot'; do
  grep -Eq "^$words" "$farm/explained" || { cat "$farm/explained" >&2; fail "--explain does not show: $words"; }
done
ramet target match t-web web-1 --json >"$farm/match.json"
facts() { jq -r --arg c "$1" '.items[0].verdicts[] | select(.component == "configure" and .fact and .wanted == $c) | .fact' "$farm/match.json" | sort -u; }
deploy web
written=$(facts write; facts link)
for path in $written; do
  case $path in *ramet*) continue ;; esac        # Of the first boot, which is over
  look web 0 test -e ".$path" || fail "$path was to be written, and is not there"
done
for path in $(facts remove); do
  grep -qx "$path" <<<"$written" || look web 0 test ! -e ".$path" || fail "$path was to be removed, and is there"
done
# Nothing else differs.
attach "$farm/web.source" 0 -r; mount -o ro "$loop" "$farm/at"
look web 0 "$RAMET_BIN/ramet-compare" "$farm/at" . >"$farm/diff" || true
umount "$farm/at"; detach
[ -s "$farm/diff" ] || fail "the copy does not differ from its source"
all=$(facts write; facts link; facts remove)
while IFS= read -r line; do
  path=/${line#*/}; path=${path%%: *}
  grep -qxF -- "$path" <<<"$all" || grep -qF -- "${path%/}/" <<<"$all" || fail "this was not planned: $line"
done <"$farm/diff"
echo "late: $cases refusals, passed"

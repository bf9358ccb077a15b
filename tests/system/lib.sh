# Sourced by the system tests: a small farm in a folder of its own, ended whatever happens.
set -euo pipefail
source_dir=${RAMET_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
export RAMET_BIN=${RAMET_BIN:-$source_dir/build/release/bin}
. "$source_dir/ops/lib/common.sh"
farm=$(mktemp -d /var/tmp/ramet-system.XXXXXX)
lab() { "$source_dir/ops/lab" "$@"; }

# A test may define clean_up for what it made beside the farm.
finish() {
  local status=$?
  if [ $status -ne 0 ]; then
    for log in "$farm"/run/*.log; do echo "--- $log"; tail -n 15 "$log"; done >&2 || true
  fi
  lab down "$farm" >/dev/null 2>&1 || true
  [ "$(type -t clean_up)" != function ] || clean_up || true
  umount -l "$farm/mnt" 2>/dev/null || true
  rm -rf "$farm"
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }

# end NAME [SIGNAL]: end a process of the farm, and wait until it is gone.
end() {
  local pid; pid=$(cat "$farm/run/$1.pid")
  kill "-${2:-TERM}" "$pid"
  look_s=0.05 wait_for 30 "the end of $1" has_ended "$pid"
}

# expect STATUS COMMAND...: the exit status is the one that is wanted.
expect() {
  local want=$1 got=0; shift
  "$@" >"$farm/out" 2>&1 || got=$?
  [ "$got" = "$want" ] || { cat "$farm/out" >&2; fail "$* ended with $got, not $want"; }
}

# A small system: enough of /etc to be personalised, and one of each kind of file.
make_tree() { # DIR [MEGABYTES]
  local d=$1
  mkdir -p "$d"/{usr/sbin,usr/lib/systemd,etc/systemd/system/multi-user.target.wants,etc/ssh,etc/network,usr/lib,usr/bin,var/lib/dbus,home/user,tmp,dev,proc,sys,run,root}
  chmod 1777 "$d/tmp"
  printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' >"$d/etc/os-release"
  echo source >"$d/etc/hostname"
  : >"$d/usr/sbin/ifup"; : >"$d/usr/lib/systemd/systemd"
  printf '127.0.0.1 localhost\n127.0.1.1 source\n' >"$d/etc/hosts"
  printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$d/etc/network/interfaces"
  echo 0123456789abcdef0123456789abcdef >"$d/etc/machine-id"
  ssh-keygen -q -t ed25519 -N '' -f "$d/etc/ssh/ssh_host_ed25519_key"
  ln -s /usr/bin "$d/bin"; :
  mkfifo "$d/run.fifo"; mknod "$d/dev/null" c 1 3
  truncate -s 4M "$d/home/user/sparse"; echo data | dd of="$d/home/user/sparse" bs=1 seek=1M conv=notrunc status=none
  setfattr -n user.color -v green "$d/home/user" 2>/dev/null || true
  printf 'odd' >"$d/home/user/"$'new\nline\xff'
  touch -d '1969-12-31 23:59:58.5' "$d/home/user/old"
  local i
  for i in $(seq "${2:-4}"); do head -c 1M /dev/urandom >"$d/home/user/big$i"; done
  for i in $(seq 300); do echo "file $i" >"$d/usr/lib/f$i"; done
  ln "$d/usr/lib/f1" "$d/home/user/f1.link"
  chown -R 1000:1000 "$d/home/user"
}

# Compare a target's disk with the source tree but for the personalised paths.
same_as_source() { # NAME TREE
  local loop
  mount_root "$farm/$1.disk" "$farm/mnt"
  "$RAMET_BIN/ramet-compare" "$2" "$farm/mnt" >"$farm/$1.diff" || true
  cp "$farm/mnt/etc/hostname" "$farm/$1.hostname"; cp "$farm/mnt/etc/machine-id" "$farm/$1.machine-id"
  umount "$farm/mnt"; losetup -d "$loop"
  unintended "$farm/$1.diff" >"$farm/$1.bad"
  [ -s "$farm/$1.diff" ] || fail "$1 was not personalised"
  [ ! -s "$farm/$1.bad" ] || { cat "$farm/$1.bad" >&2; return 1; }
}

phase_of() { ramet job show "$1" --json | jq -r --arg t "$2" '.targets[] | select(.name == $t) | .phase'; }

# Wait until a target of a job is in a phase; the test fails at once when the target has failed.
await_phase() { # JOB TARGET PHASE SECONDS
  local phase=""
  within "$4" has_come "$1" "$2" "$3" && [ "$phase" = "$3" ] && return
  ramet job show "$1" >&2
  fail "$2 is in phase $phase and did not come to $3 within $4 s"
}
has_come() { phase=$(phase_of "$1" "$2"); [ "$phase" = "$3" ] || [ "$phase" = failed ]; }

# Sourced by the tests of bare machines: a farm, and QEMU machines that start the thin-kernel
# directly (-kernel, -initrd) on QEMU's own network, where this computer is 10.0.2.2.
. "$(dirname "${BASH_SOURCE[0]}")/../system/lib.sh"
. "$top/ops/lib/thin.sh"
need "$bare_packages"
machines=()
end_machines() {
  local pid
  for pid in "${machines[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
}
# The status must reach finish, and no failure on the way there may keep it from cleaning up.
trap 'status=$?; set +e; end_machines; (exit $status); finish' EXIT

farm_up() {
  lab up "$farm"
  eval "$(lab sh "$farm")"
  port=$(cat "$farm/port")
  token=$(ramet key token target --uses 100 --ttl-s 3600 --approve --place lab)
}

# machine NAME THIN MEMORY COMMAND-LINE QEMU-OPTION...: starts one; its console goes to NAME.serial.
machine() {
  local name=$1 thin=$2 memory=$3 line=$4; shift 4
  qemu-system-x86_64 -name "$name" -machine q35 -accel tcg,thread=multi -cpu qemu64,+rdrand -m "$memory" \
    -nodefaults -display none -no-reboot -serial "file:$farm/$name.serial" \
    -kernel "$thin/vmlinuz" -initrd "$thin/initramfs" -append "console=ttyS0 quiet $emulated_words $line" "$@" \
    </dev/null >"$farm/run/$name.log" 2>&1 &
  machines+=($!)
  eval "pid_$name=$!"
}
power_off() { # NAME
  local pid=pid_$1
  kill -9 "${!pid}" 2>/dev/null || true
  wait "${!pid}" 2>/dev/null || true
}

# shown NAME SECONDS TEXT: the console shows it within this time.
shown() {
  within "$2" grep -qaF "$3" "$farm/$1.serial" && return
  tail -n 25 "$farm/$1.serial" >&2
  fail "$1 does not show within $2 s: $3"
}
# The guest's uptime at the first line that has this text, in hundredths of a second.
uptime_at() { # NAME TEXT
  grep -aF "$2" "$farm/$1.serial" | sed -n '1s/^ramet, up \([0-9]*\)\.\([0-9][0-9]\) s: .*/\1\2/p'
}
# For how long a thread of the machine has waited for a processor of this computer so far, at most;
# in hundredths of a second. A busy host is not the guest's fault.
waited() { # NAME
  local pid=pid_$1
  cat "/proc/${!pid}"/task/*/schedstat | awk '$2 > most { most = $2 } END { print int(most / 1e7) }'
}
net() { echo "-netdev user,id=n0 -device virtio-net-pci,netdev=n0,mac=$1"; }
disk() { # FILE SERIAL
  [ -f "$1" ] || truncate -s 1G "$1"
  echo "-drive file=$1,if=none,id=$2,format=raw -device virtio-blk-pci,drive=$2,serial=$2"
}

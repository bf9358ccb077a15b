# Sourced by the tests with machines: a farm in a folder of its own with QEMU machines that netboot.
. "$(dirname "${BASH_SOURCE[0]}")/../system/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/live_system.sh"
for tool in qemu-system-x86_64 dnsmasq grub-install grub-mkimage mcopy cpio socat; do
  command -v $tool >/dev/null || fail "$tool is missing"
done
[ "$(id -u)" -eq 0 ] || fail "machines on a network of their own need root"
look_s=0.3 # The machines are emulated by this computer

# The system tests' end, and what the machines said last; no failure here may keep it from cleaning up.
finish_machines() {
  local status=$?
  set +e
  if [ $status -ne 0 ]; then
    for log in "$farm"/*.serial; do [ -f "$log" ] && { echo "--- $log"; strings "$log" | tail -n 25; }; done >&2
  fi
  (exit $status)
  finish
}
trap finish_machines EXIT

# console NAME PATTERN SECONDS [TIMES]: wait until the machine's console has lines that match.
console() {
  within "$3" console_has "$1" "$2" "${4:-1}" && return
  ramet target list >&2
  fail "the console of $1 does not say '$2' ${4:-1} times within $3 s"
}
console_has() { [ "$(grep -acE "$2" "$farm/$1.serial")" -ge "$3" ]; } # NAME PATTERN TIMES

# The last line of a small live system: what it is.
live_line() { grep -ao 'ramet-live host=.*' "$farm/$1.serial" | tail -n 1 | tr -d '\r'; }
live_field() { live_line "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }

is_present() { [ "$(ramet target show "$1" --json | jq -r '.present // .items[0].present')" = true ]; }

# present NAME... : wait until the thin-kernels of these machines wait for orders.
present() {
  look_s=0.5 within 120 are_present "$@" || { ramet target list >&2; fail "not all of $* are present after 120 s"; }
}
are_present() { local name; for name in "$@"; do is_present "$name" || return; done; }

# gone NAME...: wait until the broker has noticed that these machines are away.
gone() {
  look_s=0.5 within 60 are_gone "$@" || { ramet target list >&2; fail "not all of $* are gone after 60 s"; }
}
are_gone() { local name; for name in "$@"; do ! is_present "$name" || return; done; }

# A farm with the small live system imaged as web-1; subnet, gateway, host of its network.
live_farm() {
  live_disk "$farm/web.disk" first >"$farm/web.log" 2>&1 || { cat "$farm/web.log" >&2; fail "no source disk"; }
  lab up "$farm"
  lab source "$farm" web "$farm/web.disk"
  eval "$(lab sh "$farm")"
  ramet image create web --name web-1 --wait --timeout 3m
}

# other_disk NAME: its first disk has another system on it, which starts; the second one is for ramet.
other_disk() {
  live_disk "$farm/other.disk" other >>"$farm/web.log" 2>&1 || { cat "$farm/web.log" >&2; fail "no other disk"; }
  cp --sparse=always "$farm/other.disk" "$farm/$1.disk"
}
second_disk=(--policy "disk.system=pci-0000:00:05.0" --policy "controller=ignore")
other_untouched() { # NAME
  answers_no grep -aq 'ramet-live .* mark=other' "$farm/$1.serial" || fail "$1 has started its first disk"
  cmp "$farm/other.disk" "$farm/$1.disk" || fail "the other disk of $1 was written"
}

# machine NAME NUMBER OPTIONS...: start it bare, with a record of its own.
machine() {
  local name=$1 number=$2; shift 2
  lab vm "$farm" "$name" "$@"
  . "$farm/run/net-lab.env"
  ramet target set "$name" "hostname=host-$name" "address=$subnet.$number/24" "gateway=$gateway" \
    "dns=$subnet.53" >/dev/null
}

# is_itself NAME NUMBER [MARK]: the installed system is up, has its own name, address, gateway, DNS
# and keys, and its contents are those of the image.
is_itself() {
  local line; line=$(live_line "$1")
  echo "$1: $line"
  for want in "host=host-$1" "address=$subnet.$2/24" "gateway=$gateway" "dns=$subnet.53" "mark=${3:-first}"; do
    case "$line " in *" $want "*) ;; *) fail "$1 lacks $want: $line" ;; esac
  done
  [ "$(live_field "$1" machine)" != 0123456789abcdef0123456789abcdef ] || fail "$1 has the source's machine-id"
}

no_locks() { [ "$(ramet lock list --json | jq '.items | length')" = 0 ] || { ramet lock list >&2; fail "locks are left"; }; }

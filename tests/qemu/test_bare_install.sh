#!/bin/bash
# M20 M23: a bare machine of 256 MiB takes an order: file systems of each kind are made and written in
# the thin-kernel, the console shows every phase, the machine restarts by itself, and its disk, alone
# in the machine, starts the copy. Firmware without runtime services makes no boot entry: the warning
# is seen at the console, and the fallback path starts the disk.
#   test_bare_install.sh [KIND...]
set -euo pipefail
. "$(dirname "$0")/bare.sh"
. "$(dirname "$0")/small_system.sh"
need "$bare_packages" "$boot_packages"
thin=$(thin_kernel cloud)
farm_up

image() { # KIND
  small_disk "$1" "$farm/$1.src" >"$farm/run/$1.log" 2>&1 || fail "no source disk of kind $1"
  lab source "$farm" "$1" "$farm/$1.src"
  ramet image create "$1" --name "$1-1" --wait --timeout 3m
}

# A disk of another size, with something on it that must be cleared. With UEFI the variables of the
# machine live in KIND.vars, for its next start.
install_kind() { # KIND SIZE FIRMWARE
  local kind=$1 target=copy-$1 job uuid firmware=() words=""
  if [ "$3" = uefi ]; then
    words=efi=noruntime
    cp /usr/share/OVMF/OVMF_VARS_4M.fd "$farm/$kind.vars"
    firmware=(-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
      -drive "if=pflash,format=raw,file=$farm/$kind.vars")
  fi
  uuid=$(cat /proc/sys/kernel/random/uuid)
  ramet target add "$target" "identity=uuid:$uuid" engine=lab >/dev/null
  truncate -s "$2" "$farm/$kind.disk"; mkfs.ext4 -q -F "$farm/$kind.disk"
  machine "$kind" "$thin" 256 "ramet.broker=10.0.2.2:$port ramet.token=$token $words" -uuid "$uuid" \
    "${firmware[@]}" -netdev user,id=n0 -device virtio-net-pci,netdev=n0,addr=0x3,disable-legacy=on \
    -drive "file=$farm/$kind.disk,if=none,id=d1,format=raw" \
    -device virtio-blk-pci,drive=d1,serial="$kind-1",addr=0x4,disable-legacy=on
  shown "$kind" 120 "waiting for orders as $target,"
  job=$(ramet deploy start "$kind-1" --engine lab --targets "$target" \
    --policy memory=ignore --policy controller=ignore --policy pci=ignore --yes)
  await_phase "$job" "$target" awaiting-first-boot 240
  if [ "$3" = uefi ]; then
    ramet job show "$job" --json |
      jq -e '.targets[0].warning | test("^ramet made no boot entry in the firmware: .*; the firmware can start the disk by the fallback path$")' >/dev/null ||
      { ramet job show "$job" >&2; fail "the console does not show that the firmware has no entry for $kind"; }
    ramet job show "$job"
  fi
  shown "$kind" 30 "starting the installed system"
  local pid=pid_$kind
  timeout 30 tail --pid="${!pid}" -f /dev/null || fail "$kind did not restart"
  for phase in partition format unpack verify; do
    grep -qaE "up [0-9.]+ s: $phase" "$farm/$kind.serial" || fail "the console of $kind does not show $phase"
  done
}

starts() { # KIND FIRMWARE
  local log=$farm/$1.$2.serial
  cp --sparse=always "$farm/$1.disk" "$farm/$1.run"
  boot_disk "$farm/$1.run" "$2" "$log" "$farm/$1.vars" || fail "$1 by $2 did not come to its end"
  tr -d '\r' <"$log" | grep -a "ramet-booted host=copy-$1 .*mark=marked" || { tail -c 2000 "$log" >&2; fail "the copy of $1 does not start by $2"; }
}

[ $# -gt 0 ] || set -- dos xfs btrfs
for kind in "$@"; do
  image "$kind"
  case $kind in
  xfs) install_kind xfs 2G uefi; starts xfs uefi ;;
  *) install_kind "$kind" 1500M bios; starts "$kind" bios ;;
  esac
done
echo "bare install: passed"

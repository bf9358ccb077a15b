#!/bin/bash
# The main job on machines (M19-M25): two bare machines, one BIOS, one UEFI, netboot by PXE, are
# planned, locked, installed, restart by themselves into the new system as themselves, and their
# first-boot reports clear the locks. One that netboots again starts its own disk, and not the first
# one, which has another system on it.
. "$(dirname "$0")/lib.sh"
live_farm
live_disk "$farm/other.disk" other >>"$farm/web.log" 2>&1
cp --sparse=always "$farm/other.disk" "$farm/b1.disk"; cp --sparse=always "$farm/other.disk" "$farm/u1.disk"
machine b1 11 --bios --disk 400M --disk 1G
machine u1 12 --uefi --disk 400M --disk 600M
present b1 u1
second=disk.system=pci-0000:00:05.0
plan=$(ramet deploy plan web-1 --engine lab --policy $second --policy controller=ignore --json)
jq -e '[.items[] | select(.fits == "yes") | .target] | sort == ["b1","u1"]' <<<"$plan" >/dev/null ||
  { echo "$plan" >&2; fail "the plan does not say that both fit"; }
job=$(ramet deploy start web-1 --engine lab --targets b1,u1 --policy $second --policy controller=ignore --yes)
await_phase "$job" b1 unpack 60
[ "$(ramet lock list --json | jq '.items | length')" = 2 ] || fail "not both are locked while they are written"
for name in b1 u1; do
  console $name '^host-'$name' login:' 240
done
is_itself b1 11
is_itself u1 12
[ "$(live_field b1 machine)" != "$(live_field u1 machine)" ] || fail "both have one machine-id"
[ "$(live_field b1 key)" != "$(live_field u1 key)" ] || fail "both have one host key"
[ "$(live_field b1 kib)" -gt 800000 ] || fail "the disk of b1 is not used to its end"
ramet job wait "$job" --timeout 120s || { ramet job show "$job" >&2; fail "the job did not end well"; }
no_locks
ramet target show b1 --json | grep -q "$subnet.11" || fail "the report of b1 does not tell its address"

# By accident: both restart and find their own disks again.
lab power "$farm" b1 cycle
lab power "$farm" u1 cycle
for name in b1 u1; do
  console $name "^ramet: $name boots its own disk" 120 2
  console $name '^host-'$name' login:' 120 2
done
no_locks
for name in b1 u1; do
  ! grep -aq 'ramet-live .* mark=other' "$farm/$name.serial" || fail "$name has started its first disk"
  cmp "$farm/other.disk" "$farm/$name.disk" || fail "the other disk of $name was written"
done
echo "main job on machines: passed"

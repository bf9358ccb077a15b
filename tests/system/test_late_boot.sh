#!/bin/bash
# First boots that do not go as they should (M25, P11): one that is late fails its target and keeps
# the lock until its report comes after all; another image is refused and shows; the key of an
# earlier install changes nothing for a later one.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
ramet image create web --name web-1 --wait --timeout 2m
locks() { ramet lock list --json | jq '.items | length'; }
edit_disk() { # COMMAND... with the root file system at $farm/mnt
  local start size loop
  read -r start size < <(sfdisk -J "$farm/n1.disk" | jq -r '.partitiontable.partitions[0] | "\(.start) \(.size)"')
  loop=$(losetup -f --show -o $((start * 512)) --sizelimit $((size * 512)) "$farm/n1.disk")
  mkdir -p "$farm/mnt"; mount "$loop" "$farm/mnt"
  "$@"
  umount "$farm/mnt"; losetup -d "$loop"
}

expect 64 ramet deploy start web-1 --engine lab --targets n1 --yes --boot-timeout soon
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes --boot-timeout 3s)
await_phase "$job" n1 awaiting-first-boot 120
status=0; ramet job wait "$job" --timeout 90s || status=$?
[ $status = 2 ] || fail "the job of a boot that did not come ended with $status"
ramet job show "$job" --json | jq -e '.targets[0] | .state == "failed" and (.error | startswith("awaiting first boot"))' >/dev/null || fail "the failure is not told"
[ "$(locks)" = 1 ] || fail "a time-out ended the lock"

# What boots says that it is another image.
cfg=$farm/mnt/usr/lib/ramet/firstboot/firstboot.cfg
edit_disk sed -i.right "s/^image = \"01/image = \"01ffff/; s/^\(image = \".\{66\}\).*/\1\"/" "$cfg"
status=0; lab boot "$farm" n1 >"$farm/boot.log" 2>&1 || status=$?
[ $status != 0 ] || fail "another image was taken"
[ "$(locks)" = 1 ] || fail "another image ended the lock"
ramet job show "$job" --json | jq -r '.targets[0].heard' | grep -q "another image" || { ramet job show "$job" >&2; fail "another image does not show"; }
edit_disk mv "$cfg.right" "$cfg"
cp --sparse=always "$farm/n1.disk" "$farm/old.disk"

lab boot "$farm" n1
[ "$(locks)" = 0 ] || fail "the late report did not end the lock"
[ "$(phase_of "$job" n1)" = confirmed ] || { ramet job show "$job" >&2; fail "the late report does not show"; }

# The machine is installed anew; a copy of its old disk starts somewhere.
second=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$second" n1 awaiting-first-boot 120
echo "$farm/old.disk" >"$farm/run/target-n1.disk"
lab boot "$farm" n1 >"$farm/boot.log" 2>&1 || true
[ "$(locks)" = 1 ] || fail "the key of an earlier install ended the lock of a later one"
[ "$(phase_of "$second" n1)" = awaiting-first-boot ] || fail "the key of an earlier install moved a later one"
echo "$farm/n1.disk" >"$farm/run/target-n1.disk"
lab boot "$farm" n1
ramet job wait "$second" --timeout 60s
[ "$(locks)" = 0 ] || fail "the lock is left"
echo "late boot: passed"

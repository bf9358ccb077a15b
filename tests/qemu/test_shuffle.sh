#!/bin/bash
# Four disks that change places at each start, one of them with LVM on it: while it is not said which
# is meant, nothing is done; then the ordered one alone is written, whatever it is called (M20, P5).
. "$(dirname "$0")/lib.sh"
live_farm
. "$source_dir/ops/lib/vm.sh"
for k in 2 3 4; do truncate -s 600M "$farm/s1.disk$k"; done
head -c 16M /dev/urandom | dd of="$farm/s1.disk2" conv=notrunc status=none
printf 'LABELONE\1\0\0\0\0\0\0\0\0\0\0\0\40\0\0\0LVM2 001' | dd of="$farm/s1.disk3" bs=512 seek=1 conv=notrunc status=none
cp --sparse=always "$farm/web.disk" "$farm/s1.disk4"
machine s1 14 --bios --shuffle --disk 600M --disk 600M --disk 600M --disk 600M
present s1
others() { sha256sum "$farm"/s1.disk{2,3,4}; }
others >"$farm/before"
# Three disks more are three controllers more than the source has.
more="--policy controller=ignore"
expect 2 ramet deploy start web-1 --engine lab --targets s1 $more --yes --wait --timeout 60s
no_locks
ramet deploy plan web-1 --engine lab $more | tee "$farm/plan"
grep -qi "disk" "$farm/plan" || fail "the plan does not say that the disk is not told apart"
first=""
for round in 1 2 3; do
  if [ $round -gt 1 ]; then lab power "$farm" s1 off; rm -f "$farm"/boot/lab/*; lab power "$farm" s1 on; sleep 1; gone s1; present s1; fi
  job=$(ramet deploy start web-1 --engine lab --targets s1 $more --policy "disk.system=$(disk_serial s1 1)" --yes)
  await_phase "$job" s1 awaiting-first-boot 180
  lab power "$farm" s1 off
  others >"$farm/after"
  cmp "$farm/before" "$farm/after" || fail "a disk that nobody ordered was written"
  sfdisk -d "$farm/s1.disk" | grep -q 'name="root"' || fail "the ordered disk was not written"
  ramet lock break s1 --force --reason "the next round" >/dev/null; ramet target unhold s1
done
echo "shuffle: passed"

#!/bin/bash
# Two machines with four disks each, which change places at each start; one on USB, one with LVM on
# it, one that starts a twin of the source, all of them other kinds. While it is not said which is
# meant, nothing is done; then in 10 installs the ordered one alone is written, whatever it is called,
# the LVM disk among them only when it is the ordered one (M20, P7). Stock kernel: cloud has no USB.
set -euo pipefail
. "$(dirname "$0")/bare.sh"
. "$(dirname "$0")/live_system.sh"
. "$top/ops/lib/vm.sh"
need "$bare_packages" "$boot_packages"
# shellcheck disable=SC2034  # ops/lib/vm.sh needs both.
dir=$farm run=$farm/run
thin=$(thin_kernel metal)

# lvm ARGUMENT...: on this computer, whose kernel may have no device-mapper, and whose own settings and
# volumes are not looked at.
lvm() { LVM_SYSTEM_DIR=$farm/lvm LVM_SUPPRESS_FD_WARNINGS=1 command lvm "$@" --driverloaded n 2>>"$run/lvm.log"; }
volume_group() { # FILE NAME
  local loop
  loop=$(losetup -f --show "$1")
  lvm_sees_only "$loop"
  { lvm pvcreate -y "$loop" && lvm vgcreate "$2" "$loop" && lvm lvcreate -an -Zn -Wn -y -L 16M -n data "$2"; } >/dev/null ||
    { losetup -d "$loop"; fail "no volume group: $(tail -n 3 "$run/lvm.log")"; }
  losetup -d "$loop"
}
lvm_sees_only() {
  mkdir -p "$farm/lvm"
  printf 'devices { filter = [ "a|^%s$|", "r|.*|" ] }\nbackup { backup = 0 archive = 0 }\n' "$1" >"$farm/lvm/lvm.conf"
}
logical_volume() { # FILE: what LVM's own tools find on it
  local loop; loop=$(losetup -f --show -r "$1")
  lvm_sees_only "$loop"
  lvm lvs --noheadings -o vg_name,lv_name --readonly | xargs || true
  losetup -d "$loop"
}

live_disk "$farm/web.disk" >"$run.log" 2>&1 || { cat "$run.log" >&2; fail "no source disk"; }
farm_up
lab source "$farm" web "$farm/web.disk"
ramet image create web --name web-1 --wait --timeout 3m

# Disk 1 is the ordered one; number 2 would do as well.
truncate -s 192M "$farm/s1.disk2"; volume_group "$farm/s1.disk2" vg1
truncate -s 48M "$farm/s1.disk3"; mkfs.ext4 -q "$farm/s1.disk3"
head -c 16M /dev/urandom >"$farm/s1.disk4"
cp --sparse=always "$farm/web.disk" "$farm/s2.disk2"
head -c 16M /dev/urandom >"$farm/s2.disk3"
truncate -s 48M "$farm/s2.disk4"; volume_group "$farm/s2.disk4" vg2
declare -A kinds=([s1]="192M 192M 48M,usb 16M,ata" [s2]="192M 400M 16M,usb 48M,nvme")
declare -A ordered=([s1]=1 [s2]=1)
# But for the ordered one.
others() { # NAME
  local k
  for k in 1 2 3 4; do
    [ $k = "${ordered[$1]}" ] || sha256sum "$(disk_file "$1" $k)"
  done
}
disk_file() { if [ "$2" = 1 ]; then echo "$farm/$1.disk"; else echo "$farm/$1.disk$2"; fi; }

start() { # NAME
  local qemu=() slots k=0 spec
  mapfile -t slots < <(vm_slots "$1" 4)
  for spec in ${kinds[$1]}; do
    vm_disk "$1" $((k + 1)) "${slots[$k]}" "$spec"
    k=$((k + 1))
  done
  # shellcheck disable=SC2046  # net gives words.
  machine "$1" "$thin" 1024 "ramet.broker=10.0.2.2:$port ramet.token=$token" \
    -uuid "$(vm_uuid "$1")" $(net "$(vm_mac "$1")"),addr=0x3,disable-legacy=on "${qemu[@]}"
}
# up NAME: it waits for orders. On a busy computer the emulated timer of a machine may stop for good,
# which the kernel tells of; then it is started again.
up() {
  local limit=$((SECONDS + 200))
  while look_s=0.3 within $((limit - SECONDS)) waits_or_stands "$1" && ! waits "$1"; do
    echo "$1 stands still, its emulated timer has stopped; it is started again"
    power_off "$1"; rm -f "$farm/$1.serial"; start "$1"
  done
  shown "$1" 1 "waiting for orders as $1,"
}
waits() { grep -qaF "waiting for orders as $1," "$farm/$1.serial"; }
waits_or_stands() { waits "$1" || grep -qa 'rcu_preempt kthread timer wakeup' "$farm/$1.serial"; }
# The name that the kernel gave to the disk, and where it was found.
place_of() { # NAME NUMBER
  ramet target inventory "$1" --raw | sed -nE "/serial=$(disk_serial "$1" "$2")/s/.* name=([^ ]*) .*path=([^ ]*).*/\1 \2/p"
}
# What the other disks are beside the source, whose small kernel drives neither SATA nor USB.
more=(--policy "controller=ignore" --policy "pci=ignore" --policy "memory=ignore" --policy "driver=ignore")
install() { # NAME: the job
  ramet deploy start web-1 --engine lab --targets "$1" "${more[@]}" --policy "disk.system=$(disk_serial "$1" "${ordered[$1]}")" --yes
}
# What is ordered was written, and nothing else.
is_written() { # NAME
  local pid=pid_$1 file
  timeout 30 tail --pid="${!pid}" -f /dev/null || fail "$1 did not restart"
  file=$(disk_file "$1" "${ordered[$1]}")
  others "$1" | cmp - "$run/$1.before" || fail "a disk of $1 was written that nobody ordered"
  sfdisk -d "$file" | grep -q 'name="root"' || fail "the ordered disk of $1 was not written"
  ramet lock break "$1" --force --reason "the next round" >/dev/null; ramet target unhold "$1"
  rm "$file"
}

for name in s1 s2; do ramet target add $name "identity=uuid:$(vm_uuid $name)" engine=lab >/dev/null; done
for round in 1 2 3 4 5; do
  # At last the disk with LVM is the one that is meant.
  [ $round -lt 5 ] || ordered[s1]=2
  for name in s1 s2; do
    [ -f "$farm/$name.disk" ] || truncate -s 192M "$farm/$name.disk"
    # What was compared after a round is what the next one begins with.
    [ $round != 1 ] && [ $round != 5 ] || others $name >"$run/$name.before"
    rm -f "$farm/$name.serial"; start $name
  done
  for name in s1 s2; do up $name; place_of $name 1 | tee -a "$run/$name.places"; done
  if [ $round = 1 ]; then
    expect 2 ramet deploy start web-1 --engine lab --targets s1,s2 "${more[@]}" --yes --wait --timeout 60s
    [ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a target was locked"
    ramet deploy plan web-1 --engine lab "${more[@]}" --json |
      jq -e '[.items[] | select(.reason | test("^disk: ambiguous"))] | length == 2' >/dev/null ||
      fail "the plan does not say that the disks are not told apart"
  fi
  if [ $round = 5 ]; then
    [ "$(logical_volume "$farm/s1.disk2")" = "vg1 data" ] || fail "LVM is not on its disk any more"
  fi
  job_1=$(install s1); job_2=$(install s2)
  await_phase "$job_1" s1 awaiting-first-boot 180; await_phase "$job_2" s2 awaiting-first-boot 180
  [ "$(ramet job show "$job_1" --json | jq -r .targets[0].warning)" = null ] || fail "a warning without a reason"
  ramet job show "$job_2" --json | jq -e --arg d "$(disk_serial s2 2)" \
    '.targets[0].warning | test("other disks have GUIDs of the image\u0027s partitions too: " + $d + " ")' >/dev/null ||
    { ramet job show "$job_2" >&2; fail "nobody is warned of the twin of the image"; }
  [ $round -lt 5 ] || cp --sparse=always "$farm/s1.disk2" "$farm/written"
  is_written s1; is_written s2
done
[ -z "$(logical_volume "$farm/written")" ] || fail "LVM is still found on the disk that was written"
[ "$(logical_volume "$farm/s2.disk4")" = "vg2 data" ] || fail "LVM is not on the other disk any more"
for name in s1 s2; do
  [ "$(cut -d ' ' -f 1 "$run/$name.places" | sort -u | wc -l)" -ge 2 ] || fail "the disk of $name was called the same in all rounds"
done
echo "shuffle: passed"

#!/bin/bash
# M8: a source on logical volumes that is written to all the time is read from a snapshot, ext4 and
# XFS alike: each file holds one version, and no snapshot is left, were it of an agent that died. Where
# the volume group has no room, or too little, it is read as it is, and the job says why. In a
# machine, as device-mapper is needed.
set -euo pipefail
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/small_system.sh"
need "$boot_packages" xfsprogs
clean_up() { [ -z "${machine:-}" ] || kill "$machine" 2>/dev/null || true; }

# ---- The machine

make_guest() {
  local name
  mkdir -p "$guest"/{bin,dev,proc,sys,run/lock/lvm,tmp,etc/lvm,srv/one,srv/two}
  cp "$(command -v busybox)" "$guest/bin/busybox"
  add_program /usr/sbin/lvm
  for name in pvcreate vgcreate lvcreate lvremove lvreduce lvs; do ln -s lvm "$guest/usr/sbin/$name"; done
  add_program "$(command -v mkfs.ext4)" mkfs.ext4
  add_program "$(command -v mkfs.xfs)" mkfs.xfs
  add_program "$RAMET_BIN/ramet-agent"
  add_modules virtio_pci virtio_blk virtio_net ext4 xfs dm_mod dm_snapshot
  cat >"$guest/etc/lvm/lvm.conf" <<'CONF'
devices { obtain_device_list_from_udev = 0 }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
CONF
  # What would not fit any more after the snapshot was made.
  printf '#!/bin/busybox sh\n[ ! -e /run/flood ] || dd if=/dev/urandom of=/srv/one/flood bs=1M count=48 conv=fsync\n' >"$guest/flood"
  cat >"$guest/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin LVM_SUPPRESS_FD_WARNINGS=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /modules/*; do insmod \$m; done
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
pvcreate -q /dev/vda; vgcreate -q data /dev/vda
lvcreate -q -n one -L 160M data; lvcreate -q -n two -L 320M data
mkfs.ext4 -q /dev/mapper/data-one; mkfs.xfs -q /dev/mapper/data-two
mount -t ext4 /dev/mapper/data-one /srv/one; mount -t xfs /dev/mapper/data-two /srv/two
write_on() {
  local v=0 i
  while :; do
    v=\$((v + 1))
    for i in 1 2 3 4 5 6 7 8; do yes "version \$v" | head -c 200000 >\$1/data/f\$i; done
  done
}
for v in one two; do
  mkdir -p /srv/\$v/etc /srv/\$v/data
  echo ID=debian >/srv/\$v/etc/os-release; echo \$v >/srv/\$v/etc/hostname
  write_on /srv/\$v &
done
# As agents that were killed have left them.
lvcreate -q -s -L 16M -n ramet-snapshot.one data/one
lvcreate -q -s -L 16M -n left --addtag ramet-source-two data/two
echo "ramet-before: \$(echo \$(lvs --noheadings -o lv_name data))"
for v in one two; do ramet-agent source -c $farm/run/source-\$v.cfg >/run/\$v.log 2>&1 & done
$guest_waits
has_images() { [ "\$(grep -c event=capture.done /run/one.log)" -ge \$1 ]; }
two_has_one() { grep -q event=capture.done /run/two.log; }
# It is taken away after the last line of the log.
has_no_snapshot() { ! lvs --noheadings -o lv_name data | grep -q snapshot; }
within 600 has_images 1; within 600 two_has_one
within 60 has_no_snapshot
echo "ramet-after: \$(echo \$(lvs --noheadings -o lv_name data))"
lvcreate -q -l 100%FREE -n fill data
echo "ramet-full:"
within 600 has_images 2
lvreduce -q -f -L -24M data/fill
touch /run/flood
echo "ramet-flood:"
within 600 has_images 3
within 60 has_no_snapshot
echo "ramet-end: \$(echo \$(lvs --noheadings -o lv_name data))"
grep snapshot /run/one.log
pause 600 "the result may still be on its way"
INIT
  chmod 755 "$guest/init" "$guest/flood"
}

# says PATTERN SECONDS: the machine does, on its console; the line is printed.
says() {
  within "$2" has_said "$1" || true
  grep -a "^$1" "$farm/run/machine.log" | tr -d '\r' ||
    { tail -n 40 "$farm/run/machine.log" >&2; fail "the machine does not say $1"; }
}
has_said() { grep -aq "^$1" "$farm/run/machine.log" || has_ended "$machine"; }

guest=$farm/guest; tree=$(kernel_tree)
lab up "$farm"; eval "$(lab sh "$farm")"
make_guest
for name in one two; do take_source $name "s|^root = .*|root = \"/srv/$name\"|"; done
echo 'hook-after = "/flood"' >>"$guest$farm/run/source-one.cfg"
(cd "$guest" && find . | cpio --quiet -o -H newc) >"$farm/initramfs"
truncate -s 768M "$farm/disk"
qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 2 -m 768 -nodefaults -display none -no-reboot \
  -kernel "$tree"/boot/vmlinuz-* -initrd "$farm/initramfs" -append "console=ttyS0 quiet $emulated_words panic=1" \
  -serial "file:$farm/run/machine.log" -nic user,model=virtio-net-pci \
  -drive "file=$farm/disk,format=raw,if=virtio" </dev/null >"$farm/run/qemu.log" 2>&1 &
machine=$!

# ---- What is seen

read_from() { ramet job show "$1" --json | jq -r '."read-from"'; }
image() { # SOURCE NAME
  local job
  job=$(ramet image create "$1" --name "$2")
  ramet job wait "$job" --timeout 3m >&2 || return
  read_from "$job"
}
one_version() { # IMAGE: of each file; prints how many versions there are in all
  local file
  rm -rf "$farm/out"; ramet image checkout "$1" "$farm/out"
  [ "$(ls "$farm/out/data" | wc -l)" = 8 ] || fail "$1 has other files: $(ls "$farm/out/data")"
  for file in "$farm"/out/data/f*; do
    # The last line may be cut off.
    [ "$(head -c -16 "$file" | sed '$d' | sort -u | wc -l)" -le 1 ] || fail "$file of $1 holds several versions"
  done
}

before=$(says ramet-before: 120)
[ "$(wc -w <<<"$before")" = 5 ] || fail "nothing was left behind: $before"
both_greet() { [ "$(farm_status | jq '[.services[] | select(.service | startswith("capture@source/")) | .peers] | add')" = 2 ]; }
within $((240 - SECONDS)) both_greet || { tail -n 30 "$farm/run/machine.log" >&2; fail "the agents do not greet"; }
for name in one two; do
  from=$(image $name $name)
  [ "$from" = "/ snapshot" ] || fail "$name was read from $from"
  [ "$(ramet image list --json | jq -r --arg n $name '.items[] | select(.name == $n) | .state')" = COMPLETE ] ||
    fail "the image of a snapshot is not COMPLETE"
  one_version $name
done
after=$(says ramet-after: 60)
[ "${after#*: }" = "one two" ] || fail "snapshots are left: $after"
says ramet-full: 60
from=$(image one full)
case $from in "/ live (volume group data has 0 MiB free"*) ;; *) fail "without room it was read from $from" ;; esac
says ramet-flood: 60
from=$(image one flood)
case $from in "/ live ("*"ran out of space)") ;; *) fail "with too little room it was read from $from" ;; esac
end=$(says ramet-end: 60)
[ "${end#*: }" = "fill one two" ] || fail "snapshots are left: $end"
echo "snapshots of ext4 and XFS on LVM: one version of each file; $from"

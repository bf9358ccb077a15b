#!/bin/bash
# Installed systems start with their own init (M19, M23, M25): systemd with networkd, System V with
# ifupdown, busybox with its ifup. Each comes up with the address of its record, reports, and is
# left clean; a unit that fails shows at the console, and a machine whose power goes out in the
# middle of a script does not run it again.
. "$(dirname "$0")/lib.sh"
. "$source_dir/tests/system/services.sh"
. "$source_dir/tests/system/machine.sh"
make_services
make_sysv
leave() { local status=$?; machine_stop; net_down
  [ $status = 0 ] || tail -n 20 "$farm"/*.console >&2 2>/dev/null; (exit $status); finish; }
trap leave EXIT
net_up
export RAMET_LAB_HOST=$net.1 RAMET_LAB_DATA_HOST=$net.1

unpack() { # TAR TREE
  mkdir -p "$2"
  tar -C "$2" --exclude='./dev/*' --exclude='./usr/share/doc' --exclude='./usr/share/locale' --exclude='./usr/share/man' \
    --exclude='./var/cache/*' --exclude='./var/lib/apt/*' --exclude='./boot/*' --exclude='./usr/lib/modules/*' -xpf "$cache/$1"
}
unpack machine-12.tar "$farm/systemd"
systemctl --root="$farm/systemd" --quiet disable NetworkManager networking ssh 2>/dev/null
systemctl --root="$farm/systemd" --quiet enable systemd-networkd 2>/dev/null
# What namespaces of a container do not give: these would fail here, and not on a machine.
systemctl --root="$farm/systemd" --quiet mask systemd-hostnamed console-getty 2>/dev/null
cat >"$farm/systemd/etc/systemd/system/broken.service" <<'UNIT'
[Unit]
Description=Fails where /etc/break-it is
ConditionPathExists=/etc/break-it
[Service]
Type=oneshot
ExecStart=/bin/false
[Install]
WantedBy=multi-user.target
UNIT
systemctl --root="$farm/systemd" --quiet enable broken 2>/dev/null
unpack sysv-12.tar "$farm/sysv"
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$farm/sysv/etc/network/interfaces"

b=$farm/busybox
mkdir -p "$b"/{bin,sbin,usr/sbin,etc/init.d,etc/network/if-pre-up.d,etc/network/if-up.d,proc,sys,dev,run,tmp,root,var/log}
cp /bin/busybox "$b/bin/busybox"
ln -s ../run "$b/var/run"
chroot "$b" /bin/busybox --install -s /bin
ln -s ../bin/busybox "$b/sbin/init"; ln -s ../bin/busybox "$b/sbin/ifup"
echo bare >"$b/etc/hostname"; echo 0123456789abcdef0123456789abcdef >"$b/etc/machine-id"
printf '::sysinit:/etc/init.d/rcS\n' >"$b/etc/inittab"
printf '#!/bin/sh\nmkdir -p /run/network\nhostname -F /etc/hostname\nifup -a\n' >"$b/etc/init.d/rcS"
chmod 755 "$b/etc/init.d/rcS"
printf 'auto lo\niface lo inet loopback\n' >"$b/etc/network/interfaces"
ldd /bin/busybox >/dev/null 2>&1 && fail "busybox is not static here; install busybox-static"

lab up "$farm"
eval "$(lab sh "$farm")"
for s in systemd sysv busybox; do
  lab source "$farm" $s "$farm/$s"
  ramet image create $s --name $s-1 --wait --timeout 5m
done

for pair in d1:systemd d2:systemd v1:sysv b1:busybox; do
  lab target "$farm" "${pair%:*}" "$farm/${pair%:*}.disk" 2G --like "${pair#*:}"
done

# Install a target and start it: sets job.
install_and_start() { # NAME SOURCE NUMBER INIT...
  local name=$1 source=$2 number=$3; shift 3
  ramet target set "$name" "hostname=host-$name" "address=$net.$number/24" "gateway=$net.1" interface=nic0
  job=$(ramet deploy start "$source-1" --engine lab --targets "$name" --yes)
  await_phase "$job" "$name" awaiting-first-boot 180
  machine_start "$name" "$@"
}
# The agent of the first boot, and what starts it.
left_behind() {
  find "$machine_root/usr/lib/ramet" -maxdepth 0 2>/dev/null || true
  find "$machine_root/etc" -name '*ramet-firstboot*' || true
  grep -rs ramet-firstboot "$machine_root/etc/inittab" "$machine_root/etc/init.d" || true
}
nothing_is_left() { [ -z "$(left_behind)" ]; }
is_clean() { # NAME
  within 20 nothing_is_left || fail "$1: the first boot has left behind: $(left_behind)"
  [ "$(in_machine hostname)" = "host-$1" ] || fail "$1 is not called host-$1"
  ramet target show "$1" --json | jq -e --arg a "nic0=$net.$2" '.addresses | split(" ") | index($a)' >/dev/null || fail "$1 did not report its address"
}
confirmed() { # NAME PHASE
  ramet job wait "$job" --timeout 180s || { ramet job show "$job" >&2; fail "$1: the job did not end well"; }
  [ "$(phase_of "$job" "$1")" = "$2" ] || { ramet job show "$job" >&2; fail "$1 is not $2"; }
}

install_and_start d1 systemd 11 /usr/lib/systemd/systemd --log-target=null --unit=multi-user.target
confirmed d1 confirmed
is_clean d1 11
is_running() { [ "$(in_machine systemctl is-system-running)" = running ]; }
within 30 is_running || fail "d1: $(in_machine systemctl list-units --failed --no-pager)"
machine_stop

# A script of the first boot breaks a unit; the report has its name.
printf '#!/bin/sh\n: >/etc/break-it\nsystemctl start broken\nexit 0\n' >"$farm/break"
ramet script add lab 10-break "$farm/break" --target d2
install_and_start d2 systemd 14 /usr/lib/systemd/systemd --log-target=null --unit=multi-user.target
confirmed d2 "confirmed (degraded)"
ramet job show "$job" --json | jq -e '.targets[0].warning == "failed units: broken.service"' >/dev/null || { ramet job show "$job" >&2; fail "the failed unit is not named"; }
machine_stop

install_and_start v1 sysv 12 /sbin/init
confirmed v1 confirmed
is_clean v1 12
machine_stop

# The power goes out while the first script runs.
printf '#!/bin/sh\necho once >>/ran\nsync\nsleep 600\n' >"$farm/long"
printf '#!/bin/sh\necho second >>/ran\n' >"$farm/short"
ramet script add lab 20-long "$farm/long" --target b1 --time-limit 5m
ramet script add lab 30-short "$farm/short" --target b1
install_and_start b1 busybox 13 /sbin/init
wait_for 60 "the first script of b1" test -s "$machine_root/ran"
ramet job show "$job" --json | jq -r '.targets[0].heard' | grep -q "scripts run" || fail "nobody heard that b1 is up"
machine_stop
machine_start b1 /sbin/init
confirmed b1 "confirmed (degraded)"
ramet job show "$job" --json | jq -r '.targets[0].warning' | grep -q "script 01-20-long was interrupted by a restart" || { ramet job show "$job" >&2; fail "the interrupted script is not told"; }
is_clean b1 13
printf 'once\nsecond\n' | cmp - "$machine_root/ran" || fail "a script ran twice"
machine_stop
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "locks are left"
echo "first boot: passed"

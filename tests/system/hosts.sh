# Sourced by the tests of packages behind lib.sh: hosts as root would have them, each with a root file
# system and a network of its own. The test names them in hosts; the first has the address 10.77.0.1.
bridge=rs$$
clean_up() {
  local host
  for host in "${hosts[@]}"; do
    halt_host "$host"
    end_host "$host"
    ip netns delete "$bridge-$host" 2>/dev/null || true
    umount -l "$farm/$host/root" 2>/dev/null || true
  done
  umount -l "$farm/layers" 2>/dev/null || true
  ip link delete "$bridge" 2>/dev/null || true
}

# A host: this computer's system below a layer of its own, with its own name and address.
mkdir "$farm/layers"
mount -t tmpfs -o size=2G ramet-layers "$farm/layers"
ip link add "$bridge" type bridge
ip link set "$bridge" up
new_host() { # HOST NUMBER
  local root=$farm/$1/root link=$bridge.$2
  mkdir -p "$root" "$farm/layers/$1/"{upper,work}
  mount -t overlay -o "lowerdir=/,upperdir=$farm/layers/$1/upper,workdir=$farm/layers/$1/work" overlay "$root"
  mount -t proc proc "$root/proc"
  mount --rbind --make-rslave /dev "$root/dev"
  mount -t sysfs sysfs "$root/sys"
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  ip netns add "$bridge-$1"
  ip link add "$link" type veth peer name eth0 netns "$bridge-$1"
  ip link set "$link" master "$bridge" up
  ip -n "$bridge-$1" address add "10.77.0.$2/24" dev eth0
  ip -n "$bridge-$1" link set eth0 up
  ip -n "$bridge-$1" link set lo up
  echo "$1" >"$root/etc/hostname"
  cat "$farm/hosts" >>"$root/etc/hosts"
}
# into HOST COMMAND...: this process becomes the command on that host, so its id is the command's.
into() {
  local host=$1; shift
  exec ip netns exec "$bridge-$host" unshare --uts --mount --propagation slave -- \
    bash -c 'hostname "$1"; root=$2; shift 2; exec chroot "$root" "$@"' - "$host" "$farm/$host/root" "$@"
}
on() { (into "$@"); } # HOST COMMAND...
# A farm in which something is wrong answers as well.
doctor() { on "$1" sh -c 'ramet doctor --json || [ $? -eq 1 ]'; } # HOST
# systemd does not run in such a host, so the test reads of its unit how a service is started.
start() { # HOST SERVICE
  local unit=$farm/$1/root/usr/lib/systemd/system/$2.service user folder rights
  user=$(sed -n 's/^User=//p' "$unit") folder=$(sed -n 's/^StateDirectory=//p' "$unit")
  on "$1" install -d -m 700 -o "${user:-root}" "/var/lib/$folder"
  [ "$2" != ramet-redis ] || on "$1" install -d -m 770 -o ramet-redis -g ramet-redis /run/redis-ramet
  rights=$(sed -n 's/^AmbientCapabilities=//p' "$unit" | sed 's/CAP_/+/g; s/ /,/g' | tr '[:upper:]' '[:lower:]')
  # shellcheck disable=SC2046  # The words of the command.
  into "$1" setsid setpriv ${rights:+--inh-caps "$rights" --ambient-caps "$rights"} ${user:+--reuid "$user" --regid "$user" --groups "$user,ramet,ramet-redis"} \
    $(sed -n 's/^ExecStart=//p' "$unit" | sed 's/ --supervised systemd//') >>"$farm/run/$1-$2.log" 2>&1 &
  echo $! >>"$farm/$1.pids"
}
# end_host HOST [SIGNAL]: end all that was started there, and wait until it is gone.
end_host() {
  local pid
  [ -f "$farm/$1.pids" ] || return 0
  while read -r pid; do kill "-${2:-TERM}" "$pid" 2>/dev/null || true; done <"$farm/$1.pids"
  while read -r pid; do within 20 has_ended "$pid" || kill -KILL "$pid" 2>/dev/null || true; done <"$farm/$1.pids"
  rm "$farm/$1.pids"
}

# hardware UUID MAC: of a host that is this computer as well, and has a file for a disk.
hardware() {
  cat <<END
class=system uuid=$1 vendor=QEMU product=Lab firmware=none arch=x86_64
class=cpu arch=x86_64 vendor=AuthenticAMD family=15 model=107 stepping=1 count=1
class=memory bytes=1073741824
class=disk name=vda bus=virtio media=virtual model=virtio-blk bytes=1073741824 logical-sector=512 physical-sector=512 serial=$2 path=pci-0000:00:04.0
class=nic mac=$2 name=eth0 driver=virtio_net pci=0000:00:03.0
END
}
# new_target HOST DISK BROKER, with a token from standard input: the host's agent offers to write the file DISK.
new_target() {
  local root=$farm/$1/root
  truncate -s 1G "$2"; touch "$root/srv/disk"
  mount --bind "$2" "$root/srv/disk"
  mkdir "$root/etc/ramet"
  hardware 66666666-7777-8888-9999-aaaaaaaaaaaa 52:54:00:00:00:02 >"$root/srv/hardware"
  (umask 077; cat >"$root/etc/ramet/agent.token")
  printf '%s = "%s"\n' brokers "$3" token /etc/ramet/agent.token disk /srv/disk hardware /srv/hardware >"$root/etc/ramet/agent.cfg"
  into "$1" setsid ramet-agent target >>"$farm/run/target.log" 2>&1 &
  echo $! >>"$farm/$1.pids"
}

# The packages are of the programs of this build. Other tests run them meanwhile: they stay the same files.
programs() { stat -c '%n %i %y' "$RAMET_BIN"/*; }
make_packages() {
  programs >"$farm/programs"
  "$source_dir/ops/package" "$farm/packages" --built "$(dirname "$RAMET_BIN")" >"$farm/said" 2>&1 ||
    { cat "$farm/said"; fail "no packages were made"; }
  programs | cmp -s - "$farm/programs" || fail "ops/package wrote programs of the build: $(programs | diff - "$farm/programs")"
}

# The same packages as those of the next version, in $farm/newer: version and dependences, and what the
# programs say of themselves (HELLO, --version). Only the first digit changes, for the linker may have other
# strings, such as the version of ZAP, in the end of this one.
make_newer_packages() {
  local deb version newer tree=$farm/newer/tree
  mkdir "$farm/newer"
  for deb in "$farm"/packages/*.deb; do
    version=$(dpkg-deb -f "$deb" Version)
    newer=$((${version%%.*} + 1)).${version#*.}
    [ ${#version} -eq ${#newer} ] || fail "the version $newer has another length than $version"
    dpkg-deb -R "$deb" "$tree"
    sed -i "s/${version//./\\.}/$newer/g" "$tree/DEBIAN/control"
    [ ! -d "$tree/usr/bin" ] || find "$tree/usr/bin" -type f -exec sed -i "s/${version//./\\.}\x00/$newer\x00/g" {} +
    dpkg-deb -Znone -b "$tree" "$farm/newer/$(basename "${deb/_${version}_/_${newer}_}")" >"$farm/said"
    rm -rf "$tree"
  done
}

# make_hosts: the packages in $farm/packages, and all hosts, with a copy in /packages of each.
make_hosts() {
  local i number=0 host
  make_packages
  mkdir -p "$farm/run"
  for i in "${!hosts[@]}"; do echo "10.77.0.$((i + 1)) ${hosts[i]}.farm ${hosts[i]}"; done >"$farm/hosts"
  for host in "${hosts[@]}"; do
    number=$((number + 1))
    new_host "$host" $number
    ln -sf /bin/true "$farm/$host/root/usr/bin/mandb"      # It would index all manual pages of this computer anew
    mkdir "$farm/$host/root/packages"
    cp "$farm"/packages/*.deb "$farm/$host/root/packages/"
  done
}

# ---- Hosts with systemd as their first process

# What cgroups of version 2 this computer has; systemd needs no controller of it.
cgroups() { findmnt -n -t cgroup2 -o TARGET | head -n 1; }
# boot_host HOST: its own systemd starts what ramet-setup enables, and nothing else of this computer.
boot_host() {
  local root=$farm/$1/root group
  group=$(cgroups)/$bridge-$1
  rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/rc?.d/S*
  : >"$root/etc/fstab"
  tr -d - <"/proc/sys/kernel/random/uuid" >"$root/etc/machine-id"
  mkdir "$group"
  # shellcheck disable=SC2016  # Another shell expands it.
  setsid bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec ip netns exec "$@"' - "$group" "$bridge-$1" \
    unshare --uts --ipc --pid --cgroup --mount --propagation private --fork --kill-child -- \
    bash -euc "$first_process" - "$root" "$1" >"$farm/run/$1-systemd.log" 2>&1 </dev/null &
  echo $! >"$farm/$1.unshare"
  wait_for 20 "systemd of $1" has_first "$1"
  wait_for 180 "the targets of systemd of $1" inside "$1" systemctl -q is-active multi-user.target
}
# shellcheck disable=SC2016  # Another shell expands it.
first_process='
hostname "$2"; cd "$1"
umount -l sys run tmp dev proc
mount -t proc proc proc
mount --bind proc/sys proc/sys; mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
# The root of the mounts, which is not that of this shell where the computer itself is a folder.
mkdir -p run/before
exec nsenter --mount=/proc/self/ns/mnt --wd=. ./bin/busybox sh -ec "$before_systemd"'
before_systemd='
./bin/busybox pivot_root . run/before; cd /
umount -l /run/before
exec env -i container=ramet PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=multi-user.target'
export before_systemd
first_of() { pgrep -P "$(cat "$farm/$1.unshare")"; }
has_first() { inside "$1" test -S /run/systemd/private; }
# inside HOST COMMAND...: with all that its systemd sees.
inside() { nsenter -t "$(first_of "$1")" -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"; }
# The first process takes all others with it.
halt_host() { # HOST
  local group pid
  group=$(cgroups)/$bridge-$1
  [ -d "$group" ] || return 0
  pid=$(first_of "$1" 2>/dev/null) && kill -KILL "$pid" || true
  within 20 is_empty "$group" || true
}
is_empty() { find "$1" -depth -type d -exec rmdir {} +; }

# Sourced by tests in which an installed system really starts, without a machine: its own init is
# process 1 of namespaces of its own, on the disk that was written, with one interface that leads
# to the farm. What firmware and kernel do is tested elsewhere (tests/qemu).
net=10.$((RANDOM % 200 + 20)).$((RANDOM % 250))     # A network of this test
bridge=rmt$$

net_up() {
  ip link add "$bridge" type bridge
  ip addr add "$net.1/24" dev "$bridge"
  ip link set "$bridge" up
}

net_down() { ip link del "$bridge" 2>/dev/null || true; }

# What process 1 finds: /proc (its settings read-only), /sys, /dev, /run; and its own root.
machine_init() { # ROOT INIT...
  local root=$1 n; shift
  mount --make-rprivate /
  mount -t proc proc "$root/proc"
  mount -o bind,ro "$root/proc/sys" "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs tmpfs "$root/dev"; mount -t tmpfs tmpfs "$root/run"
  for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
    # shellcheck disable=SC2086
    set_node "$root/dev" $n
  done
  mkdir -p "$root/dev/pts" "$root/dev/shm"; ln -s /proc/self/fd "$root/dev/fd"
  : >"$root/dev/console"
  if [ -d "$root/usr/lib/systemd" ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" 2>/dev/null ||
      { mount -t tmpfs tmpfs "$root/sys/fs/cgroup"; mkdir "$root/sys/fs/cgroup/systemd"
        mount -t cgroup -o none,name=systemd systemd "$root/sys/fs/cgroup/systemd"; }
  fi
  within 30 ip link show nic0
  exec env -i container=ramet PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux chroot "$root" "$@"
}
set_node() { mknod -m 666 "$1/$2" c "$3" "$4"; }

# machine_start NAME INIT...: sets machine (process id of its init on this computer).
machine_start() {
  local name=$1 start size; shift
  read -r start size < <(sfdisk -J "$farm/$name.disk" | jq -r '.partitiontable.partitions[0] | "\(.start) \(.size)"')
  machine_loop=$(losetup -f --show -o $((start * 512)) --sizelimit $((size * 512)) "$farm/$name.disk")
  machine_root=$farm/$name.root
  mkdir -p "$machine_root"
  mount "$machine_loop" "$machine_root"
  unshare -p -f -m -u -i -C -n --kill-child bash -ec "$(declare -f machine_init set_node within); machine_init \"\$@\"" \
    machine "$machine_root" "$@" >>"$farm/$name.console" 2>&1 </dev/null &
  machine_shell=$!
  machine=""
  wait_for 10 "process 1 of $name" has_init
  ip link add "$bridge.0" type veth peer name "$bridge.1"
  ip link set "$bridge.0" master "$bridge"; ip link set "$bridge.0" up
  ip link set "$bridge.1" netns "$machine" name nic0
}

has_init() { machine=$(pgrep -P "$machine_shell"); }

# As if the power went out.
machine_stop() {
  [ -n "${machine_shell:-}" ] || return 0
  [ -z "$machine" ] || kill -9 "$machine" 2>/dev/null || true
  kill "$machine_shell" 2>/dev/null || true
  wait "$machine_shell" 2>/dev/null || true
  machine_shell=""
  within 15 umount "$machine_root" || umount -l "$machine_root" 2>/dev/null || true
  losetup -d "$machine_loop" 2>/dev/null || true
  ip link del "$bridge.0" 2>/dev/null || true
}

in_machine() { nsenter -t "$machine" -a -r -w "$@"; }

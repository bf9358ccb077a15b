# Sourced by the tests of packages behind lib.sh: hosts as root would have them, each with a root file
# system and a network of its own. The test names them in hosts; the first has the address 10.77.0.1.
bridge=rs$$
clean_up() {
  local host
  for host in "${hosts[@]}"; do
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
    mkdir "$farm/$host/root/packages"
    cp "$farm"/packages/*.deb "$farm/$host/root/packages/"
  done
}

#!/bin/bash
# docs/quickstart.md, block by block, from the packages (M31, U3): five hosts, each with a root file system
# and a network of its own, and an image that is made and deployed. Afterwards --undo and the removal of
# the packages leave nothing.
. "$(dirname "$0")/lib.sh"
hosts=(broker imager installer source target)
bridge=rs$$
clean_up() {
  local host
  for host in "${hosts[@]}"; do
    [ ! -f "$farm/$host.pids" ] || xargs -r kill <"$farm/$host.pids" 2>/dev/null || true
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
on() { # HOST COMMAND...
  local host=$1; shift
  ip netns exec "$bridge-$host" unshare --uts --mount --propagation slave -- \
    bash -c 'hostname "$1"; root=$2; shift 2; exec chroot "$root" "$@"' - "$host" "$farm/$host/root" "$@"
}
# systemd does not run in such a host, so the test reads of its unit how a service is started.
start() { # HOST SERVICE
  local unit=$farm/$1/root/usr/lib/systemd/system/$2.service user folder
  user=$(sed -n 's/^User=//p' "$unit") folder=$(sed -n 's/^StateDirectory=//p' "$unit")
  on "$1" install -d -m 700 -o "${user:-root}" "/var/lib/$folder"
  [ "$2" != ramet-redis ] || on "$1" install -d -m 770 -o ramet-redis -g ramet-redis /run/redis-ramet
  # shellcheck disable=SC2046  # The words of the command.
  on "$1" setsid setpriv ${user:+--reuid "$user" --regid "$user" --groups "$user,ramet,ramet-redis"} \
    $(sed -n 's/^ExecStart=//p' "$unit" | sed 's/ --supervised systemd//') >>"$farm/run/$1-$2.log" 2>&1 &
  echo $! >>"$farm/$1.pids"
}

# The block of docs/quickstart.md with this number, as the host's root runs it in the folder of the
# packages. WORD is what the block before has printed. Of the words of a person, --yes is added.
blocks=$(grep -c '^```sh ' "$source_dir/docs/quickstart.md")
block_host() { awk -v n="$1" '/^```sh / && ++i == n { print $2 }' "$source_dir/docs/quickstart.md"; }
block_text() {
  awk -v n="$1" '/^```sh / { inside = ++i == n; next } /^```/ { inside = 0 } inside' "$source_dir/docs/quickstart.md" |
    sed "s|WORD|$word|; s|^ramet deploy start.*|& --yes|"
}
run_block() { # NUMBER: its output is in said
  block_text "$1" >"$farm/$host/root/tmp/block"
  on "$host" bash -ec 'cd /packages; . /tmp/block' >"$farm/said" 2>"$farm/run/block-$1.log" ||
    { cat "$farm/said" "$farm/run/block-$1.log"; fail "block $1 of docs/quickstart.md ($host) ended with $?"; }
  word=$(tail -n 1 "$farm/said")
}

# Other tests run the programs meanwhile: they stay the same files.
programs() { stat -c '%n %i %y' "$RAMET_BIN"/*; }
programs >"$farm/programs"
"$source_dir/ops/package" "$farm/packages" --built "$(dirname "$RAMET_BIN")" >"$farm/said" 2>&1 ||
  { cat "$farm/said"; fail "no packages were made"; }
programs | cmp -s - "$farm/programs" || fail "ops/package wrote programs of the build: $(programs | diff - "$farm/programs")"
mkdir -p "$farm/run"
for i in "${!hosts[@]}"; do echo "10.77.0.$((i + 1)) ${hosts[i]}.farm ${hosts[i]}"; done >"$farm/hosts"
number=0
for host in "${hosts[@]}"; do
  number=$((number + 1))
  new_host "$host" $number
  mkdir "$farm/$host/root/packages"
  cp "$farm"/packages/*.deb "$farm/$host/root/packages/"
done

# What systemd would start after a block, and what a person has here that the page cannot know: the
# source is a small tree, and the machine is a file. Their hardware is told, for both are this computer.
hardware() { # UUID MAC
  cat <<END
class=system uuid=$1 vendor=QEMU product=Lab firmware=none arch=x86_64
class=cpu arch=x86_64 vendor=AuthenticAMD family=15 model=107 stepping=1 count=1
class=memory bytes=1073741824
class=disk name=vda bus=virtio media=virtual model=virtio-blk bytes=1073741824 logical-sector=512 physical-sector=512 serial=$2 path=pci-0000:00:04.0
class=nic mac=$2 name=eth0 driver=virtio_net pci=0000:00:03.0
END
}
connected() { grep -q "event=worker.connected place=$2 addresses=$3 port=$4" "$farm/run/$1-ramet-$1.log"; }
after_broker() {
  start broker ramet-redis
  start broker ramet-broker
  wait_for 20 "the broker" on broker ramet target list
  on broker ramet-setup broker --farm mill --host broker.farm >"$farm/run/setup.log" 2>&1 || { cat "$farm/run/setup.log"; fail "the broker has no trust root"; }
  expect 1 on broker ramet-setup broker
  grep -q "a broker already" "$farm/out" || fail "the second set-up says: $(cat "$farm/out")"
  expect 1 on broker ramet-setup imager --join "$(on broker ramet-setup token installer --place lab)"
  grep -q "is for the part installer" "$farm/out" || fail "a word of another part says: $(cat "$farm/out")"
  expect 1 on broker sh -c "ramet-setup token imager | ramet-setup imager --join - --store /etc"
  grep -q "/etc has files already" "$farm/out" || fail "a store in a folder with files says: $(cat "$farm/out")"
  [ ! -e "$farm/broker/root/etc/ramet/imager.cfg" ] || fail "a refused set-up left settings"
}
after_imager() {
  start imager ramet-imager
  wait_for 20 "the imager at its own address and port 7710" connected imager hq 10.77.0.2 7710
}
after_installer() {
  start installer ramet-installer
  wait_for 20 "the installer at its own address and port 7711" connected installer lab 10.77.0.3 7711
}
after_source() {
  make_tree "$farm/source/root/srv/tree" 1
  hardware 11111111-2222-3333-4444-555555555555 52:54:00:00:00:01 >"$farm/source/root/srv/hardware"
  sed -i 's|^root = .*|root = "/srv/tree"\nhardware = "/srv/hardware"|' "$farm/source/root/etc/ramet/agent.cfg"
  start source ramet-agent
  new_target
}
new_target() {
  local root=$farm/target/root
  on target sh -ec 'cd /packages; dpkg -i ramet_*.deb ramet-agent_*.deb' >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no agent on the target"; }
  truncate -s 1G "$farm/n1.disk"; touch "$root/srv/disk"
  mount --bind "$farm/n1.disk" "$root/srv/disk"
  mkdir "$root/etc/ramet"
  hardware 66666666-7777-8888-9999-aaaaaaaaaaaa 52:54:00:00:00:02 >"$root/srv/hardware"
  (umask 077; on broker ramet key token target --name n1 --place lab --approve >"$root/etc/ramet/agent.token")
  printf '%s = "%s"\n' brokers broker.farm token /etc/ramet/agent.token disk /srv/disk hardware /srv/hardware >"$root/etc/ramet/agent.cfg"
  on target setsid ramet-agent target >>"$farm/run/target.log" 2>&1 &
  echo $! >>"$farm/target.pids"
  wait_for 20 "the target" has_target
}
has_target() { on broker ramet target list --json | jq -e '.items[] | select(.name == "n1")'; }
boots() { on broker ramet job show "$word" --json | jq -e '.targets[0].phase == "awaiting-first-boot"'; }

word=""
for number in $(seq "$blocks"); do
  host=$(block_host "$number")
  run_block "$number"
  case $(block_text "$number") in
  *"--undo"*) ;;
  *"ramet-setup $host"*) "after_$host" ;;
  *"deploy start"*)
    wait_for 60 "the end of the install" boots
    same_as_source n1 "$farm/source/root/srv/tree" || fail "n1 is not as the source" ;;
  esac
done


# What set-up has made goes by --undo; the host has what it had with its packages.
for host in broker installer source; do
  xargs -r kill <"$farm/$host.pids" 2>/dev/null || true
  expect 1 on "$host" ramet-setup "$host" --undo </dev/null
  on "$host" ramet-setup "$host" --undo --yes
done
for host in broker imager installer source; do
  on "$host" sh -c 'dpkg --purge ramet-agent ramet-broker ramet-imager ramet-installer ramet' >"$farm/said" 2>&1 || true
  left=$(cd "$farm/layers/$host/upper" && find . \( -path ./srv -o -path ./packages \) -prune -o \
    -type f -newer "$farm/hosts" -size +0 -print |
    grep -vE '^./(var/(lib/(dpkg|apt)|cache|log)/|etc/(passwd|group|shadow|gshadow)-?$|etc/(hosts|hostname|ld.so.cache)$|tmp/)|[.]gcda$' || true)
  [ -z "$left" ] || fail "left on $host: $left"
done

#!/bin/bash
# docs/quickstart.md, block by block, from the packages (M31, U3): five hosts, each with a root file system
# and a network of its own, and an image that is made and deployed. Afterwards --undo and the removal of
# the packages leave nothing.
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2034  # Of hosts.sh.
hosts=(broker imager installer source target)
. "$(dirname "$0")/hosts.sh"

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

make_hosts
for file in man/man1/ramet.1 man/man5/ramet.cfg.5 man/man7/ramet.7 man/man8/ramet-setup.8 bash-completion/completions/ramet zsh/vendor-completions/_ramet; do
  dpkg-deb --fsys-tarfile "$farm"/packages/ramet_*.deb | tar -t "./usr/share/$file" >"$farm/said" || fail "the package ramet lacks $file"
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

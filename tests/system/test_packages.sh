#!/bin/bash
# docs/quickstart.md, block by block, from the packages (M31, U3): five hosts, each with a root file system
# and a network of its own, and an image that is made and deployed. While the deployment runs,
# the hosts are upgraded to a newer version, and nothing is lost. Afterwards --undo and the removal of the
# packages leave nothing.
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
    sed "s|WORD|$word|; s|^ramet deploy start.*|& --yes|; s|--interface eth1 --range 10.0.0.100,10.0.0.200|--interface eth0 --range 10.77.0.100,10.77.0.110 --thin /srv/thin|"
}
run_block() { # NUMBER: its output is in said
  block_text "$1" >"$farm/$host/root/tmp/block"
  if grep -q '^ramet deploy start' "$farm/$host/root/tmp/block"; then
    on "$host" bash -ec "$(sed '/^ramet deploy start/d' "$farm/$host/root/tmp/block")" >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no image, or no plan"; }
    sed -i '/^ramet deploy start/!d' "$farm/$host/root/tmp/block"
    kill -STOP "$(tail -n 1 "$farm/target.pids")"
  fi
  on "$host" bash -ec 'cd /packages; . /tmp/block' >"$farm/said" 2>"$farm/run/block-$1.log" ||
    { cat "$farm/said" "$farm/run/block-$1.log"; fail "block $1 of docs/quickstart.md ($host) ended with $?"; }
  word=$(tail -n 1 "$farm/said")
}

need "$netboot_packages" "$thin_packages"
make_hosts
make_newer_packages
for file in man/man1/ramet.1 man/man5/ramet.cfg.5 man/man7/ramet.7 man/man8/ramet-setup.8 bash-completion/completions/ramet zsh/vendor-completions/_ramet; do
  dpkg-deb --fsys-tarfile "$farm"/packages/ramet_*.deb | tar -t "./usr/share/$file" >"$farm/said" || fail "the package ramet lacks $file"
done

# What systemd would start after a block, and what a person has here that the page cannot know: the
# source is a small tree, and the machine is a file.
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
# says WORDS: the command that was expected has said so, and changed nothing of that host.
says() { grep -q "$1" "$farm/out" || fail "instead of '$1' it says: $(cat "$farm/out")"; }
leaves_nothing() { # HOST
  local left
  left=$(cd "$farm/$1/root" && find etc/ramet var/lib/ramet -newer "$farm/mark" ! -type d 2>/dev/null || true)
  [ -z "$left" ] || fail "a refused set-up left on $1: $left"
}
# On a computer that is too full, or where root is not who asks. Each is refused before or after the first file.
bad_rooms() { # HOST PART
  local at=$farm/$1/root word
  word=$(on broker ramet-setup token "$2")
  touch "$farm/mark"
  expect 1 on "$1" setpriv --reuid 65534 --clear-groups ramet-setup "$2" --join "$word"
  says "needs root"
  mount -t tmpfs -o size=8M tmpfs "$at/var/lib"
  expect 1 on "$1" ramet-setup "$2" --join "$word"
  says "has less than 64 MiB free"
  umount "$at/var/lib"
  mkdir "$at/etc/ramet"; mount -t tmpfs -o size=4k tmpfs "$at/etc/ramet"
  expect 1 on "$1" ramet-setup "$2" --join "$word"
  says "nothing of this set-up is left"
  [ -z "$(ls -A "$at/etc/ramet")" ] || fail "a set-up on a full disk left $(ls -A "$at/etc/ramet")"
  umount "$at/etc/ramet"; rmdir "$at/etc/ramet"
  leaves_nothing "$1"
}
shows_farm() { on broker curl -sf http://127.0.0.1:7780/api/v1/doctor; }
after_dashboard() {
  start broker ramet-gateway
  wait_for 20 "the page of the gateway" shows_farm
  expect 1 on broker ramet-setup dashboard --join "$(on broker ramet-setup token dashboard)"
  says "a dashboard already"
  expect 1 on broker ramet-setup token dashboard --place hq
  says "shows the whole farm"
}
serves_boot() { on installer busybox wget -q -O - http://10.77.0.3:8080/boot.ipxe; }
after_netboot() {
  local other
  start installer ramet-netboot
  wait_for 20 "what machines start from" serves_boot
  serves_boot | grep -q "ramet.broker=broker.farm:7700 ramet.token=R1.* ramet.engine=lab " || fail "boot.ipxe is: $(serves_boot)"
  on target busybox udhcpc -n -q -f -i eth0 -s /bin/true >"$farm/said" 2>&1 || true
  grep -q "lease of 10.77.0.1[01][0-9] obtained" "$farm/said" || fail "no address for a machine: $(cat "$farm/said")"
  on installer ramet-setup netboot --undo --yes
  touch "$farm/mark"
  other=$(on broker ramet-setup token netboot --place lab)
  netboot() { on installer ramet-setup netboot --join "${1:-$other}" --thin /srv/thin "${@:2}"; }
  while IFS='|' read -r options words; do
    # shellcheck disable=SC2086  # Options and their values.
    expect 1 netboot "" $options
    says "$words"
  done <<'END'
--range 10.77.0.100,10.77.0.110|name the network card
--interface eth9 --range 10.77.0.100,10.77.0.110|eth9 is missing or has no IPv4 address
--interface eth0|the addresses that the machines get
--interface eth0 --range 10.77.0.100,10.77.0.110 --proxy 10.77.0.0|comes from one DHCP server
--interface eth0 --range some|is not such as
--interface eth0 --proxy some|is not the address of a network
--interface eth0 --range 10.77.0.100,10.77.0.110 --thin /srv|has no vmlinuz and initramfs
END
  expect 1 netboot "${other/:7700/:7999}" --interface eth0 --proxy 10.77.0.0
  says "does not answer this computer"
  leaves_nothing installer
  end_host installer
  # A link that the installer's user has made does not give it what root alone may write.
  on installer install -d -m 700 /srv/foreign
  on installer sh -c 'cd /var/lib/ramet/installer; rm -rf boot; setpriv --reuid ramet-installer --regid ramet-installer --clear-groups ln -s /srv/foreign boot'
  expect 1 netboot "$other" --interface eth0 --proxy 10.77.0.0
  says "which its user cannot make, or not open to others"
  [ "$(stat -c '%U %a' "$farm/installer/root/srv/foreign")" = "root 700" ] || fail "a link gave away /srv/foreign: $(stat -c '%U %a' "$farm/installer/root/srv/foreign")"
  on installer rm /var/lib/ramet/installer/boot
  leaves_nothing installer
  start installer ramet-installer
  netboot "$other" --interface eth0 --proxy 10.77.0.0 >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no netboot beside another DHCP server"; }
  [ "$(on installer stat -c "%U %a" /var/lib/ramet/installer/boot)" = "ramet-installer 755" ] || fail "the folder of the installer's netboot files is not open"
  start installer ramet-netboot
  wait_for 20 "what machines start from" serves_boot
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
  late_target
}
late_target() {
  on target sh -ec 'cd /packages; dpkg -i ramet_*.deb ramet-agent_*.deb' >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no agent on the target"; }
  bad_rooms target source
  new_target target "$farm/n1.disk" broker.farm < <(on broker ramet key token target --name n1 --place lab --approve)
  wait_for 20 "the target" has_target
}
# ---- An upgrade under a deployment. The target is stopped before it has its order, so the job waits.

# The packages that are there, in the new version; then its services anew, as systemd would (ops/debian/postinst).
upgrade() { # HOST SERVICE...
  local host=$1 name; shift
  rm -f "$farm/$host/root/packages/"*; cp "$farm"/newer/*.deb "$farm/$host/root/packages/"
  on "$host" sh -ec 'cd /packages; dpkg -i $(dpkg-query -W -f "\${db:Status-Abbrev} \${Package}\n" "ramet*" | sed -n "s/^ii *\([^ ]*\)$/\1_*.deb/p")' \
    >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no upgrade of $host"; }
  end_host "$host"
  for name in "$@"; do start "$host" "$name"; done
}
phase_is() { on broker ramet job show "$word" --json | jq -e --arg p "$1" '.targets[0].phase == $p'; }
known() {
  local what
  for what in image key token; do on broker ramet "$what" list --json | jq -S 'del(.items[] | (."last-seen", ."left-s"))'; done
}
peer_versions() { doctor broker | jq -r '[.findings[] | select(.text | test("other versions than")) | .text] | join(" ")'; }
hears() { doctor broker | jq -e --arg s "$1" '.services[] | select(.service == $s) | .peers == 1'; }
upgrade_all() {
  wait_for 60 "the order of the target" phase_is ordered
  known >"$farm/known"
  # A newer worker at an older broker, then an older worker and older agents at a newer broker.
  upgrade imager ramet-imager
  wait_for 30 "the newer imager at the older broker" hears commit@hq
  upgrade broker ramet-redis ramet-broker ramet-gateway
  wait_for 60 "the newer broker" doctor broker
  [ "$(on broker ramet-broker --version)" != "$("$RAMET_BIN/ramet-broker" --version)" ] || fail "the broker's computer has the version of before"
  wait_for 60 "the older installer at the newer broker" hears build@lab
  wait_for 20 "other versions in ramet doctor" older_is_told
  upgrade installer ramet-installer ramet-netboot
  wait_for 60 "the newer installer" hears build@lab
  upgrade source ramet-agent
  known | diff "$farm/known" - || fail "the upgrade has lost something"
  kill -CONT "$(tail -n 1 "$farm/target.pids")"
}
older_is_told() { peer_versions | grep -q installer; }
has_target() { on broker ramet target list --json | jq -e '.items[] | select(.name == "n1")'; }
boots() { on broker ramet job show "$word" --json | jq -e '.targets[0].phase == "awaiting-first-boot"'; }

# No machine starts here, so what one would start is two files.
mkdir -p "$farm/installer/root/srv/thin"
for name in vmlinuz initramfs; do echo $name >"$farm/installer/root/srv/thin/$name"; done
word=""
for number in $(seq "$blocks"); do
  host=$(block_host "$number")
  run_block "$number"
  case $(block_text "$number") in
  *"--undo"*) ;;
  *"ramet-setup $host"*) "after_$host" ;;
  *"ramet-setup dashboard"*) after_dashboard ;;
  *"ramet-setup netboot"*) after_netboot ;;
  *"deploy start"*)
    upgrade_all
    wait_for 120 "the end of the install" boots
    wait_for 20 "the gateway after the upgrade" shows_farm
    wait_for 20 "netboot after the upgrade" serves_boot
    same_as_source n1 "$farm/source/root/srv/tree" || fail "n1 is not as the source" ;;
  esac
done


# What set-up has made goes by --undo; the host has what it had with its packages.
for host in broker installer source; do
  end_host "$host"
  expect 1 on "$host" ramet-setup "$host" --undo </dev/null
  on "$host" ramet-setup "$host" --undo --yes
done
on broker ramet-setup dashboard --undo --yes
on installer ramet-setup netboot --undo --yes
for host in broker imager installer source; do
  on "$host" sh -c 'dpkg --purge ramet-netboot ramet-dashboard ramet-agent ramet-broker ramet-imager ramet-installer ramet' >"$farm/said" 2>&1 || true
  left=$(cd "$farm/layers/$host/upper" && find . \( -path ./srv -o -path ./packages \) -prune -o \
    -type f -newer "$farm/hosts" -size +0 -print |
    grep -vE '^./(var/(lib/(dpkg|apt)|cache|log)/|etc/(passwd|group|shadow|gshadow)-?$|etc/(hosts|hostname|ld.so.cache)$|tmp/)|[.]gcda$' || true)
  [ -z "$left" ] || fail "left on $host: $left"
done

#!/bin/bash
# Hosts whose first process is systemd (M31): a farm by packages and ramet-setup, its units up, hardened and within
# their exposure; an image is made of one such host and deployed. A word that is used, ended or of another farm
# leaves nothing behind.
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2034  # Of hosts.sh.
hosts=(mill web target)
. "$(dirname "$0")/hosts.sh"
need "$package_packages" "$netboot_packages" "$thin_packages"
make_hosts
mkdir -p "$farm/mill/root/srv/thin"
for name in vmlinuz initramfs; do echo $name >"$farm/mill/root/srv/thin/$name"; done
for host in mill web; do boot_host $host; done

# ---- The farm

says() { grep -q "$1" "$farm/out" || fail "instead of '$1' it says: $(cat "$farm/out")"; }
# made HOST COMMAND...: a shell there runs it, and it succeeds.
made() { (expect 0 inside "$1" bash -ec "$2") || { inside "$1" journalctl -q -n 40 --no-pager >&2; exit 1; }; }
made mill 'cd /packages; dpkg -i *.deb'
made mill 'ramet-setup broker --farm mill --host mill.farm'
says "the broker of farm mill serves at mill.farm:7700"
made mill 'ramet-setup token imager --place hq | ramet-setup imager --join -'
says "connected to mill.farm:7700, serving place hq, data port 7710"
made mill 'ramet-setup token installer --place lab | ramet-setup installer --join -'
says "connected to mill.farm:7700, serving place lab, data port 7711"
made mill 'ramet-setup token dashboard | ramet-setup dashboard --join -'
says "serving http://127.0.0.1:7780/"
made mill 'ramet-setup token netboot --place lab | ramet-setup netboot --join - --interface eth0 --range 10.77.0.100,10.77.0.110 --thin /srv/thin'
says "start as targets of engine lab"
word=$(inside mill ramet-setup token source --name web)
made web "cd /packages; dpkg -i ramet_*.deb ramet-agent_*.deb; ramet-setup source --join - <<<'$word'"
says "connected to mill.farm:7700, serving source web"

# is_up HOST UNIT LIMIT: it runs, starts with its host, and is exposed by no more tenths than the limit.
is_up() {
  expect 0 inside "$1" systemctl is-active "$2"
  expect 0 inside "$1" systemctl is-enabled "$2"
  expect 0 inside "$1" systemd-analyze security --no-pager --threshold="$3" "$2"
  echo "$1: $(tail -n 1 "$farm/out")"
}
for unit in redis broker imager installer gateway netboot; do is_up mill ramet-$unit.service 20; done
is_up web ramet-agent.service 61      # It reads each file of the system that it images
inside mill curl -sf http://127.0.0.1:7780/metrics >"$farm/metrics" || fail "the gateway does not answer"
# What the installer writes for a machine is what netboot gives to it, and nothing else of the installer's folder.
echo '#!ipxe' >"$farm/mill/root/var/lib/ramet/installer/boot/52-54-00-00-00-02.ipxe"
inside mill curl -sf http://10.77.0.1:8080/boot/52-54-00-00-00-02.ipxe | grep -qx '#!ipxe' || fail "netboot does not give the installer's file"
rm "$farm/mill/root/var/lib/ramet/installer/boot/52-54-00-00-00-02.ipxe"

# ---- A word that cannot be used

refused() { # WORDS: source --join of the word
  touch "$farm/mill/root/before"
  expect 1 inside mill bash -c "ramet-setup source --join - <<<'$word'"
  says "$1"
  says "nothing of this set-up is left"
  left=$(cd "$farm/mill/root" && find etc/ramet var/lib/ramet/agent etc/systemd -newer before -name '*agent*' 2>/dev/null || true)
  [ -z "$left" ] || fail "a refused set-up left $left"
  [ "$(inside mill systemctl is-active ramet-agent || true)" = inactive ] || fail "a refused set-up left a service"
}
refused "has no use left"
word=source:hq@mill.farm:7700/$(inside mill ramet key token source --ttl-s 1 --approve)
is_over() { answers_no grep -q . <(inside mill ramet token list --filter role=source -o name); }
wait_for 20 "the end of the token" is_over
refused "has expired"
word=$(inside mill ramet-setup token source)
key=${word#*/R1.}; key=${key%%.*}
word=${word/$key/$(rev <<<"$key")}
refused "does not serve with the broker at mill.farm:7700"

# ---- An image, and its copy

make_tree "$farm/web/root/srv/tree" 1
hardware 11111111-2222-3333-4444-555555555555 52:54:00:00:00:01 >"$farm/web/root/srv/hardware"
made web "sed -i 's|^root = .*|root = \"/srv/tree\"\nhardware = \"/srv/hardware\"|' /etc/ramet/agent.cfg && systemctl restart ramet-agent"
made mill 'ramet image create web --name web-1 --wait --timeout 2m'
on target sh -ec 'cd /packages; dpkg -i ramet_*.deb ramet-agent_*.deb' >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no agent on the target"; }
new_target target "$farm/n1.disk" mill.farm < <(inside mill ramet key token target --name n1 --place lab --approve)
has_target() { inside mill ramet target list --json | jq -e '.items[] | select(.name == "n1")'; }
wait_for 20 "the target" has_target
job=$(inside mill ramet deploy start web-1 --engine lab --targets n1 --yes)
boots() { inside mill ramet job show "$job" --json | jq -e '.targets[0].phase == "awaiting-first-boot"'; }
wait_for 120 "the end of the install" boots
same_as_source n1 "$farm/web/root/srv/tree" || fail "n1 is not as the source"

# Netboot starts without the installer, whose folder it was given.
made mill 'ramet-setup installer --undo --yes; systemctl restart ramet-netboot; systemctl is-active ramet-netboot'
made web 'ramet-setup source --undo --yes; dpkg --purge ramet-agent ramet'
echo "systemd: passed"

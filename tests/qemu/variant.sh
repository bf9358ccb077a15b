# Sourced by the tests of Debians whose disks have one layout or the other, and whose network one stack or
# the other. All are of the tar that the tests of services use.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
. "$source_dir/tests/system/web.sh"
clean_up() { web_down; debian_unmount "$farm/one" "$farm/two"; }
stamp() { echo "$SECONDS s: $*"; }

# Stacks of the source; it asks by DHCP, but for ifupdown, whose address must not be that of a copy.
variant_ifupdown() { # FOLDER
  systemctl --root="$1" --quiet disable NetworkManager 2>/dev/null
  printf 'auto enp0s3\niface enp0s3 inet static\n  address %s.9/24\n  gateway %s\n' "$subnet" "$gateway" \
    >"$1/etc/network/interfaces.d/enp0s3"
}
variant_networkd() { # FOLDER
  systemctl --root="$1" --quiet disable NetworkManager networking 2>/dev/null
  systemctl --root="$1" --quiet enable systemd-networkd 2>/dev/null
  printf '[Match]\nType=ether\n\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/20-wired.network"
}
variant_manager() { # FOLDER, as an installer leaves it: ifupdown is there, and sets lo alone
  printf '[connection]\nid=wired\nuuid=%s\ntype=ethernet\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n' \
    "$(cat /proc/sys/kernel/random/uuid)" >"$1/etc/NetworkManager/system-connections/wired.nmconnection"
  chmod 600 "$1/etc/NetworkManager/system-connections/wired.nmconnection"
}

# variant_farm STACK LAYOUT SIZE: a farm, and a source "golden" that runs, with its agent as its service.
variant_farm() {
  web_up
  echo "script-ca = \"$farm/ca/ca.pem\"" >"$farm/installer.extra"
  lab up "$farm"
  eval "$(lab sh "$farm")"
  lab net "$farm" >/dev/null
  . "$farm/run/net-lab.env"
  debian_small "$farm/tree"
  debian_teach "$farm/tree"
  echo golden >"$farm/tree/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 golden\n' >"$farm/tree/etc/hosts"
  echo 'nameserver 192.0.2.53' >"$farm/tree/etc/resolv.conf"
  mkdir "$farm/tree/home/user"; echo kept >"$farm/tree/home/user/file"; chown -R 1000:1000 "$farm/tree/home/user"
  # What lies beneath a mount point is the system's as well.
  mkdir -p "$farm/tree/boot/efi"; echo beneath >"$farm/tree/boot/efi/beneath"
  "variant_$1" "$farm/tree"
  debian_agent "$farm/tree" golden
  debian_pack "$farm/tree" "$farm/golden.tar"
  rm -rf "$farm/tree"
  debian_disk "$farm/golden.tar" "$farm/golden.disk" "$3" "$2" 2>"$farm/golden.log" ||
    { cat "$farm/golden.log" >&2; fail "no source disk"; }
  rm "$farm/golden.tar"
  stamp "the source's disk is made"
  lab vm "$farm" golden --boot disk --disk "$farm/golden.disk"
}

# A user's script: what its machine is, from within. It runs at the first boot alone.
cat >"$farm/look" <<'LOOK'
#!/bin/sh
list() { tr ' \n' ':;' | sed 's/;$//'; }
active=$(for u in systemd-networkd NetworkManager; do systemctl -q is-active $u && echo $u; done | list)
printf '\nscript-look target=%s mounts=%s swap=%s active=%s\n' "$RAMET_TARGET" \
  "$(findmnt -rno TARGET,FSTYPE,FSROOT -t ext4,xfs,btrfs,vfat | sort | list)" \
  "$(swapon --show=UUID --noheadings | list)" "$active" >/dev/ttyS0
LOOK

# look_has NAME WORD...: the machine's script has said so.
look_has() {
  local name=$1 line want; shift
  line=$(grep -a '^script-look ' "$farm/$name.serial" | tail -n 1 | tr -d '\r')
  echo "$name: $line"
  for want in "target=$name" "$@"; do
    case "$line " in *" $want "*) ;; *) fail "$name lacks $want: $line" ;; esac
  done
}

# variant_image: the source is imaged while it runs, and is then switched off.
variant_image() {
  local job
  debian_source golden 240
  debian_line golden
  stamp "the source runs"
  job=$(ramet image create golden --name golden-1)
  ramet job wait "$job" --timeout 5m || { ramet job show "$job" >&2; fail "the source was not imaged"; }
  stamp "imaged: $(ramet job show "$job" --json | jq -c '[.. | .["read-from"]? // empty]')"
  debian_off golden
  stamp "the source is off"
}

# variant_install NAME...: deployed, restarted, reported; sets job.
variant_install() {
  local name
  job=$(ramet deploy start golden-1 --engine lab --targets "$(IFS=,; echo "$*")" --yes)
  await_phase "$job" "$1" unpack 120
  [ "$(ramet lock list --json | jq '.items | length')" = $# ] || fail "not all are locked while they are written"
  for name in "$@"; do console "$name" "^host-$name login:" 400; done
  stamp "all are at their login prompts"
  for name in "$@"; do debian_said "$name" 150; done
  ramet job wait "$job" --timeout 150s || { ramet job show "$job" >&2; fail "the job did not end well"; }
  stamp "all have reported"
  no_locks
  ! debian_offers golden || fail "a copy offers to be imaged in the source's name"
}

# Powered off, disks compared with the source's.
variant_compare() { # NAME...
  local name
  debian_off "$@"
  debian_twin "$farm/golden.disk" >/dev/null
  for name in "$@"; do debian_same "$farm/golden.disk" "$name"; done
}

# Sourced after lib.sh by tests whose source is a real Debian that runs, with the agent as its service.
#
# Such a system says on its serial console who it is, when it has started for good or bad:
#   debian-live host=NAME address=A gateway=G dns=D machine=ID key=SHA state=STATE failed=UNITS agent=LOADED
. "$source_dir/ops/lib/debian_disk.sh"
. "$source_dir/tests/system/services.sh"
need "$demo_packages"

# debian_unpack TAR FOLDER: without documentation, the tables of rare hardware and drivers that no
# machine here has, as by path-exclude of dpkg.
debian_unpack() {
  local path options=()
  mkdir -p "$2"
  for path in usr/share/{doc,locale,man} usr/lib/udev/hwdb.d \
    usr/lib/modules/'*'/kernel/{drivers/{comedi,hid,infiniband,md,target},fs/{ceph,nfs,nfsd,smb}} \
    usr/lib/modules/'*'/kernel/net/{netfilter,openvswitch,rds,sched,sctp,smc,sunrpc,tipc}; do
    options+=("--exclude=./$path/*")
  done
  tar -C "$2" --xattrs --xattrs-include='*' --acls --numeric-owner "${options[@]}" \
    --exclude='./usr/lib/udev/hwdb.bin' -xpf "$1"
  depmod -b "$2" "$(basename "$2"/usr/lib/modules/*)"
}

# debian_small FOLDER: the tree of a real Debian, without what makes it large and no machine here
# needs. Its packages are gone properly.
debian_small() {
  local d=$1
  make_services
  debian_unpack "$cache/machine-12.tar" "$d"
  # Of what needs ICU's tables, only xfs_scrub is there.
  { chroot "$d" apt-get -qq purge --auto-remove -y netplan.io python3 python3-minimal 'libpython3.*' &&
    chroot "$d" dpkg --purge --force-depends libicu72; } >"$farm/purge.log" 2>&1 ||
    { tail -n 20 "$farm/purge.log" >&2; fail "the packages that make Debian large cannot be removed"; }
  rm -rf "$d"/usr/lib/python3* "$d"/var/cache/apt/*.bin "$d"/var/lib/apt/lists/*
}

# debian_teach FOLDER: have it say who it is, and let root log in on the console.
debian_teach() {
  local d=$1
  chroot "$d" passwd -q -d root
  cat >"$d/usr/local/sbin/who-am-i" <<'WHO'
#!/bin/sh
state=$(systemctl is-system-running --wait)
failed=$(systemctl list-units --failed --no-legend --plain | cut -d' ' -f1 | tr '\n' ',')
list() { tr '\n' ',' | sed 's/,$//'; }
printf '\ndebian-live host=%s address=%s gateway=%s dns=%s machine=%s key=%s state=%s failed=%s agent=%s\n' \
  "$(hostname)" "$(ip -4 -o addr show scope global | awk '{ print $4 }' | list)" \
  "$(ip -4 route show default | awk '{ print $3 }' | list)" \
  "$(awk '$1 == "nameserver" { print $2 }' /etc/resolv.conf | list)" "$(cat /etc/machine-id)" \
  "$(sha256sum </etc/ssh/ssh_host_ed25519_key.pub | cut -c1-16)" "$state" "$failed" \
  "$(systemctl show -p LoadState --value ramet-agent.service)" >/dev/ttyS0
WHO
  chmod 755 "$d/usr/local/sbin/who-am-i"
  # Not a one-shot unit: the system is not up before all of those have ended.
  cat >"$d/etc/systemd/system/who-am-i.service" <<'UNIT'
[Unit]
Description=Says on the console who this machine is
Wants=network-online.target
After=multi-user.target network-online.target

[Service]
Type=simple
ExecStart=/usr/local/sbin/who-am-i

[Install]
WantedBy=multi-user.target
UNIT
  ln -s ../who-am-i.service "$d/etc/systemd/system/multi-user.target.wants/"
}

# debian_agent FOLDER NAME: the agent of source NAME as its service. The farm's network must be there.
debian_agent() {
  . "$farm/run/net-lab.env"
  (umask 077; ramet key token source --name "$2" --place hq --uses 1 --ttl-s 3600 --approve >"$farm/$2.token")
  "$source_dir/ops/source-agent" "$1" --broker "$host:$(cat "$farm/port")" --token "$farm/$2.token" \
    --key "$farm/keys/broker.pub"
}

debian_pack() { # FOLDER TAR
  tar -C "$1" --xattrs --xattrs-include='*' --acls --numeric-owner -cpf "$2" .
}

# debian_said NAME SECONDS [TIMES]: wait until it has said who it is.
debian_said() { console "$1" '^debian-live ' "$2" "${3:-1}"; }
debian_line() { grep -a '^debian-live ' "$farm/$1.serial" | tail -n 1 | tr -d '\r'; }
debian_field() { debian_line "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }

debian_offers() { farm_status | jq -e --arg s "capture@source/$1" '.services[]? | select(.service == $s and .peers >= 1)' >/dev/null; }

# debian_source NAME SECONDS: wait until the system runs, and its agent waits for orders.
debian_source() {
  local limit=$((SECONDS + $2))
  debian_said "$1" "$2"
  [ "$(debian_field "$1" state)" = running ] || fail "the source is not well: $(debian_line "$1")"
  within $((limit - SECONDS)) debian_offers "$1" ||
    fail "the agent of $1 does not offer to image it; $(debian_line "$1")"
}

# debian_is_itself NAME NUMBER SOURCE: it is up and well, with its own name, addresses and keys, and
# is no second source.
debian_is_itself() {
  local line want; line=$(debian_line "$1")
  echo "$line"
  for want in "host=host-$1" "address=$subnet.$2/24" "gateway=$gateway" "dns=$subnet.53" "state=running" "agent=not-found"; do
    case "$line " in *" $want "*) ;; *) fail "$1 lacks $want: $line" ;; esac
  done
  [ "$(debian_field "$1" machine)" != "$(debian_field "$3" machine)" ] || fail "$1 has the source's machine-id"
  [ "$(debian_field "$1" key)" != "$(debian_field "$3" key)" ] || fail "$1 has the source's host key"
}

debian_type() { printf '%s\r' "$2" | socat -t 0.3 - "unix:$farm/run/vm-$1.console" >/dev/null; }

# debian_off NAME...: root logs in on the console and powers it off, so that its file systems are whole.
debian_off() {
  local name
  for name in "$@"; do debian_type "$name" root; done
  for name in "$@"; do console "$name" 'root@.*:~# ' 60; debian_type "$name" "unset HISTFILE; poweroff"; done
  for name in "$@"; do wait_for 120 "the power off of $name" has_ended "$(cat "$farm/run/vm-$name.pid")"; done
}

# Without a journal that is replayed; two file systems of one UUID may be mounted at once, but for btrfs.
debian_mount_one() { # DEVICE FOLDER [OPTIONS]
  local words=ro
  case $(blkid -p -s TYPE -o value "$1") in
  ext4) words+=,noload ;;
  xfs) words+=,norecovery,nouuid ;;
  btrfs) words+=${3:+,$3} ;;
  *) return 1 ;;
  esac
  mount -o "$words" "$1" "$2" 2>/dev/null
}

# debian_mount DISK FOLDER: the system as its own fstab mounts it, read-only; without FAT, which this
# computer may not know. debian_unmount lets go of it.
debian_mount() {
  local start size one root="" uuid point type options
  local -A devices=()
  mkdir -p "$2"
  while read -r start size; do
    one=$(losetup -f --show -r -o $((start * 512)) --sizelimit $((size * 512)) "$1"); loops+=("$one")
    uuid=$(blkid -p -s UUID -o value "$one") || continue
    devices[$uuid]=$one
    [ -z "$root" ] || continue
    debian_mount_one "$one" "$2" || continue
    if [ -e "$2/etc/os-release" ]; then root=$one; else umount "$2"; fi
  done < <(sfdisk -J "$1" | jq -r '.partitiontable.partitions[] | "\(.start) \(.size)"')
  [ -n "$root" ] || fail "no system on $1"
  # Another UUID than that of its fstab has one that must not be taken for its twin.
  uuid=$(sed -n 's/^UUID=\([^ ]*\) \/ .*/\1/p' "$2/etc/fstab"); devices[$uuid]=$root
  while read -r uuid point type options _; do
    case $point:$type in /:* | none:* | *:vfat) continue ;; esac
    debian_mount_one "${devices[${uuid#UUID=}]}" "$2$point" "$(tr ',' '\n' <<<"$options" | grep '^subvol=')" ||
      fail "$1: $point cannot be mounted"
  done < <(grep '^UUID=' "$2/etc/fstab")
}
debian_unmount() { # FOLDER...
  local one
  for one in "$@"; do umount -R "$one" 2>/dev/null || true; done
  for one in "${loops[@]}"; do losetup -d "$one" 2>/dev/null || true; done
  loops=()
  # The kernel would take the next twin of a btrfs for the one that is gone.
  btrfs -q device scan --forget 2>/dev/null || true
}
loops=()

# debian_twin DISK: give a btrfs on it another UUID, so that this computer can tell it from its copies.
debian_twin() {
  local start size one
  while read -r start size; do
    one=$(losetup -f --show -o $((start * 512)) --sizelimit $((size * 512)) "$1")
    [ "$(blkid -p -s TYPE -o value "$one")" != btrfs ] || btrfstune -f -m "$one"
    losetup -d "$one"
  done < <(sfdisk -J "$1" | jq -r '.partitiontable.partitions[] | "\(.start) \(.size)"')
}

# debian_esp DISK FOLDER: what the EFI system partition holds.
debian_esp() {
  local start; mkdir -p "$2"
  start=$(sfdisk -J "$1" | jq -r '.partitiontable.partitions[] | select(.type == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B") | .start')
  MTOOLS_SKIP_CHECK=1 mcopy -s -n -i "$1@@$((start * 512))" ::/ "$2"
}

# debian_same SOURCE-DISK NAME: the tree of NAME's disk is the source's, but for what is personal, what
# a running system writes, and what an image leaves out.
debian_same() {
  local rule point options=()
  debian_mount "$1" "$farm/one"; debian_mount "$farm/$2.disk" "$farm/two"
  for rule in /etc/ramet /usr/lib/ramet /var/lib/ramet /etc/systemd/system/ramet-agent.service \
    /etc/systemd/system/multi-user.target.wants/ramet-agent.service; do
    options+=(--ignore "$rule")
    [ ! -e "$farm/two$rule" ] || fail "$2 has the source's $rule"
  done
  while read -r rule; do options+=(--ignore "$rule"); done \
    < <(sed -n 's/^class=leave path=\([^ ]*\) .*/\1/p' "$source_dir/ops/profiles/default.profile")
  # Each file system by itself; its differences are told by their paths in the whole.
  findmnt -Rrno TARGET "$farm/one" | sed "s#^$farm/one##" | while read -r point; do
    mountpoint -q "$farm/two$point" || fail "$2 has no volume on $point"
    { "$RAMET_BIN/ramet-compare" "$farm/one$point" "$farm/two$point" "${options[@]}" || true; } |
      sed -E "s#^(.{10} )/#\1$point/#; s#^(.{10} /[^:]+)/: #\1: #"
    options=()
  done >"$farm/$2.diff"
  debian_unmount "$farm/one" "$farm/two"
  rm -rf "$farm/esp"; mkdir "$farm/esp"
  debian_esp "$1" "$farm/esp/one"; debian_esp "$farm/$2.disk" "$farm/esp/two"
  [ -e "$farm/esp/one/EFI/debian/grubx64.efi" ] || fail "the source has no loader for UEFI"
  diff -r "$farm/esp/one" "$farm/esp/two" || fail "the EFI system partition of $2 is not as the source's"
  unintended "$farm/$2.diff" running >"$farm/$2.bad"
  grep -q '/etc/hostname' "$farm/$2.diff" || fail "$2 was not personalised"
  echo "$2: $(wc -l <"$farm/$2.diff") differences by intent or of a running system, $(wc -l <"$farm/$2.bad") others"
  [ ! -s "$farm/$2.bad" ] || { cat "$farm/$2.bad" >&2; fail "$2 is not as the source"; }
}

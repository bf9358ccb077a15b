# Sourced by the scripts of ops/: where things are, how to say things, what must be installed.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
preset=${RAMET_PRESET:-release}
bin=${RAMET_BIN:-$top/build/$preset/bin}
[ -f "$top/CMakeLists.txt" ] || bin=${RAMET_BIN:-/usr/bin}      # Installed by a package

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The only ways in which a script lets time pass; lint.sleeps refuses all others.
# within SECONDS COMMAND...: run it until it succeeds; fails when it does not in this time. look_s is
# the time between two looks.
within() {
  local within_s=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $within_s ] || return 1
    sleep "${look_s:-0.2}"
  done
}
# farm_status: what `ramet doctor` prints as JSON. A farm in which something is wrong answers as well.
farm_status() { ramet doctor --json || [ $? -eq 1 ]; }
# wait_for SECONDS WHAT COMMAND...: the same, and die with what did not come.
wait_for() { within "$1" "${@:3}" || die "$2 did not come within $1 s${wait_hint:+; $wait_hint}"; }
# pause SECONDS WHY: where time itself is the subject, or where nothing may happen meanwhile.
pause() { sleep "$1"; }

# A process that has ended and waits for its parent is not alive. Its state is read once, for it may be
# gone at the next look.
lives() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null && [[ ${stat##*) } != [ZX]* ]]
}
has_ended() { ! lives "$1"; }
# One that has ended has none.
has_own_net() {
  local net
  net=$(readlink "/proc/$1/ns/net") && [ "$net" != "$(readlink /proc/self/ns/net)" ]
}

# answers_no COMMAND...: it looked and found nothing, or another thing, and said so by status 1. What cannot
# look (grep, cmp: 2) has not answered, and `! COMMAND` would take that for a no.
answers_no() {
  local status=0
  "$@" || status=$?
  [ $status -eq 1 ]
}

# The comment at the head of the script that runs: with --help it is all that the script does, and
# with words that the script does not know it goes to standard error.
help() { sed -n '2,/^[^#]/{ /^#/!d; s/^# \{0,1\}//; p }' "$0"; }
usage() { help >&2; exit 64; }
# secret_file FILE: other users may neither read nor write it.
secret_file() {
  [ $((0$(stat -Lc %a "$1") & 077)) -eq 0 ] || die "other users can read or write the secret $1; run: chmod 600 $1"
}
answer_help() { case ${1:-} in --help | -h) help; exit 0 ;; esac; }

build_packages="cmake ninja-build pkg-config gcc libc6-dev clang
  protobuf-c-compiler libprotobuf-c-dev libczmq-dev libzmq3-dev libhiredis-dev liblz4-dev
  libarchive-dev libfuse3-dev libsodium-dev libssl-dev libfdisk-dev libblkid-dev libmount-dev libbtrfsutil-dev
  libsmartcols-dev libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libcmocka-dev liblua5.1-0-dev libluajit-5.1-dev
  zlib1g-dev liblzma-dev libzstd-dev libkmod-dev libseccomp-dev libyaml-dev libselinux1-dev"
run_packages="redis-server fdisk e2fsprogs dosfstools xfsprogs btrfs-progs util-linux
  mtools openssh-client curl iproute2 procps jq"
demo_packages="mmdebstrap"
script_packages="mmdebstrap curl openssl"
netboot_packages="dnsmasq-base ipxe busybox-static grub-common grub-pc-bin grub-efi-amd64-bin"
vm_packages="$netboot_packages qemu-system-x86 qemu-utils ovmf cpio zstd socat nftables"
thin_packages="busybox-static kmod cpio zstd xz-utils binutils e2fsprogs xfsprogs btrfs-progs
  dosfstools mtools util-linux openssh-client cryptsetup-bin"
test_packages="prometheus chromium fuse3 lz4 zstd libarchive-tools kmod acl attr libcap2-bin python3 lvm2 mdadm cryptsetup-bin
  ntfs-3g bcache-tools tmux zsh openipmi ipmitool"
lint_packages="clang-format clang-tidy shellcheck jq systemd man-db groff-base"
package_packages="dpkg-dev file"
coverage_packages="gcovr"
bare_packages="$thin_packages qemu-system-x86 faketime"
# What tests/fidelity/scoreboard and tests/bench/bench compare ramet with.
peer_packages="rsync libarchive-tools casync borgbackup restic squashfs-tools fsarchiver"
boot_packages="qemu-system-x86 ovmf busybox-static cpio kmod grub2-common grub-pc-bin grub-efi-amd64-bin lvm2 mdadm cryptsetup-bin
  ntfs-3g"

# Words for the kernels of emulated machines: on a busy computer their timer may not tick while the
# kernel tests it, and what guards real processors only slows them down.
emulated_words="no_timer_check mitigations=off"

# need LIST...: install what is missing of the packages in these lists; says so, because it needs root.
need() {
  local missing=() name
  # shellcheck disable=SC2048  # A list is words in one string.
  for name in $*; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || die "these packages are missing, and root must install them: ${missing[*]}"
  say "installing: ${missing[*]}"
  apt-get update -q >/dev/null || die "apt-get update failed"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
    >/dev/null || die "apt-get install failed"
}

# Debian starts a redis-server of its own at installation; ramet's run in their own folders.
# build PRESET [TARGET]
build() {
  say "building ($1)"
  cmake --preset "$1" -S "$top" >/dev/null &&
    cmake --build "$top/build/$1" ${2:+--target "$2"} -- -k 0
}

# debian_tree FOLDER: a real Debian 12 with kernel, systemd, sshd, nginx and python, from the tar of
# debian_tar, which is made once and kept in the cache folder.
cache=${RAMET_CACHE:-/var/cache/ramet}
debian_tree() {
  debian_tar
  mkdir -p "$1"
  tar -C "$1" --xattrs --xattrs-include='*' --acls --numeric-owner -xpf "$cache/debian-12.tar"
}
debian_tar() {
  once debian-12.tar mmdebstrap --quiet --variant=important --mode=root \
    --include=linux-image-cloud-amd64,systemd-sysv,openssh-server,nginx-light,python3,ifupdown bookworm
}

# once NAME COMMAND...: make the file NAME of the cache folder, which the command is told last, unless
# it is there. Who needs it meanwhile waits.
once() (
  file=$cache/$1; shift
  mkdir -p "$cache"
  exec 9>>"$cache/lock"
  flock 9
  [ -f "$file" ] || { "$@" "$cache/new.$$.tar" 9>&- && mv "$cache/new.$$.tar" "$file"; }
)

# by_intent PATH [LIST...]: is a difference at this path (without leading slash) meant for each
# target, or in one of these lists of ops/lib?
by_intent() {
  local path=$1 pattern list; shift
  for list in personal "$@"; do
    while read -r pattern; do
      case $pattern in ''|'#'*) continue ;; esac
      # shellcheck disable=SC2254  # The list has patterns.
      case $path in $pattern) return 0 ;; esac
    done <"$top/ops/lib/$list.list"
  done
  return 1
}

# unintended FILE [LIST...]: of the lines of ramet-compare ("what  /path: text"), those not by intent.
unintended() {
  local file=$1 line path; shift
  while IFS= read -r line; do
    path=${line#*/}; path=${path%%: *}
    by_intent "$path" "$@" || printf '%s\n' "$line"
  done <"$file"
}

# lvm_on DEVICE PROGRAM WORD...: one of LVM's programs, which sees this device alone. Nothing is started,
# because a kernel may have no device-mapper.
lvm_on() {
  local device=$1; shift
  "$@" --driverloaded n --config "devices { use_devicesfile = 0 filter = [\"a|^$device\$|\", \"r|.*|\"] }
    backup { backup = 0 archive = 0 } activation { udev_sync = 0 udev_rules = 0 }"
}
# logicals DEVICE: "GROUP/NAME START SECTORS" of each logical volume in a physical volume, piece by piece,
# counted from its start in sectors of 512 bytes; nothing for any other device.
logicals() {
  [ "$(blkid -p -s TYPE -o value "$1" || true)" = LVM2_member ] || return 0
  lvm_on "$1" pvs --segments --noheadings --nosuffix --units s \
    -o pe_start,vg_extent_size,pvseg_start,pvseg_size,lv_full_name 2>/dev/null |
    awk 'NF == 5 { print $5, $1 + $2 * $3, $2 * $4 }'
}

# mount_root DISK FOLDER: mount the first partition read-only; sets loop for its release.
mount_root() {
  local start size
  read -r start size < <(sfdisk -J "$1" | jq -r '.partitiontable.partitions[0] | "\(.start) \(.size)"')
  loop=$(losetup -f --show -r -o $((start * 512)) --sizelimit $((size * 512)) "$1")
  mkdir -p "$2"
  mount -o ro,noload "$loop" "$2"
}

#!/bin/bash
# The fidelity cases that need a kernel with quotas, fs-verity and Unicode (P9): a program of tests
# runs as all there is in a machine with Debian's cloud kernel.
set -euo pipefail
source_dir=${RAMET_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
RAMET_BIN=${RAMET_BIN:-$source_dir/build/release/bin}
. "$(dirname "$0")/small_system.sh"
work=$(mktemp -d /var/tmp/ramet-guest.XXXXXX)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; [ ! -f "$work/log" ] || tail -c 3000 "$work/log" >&2; exit 1; }

tree=$(kernel_tree); version=$(basename "$tree"/lib/modules/*)
program=$RAMET_BIN/../tests/test_fidelity_guest
[ -x "$program" ] || fail "$program is not built"
mkdir -p "$work/root"/{bin,dev,proc,sys,etc,lib64,tmp,var/tmp}
cp "$(command -v busybox)" "$work/root/bin/"; cp "$program" "$work/root/bin/guest"
for tool in mkfs.ext4 rm; do cp -L "$(command -v $tool)" "$work/root/bin/$tool"; done    # Before busybox's
for file in "$program" "$work"/root/bin/{mkfs.ext4,rm}; do ldd "$file"; done | grep -o '/[^ ]*' | sort -u |
  xargs -I{} cp -L --parents {} "$work/root"
for module in drivers/block/loop fs/quota/quota_tree fs/quota/quota_v2; do
  cp "$tree/lib/modules/$version/kernel/$module.ko" "$work/root/"
done
cat >"$work/root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for module in loop quota_tree quota_v2; do insmod /$module.ko; done
mount -t tmpfs -o size=300m tmp /var/tmp; mount -t tmpfs tmp /tmp
guest; echo "guest ended with $?"
poweroff -f
INIT
ln -s busybox "$work/root/bin/sh"; chmod 755 "$work/root/init"
(cd "$work/root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd"
truncate -s 1M "$work/disk"
boot_disk "$work/disk" bios "$work/log" "" -kernel "$tree/boot/vmlinuz-$version" \
  -initrd "$work/initrd" -append "console=ttyS0 quiet panic=1" || fail "the machine did not end"
tr -d '\r' <"$work/log" | grep -q '^guest ended with 0$' || fail "a case failed in the machine"
echo "fidelity in a machine: passed, $(tr -d '\r' <"$work/log" | grep -c '      OK ') cases"

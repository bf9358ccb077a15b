#!/bin/bash
# M20: the thin-kernel built twice, in two folders, by programs in two folders, under another umask,
# time zone and clock, is the same bytes; the cloud flavour keeps its sizes.
set -euo pipefail
. "$(dirname "$0")/../system/lib.sh"
. "$top/ops/lib/thin.sh"
need "$bare_packages"
cp -r "$RAMET_BIN" "$farm/other-bin"
one=$(thin_kernel cloud)
# faketime would move the times of files, too, which a clock does not.
(umask 077; cd "$farm"; mkdir other; export RAMET_BIN=$farm/other-bin TZ=Asia/Tokyo TMPDIR=$farm/other NO_FAKE_STAT=1
  faketime '+400 days' "$source_dir/ops/thin-kernel" --flavour cloud deep/two)
for name in vmlinuz initramfs; do
  cmp "$one/$name" "$farm/deep/two/$name" || fail "$name differs between two builds"
done
packed=$(($(stat -c %s "$one/initramfs") + $(stat -c %s "$one/vmlinuz")))
unpacked=$(zstd -dc "$one/initramfs" | wc -c)
[ $packed -le $((40 << 20)) ] || fail "packed $packed bytes, over 40 MiB"
[ "$unpacked" -le $((100 << 20)) ] || fail "unpacked $unpacked bytes, over 100 MiB"
zstd -dc "$one/initramfs" | cpio -it --quiet >"$farm/list"
for program in ramet-agent ramet-diskw mke2fs tune2fs mkfs.xfs mkfs.btrfs mkfs.vfat mkswap mtools ssh-keygen; do
  grep -qx "usr/bin/$program" "$farm/list" || fail "$program is not in the initramfs"
done
echo "packed $((packed >> 20)) MiB, unpacked $((unpacked >> 20)) MiB, the same twice"

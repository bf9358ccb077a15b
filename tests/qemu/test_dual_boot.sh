#!/bin/bash
# Linux beside Windows (M32): an EFI system partition whose fallback path is that of Windows, a reserved
# partition, and an NTFS behind Linux, onto an empty machine. Linux starts, the firmware has an entry for each
# in this order, Windows' files and its clusters in use are those of the source.
. "$(dirname "$0")/lib.sh"
for tool in mkntfs ntfs-3g ntfsclone ntfsfix; do command -v $tool >/dev/null || fail "$tool is missing"; done

live_disk "$farm/web.disk" first >"$farm/web.log" 2>&1 || { cat "$farm/web.log" >&2; fail "no source disk"; }
truncate -s 480M "$farm/web.disk"
sfdisk -q --relocate gpt-bak-std "$farm/web.disk"
printf '%s\n' 'size=4M, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, name="Microsoft reserved partition"' \
  'size=60M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name="Basic data partition"' | sfdisk -q --append "$farm/web.disk"
place() { sfdisk -J "$1" | jq -r --argjson n "$2" '.partitiontable.partitions[$n - 1] | "\(.start * 512) \(.size * 512)"'; } # FILE N
# on_ntfs FILE COMMAND...: with the device of its NTFS as the last word.
on_ntfs() {
  local start size loop status=0; read -r start size < <(place "$1" 5)
  loop=$(losetup -f --show -o "$start" --sizelimit "$size" "$1")
  "${@:2}" "$loop" || status=$?
  losetup -d "$loop"; return $status
}
windows() {
  mkntfs -q -f -L Windows "$1" >"$farm/out" 2>&1
  mkdir -p "$farm/at"; ntfs-3g "$1" "$farm/at"
  mkdir "$farm/at/Windows"; for i in $(seq 40); do head -c $((i * 5000)) /dev/urandom >"$farm/at/Windows/$i.dll"; done
  umount "$farm/at"
}
clone() { ntfsclone -f -q --save-image -o - "$1" 2>"$farm/out" | sha256sum; }
on_ntfs "$farm/web.disk" windows
# A program that the firmware cannot run, as it stands for Windows' here.
python3 - "$farm/bootmgfw.efi" <<'P'
import struct, sys
head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 2)
head += struct.pack("<H", 0x20b).ljust(240, b"\0") + b".text\0\0\0".ljust(40, b"\0")
open(sys.argv[1], "wb").write(head.ljust(512, b"\0") + "bootmgfw.efi".encode("utf-16-le").ljust(512, b"\0"))
P
read -r esp _ < <(place "$farm/web.disk" 2)
mmd -i "$farm/web.disk@@$esp" ::/EFI/Microsoft ::/EFI/Microsoft/Boot
mcopy -i "$farm/web.disk@@$esp" "$farm/bootmgfw.efi" ::/EFI/Microsoft/Boot/bootmgfw.efi
mcopy -o -i "$farm/web.disk@@$esp" "$farm/bootmgfw.efi" ::/EFI/BOOT/BOOTX64.EFI

lab up "$farm"
lab source "$farm" web "$farm/web.disk"
eval "$(lab sh "$farm")"
expect 2 ramet image create web --name web-1 --wait --timeout 2m
grep -q 'partition 5: it holds ntfs, which is not supported' "$farm/out" || { cat "$farm/out" >&2; fail "the NTFS is not refused by name"; }
ramet image create web --name web-2 --raw 5 --wait --timeout 3m
machine d1 12 --uefi --disk 480M
present d1
ramet deploy start web-2 --engine lab --targets d1 --yes --wait --timeout 5m
console d1 'host-d1 login:' 60
is_itself d1 12
lab power "$farm" d1 off

[ "$(on_ntfs "$farm/web.disk" clone)" = "$(on_ntfs "$farm/d1.disk" clone)" ] || fail "the clusters in use of the NTFS differ"
on_ntfs "$farm/d1.disk" ntfsfix -n >"$farm/out" 2>&1 || fail "ntfsfix: $(cat "$farm/out")"
[ "$(sfdisk -J "$farm/web.disk" | jq -c '.partitiontable | [.id, [.partitions[] | [.start, .size, .uuid, .type, .name]]]')" = \
  "$(sfdisk -J "$farm/d1.disk" | jq -c '.partitiontable | [.id, [.partitions[] | [.start, .size, .uuid, .type, .name]]]')" ] || fail "the table is another one"
for file in Microsoft/Boot/bootmgfw.efi BOOT/BOOTX64.EFI; do
  mtype -i "$farm/d1.disk@@$esp" "::/EFI/$file" | cmp - "$farm/bootmgfw.efi" || fail "/EFI/$file is another one"
done
# The entries as the firmware keeps them: of the variables that are in force (state 0x3f), BootOrder and labels.
python3 - "$farm/run/vm-d1.vars" >"$farm/entries" <<'P'
import re, struct, sys
data = open(sys.argv[1], "rb").read()
found = {}
for m in re.finditer(re.escape(b"\xaa\x55"), data):
    at = m.start()
    state, = struct.unpack_from("<B", data, at + 2)
    name_size, size = struct.unpack_from("<II", data, at + 36)
    if state != 0x3f or name_size > 64 or size > 4096:
        continue
    name = data[at + 60:at + 60 + name_size].decode("utf-16-le", "replace").rstrip("\0")
    found[name] = data[at + 60 + name_size:at + 60 + name_size + size]
order = struct.unpack("<%dH" % (len(found["BootOrder"]) // 2), found["BootOrder"])
for number in order:
    value = found["Boot%04X" % number]
    print(value[6:].decode("utf-16-le", "replace").split("\0")[0])
P
cat "$farm/entries"
[ "$(grep -x -e 'debian (ramet)' -e 'Windows Boot Manager (ramet)' "$farm/entries" | paste -sd,)" = "debian (ramet),Windows Boot Manager (ramet)" ] ||
  fail "the entries are $(paste -sd, "$farm/entries")"
echo "dual_boot: passed"

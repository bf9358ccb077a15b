#!/bin/bash
# A running btrfs is imaged from snapshots of its subvolumes (M4): each is the copy's own, with owner,
# mode and times of its root, also of one that lies within another; nothing is left on the source, and
# drift is told of neither. Afterwards the copy's table mounts what it mounts on the source.
. "$(dirname "$0")/lib.sh"
mnt=$farm/root
clean_up() { fusermount3 -uz "$farm/at" 2>/dev/null; umount -R "$mnt" "$farm/mnt" 2>/dev/null; partx -d "$device" 2>/dev/null; losetup -d "$device"
  [ -z "${loop:-}" ] || losetup -d "$loop" 2>/dev/null; }

truncate -s 600M "$farm/source.disk"
printf '%s\n' 'label: gpt' 'start=2048, type=L, name=root' | sfdisk -q "$farm/source.disk"
device=$(losetup -f --show "$farm/source.disk"); partx -a "$device"
mkfs.btrfs -q "${device}p1" >/dev/null
mkdir "$mnt"; mount "${device}p1" "$mnt"
for name in @ @home; do btrfs -q subvolume create "$mnt/$name"; done
umount "$mnt"; mount -o subvol=@ "${device}p1" "$mnt"
make_tree "$mnt"
mkdir -p "$mnt/var/lib" "$mnt/home.new"; mv "$mnt"/home/user "$mnt/home.new"
mount -o subvol=@home "${device}p1" "$mnt/home"; mv "$mnt/home.new/user" "$mnt/home/"; rmdir "$mnt/home.new"
btrfs -q subvolume create "$mnt/var/lib/inner"; echo kept >"$mnt/var/lib/inner/file"
chmod 700 "$mnt/var/lib/inner"; chown 33:33 "$mnt/var/lib/inner"; touch -d 2001-02-03 "$mnt/var/lib/inner"
chmod 751 "$mnt/home"; touch -d 2002-03-04 "$mnt/home"
uuid=$(blkid -p -s UUID -o value "${device}p1")
printf 'UUID=%s / btrfs subvol=@ 0 0\nUUID=%s /home btrfs subvol=@home,compress=zstd 0 0\n' "$uuid" "$uuid" >"$mnt/etc/fstab"
sync

# A running system is a tree with its disk, which the settings of its agent name.
lab up "$farm"
lab source "$farm" web "$mnt"
kill "$(cat "$farm/run/source-web.pid")"; tail --pid="$(cat "$farm/run/source-web.pid")" -f /dev/null
printf 'disk = "%s"\ncache-margin-s = 1\n' "$device" >>"$farm/run/source-web.cfg"
lab source "$farm" web "$mnt"
eval "$(lab sh "$farm")"
job=$(ramet image create web --name web-1)
ramet job wait "$job" --timeout 2m || { ramet job show "$job" >&2; fail "the source was not imaged"; }
read_from=$(ramet job show "$job" --json | jq -r '[.. | .["read-from"]? // empty][0]')
case $read_from in *live*) fail "not all was read from snapshots: $read_from" ;; esac
find "$mnt" -name '.ramet-snapshot' | answers_no grep . || fail "a snapshot was left on the source"
# What the kernel makes up in a snapshot, where a subvolume is, makes no other image; and a snapshot of
# the same subvolume is the tree that the cache knows.
job=$(ramet image create web --name web-2); ramet job wait "$job" --timeout 2m
cached=$(ramet job show "$job" --json | jq -r '[.. | .cached? // empty][0]')
[ "$cached" -ge 300 ] || fail "of an unchanged source only $cached files were not read again"
ramet image diff web-1 web-2 --json | jq -e '.items | length == 0' >/dev/null ||
  { ramet image diff web-1 web-2 >&2; fail "two images of an unchanged source differ"; }
ramet image verify web-1 --against web || fail "a source that has not changed has drifted"

# A checkout is updated volume by volume: what belongs to /home is none of the root's (M34).
ramet image checkout web-1 "$farm/checkout"
rm "$farm/checkout/home/user/big1"; echo more >"$farm/checkout/home/more"; echo more >"$farm/checkout/usr/more"
big2=$(stat -c %i "$farm/checkout/home/user/big2")
counts=$(ramet image checkout web-2 "$farm/checkout" --update --yes --json | jq -r '"\(.made) \(.removed)"')
[ "$counts" = "1 2" ] || fail "an update of two volumes made and removed: $counts"
[ "$(stat -c %i "$farm/checkout/home/user/big2")" = "$big2" ] || fail "a file that is the same was written"
"$RAMET_BIN/ramet-compare" "$mnt/home" "$farm/checkout/home" || fail "the update has another /home"
echo more >"$farm/checkout/home/more"; rm "$farm/checkout/usr/lib/f7"
counts=$(ramet image checkout web-2 "$farm/checkout" --update --yes --keep /home --json | jq -r '"\(.made) \(.removed)"')
[ "$counts $(cat "$farm/checkout/home/more")" = "1 0 more" ] || fail "a kept volume did not stay: $counts"

# A mounted image shows its subvolumes where they are mounted, and what lies within another there.
at=$farm/at; mkdir "$at"
is_told() { [ -s "$farm/mounted" ] || has_ended "$pid"; }
ramet image mount web-1 "$at" >"$farm/mounted" 2>"$farm/mount.err" & pid=$!
wait_for 30 "the line of the mount" is_told
names() { (cd "$1" && find . ! -path ./proc ! -path ./sys -printf '%P %y %m %U:%G %T@ %l\n' | LC_ALL=C sort); }
names "$mnt" >"$farm/names"; names "$at" >"$farm/names.at"
cmp "$farm/names" "$farm/names.at" || { diff "$farm/names" "$farm/names.at" >&2; fail "the mounted image has other names or attributes"; }
"$RAMET_BIN/ramet-compare" "$mnt/home" "$at/home" || fail "the mounted image has another /home"
[ "$(cat "$at/var/lib/inner/file")" = kept ] || fail "a subvolume within another is not shown"
fusermount3 -u "$at"
wait_for 10 "the end of the mount" has_ended "$pid"

lab target "$farm" n1 "$farm/n1.disk" 700M --like web
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 awaiting-first-boot 60

# A twin of a btrfs cannot be mounted beside it.
snapshot=$farm/copy; mkdir "$snapshot"; cp -a --reflink=never "$mnt/." "$snapshot/"
umount -R "$mnt"; partx -d "$device"; losetup -d "$device"; btrfs -q device scan --forget
read -r start size < <(sfdisk -J "$farm/n1.disk" | jq -r '.partitiontable.partitions[0] | "\(.start) \(.size)"')
loop=$(losetup -f --show -r -o $((start * 512)) --sizelimit $((size * 512)) "$farm/n1.disk")
mkdir "$farm/mnt"; mount -o ro,subvol=@ "$loop" "$farm/mnt"; mount -o ro,subvol=@home "$loop" "$farm/mnt/home"
[ "$(btrfs subvolume list "$farm/mnt" | awk '{ print $NF }' | sort | tr '\n' ' ')" = "@ @home var/lib/inner " ] ||
  { btrfs subvolume list "$farm/mnt" >&2; fail "the subvolumes are not those of the source"; }
for path in / home home/user home/user/big1 var/lib/inner var/lib/inner/file usr/lib/f7; do
  [ "$(stat -c '%F %a %u %g %Y' "$snapshot/$path")" = "$(stat -c '%F %a %u %g %Y' "$farm/mnt/$path")" ] || [ $path = / ] ||
    fail "$path: $(stat -c '%F %a %u %g %y' "$snapshot/$path" "$farm/mnt/$path")"
  [ ! -f "$snapshot/$path" ] || cmp "$snapshot/$path" "$farm/mnt/$path" || fail "$path has other contents"
done
cmp "$snapshot/etc/fstab" "$farm/mnt/etc/fstab" || fail "its fstab was changed"
echo "subvolumes: passed"

#!/bin/bash
# Machines with several disks: each is a role of the image and is matched by itself; what a target has
# beside them is not touched; what does not fit is told by the capture or the plan (M32).
. "$(dirname "$0")/lib.sh"

sums() { (cd "$farm" && sha256sum "$@"); }
farm_up

# ---- Root on one disk, /home on the second partition of another, /srv on all of a third
disk web 300M type=L
disk web-b 200M 'label: dos' 'size=40M,type=83' type=83
disk web-c 120M
fill web 1 mke2fs -q -t ext4
on web-b 2 mke2fs -q -t ext4 -L home
on web-c 0 mke2fs -q -t ext4 -F -L srv
at web-b 2 sh -c 'mkdir alice; echo hello >alice/letter'
at web-c 0 sh -c 'mkdir www; echo page >www/index'
add_mounts() { mkdir -p home srv; printf '%s\n' 'LABEL=home /home ext4 defaults 0 2' 'LABEL=srv /srv auto defaults 0 2' >>etc/fstab; }
at web 1 add_mounts
lab source "$farm" web "$farm/web.source" "$farm/web-b.source" "$farm/web-c.source"
capture web
# A target has two disks more, which are too small for any role, and its disks stand in another order.
truncate -s 3M "$farm/t-web-x.disk"; truncate -s 2M "$farm/t-web-y.disk"
truncate -s 130M "$farm/t-web-c.disk"; truncate -s 210M "$farm/t-web-b.disk"; truncate -s 310M "$farm/t-web.disk"
like=web target web t-web-c.disk t-web-x.disk t-web-b.disk t-web-y.disk t-web.disk
judge web web; first=$said; judge web web
[ "$first" = "$said" ] || fail "two plans of one target differ: $first; $said"
for line in 'fits: yes' 'system -> t-web.disk' 'disk2 -> t-web-b.disk' 'disk3 -> t-web-c.disk'; do says "^$line\$"; done

# ---- Disks that would do as well: a person names those of the roles, and all others stay as they are,
# also one with a group of LVM and one with the image's own labels.
for k in 1 2 3 4 5; do truncate -s 320M "$farm/t-many-$k.disk"; done
printf 'label: gpt\ntype=V\n' | sfdisk -q "$farm/t-many-4.disk"
attach "$farm/t-many-4.disk" 1
lvm "$loop" pvcreate -q -y "$loop" >/dev/null; lvm "$loop" vgcreate -q vg "$loop" >/dev/null; detach
mke2fs -q -t ext4 -F -L home "$farm/t-many-2.disk"
like=web target many t-many-{1,2,3,4,5}.disk
foreign=$(sums t-many-2.disk t-many-4.disk)
judge web many; says 'fits: no'; says 'reason: disk: ambiguous'
serials() { sed -n 's/^class=disk.* serial=\([^ ]*\).*/\1/p' "$farm/run/target-t-many.facts"; }
mapfile -t serial < <(serials)
named=(--policy "disk.system=${serial[4]},disk.disk2=${serial[0]},disk.disk3=${serial[2]}")
judge web many "${named[@]}"
for line in 'fits: yes' 'system -> t-many-5.disk' 'disk2 -> t-many-1.disk' 'disk3 -> t-many-3.disk'; do says "^$line\$"; done
install web many "${named[@]}"
[ "$(look many-5 1 cat etc/hostname)" = t-many ] || fail "the root is not where it was told to be"
[ "$(look many-1 2 cat alice/letter)" = hello ] || fail "/home is not where it was told to be"
[ "$(look many-3 0 cat www/index)" = page ] || fail "/srv is not where it was told to be"
[ "$(sums t-many-2.disk t-many-4.disk)" = "$foreign" ] || fail "a disk that was not named was written"

# ---- Two equal disks: the first to the first, and each time
disk pair 100M type=L
disk pair-b 100M type=L
fill pair 1 mke2fs -q -t ext4
on pair-b 1 mke2fs -q -t ext4 -U 33333333-2222-4333-8444-555555555555
at pair 1 sh -c 'mkdir data; echo "UUID=33333333-2222-4333-8444-555555555555 /data ext4 defaults 0 2" >>etc/fstab'
lab source "$farm" pair "$farm/pair.source" "$farm/pair-b.source"
capture pair
truncate -s 100M "$farm/t-pair.disk" "$farm/t-pair-b.disk"
like=pair target pair t-pair.disk t-pair-b.disk
for k in 1 2 3; do judge pair pair; says '^system -> t-pair.disk$'; says '^disk2 -> t-pair-b.disk$'; done
install pair pair
[ "$(look pair 1 cat etc/hostname)" = t-pair ] || fail "the root of two equal disks is not the copy's"
look pair-b 1 test -d lost+found || fail "/data did not come"

# ---- A group of LVM over two disks: LVM's own programs find it whole on the copy
disk group 200M size=100M,type=L type=V
disk group-b 150M type=V
attach "$farm/group.source" 2; one=$loop; attach "$farm/group-b.source" 1
lvm "($one|$loop)" pvcreate -q -y "$one" "$loop" >/dev/null
lvm "($one|$loop)" vgcreate -q vg "$one" "$loop" >/dev/null
lvm "($one|$loop)" lvcreate -q -an -Zn -Wn -L 60M -n near vg "$one" >/dev/null
lvm "($one|$loop)" lvcreate -q -an -Zn -Wn -L 100M -n far vg "$loop" >/dev/null
start=$(logicals "$loop" | sed -n 's|^vg/far \(.*\) .*|\1|p')
detach; far=$(losetup -f --show -o $((1048576 + start * 512)) --sizelimit 100M "$farm/group-b.source")
mke2fs -q -t ext4 "$far"; losetup -d "$far"
loop=$one; detach
fill group 1 mke2fs -q -t ext4
at group 1 sh -c 'mkdir far; echo "/dev/vg/far /far ext4 defaults 0 2" >>etc/fstab'
lab source "$farm" group "$farm/group.source" "$farm/group-b.source"
capture group
truncate -s 200M "$farm/t-group.disk"; truncate -s 170M "$farm/t-group-b.disk"
like=group target group t-group.disk t-group-b.disk
install group group
report() { # NAME
  attach "$farm/$1$2" 2 -r; one=$loop; attach "$farm/$1-b$2" 1 -r
  lvm "($one|$loop)" vgck vg
  lvm "($one|$loop)" lvs --noheadings -o vg_uuid,lv_name,lv_uuid,lv_layout,lv_size "${@:3}"
  lvm "($one|$loop)" pvs --noheadings -o pv_uuid,vg_name
  detach; loop=$one; detach
}
said=$(report t-group .disk); before=$(report group .source)
# The disk has 20 MiB more, and so has its volume.
[ "${said/120.00m/100.00m}" = "$before" ] || fail "LVM finds another group: $said; it was $before"
grep -q 120.00m <<<"$said" || fail "the volume has not grown with its disk: $said"

echo "disks: passed"

#!/bin/bash
# What does not fit the disks of a target is told by the plan, what a source with several disks cannot be
# sure of by the capture; and no disk is written (M32, M33).
. "$(dirname "$0")/lib.sh"
farm_up

# A root, and two data disks, one of which has no table.
disk web 200M type=L
disk web-b 100M type=L
disk web-c 120M
fill web 1 mke2fs -q -t ext4
on web-b 1 mke2fs -q -t ext4 -U 33333333-2222-4333-8444-555555555555
on web-c 0 mke2fs -q -t ext4 -F -L srv
add_mounts() {
  mkdir -p data srv
  printf '%s\n' 'UUID=33333333-2222-4333-8444-555555555555 /data ext4 defaults 0 2' 'LABEL=srv /srv auto defaults 0 2' >>etc/fstab
}
at web 1 add_mounts
lab source "$farm" web "$farm/web.source" "$farm/web-b.source" "$farm/web-c.source"
capture web

refuse() { # TARGET WORDS [OPTION...]
  judge web "$1" "${@:3}"; says 'fits: no'; says "$2"
  ! ramet deploy start web-1 --engine lab --targets "t-$1" --yes "${@:3}" --wait --timeout 1m >"$farm/out" 2>&1 ||
    fail "t-$1 was written, which should be refused: $2"
  [ "$(stat -c %b "$farm/t-$1"*.disk | sort -u)" = 0 ] || fail "a disk of t-$1 was written before the refusal"
}
truncate -s 210M "$farm/t-few.disk" "$farm/t-few-b.disk"
like=web target few t-few.disk t-few-b.disk
refuse few 'reason: disk: the target has too few disks'

# Each role is judged by itself: two disks that are too small for a role are enough for the others.
truncate -s 210M "$farm/t-less.disk"; truncate -s 90M "$farm/t-less-b.disk" "$farm/t-less-c.disk"
like=web target less t-less.disk t-less-b.disk t-less-c.disk
judge web less; says 'fits: yes'; says '^disk3 -> t-less.disk$'
truncate -s 110M "$farm/t-tiny.disk" "$farm/t-tiny-b.disk" "$farm/t-tiny-c.disk"
like=web target tiny t-tiny.disk t-tiny-b.disk t-tiny-c.disk
refuse tiny 'disk: the disk is too small: the image needs .*120.0 MiB.*has .*110.0 MiB'
disks_of() { sed -n 's/^class=disk.* serial=\([^ ]*\).*/\1/p' "$farm/run/target-t-$1.facts"; }
mapfile -t serial < <(disks_of less)
refuse less 'reason: disk: the disk is too small' --policy "disk.disk3=${serial[1]}"

# One of three is of another kind, or two paths lead to one.
sed 's/uuid=......../uuid=aaaaaaaa/; /^class=disk/{ s/media=virtual/media=rotational/; :a; n; ba }' "$farm/run/source-web.facts" >"$farm/wrong.facts"
truncate -s 210M "$farm/t-wrong.disk" "$farm/t-wrong-b.disk" "$farm/t-wrong-c.disk"
lab target "$farm" t-wrong "$farm/t-wrong.disk" --disk "$farm/t-wrong-b.disk" --disk "$farm/t-wrong-c.disk" --hardware "$farm/wrong.facts"
refuse wrong 'reason: disk: the disk is of another kind'
sed 's/uuid=......../uuid=bbbbbbbb/; s/serial=[^ ]*/serial=S1/' "$farm/run/source-web.facts" >"$farm/twice.facts"
truncate -s 210M "$farm/t-twice.disk" "$farm/t-twice-b.disk" "$farm/t-twice-c.disk"
lab target "$farm" t-twice "$farm/t-twice.disk" --disk "$farm/t-twice-b.disk" --disk "$farm/t-twice-c.disk" --hardware "$farm/twice.facts"
refuse twice 'several disks have the same identity'
ramet target protect t-less --reason 'has a database' >/dev/null
judge web less; says 'protected: has a database'

# ---- What a source cannot be sure of
refuse_source() { # NAME WORDS: its disks are NAME.source and NAME-b.source
  local status=0
  lab source "$farm" "$1" "$farm/$1.source" "$farm/$1-b.source"
  said=$(ramet image create "$1" --name "$1-1" --wait --timeout 2m 2>&1) || status=$?
  [ $status -ne 0 ] || fail "$1 was imaged, which should be refused: $2"
  grep -Eq "$2" <<<"$said" || { echo "$said" >&2; fail "the image of $1 is not refused by: $2"; }
}
copy() { cp --sparse=always "$farm/$1.source" "$farm/$2.source"; }
copy web lost; copy web-b lost-b
refuse_source lost 'line 3 of /etc/fstab mounts /srv from LABEL=srv, which is not a volume of the imaged disks; name its disk in the setting further-disks'
copy web clone; copy web clone-b
refuse_source clone "line 1 of /etc/fstab names two file systems by UUID=.*on disks 'system' and 'disk2'"
disk names 200M size=100M,type=L type=L
fill names 1 mke2fs -q -t ext4
on names 2 mke2fs -q -t ext4
copy web-b names-b
at names 1 sh -c 'mkdir data; echo "/dev/sda2 /data ext4 defaults 0 2" >>etc/fstab'
refuse_source names 'line 2 of /etc/fstab mounts /data from /dev/sda2, and ramet cannot be sure that this name means an imaged disk'
disk part 100M type=V
disk part-b 100M type=V
attach "$farm/part.source" 1; one=$loop; attach "$farm/part-b.source" 1
lvm "($one|$loop)" pvcreate -q -y "$one" "$loop" >/dev/null
lvm "($one|$loop)" vgcreate -q vg "$one" "$loop" >/dev/null
detach; loop=$one; detach
copy web-b part-b
refuse_source part 'group vg: physical volume .* is missing on the imaged disks.*further-disks.*vgreduce'
echo "disks: refused"

#!/bin/bash
# Disks of a target that the image is not written to stay as they are; where one holds what a copy could
# take for its own (a group or an array of the same name, a half of the same mirror), the target is refused
# before it is touched (M32, M33, [3.63]).
. "$(dirname "$0")/lib.sh"
need "$test_packages"
farm_up

# ---- The source: a root, group rhel, and array host:data over two partitions
disk web 260M size=60M,type=L,name=root size=60M,type=V size=40M,type=R size=40M,type=R
fill web 1 mke2fs -q -t ext4
group() { # FILE N GROUP: a volume group with a volume on partition N of a file, 0 for all of it
  attach "$1" "$2"
  lvm "$loop" pvcreate -q -y "$loop" >/dev/null; lvm "$loop" vgcreate -q "$3" "$loop" >/dev/null
  lvm "$loop" lvcreate -q -an -Zn -Wn -L 8M -n home "$3" >/dev/null
  detach
}
group "$farm/web.source" 2 rhel
array() { "$RAMET_BIN/ramet-array" make 1 0 0 1.2 "$@" >/dev/null; } # NAME MEMBER MEMBER <CONTENT
array host:data "$farm/web.source:3" "$farm/web.source:4" </dev/null
capture web

# other NAME SIZE [PARTITION...]: a target with the disk of the image, and a smaller one beside it.
other() {
  disk "$@"; mv "$farm/$1.source" "$farm/t-$1-b.disk"
  truncate -s 260M "$farm/t-$1.disk"
}
declare -A wanted=() before=()
refuse() { # NAME WORDS: judged below, all by one plan
  before[$1]=$(sha256sum <"$farm/t-$1-b.disk") wanted[$1]=$2
  like=web target "$1" "t-$1.disk" "t-$1-b.disk"
}
other name 50M
group "$farm/t-name-b.disk" 0 rhel
refuse name 'volume group rhel'

other inside 50M 'label: dos' '1: size=4M,type=83' '2: type=5' '5: size=30M,type=8e'
group "$farm/t-inside-b.disk" 5 rhel
refuse inside 'volume group rhel'

# Its second physical volume is in another machine.
other half 80M size=36M,type=V type=V
attach "$farm/t-half-b.disk" 1; one=$loop; attach "$farm/t-half-b.disk" 2
lvm "($one|$loop)" pvcreate -q -y "$one" "$loop" >/dev/null
lvm "($one|$loop)" vgcreate -q rhel "$one" "$loop" >/dev/null
detach; loop=$one; detach
sfdisk -q --delete "$farm/t-half-b.disk" 2
refuse half 'volume group rhel'

other layers 80M size=38M,type=R size=38M,type=R
truncate -s 30M "$farm/content"; group "$farm/content" 0 rhel
array other:1 "$farm/t-layers-b.disk:1" "$farm/t-layers-b.disk:2" <"$farm/content"
refuse layers 'volume group rhel'

other same 80M size=38M,type=R size=38M,type=R
array host:data "$farm/t-same-b.disk:1" "$farm/t-same-b.disk:2" </dev/null
refuse same 'array host:data'

# A half of the image's own mirror, as it comes with a disk from the shelf.
other shelf 50M type=R
attach "$farm/web.source" 3 -r; member=$loop; attach "$farm/t-shelf-b.disk" 1
dd if="$member" of="$loop" bs=1M status=none; detach; loop=$member; detach
refuse shelf 'array host:data'

judge web name
for name in "${!wanted[@]}"; do
  # shellcheck disable=SC2034  # `says` reads it.
  said=$(jq -r --arg t "t-$name" '.items[] | select(.target == $t) | "fits: \(if .fits then "yes" else "no" end)", .reason' "$farm/plan.json")
  says 'fits: no'; says "other-disks: disk .*${wanted[$name]} as the image has.*; take that disk out"
done
! ramet deploy start web-1 --engine lab --targets t-name,t-shelf --yes --wait --timeout 1m >"$farm/out" 2>&1 ||
  fail "a target was written that should be refused"
for name in "${!wanted[@]}"; do
  [ "$(stat -c %b "$farm/t-$name.disk")" = 0 ] || fail "the disk of t-$name was written before the refusal"
  [ "$(sha256sum <"$farm/t-$name-b.disk")" = "${before[$name]}" ] || fail "the other disk of t-$name was written"
done

# ---- What has other names stays, to the byte; what is torn is told
keep() { # NAME
  local before; before=$(sha256sum <"$farm/t-$1-b.disk")
  like=web target "$1" "t-$1.disk" "t-$1-b.disk"
  judge web "$1"; says 'fits: yes'
  install web "$1"
  [ "$(sha256sum <"$farm/t-$1-b.disk")" = "$before" ] || fail "the other disk of t-$1 was written"
}
other stays 80M size=38M,type=V size=38M,type=R
group "$farm/t-stays-b.disk" 1 rhel2
array other:data "$farm/t-stays-b.disk:2" "$farm/t-stays-b.disk:2" </dev/null
keep stays
other torn 50M
attach "$farm/t-torn.disk" 0; one=$loop; attach "$farm/t-torn-b.disk" 0
lvm "($one|$loop)" pvcreate -q -y "$one" "$loop" >/dev/null
lvm "($one|$loop)" vgcreate -q old "$one" "$loop" >/dev/null
detach; loop=$one; detach
attach "$farm/web.source" 1 -r; one=$loop
other twin 70M
dd if="$one" of="$farm/t-twin-b.disk" bs=1M conv=notrunc status=none; loop=$one; detach
like=web target twin t-twin.disk t-twin-b.disk
keep torn
jq -e '.items[] | select(.target == "t-twin") | .fits and (.warnings | test("which stays, has ext4 with UUID"))' "$farm/plan.json" >/dev/null ||
  { jq .items "$farm/plan.json" >&2; fail "an older copy on another disk is not told"; }
jq -e '.items[] | select(.target == "t-torn") | .warnings | test("volume group old has a part on disk .*, which is erased, and one on disk .*, which stays")' \
  "$farm/plan.json" >/dev/null || { jq .items "$farm/plan.json" >&2; fail "a group that loses a disk is not told"; }

# ---- A disk that came after the greeting is seen before the target is armed
other late 50M
like=web target late t-late.disk t-late-b.disk
judge web late; says 'fits: yes'
group "$farm/t-late-b.disk" 0 rhel
! ramet deploy start web-1 --engine lab --targets t-late --yes --wait --timeout 1m >"$farm/out" 2>&1 ||
  fail "t-late was written beside a group of the same name"
job=$(ramet job list --json | jq -r '.items[0].id')
ramet job show "$job" --json | grep -q 'volume group rhel as the image has' || { ramet job show "$job" >&2; fail "the agent does not say why"; }
[ "$(stat -c %b "$farm/t-late.disk")" = 0 ] || fail "the disk of t-late was written before the refusal"
echo "other disks: ${#wanted[@]} refusals, passed"

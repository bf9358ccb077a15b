#!/bin/bash
# Arrays of md (software RAID) over several disks: levels 0, 1, 4, 5, 6 and 10 and metadata 0.90 and 1.x are
# carried with their uuids, names and files, without a kernel that has md; what cannot be carried is refused
# by name before a disk is touched (M32). mdadm judges what was written.
. "$(dirname "$0")/lib.sh"
need "$test_packages"

parts() { local f; for f in "${@:2}"; do echo "$farm/$f:$1"; done; } # N FILE...
# array "LEVEL LAYOUT CHUNK METADATA NAME" N NAME MKFS FILE...: an array over partition N of the files, with a
# file system that has a tree; sets made to its uuid.
array() {
  local words parted content=$farm/content size; read -ra words <<<"$1"
  mapfile -t parted < <(parts "$2" "${@:5}")
  size=$("$RAMET_BIN/ramet-array" make "${words[@]}" "${parted[@]}" </dev/null) || fail "no array '$1'"
  rm -f "$content"; truncate -s "$size" "$content"
  $4 "$content" >/dev/null 2>&1 || fail "$4"
  loop=$(losetup -f --show "$content"); loops+=("$loop")
  mount "$loop" "$farm/at"; (cd "$farm/at" && mkdir "$3" && head -c 3000001 /dev/urandom >"$3/large" &&
    for n in $(seq 40); do echo "$n" >"$3/$n"; done; ln -s large "$3/link"); umount "$farm/at"; detach
  "$RAMET_BIN/ramet-array" make "${words[@]}" "${parted[@]}" <"$content" >/dev/null || fail "no array '$1'"
}
# sums N FILE...: the hashes of all files of the array there.
sums() {
  local parted; mapfile -t parted < <(parts "$@")
  "$RAMET_BIN/ramet-array" read "${parted[@]}" >"$farm/content" || return
  loop=$(losetup -f --show -r "$farm/content"); loops+=("$loop")
  mount -o ro,noload "$loop" "$farm/look" 2>/dev/null || mount -o ro,norecovery "$loop" "$farm/look"
  (cd "$farm/look" && find . -type f | sort | xargs sha256sum); umount "$farm/look"; detach
}
# examine N FILE...: what mdadm says of each member that must be the same on a copy.
examine() {
  local file n=$1; shift
  for file in "$@"; do
    attach "$farm/$file" "$n" -r
    mdadm --examine "$loop" | grep -E 'Version|UUID|Name|Level|Raid Devices|Array Size|Used Dev|Layout|Chunk|Checksum|Role|Array State|^this' |
      grep -vE 'Device UUID' | sed -E 's/Checksum : [0-9a-f]+/Checksum/; s/ +$//'
    detach
  done
}
state() { attach "$farm/$2" "$1" -r; mdadm --examine "$loop" | sed -n 's/^ *State : //p'; detach; }
farm_up

# ---- Every level, over four disks; the root lies beside them
kinds=("1 0 0 1.2 host:mirror" "0 2 65536 1.2 host:stripes" "10 0x102 65536 1.2 host:ten" "5 2 65536 1.2 host:five"
  "6 2 131072 1.1 host:six" "10 0x201 65536 1.0 host:far" "4 0 65536 0.90 7" "1 0 0 0.90 8")
mounts=(mirror stripes ten five six far four old)
table=('size=40M,type=L')
for _ in "${kinds[@]}"; do table+=("size=24M,type=R"); done
disks=(web.source web-b.source web-c.source web-d.source)
for name in web web-b web-c web-d; do disk $name 260M "${table[@]}"; done
fill web 1 mke2fs -q -t ext4
for i in "${!kinds[@]}"; do
  members=("${disks[@]}"); case ${kinds[$i]} in 1*) members=("${disks[@]:0:2}") ;; esac
  case ${kinds[$i]} in 10*) members=("${disks[@]:0:3}") ;; esac
  array "${kinds[$i]}" $((i + 2)) "${mounts[$i]}" "mke2fs -q -F -t ext4 -L ${mounts[$i]}" "${members[@]}"
done
add_mounts() {
  mkdir -p srv/{mirror,stripes,ten,five,six,far,four,old}
  printf '%s\n' 'LABEL=mirror /srv/mirror ext4 defaults 0 2' '/dev/md/stripes /srv/stripes ext4 defaults 0 2' \
    'LABEL=ten /srv/ten ext4 defaults 0 2' 'LABEL=five /srv/five ext4 defaults 0 2' 'LABEL=six /srv/six ext4 defaults 0 2' \
    '/dev/disk/by-id/md-name-host:far /srv/far ext4 defaults 0 2' '/dev/md7 /srv/four ext4 defaults 0 2' '/dev/md8 /srv/old ext4 defaults 0 2' >>etc/fstab
}
at web 1 add_mounts
lab source "$farm" web "${disks[@]/#/$farm/}"
capture web
targets=(t-web.disk t-web-b.disk t-web-c.disk t-web-d.disk)
for file in "${targets[@]}"; do truncate -s 260M "$farm/$file"; done
# What another machine had there: an array of its own at other places.
printf 'label: gpt\nsize=90M,type=R\n' | tee >(sfdisk -q "$farm/t-web.disk") | sfdisk -q "$farm/t-web-b.disk"
"$RAMET_BIN/ramet-array" make 1 0 0 1.0 other:1 "$farm/t-web.disk:1" "$farm/t-web-b.disk:1" </dev/null >/dev/null
like=web target web "${targets[@]}"
install web web
for i in "${!kinds[@]}"; do
  members=(0 1 2 3); case ${kinds[$i]} in 1*) members=(0 1) ;; esac
  case ${kinds[$i]} in 10*) members=(0 1 2) ;; esac
  before=(); after=()
  for m in "${members[@]}"; do before+=("${disks[$m]}"); after+=("${targets[$m]}"); done
  wanted=$(sums $((i + 2)) "${before[@]}"); had=$(sums $((i + 2)) "${after[@]}") || fail "${mounts[$i]} is not read"
  [ "$(wc -l <<<"$wanted")" -ge 41 ] && [ "$wanted" = "$had" ] || fail "${mounts[$i]}: other files: $(diff <(echo "$wanted") <(echo "$had"))"
  wanted=$(examine $((i + 2)) "${before[@]}"); had=$(examine $((i + 2)) "${after[@]}")
  [ "$wanted" = "$had" ] || fail "${mounts[$i]}: mdadm sees another array: $(diff <(echo "$wanted") <(echo "$had"))"
  want=clean; case ${kinds[$i]} in [456]*) want=active ;; esac
  [ "$(state $((i + 2)) "${after[0]}")" = $want ] || fail "${mounts[$i]} is $(state $((i + 2)) "${after[0]}"), not $want"
done

# ---- A mirror with one half older: the newer one is read, and told; a target gets both. Crashed: told too
pair() { # NAME: a mirror of /data over two disks
  disk "$1" 60M size=40M,type=L size=14M,type=R; disk "$1-b" 20M size=14M,type=R
  fill "$1" 1 mke2fs -q -t ext4
  local parted=("$farm/$1.source:2" "$farm/$1-b.source:1") size
  size=$("$RAMET_BIN/ramet-array" make 1 0 0 1.2 host:data "${parted[@]}" </dev/null)
  rm -f "$farm/content"; truncate -s "$size" "$farm/content"
  mke2fs -q -F -t ext4 -L data "$farm/content"
  loop=$(losetup -f --show "$farm/content"); loops+=("$loop")
  mount "$loop" "$farm/at"; echo hello >"$farm/at/letter"; umount "$farm/at"; detach
  "$RAMET_BIN/ramet-array" make 1 0 0 1.2 host:data "${parted[@]}" <"$farm/content" >/dev/null
  at "$1" 1 sh -c 'mkdir data; echo "/dev/md/data /data ext4 defaults 0 2" >>etc/fstab'
}
# super FILE N FIELD VALUE: change a number of 64 bits of a superblock 1.2, and its sum.
super() {
  attach "$1" "$2"
  python3 - "$loop" "$3" "$4" <<'PY'
import struct, sys
with open(sys.argv[1], "r+b") as device:
    device.seek(4096); block = bytearray(device.read(4096))
    struct.pack_into("<Q", block, int(sys.argv[2]), int(sys.argv[3]))
    struct.pack_into("<I", block, 216, 0)
    size = 256 + 2 * struct.unpack_from("<I", block, 220)[0]
    total = sum(struct.unpack_from("<%dI" % (size // 4), block))
    struct.pack_into("<I", block, 216, (total + (total >> 32)) & 0xffffffff)
    device.seek(4096); device.write(block)
PY
  detach
}
events=200 resync=208
pair half
super "$farm/half-b.source" 1 $events 9
attach "$farm/half.source" 2; dd if=/dev/urandom of="$loop" bs=1M seek=1 count=8 status=none; detach
lab source "$farm" half "$farm/half.source" "$farm/half-b.source"
capture half
ramet image show half-1 --json >"$farm/out"
grep -q 'a member is older than the others, and was not read' "$farm/out" || { cat "$farm/out" >&2; fail "the older half is not told"; }
truncate -s 60M "$farm/t-half.disk"; truncate -s 20M "$farm/t-half-b.disk"
like=half target half t-half.disk t-half-b.disk
install half half
"$RAMET_BIN/ramet-array" read "$farm/t-half.disk:2" "$farm/t-half-b.disk:1" >"$farm/content"
for start in "$(sfdisk -J "$farm/t-half.disk" | jq '.partitiontable.partitions[1].start')" \
  "b$(sfdisk -J "$farm/t-half-b.disk" | jq '.partitiontable.partitions[0].start')"; do
  file=$farm/t-half.disk; case $start in b*) file=$farm/t-half-b.disk ;; esac
  cmp <(tail -c +$((${start#b} * 512 + 1048577)) "$file" | head -c "$(stat -c %s "$farm/content")") "$farm/content" ||
    fail "$file has another half"
done
loop=$(losetup -f --show -r "$farm/content"); loops+=("$loop")
mount -o ro,noload "$loop" "$farm/look"; [ "$(cat "$farm/look/letter")" = hello ] || fail "the newer half did not come"
umount "$farm/look"; detach

pair crash
super "$farm/crash.source" 2 $resync 0; super "$farm/crash-b.source" 1 $resync 0
lab source "$farm" crash "$farm/crash.source" "$farm/crash-b.source"
capture crash
ramet image show crash-1 --json | grep -q 'not cleanly stopped: its first copy was read' || fail "a dirty array is not told"

# ---- What is not whole is refused, with what to do
pair gone
capture_refused gone 'array host:data .* lacks a member.*mdadm --add'
echo "md: passed"

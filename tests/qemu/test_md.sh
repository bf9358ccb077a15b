#!/bin/bash
# M32: the kernel's own md judges how ramet reads and writes arrays. Arrays that mdadm has made in a machine
# are read from outside, byte by byte; arrays that ramet has made start in it without a resync, or, with
# parity, are whole after one: any of their members can be taken away.
set -euo pipefail
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/small_system.sh"
need "$boot_packages"
clean_up() { [ -z "${machine:-}" ] || kill "$machine" 2>/dev/null || true; }
# Partition N of the disks has the array of line N: name, words for mdadm, words for ramet, members.
kinds=(
  "m12|1 --metadata=1.2|1 0 0 1.2|2" "m090|1 --metadata=0.90|1 0 0 0.90|3" "m10|1 --metadata=1.0|1 0 0 1.0|2"
  "s|0 --chunk=16|0 2 16384 1.2|3" "n|10 --layout=n2 --chunk=16|10 0x102 16384 1.2|3" "f|10 --layout=f2 --chunk=16|10 0x201 16384 1.2|3"
  "o|10 --layout=o2 --chunk=16 --metadata=1.1|10 0x10201 16384 1.1|4" "four|4 --chunk=16|4 0 16384 1.2|3"
  "ls|5 --layout=ls --chunk=16|5 2 16384 1.2|4" "la|5 --layout=la --chunk=16 --metadata=0.90|5 0 16384 0.90|3"
  "rs|5 --layout=rs --chunk=16|5 3 16384 1.2|3" "ra|5 --layout=ra --chunk=16|5 1 16384 1.2|4"
  "six|6 --layout=ls --chunk=16 --metadata=1.0|6 2 16384 1.0|4" "sixra|6 --layout=ra --chunk=16|6 1 16384 1.2|4")

guest=$farm/guest; tree=$(kernel_tree)
mkdir -p "$guest"/{bin,dev,proc,sys,run/mdadm,tmp,etc,var/run} "$farm/run"
cp "$(command -v busybox)" "$guest/bin/busybox"
add_program /usr/sbin/mdadm
add_modules virtio_pci virtio_blk md_mod raid0 raid1 raid10 raid456
printf '%s\n' "${kinds[@]}" >"$guest/kinds"
cat >"$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin MDADM_NO_UDEV=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/md
for m in /modules/*; do insmod $m 2>/dev/null; done
members() { # N COUNT
  local d list=
  for d in a b c d; do [ "$2" -lt 1 ] || list="$list /dev/vd$d$1"; set -- "$1" $(($2 - 1)); done
  echo $list
}
hash() { echo "$1 $2 $(blockdev --getsize64 /dev/md$3) $(sha256sum </dev/md$3 | cut -c1-32)"; }
n=0
while IFS='|' read -r name words own count; do
  n=$((n + 1)); all=$(members $n $count)
  if grep -q ramet.make /proc/cmdline; then
    mdadm --create /dev/md$n --run --quiet --homehost=host --name=$name --raid-devices=$count --level=$words $all </dev/null || echo "ramet-failed: create $name"
    dd if=/dev/urandom of=/dev/md$n bs=64k 2>/dev/null
    mdadm --wait /dev/md$n 2>/dev/null
    hash ramet-made $name $n
  else
    mdadm --assemble /dev/md$n --quiet --run $all || echo "ramet-failed: assemble $name"
    sync=$(cat /sys/block/md$n/md/sync_action 2>/dev/null)
    hash ramet-found $name $n
    mdadm --wait /dev/md$n 2>/dev/null
    case $words in
    [456]*)
      echo check >/sys/block/md$n/md/sync_action; mdadm --wait /dev/md$n 2>/dev/null
      mdadm --quiet /dev/md$n --fail /dev/vda$n; hash ramet-without $name $n ;;
    0*) ;;
    *) mdadm --quiet /dev/md$n --fail /dev/vda$n; hash ramet-without $name $n ;;
    esac
    echo "ramet-state $name first=$sync mismatches=$(cat /sys/block/md$n/md/mismatch_cnt 2>/dev/null)"
  fi
  mdadm --stop --quiet /dev/md$n
done </kinds
echo ramet-end
sync; poweroff -f
INIT
chmod 755 "$guest/init"
(cd "$guest" && find . | cpio --quiet -o -H newc) >"$farm/initramfs"

disks() { # PREFIX: four disks of many partitions
  local d
  for d in a b c d; do
    rm -f "$farm/$1-$d"; truncate -s $((2 + 6 * ${#kinds[@]} + 2))M "$farm/$1-$d"
    { echo 'label: gpt'; for _ in "${kinds[@]}"; do echo 'size=6M, type=R'; done; } | sfdisk -q "$farm/$1-$d"
  done
}
start_machine() { # PREFIX WORD...
  local d drives=()
  for d in a b c d; do drives+=(-drive "file=$farm/$1-$d,format=raw,if=virtio,cache=unsafe"); done
  qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 2 -m 512 -nodefaults -display none -no-reboot \
    -kernel "$tree"/boot/vmlinuz-* -initrd "$farm/initramfs" -append "console=ttyS0 quiet $emulated_words panic=1 ${*:2}" \
    -serial "file:$farm/run/$1.log" "${drives[@]}" </dev/null >"$farm/run/qemu.log" 2>&1 &
  machine=$!
  within 400 has_said "$1" || true
  wait "$machine" || true; machine=
  tr -d '\r' <"$farm/run/$1.log" | grep -a '^ramet-' >"$farm/run/$1.said" || true
  grep -qx ramet-end "$farm/run/$1.said" && ! grep ramet-failed "$farm/run/$1.said" ||
    { tail -n 40 "$farm/run/$1.log" >&2; fail "the machine does not come to its end"; }
}
has_said() { grep -aq '^ramet-end' "$farm/run/$1.log" || has_ended "$machine"; }
places() { local d list=(a b c d); for d in "${list[@]:0:$3}"; do echo "$farm/$1-$d:$2"; done; } # PREFIX N COUNT

# ---- Made by mdadm, read by ramet
disks made
start_machine made ramet.make
for i in "${!kinds[@]}"; do
  IFS='|' read -r name _ own count <<<"${kinds[$i]}"
  mapfile -t parted < <(places made $((i + 1)) "$count")
  "$RAMET_BIN/ramet-array" read "${parted[@]}" >"$farm/content" || fail "$name is not read"
  had="ramet-made $name $(stat -c %s "$farm/content") $(sha256sum <"$farm/content" | cut -c1-32)"
  grep -qxF "$had" "$farm/run/made.said" || fail "of $name ramet reads $had; the kernel: $(grep " $name " "$farm/run/made.said")"
done

# ---- Made by ramet, started by the kernel
disks found
for i in "${!kinds[@]}"; do
  IFS='|' read -r name _ own count <<<"${kinds[$i]}"
  mapfile -t parted < <(places found $((i + 1)) "$count")
  label=host:$name; [[ $own != *0.90 ]] || label=$((i + 1))
  # shellcheck disable=SC2086
  size=$("$RAMET_BIN/ramet-array" make $own "$label" "${parted[@]}" </dev/null)
  head -c "$size" /dev/urandom >"$farm/content"
  # shellcheck disable=SC2086
  "$RAMET_BIN/ramet-array" make $own "$label" "${parted[@]}" <"$farm/content" >/dev/null
  echo "$name $size $(sha256sum <"$farm/content" | cut -c1-32)" >>"$farm/run/wanted"
done
start_machine found
for i in "${!kinds[@]}"; do
  IFS='|' read -r name words own count <<<"${kinds[$i]}"
  want=$(grep "^$name " "$farm/run/wanted")
  grep -qxF "ramet-found $want" "$farm/run/found.said" || fail "wanted $want; the kernel: $(grep " $name " "$farm/run/found.said")"
  case $words in
  0*) continue ;;
  [456]*) state="ramet-state $name first=\(resync\|check\|idle\) mismatches=0" ;;
  *) state="ramet-state $name first=idle mismatches=0" ;;
  esac
  grep -qx "$state" "$farm/run/found.said" || fail "the state of $name: $(grep "ramet-state $name " "$farm/run/found.said")"
  grep -qxF "ramet-without $want" "$farm/run/found.said" || fail "$name is not whole without a member"
done
echo "md: ${#kinds[@]} arrays of the kernel read, ${#kinds[@]} of ramet started"

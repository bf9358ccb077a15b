#!/bin/bash
# Swap files (M4, [3.15]): they are made again on the copy with size, mode, UUID and label, at their place and in
# blocks that the kernel swaps to; a line of fstab whose file a copy would not have is refused.
. "$(dirname "$0")/lib.sh"
farm_up

# swap_file PATH SIZE [MKSWAP-OPTION...]: in the file system where it is called (at).
swap_file() {
  mkdir -p "$(dirname "$1")"
  : >"$1"; chattr +C "$1" 2>/dev/null || true
  dd if=/dev/urandom of="$1" bs=64K count=$(($2 / 64)) status=none
  chmod 600 "$1"; mkswap -q "${@:3}" "$1" 2>/dev/null
}
line() { printf '%s none swap sw 0 0\n' "$@" >>etc/fstab; }
# facts PATH...: of swap files, from the folder where it is called.
facts() { local f; for f; do echo "$f $(stat -c '%s %a %u:%g' "$f") $(blkid -p -s TYPE -s UUID -s LABEL -o value "$f" | paste -sd ' ')"; done; }
# works NAME N: the kernel swaps to the target's files.
works() {
  local loop f name=$1 number=$2; shift 2
  attach "$farm/t-$name.disk" "$number"
  mount ${options:+-o "$options"} "$loop" "$farm/look"
  for f; do swapon "$farm/look/$f" && swapoff "$farm/look/$f" || fail "$name: the kernel does not swap to $f"; done
  umount "$farm/look"; detach
}
# same NAME N PATH...: the target's files are those of the source, and the kernel takes them.
same() {
  local want got
  want=$(at "$1" "$2" facts "${@:3}"); got=$(look "$1" "$2" facts "${@:3}")
  [ "$want" = "$got" ] || fail "$1: the swap files are
$got, not
$want"
  works "$@"
}

many() {
  swap_file swapfile 4096 -L one; swap_file swap.img 2048; swap_file var/swap/swap1 1024; chmod 755 var/swap
  swap_file "srv/my swap" 1088; swap_file opt/by-unit 1024 -L unit; chmod 700 opt
  line /swapfile /swap.img /var/swap/swap1 '/srv/my\040swap'
  printf '[Unit]\n[Swap]\nWhat = /opt/by-unit\n' >etc/systemd/system/opt-by\\x2dunit.swap
}
disk many 200M type=L,name=root
fill many 1 mke2fs -q -t ext4
at many 1 many
at many 1 sh -c 'mkdir -p etc/default; echo "GRUB_CMDLINE_LINUX=resume=UUID=1 resume_offset=34816" >etc/default/grub'
capture many
ramet image show many-1 --json | jq -e 'any(.. | objects; .class == "dropped" and .path == "/etc/default/grub")' >/dev/null ||
  fail "many: nothing tells of resume_offset"
deploy many
same many 1 swapfile swap.img var/swap/swap1 "srv/my swap" opt/by-unit
[ "$(look many 1 stat -c %a opt)" = 700 ] || fail "many: the folder of a swap file has another mode"
[ "$(look many 1 cat swapfile | tr -d '\0' | wc -c)" -lt 2000 ] || fail "many: the copy has what the source had swapped"

# ext3 cannot reserve blocks, XFS can.
for kind in ext3 xfs; do
  disk $kind 400M type=L,name=root
  case $kind in xfs) fill xfs 1 mkfs.xfs -q ;; *) fill $kind 1 mke2fs -q -t $kind ;; esac
  at $kind 1 swap_file swapfile 8192 -L "of $kind"; at $kind 1 line /swapfile
  capture $kind
  deploy $kind
  same $kind 1 swapfile
done

# btrfs: in a subvolume that nothing mounts, and in one that fstab mounts.
nested() {
  btrfs -q subvolume create nested; btrfs -q subvolume create @swap; mkdir swap
  swap_file nested/swapfile 8192; swap_file @swap/file 8192
  printf 'UUID=%s /swap btrfs subvol=@swap 0 0\n' "$(blkid -p -s UUID -o value "$(findmnt -n -o SOURCE -T . | sed 's/\[.*//')")" >>etc/fstab
  line /nested/swapfile /swap/file
}
disk nested 600M type=L,name=root
fill nested 1 mkfs.btrfs -q
at nested 1 nested
capture nested
deploy nested
same nested 1 nested/swapfile @swap/file

disk gone 100M type=L,name=root
fill gone 1 mke2fs -q -t ext4
at gone 1 line /swapfile
capture_refused gone 'line 2 of /etc/fstab swaps to /swapfile, and that does not exist; make it a swap file by mkswap'
at gone 1 sh -c 'echo text >swapfile'
capture_refused gone 'swaps to /swapfile, and that is not a swap file'
at gone 1 sh -c 'mkdir a; rm swapfile; ln -s a/swap swapfile; head -c 1M /dev/zero >a/swap; mkswap -q a/swap 2>/dev/null'
capture_refused gone 'swaps to /swapfile, and that has a symlink in its path'
at gone 1 sh -c 'sed -i "s/ sw / sw,nofail /" etc/fstab'
capture gone
echo "swap: passed"

#!/bin/bash
# M32: a machine whose root and swap lie in a group of LVM inside of LUKS, as installers make it, and whose /home
# lies in LUKS alone, and its /safe in LUKS on a volume of the group, is imaged through its open mappings while it runs. Its copy, on a larger disk, asks for the
# passphrase of its engine at the console, takes no other one, not the source's either, and starts: cryptsetup, LVM
# and the kernel's dm-crypt read what ramet wrote. In a machine, as device-mapper is needed.
set -euo pipefail
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/small_system.sh"
need "$boot_packages"
clean_up() { [ -z "${machine:-}" ] || kill "$machine" 2>/dev/null || true; }
uuid=5d0c7a4e-94f1-4c55-8d6e-2f3b1a9c7e60; home=0b1de3a2-7c44-4f0e-8a5b-6d9c2e1f3a47; safe=7e2f9d10-3b5c-4a68-9f21-c40d8b6a5e93

make_guest() {
  local name
  mkdir -p "$guest"/{bin,dev,proc,sys,run/lock/lvm,tmp,etc/lvm,srv,old}
  cp "$(command -v busybox)" "$guest/bin/busybox"
  add_program /usr/sbin/cryptsetup
  add_program /usr/sbin/lvm
  for name in pvcreate vgcreate lvcreate lvremove vgchange vgck lvs; do ln -s lvm "$guest/usr/sbin/$name"; done
  add_program "$(command -v mkfs.ext4)" mkfs.ext4
  add_program "$RAMET_BIN/ramet-agent"
  add_modules virtio_pci virtio_blk virtio_net ext4 dm_mod dm_crypt dm_snapshot xts
  cat >"$guest/etc/lvm/lvm.conf" <<'CONF'
devices { obtain_device_list_from_udev = 0 }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
CONF
  cat >"$guest/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin DM_DISABLE_UDEV=1 LVM_SUPPRESS_FD_WARNINGS=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /modules/*; do insmod \$m; done
$guest_waits
tell() {
  vgck sys; echo "ramet-\$1: \$(cryptsetup luksUUID /dev/vda1) \$(cryptsetup luksUUID /dev/vda2) \$(cryptsetup luksUUID /dev/mapper/sys-safe) \$(dd if=/dev/mapper/sys-swap bs=1 skip=4086 count=10 2>/run/dd)" \
    "\$(cat /srv/etc/hostname) \$(cat /srv/letter /srv/home/letter /srv/safe/letter | tr -d '\n')" \
    "\$(echo \$(lvs --noheadings --nosuffix --units m -o lv_name,lv_size sys))"
}
if grep -q ramet.copy /proc/cmdline; then
  # cryptsetup's own question throws away what was typed before it; this one keeps it.
  stty -echo
  until echo "ramet-question:"; read -r words && printf %s "\$words" | cryptsetup open --key-file - /dev/vda2 pv; do
    echo "ramet-refused: \$?"
  done
  printf %s "\$words" | cryptsetup open --key-file - /dev/vda1 home
  vgchange -q -ay sys; printf %s "\$words" | cryptsetup open --key-file - /dev/mapper/sys-safe safe
  mount -t ext4 /dev/mapper/sys-root /srv; mount -t ext4 /dev/mapper/home /srv/home; mount -t ext4 /dev/mapper/safe /srv/safe
  tell copy; umount /srv/home /srv/safe /srv; sync; poweroff -f
fi
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
make() { # PARTITION UUID NAME
  printf 'words of the source' | cryptsetup -q luksFormat --type luks2 --uuid \$2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - \$1
  printf 'words of the source' | cryptsetup open --key-file - \$1 \$3
}
make /dev/vda1 $home home; make /dev/vda2 $uuid pv
pvcreate -q /dev/mapper/pv; vgcreate -q sys /dev/mapper/pv
lvcreate -q -n swap -L 16M sys; lvcreate -q -n root -L 80M sys
lvcreate -q -n safe -L 48M sys; make /dev/mapper/sys-safe $safe safe; mkfs.ext4 -q /dev/mapper/safe
mkswap /dev/mapper/sys-swap; mkfs.ext4 -q /dev/mapper/sys-root; mkfs.ext4 -q /dev/mapper/home
mount -t ext4 /dev/mapper/sys-root /srv; cp -a /old/. /srv/; mkdir -p /srv/home /srv/safe; mount -t ext4 /dev/mapper/home /srv/home; mount -t ext4 /dev/mapper/safe /srv/safe
echo he >/srv/letter; echo l >/srv/home/letter; echo lo >/srv/safe/letter
printf '%s\n' '/dev/mapper/sys-root / ext4 defaults 0 1' '/dev/mapper/home /home ext4 defaults 0 2' '/dev/mapper/safe /safe ext4 defaults 0 2' '/dev/mapper/sys-swap none swap sw 0 0' >/srv/etc/fstab
printf '%s\n' 'home UUID=$home none luks' 'pv UUID=$uuid none luks' 'safe /dev/mapper/sys-safe none luks' >/srv/etc/crypttab
tell source
ramet-agent source -c $farm/run/source-machine.cfg
INIT
  chmod 755 "$guest/init"
}

# start_machine DISK NAME WORD...: what its console says is in run/NAME.out, and what is written to $keys is typed.
start_machine() {
  mkfifo "$farm/run/$2.in"; : >"$farm/run/$2.out"; exec {keys}<>"$farm/run/$2.in"
  qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 2 -m 768 -nodefaults -display none -no-reboot \
    -kernel "$tree"/boot/vmlinuz-* -initrd "$farm/initramfs" -append "console=ttyS0 quiet $emulated_words panic=1 ${*:3}" \
    -serial "pipe:$farm/run/$2" -nic user,model=virtio-net-pci \
    -drive "file=$1,format=raw,if=virtio" </dev/null >"$farm/run/qemu.log" 2>&1 &
  machine=$!
}
has_said() { grep -aq "^$2" "$farm/run/$1.out" || has_ended "$machine"; }
# says NAME PATTERN SECONDS: the machine does, on its console; the line is printed.
says() {
  within "$3" has_said "$1" "$2" || true
  grep -a "^$2" "$farm/run/$1.out" | tr -d '\r' || { tail -n 40 "$farm/run/$1.out" >&2; fail "the machine does not say $2"; }
}

guest=$farm/guest; tree=$(kernel_tree)
mkdir -p "$farm"; (umask 077; echo 'words of the engine' >"$farm/passphrase")
echo "luks-passphrase = \"$farm/passphrase\"" >"$farm/installer.extra"
lab up "$farm"; eval "$(lab sh "$farm")"
make_guest
make_tree "$guest/old" 0; rm "$guest/old/home/user/new"*   # cpio takes names of one line alone
take_source machine 's|^root = .*|root = "/srv"\ndisk = "/dev/vda"|; /^layout = /d'
(cd "$guest" && find . | cpio --quiet -o -H newc) >"$farm/initramfs"
truncate -s 300M "$farm/disk"; printf 'label: gpt\nsize=60M,type=L\ntype=V\n' | sfdisk -q "$farm/disk"
start_machine "$farm/disk" machine
source=$(says machine ramet-source: 240)
case $source in *" $home $uuid $safe SWAPSPACE2 source hello root 80.00 safe 48.00 swap 16.00") ;; *) fail "the source is $source" ;; esac
within 120 greets machine || { tail -n 20 "$farm/run/machine.out" >&2; fail "the agent does not greet"; }
ramet image create machine --name one --wait --timeout 3m
kill "$machine"; wait "$machine" 2>/dev/null || true
ramet image show one --json | jq -e '.layout[] | select(.class == "crypt" and .name == "pv") | .version == 2' >/dev/null ||
  fail "the image tells no encryption"
# cryptsetup chooses a cost for the processor on which it runs: an emulated one would need minutes.
mkdir "$farm/bin"
printf '#!/bin/sh\ncase " $* " in *" luksFormat "*) set -- "$@" --pbkdf-force-iterations 1000 ;; esac\nexec %s "$@"\n' \
  "$(command -v cryptsetup)" >"$farm/bin/cryptsetup"
chmod 755 "$farm/bin/cryptsetup"
PATH=$farm/bin:$PATH lab target "$farm" copy "$farm/copy.disk" 400M --like machine
job=$(ramet deploy start one --engine lab --targets copy --yes)
await_phase "$job" copy awaiting-first-boot 120
start_machine "$farm/copy.disk" copy ramet.copy
says copy ramet-question: 240
echo 'words of the source' >&"$keys"; says copy 'ramet-refused: 2' 120 # No key available with this passphrase
echo 'words of the engine' >&"$keys"
copy=$(says copy ramet-copy: 240)
case $copy in *" $home $uuid $safe SWAPSPACE2 copy hello root "*" safe 48.00 swap 16.00") ;; *) fail "the copy is $copy" ;; esac
grown=${copy##* root }; [ "${grown%%.*}" -ge 176 ] || fail "the copy's root did not grow: $source; $copy"
echo "luks: $source; $copy"

# Sourced by tests of distributions, behind lib.sh: run SYSTEM makes a source by tests/fixtures/systems,
# and a copy of it that is looked at before and after its first start.
. "$(dirname "${BASH_SOURCE[0]}")/../fixtures/systems/lib.sh"
fill_system() { system_tree "$1"; put etc/fstab 'LABEL=sys / auto defaults 0 1'; }
# source_of SYSTEM: an image of it.
source_of() {
  disk "$1" 32M
  on "$1" 0 mke2fs -q -t ext4 -L sys
  at "$1" 0 fill_system "$1"
  capture "$1"
}
# What the boot loader of the tree in this folder reads: each kernel and initramfs that it names is there,
# entries have the machine's id, and the default entry is one of them.
starts() {
  local path id saved entry
  while read -r path; do
    [ -f ".$path" ] || [ -f "boot$path" ] || { echo "no $path" >&2; return 1; }
  done < <(sed -nE 's/^ *(linux|initrd) +([^ ]+).*/\2/p' boot/grub*/grub.cfg boot/loader/entries/*.conf 2>/dev/null)
  id=$(cat etc/machine-id 2>/dev/null) || return 0
  for entry in boot/loader/entries/*.conf; do
    [ ! -e "$entry" ] || [[ $entry == boot/loader/entries/$id-* ]] || { echo "entry $entry" >&2; return 1; }
  done
  saved=$(sed -n 's/^saved_entry=//p' boot/grub2/grubenv 2>/dev/null) || return 0
  [ -z "$saved" ] || [ -f "boot/loader/entries/$saved.conf" ] || { echo "no saved entry $saved" >&2; return 1; }
}
has() { look "$1" 0 grep -Eq -- "$3" "$2" || { look "$1" 0 cat "$2" >&2; fail "$2 of $1 lacks: $3"; } } # SYSTEM FILE WORDS
# own SYSTEM STARTER [FIELD=VALUE...]: a copy, of which the init's way to start the first boot is looked at
# before it is gone.
own() {
  local system=$1 starter=$2 job
  plan "$system" hostname=copy domain=lan "${@:3}" || { echo "$said" >&2; fail "no plan for $system"; }
  job=$(ramet deploy start "$system-1" --engine lab --targets "t-$system" --yes)
  await_phase "$job" "t-$system" awaiting-first-boot 60
  look "$system" 0 sh -c 'test -e "$1" || test -L "$1"' - "$starter" || fail "$system does not start its first boot by $starter"
  # What the plan counts for it (RMT_LAYOUT_FIRST_BOOT).
  [ "$(look "$system" 0 du -s --block-size=1M usr/lib/ramet | cut -f 1)" -le 24 ] || fail "the first boot of $system takes more than 24 MiB"
  lab boot "$farm" "t-$system" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "the first start of $system failed"; }
  ramet job wait "$job" --timeout 30s >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "$system did not start as itself"; }
  look "$system" 0 find . -name '*ramet-firstboot*' >"$farm/left"
  [ ! -s "$farm/left" ] || { cat "$farm/left" >&2; fail "of the first boot of $system something is left"; }
  [ "$(look "$system" 0 cat etc/hostname)" = copy ] || fail "$system has another host name"
  answers_no look "$system" 0 grep -rlE "192\.0\.2\.7|golden|$old_id" etc var boot >"$farm/left" ||
    { cat "$farm/left" >&2; fail "the source's name, address or machine-id is on its copy of $system"; }
  look "$system" 0 find . -name "*$old_id*" | answers_no grep . >&2 || fail "files of $system are named by the source's machine-id"
  look "$system" 0 starts || fail "the boot loader of $system names what is not there"
  look "$system" 0 ssh-keygen -lf etc/ssh/ssh_host_ed25519_key.pub >"$farm/key"
  answers_no grep -qF "$(at "$system" 0 ssh-keygen -lf etc/ssh/ssh_host_ed25519_key.pub | cut -d ' ' -f 2)" "$farm/key" || fail "$system has the source's host key"
  ran="$ran $system"
}
unit=etc/systemd/system/multi-user.target.wants/ramet-firstboot.service ran='' last=10

# run SYSTEM STARTER: with an address of its own in $address; run_dhcp SYSTEM STARTER: with none.
run() {
  last=$((last + 1)); address=10.1.0.$last
  source_of "$1"
  own "$1" "$2" "address=$address/24" gateway=10.1.0.1 dns=10.1.0.2
}
run_dhcp() { source_of "$1"; own "$1" "$2"; }
# labelled SYSTEM PATH TYPE: what ramet made has this type of SELinux.
labelled() {
  [ "$(look "$1" 0 getfattr -h --absolute-names --only-values -n security.selinux "$2" | tr -d '\0')" = "system_u:object_r:$3:s0" ] ||
    { look "$1" 0 getfattr -h -n security.selinux "$2" >&2; fail "$2 of $1 is not labelled $3"; }
}

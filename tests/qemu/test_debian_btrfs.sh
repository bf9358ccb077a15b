#!/bin/bash
# A Debian on btrfs with subvolumes and NetworkManager, which runs and images itself by its service,
# becomes a BIOS and a UEFI machine (M4, M8, M19, M20, M21, M22, M23, M25). A script that is fetched over https and is not
# what was pinned stops the order, and nothing is written (M18 c, [4.3]); the right one runs at their first boot.
. "$(dirname "$0")/variant.sh"
variant_farm manager btrfs 1G
machine b1 11 --bios --disk 1200M
machine u1 12 --uefi --disk 1G
variant_image
present b1 u1
cp "$farm/look" "$farm/web/look.sh"
ramet script add lab 10-look --location "https://127.0.0.1:$https/look.sh" --sha256 "$(sha256_of "$farm/look")" >/dev/null
echo 'rm -rf /' >>"$farm/web/look.sh"
job=$(ramet deploy start golden-1 --engine lab --targets b1,u1 --yes)
status=0; ramet job wait "$job" --timeout 60s || status=$?
[ $status = 2 ] || fail "the job with a wrong script ended with $status"
for name in b1 u1; do
  ramet job show "$job" --json | jq -r --arg t $name '.targets[] | select(.name == $t) | .error' |
    grep -q "script 10-look: .*the script is pinned to $(sha256_of "$farm/look")" || { ramet job show "$job" >&2; fail "the error does not say what is wrong"; }
  [ "$(stat -c %b "$farm/$name.disk")" = 0 ] || fail "something was written to $name"
done
no_locks
stamp "a wrong script has stopped the order"
cp "$farm/look" "$farm/web/look.sh"
variant_install b1 u1
for name in b1 u1; do
  look_has $name "mounts=/:btrfs:/@;/boot/efi:vfat:/;/home:btrfs:/@home;/var/log:btrfs:/@log" "active=NetworkManager"
  [ "$(phase_of "$job" $name)" = confirmed ] || fail "$name is $(phase_of "$job" $name)"
done
debian_is_itself b1 11 golden
debian_is_itself u1 12 golden
variant_compare b1 u1
stamp "passed"

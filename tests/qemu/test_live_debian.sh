#!/bin/bash
# A real Debian is imaged while it runs, by the agent that is its own service; two bare machines, one
# BIOS, one UEFI, netboot, are installed and start as themselves, well, and as no second source; the
# trees are the source's (M4, M8, M19-M25).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/debian.sh"
clean_up() { debian_unmount "$farm/one" "$farm/two"; }
stamp() { echo "$SECONDS s: $*"; }
lab up "$farm"
eval "$(lab sh "$farm")"
lab net "$farm" >/dev/null
debian_small "$farm/tree"
debian_teach "$farm/tree"
echo golden >"$farm/tree/etc/hostname"
printf 'auto enp0s3\niface enp0s3 inet dhcp\n' >"$farm/tree/etc/network/interfaces.d/enp0s3"
# What lies beneath a mount point is the system's as well.
mkdir -p "$farm/tree/boot/efi"; echo beneath >"$farm/tree/boot/efi/beneath"
debian_agent "$farm/tree" golden
debian_pack "$farm/tree" "$farm/golden.tar"
rm -rf "$farm/tree"
debian_disk "$farm/golden.tar" "$farm/golden.disk" 1G 2>"$farm/golden.log" || { cat "$farm/golden.log" >&2; fail "no source disk"; }
stamp "the source's disk is made"
lab vm "$farm" golden --boot disk --disk "$farm/golden.disk"
machine b1 11 --bios --disk 1200M
machine u1 12 --uefi --disk 1G
debian_source golden 150
debian_line golden
stamp "the source runs"
job=$(ramet image create golden --name golden-1)
ramet job wait "$job" --timeout 5m || { ramet job show "$job" >&2; fail "the source was not imaged"; }
stamp "imaged"
ramet image list
debian_off golden
stamp "the source is off"
present b1 u1
ramet deploy plan golden-1 --engine lab --json | jq -e '[.items[] | select(.fits == "yes") | .target] | sort == ["b1","u1"]' >/dev/null ||
  { ramet deploy plan golden-1 --engine lab --explain >&2; fail "the plan does not say that both fit"; }
job=$(ramet deploy start golden-1 --engine lab --targets b1,u1 --yes)
await_phase "$job" b1 unpack 120
[ "$(ramet lock list --json | jq '.items | length')" = 2 ] || fail "not both are locked while they are written"
for name in b1 u1; do console $name "^host-$name login:" 400; done
stamp "both are at their login prompts"
for name in b1 u1; do debian_said $name 120; done
ramet job wait "$job" --timeout 120s || { ramet job show "$job" >&2; fail "the job did not end well"; }
stamp "both have reported"
! ramet job show "$job" | grep -i degraded || fail "a copy says that it is degraded"
debian_is_itself b1 11 golden
debian_is_itself u1 12 golden
[ "$(debian_field b1 machine)" != "$(debian_field u1 machine)" ] || fail "both have one machine-id"
[ "$(debian_field b1 key)" != "$(debian_field u1 key)" ] || fail "both have one host key"
no_locks
! debian_offers golden || fail "a copy offers to be imaged in the source's name"
debian_off b1 u1
for name in b1 u1; do debian_same "$farm/golden.disk" $name; done
stamp "passed"

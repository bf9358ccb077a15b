#!/bin/bash
# A Debian with ifupdown and an address of its own is imaged while it runs, by the agent that is its own
# service; two bare machines, one BIOS, one UEFI, netboot, are planned, locked, installed and start as
# themselves, well, and as no second source; the trees are the source's (M4, M8, M19, M20, M21, M22, M23, M25).
. "$(dirname "$0")/variant.sh"
variant_farm ifupdown ext4 1G
machine b1 11 --bios --disk 1200M
machine u1 12 --uefi --disk 1G
variant_image
ramet image list
present b1 u1
ramet deploy plan golden-1 --engine lab --json | jq -e '[.items[] | select(.fits == true) | .target] | sort == ["b1","u1"]' >/dev/null ||
  { ramet deploy plan golden-1 --engine lab --explain >&2; fail "the plan does not say that both fit"; }
variant_install b1 u1
ramet job show "$job" | answers_no grep -i degraded || fail "a copy says that it is degraded"
debian_is_itself b1 11 golden
debian_is_itself u1 12 golden
[ "$(debian_field b1 machine)" != "$(debian_field u1 machine)" ] || fail "both have one machine-id"
[ "$(debian_field b1 key)" != "$(debian_field u1 key)" ] || fail "both have one host key"
variant_compare b1 u1
stamp "passed"

#!/bin/bash
# A machine that runs is installed anew at its next start (--when-booted), and until then its netboot
# leads to its own disk by UEFI, which is not the first one with a system on it; one with sectors of 4096
# bytes is refused before anything is locked (M20, M23).
. "$(dirname "$0")/lib.sh"
live_farm
other_disk u1
machine u1 12 --uefi --disk 400M --disk 800M
machine k1 13 --bios --disk 1G,4kn
present u1 k1
ramet deploy start web-1 --engine lab --targets u1 "${second_disk[@]}" --yes --wait --timeout 5m
console u1 'host-u1 login:' 60
is_itself u1 12

# Refused: the image was made for sectors of 512 bytes.
expect 2 ramet deploy start web-1 --engine lab --targets k1 --yes --wait --timeout 60s
grep -qi sector "$farm/out" || ramet job list >&2
ramet deploy plan web-1 --engine lab --json |
  jq -e '.items[] | select(.target == "k1") | .fits == false and (.reason | test("sector"; "i"))' >/dev/null ||
  { ramet deploy plan web-1 --engine lab >&2; fail "k1 is not refused for its sectors"; }
no_locks
[ "$(tr -d '\0' <"$farm/k1.disk" | head -c 1 | wc -c)" = 0 ] || fail "the disk of k1 was written"
lab power "$farm" k1 off

# A second image; the machine runs its own system and is not present.
gone u1
kill "$(cat "$farm/run/source-web.pid")"; rm -f "$farm"/run/source-web.*
live_disk "$farm/web.disk" second >>"$farm/web.log" 2>&1
lab source "$farm" web "$farm/web.disk"
ramet image create web --name web-2 --wait --timeout 3m
expect 2 ramet deploy start web-2 --engine lab --targets u1 "${second_disk[@]}" --yes --wait --timeout 60s
lab power "$farm" u1 cycle
console u1 'ramet: u1 boots its own disk' 120 2
console u1 'host-u1 login:' 120 2
job=$(ramet deploy start web-2 --engine lab --targets u1 "${second_disk[@]}" --when-booted --yes)
await_phase "$job" u1 ordered 60
old=$(live_field u1 machine)
lab power "$farm" u1 cycle
console u1 'host-u1 login:' 300 3
is_itself u1 12 second
[ "$(live_field u1 machine)" != "$old" ] || fail "the machine-id is that of the first installation"
ramet job wait "$job" --timeout 120s || { ramet job show "$job" >&2; fail "the job did not end well"; }
no_locks
other_untouched u1
echo "again: passed"

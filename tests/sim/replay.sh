#!/bin/bash
# A seed replays exactly (docs/testing.md, The simulation): in another process, whatever ran
# before it, and in the program of the long form. RAMET_SIM, RAMET_SIM_FAST: the programs.
set -euo pipefail
seeds=12

each=$("$RAMET_SIM" --count "$seeds" --traces | grep '^seed ')
[ "$(wc -l <<<"$each")" -eq "$seeds" ] || { echo "FAILED: not $seeds traces"; exit 1; }
[ "$(cut -d' ' -f4 <<<"$each" | sort -u | wc -l)" -eq "$seeds" ] ||
  { echo "FAILED: two seeds have one trace"; exit 1; }
for seed in $(seq "$seeds" -1 1); do
  alone=$("$RAMET_SIM" --seed "$seed" --traces | grep '^seed ')
  grep -qxF "$alone" <<<"$each" || { echo "FAILED: $alone; among others it was not that"; exit 1; }
done
fast=$("$RAMET_SIM_FAST" --count "$seeds" --traces | grep '^seed ')
[ "$fast" = "$each" ] || { echo "FAILED: the long form plays other runs: $fast"; exit 1; }
echo "replay: passed"

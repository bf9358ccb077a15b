#!/bin/bash
# Drive a fuzzer of a fuzz build with libFuzzer for RAMET_FUZZ_S seconds (60).
#
#   tests/fuzz/long.sh FUZZER CORPUS    what falls lies in FUZZER.findings/
set -euo pipefail
fuzzer=$1 corpus=$2
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
mkdir -p "$fuzzer.findings"
"$fuzzer" -max_total_time="${RAMET_FUZZ_S:-60}" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="$fuzzer.findings/" "$found" "$corpus"

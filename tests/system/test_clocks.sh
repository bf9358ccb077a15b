#!/bin/bash
# Clocks of Redis, broker, imager, installer, source and targets that are two hours off, one after the
# other and all at once, and one that jumps in the middle of a deployment: each job ends well, and
# doctor names the machine (P25, P4, [1.60]).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 40
shift_to() { printf '%-31s\n' "$2" | dd of="$farm/shift.$1" conv=notrunc status=none; }    # NAME SECONDS
preload="$RAMET_BIN/../tests/shift_clock.so"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for name in n1 n2; do lab target "$farm" "$name" "$farm/$name.disk" 2G --like web; done

# Start a program of the farm again, with a time of day of its own.
shifted() { # NAME SECONDS
  shift_to "$1" "$2"
  end "$1" KILL
  LD_PRELOAD=$preload RAMET_SHIFT="$farm/shift.$1" lab up "$farm"
}
clocks() { { ramet doctor --json || true; } | jq -r '.clocks // ""'; }
names() { clocks | grep -qE "$1"; }
agrees_with_redis() { ! names 'redis '; }
count=0
image() {
  count=$((count + 1))
  ramet image create web --name "i$count" --wait --timeout 90s || fail "no image with $*"
}

shifted imager-hq-1 7200; image "an imager two hours ahead"
wait_for 10 "the imager's clock in doctor" names 'imager/[^ ]+ \+7[12]'
shifted imager-hq-1 -7200; image "an imager two hours behind"
shifted source-web 7200; image "a source two hours ahead"
wait_for 10 "the source's clock in doctor" names 'source/web \+7[12]'
shifted installer-lab-1 7200
shifted target-n1 -7200
shifted target-n2 7200
wait_for 10 "the clock of n1 in doctor" names 'target/n1 -7[12]'
wait_for 10 "the clock of n2 in doctor" names 'target/n2 \+7[12]'
shifted broker 7200; image "a broker two hours ahead"
wait_for 10 "the clock of Redis in doctor" names 'redis -7[12]'

# Redis jumps while the targets are being installed, forward and back.
shifted redis 0
all_there() { ramet target list --json | jq -e '[.items[] | select(.present == true)] | length == 2' >/dev/null; }
wait_for 40 "each target" all_there
job=$(ramet deploy start i1 --engine lab --targets n1,n2 --yes)
# The broker is two hours ahead by now: so is Redis then, and four hours behind after that.
shift_to redis 7200
wait_for 10 "the clock of Redis like that of the broker" agrees_with_redis
shift_to redis -7200
wait_for 10 "the clock of Redis four hours behind" names 'redis -14[34]'
for name in n1 n2; do
  [ "$(phase_of "$job" "$name")" != confirmed ] || fail "$name was installed before Redis jumped"
done
for name in n1 n2; do await_phase "$job" "$name" awaiting-first-boot 120; lab boot "$farm" "$name"; done
ramet job wait "$job" --timeout 60s
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"
echo "clocks: passed"

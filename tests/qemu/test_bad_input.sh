#!/bin/bash
# Orders that cannot be carried out (M11, M20, P7): no disk, a disk too small, sectors of another size,
# firmware for which the image has no boot path, an order for another machine. Each ends at the console
# and on the target's screen with the same words, and nothing is written. What keeps a machine from the
# console altogether (network, broker, keys) is in test_bare_words.
# shellcheck disable=SC2046  # net and used_disk give words of QEMU's command line.
set -euo pipefail
. "$(dirname "$0")/bare.sh"
. "$(dirname "$0")/small_system.sh"
. "$top/ops/lib/vm.sh"
need "$bare_packages" "$boot_packages"
thin=$(thin_kernel cloud)
small_disk dos "$farm/web.disk" >"$farm/web.log" 2>&1 || { cat "$farm/web.log" >&2; fail "no source disk"; }
farm_up
lab source "$farm" web "$farm/web.disk"
ramet image create web --name web-1 --wait --timeout 3m

# start NAME [QEMU-OPTION...]: what is no disk of it and no firmware is as the source has it.
start() {
  local name=$1; shift
  ramet target add "$name" "identity=uuid:$(vm_uuid "$name")" engine=lab >/dev/null
  machine "$name" "$thin" 256 "ramet.broker=10.0.2.2:$port ramet.token=$token" \
    -uuid "$(vm_uuid "$name")" $(net "$(vm_mac "$name")"),addr=0x3,disable-legacy=on "$@"
}
# used_disk NAME SIZE: with something on it.
used_disk() {
  truncate -s "$2" "$farm/$1.disk"
  head -c 64K /dev/urandom | dd of="$farm/$1.disk" conv=notrunc status=none
  echo "-drive file=$farm/$1.disk,if=none,id=d1,format=raw -device virtio-blk-pci,drive=d1,serial=$1,addr=0x4,disable-legacy=on"
}
# What is on the disks, and how much of their files: they have holes.
disks() {
  local file
  for file in "$farm"/{small,sectors,firmware,one,two}.disk; do echo "$(head -c 64K "$file" | sha256sum) $(stat -c %b "$file")"; done
}
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$farm/vars"
start nodisk
start small $(used_disk small 64M)
start sectors $(used_disk sectors 640M),logical_block_size=4096,physical_block_size=4096
start firmware $(used_disk firmware 640M) -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
  -drive "if=pflash,format=raw,file=$farm/vars"
start one $(used_disk one 640M)
start two $(used_disk two 640M)
disks >"$farm/before"
for name in nodisk small sectors firmware one two; do shown $name 150 "waiting for orders as $name,"; done

# ends JOB TARGET PATTERN: the words at the console are of that kind and stand on the screen as well.
ends() {
  local words
  words=$(ramet job show "$1" --json | jq -r --arg t "$2" '.targets[] | select(.name == $t) | .error')
  [[ $words =~ $3 ]] || { ramet job show "$1" >&2; fail "the console has other words for $2: $words"; }
  shown "$2" 10 "ramet, trouble: $words; what to do: "
  echo "$2: $words"
}
more=(--policy "memory=ignore" --policy "controller=ignore" --policy "pci=ignore")
expect 2 ramet deploy start web-1 --engine lab --targets nodisk,small,sectors,firmware "${more[@]}" --yes --wait --timeout 60s
job=$(ramet job list --json | jq -r '.items[] | select(.kind == "deploy") | .name')
ends "$job" nodisk '^disk: no disk: this machine has no disk that the kernel has a driver for'
ends "$job" small '^disk: the disk is too small: the image needs [0-9]+ bytes .*, and the disk has 67108864 bytes \(64.0 MiB\)$'
ends "$job" sectors '^disk: the disk has sectors of 4096 bytes, and the image has sectors of 512 bytes$'
ends "$job" firmware '^firmware: '
ramet deploy plan web-1 --engine lab "${more[@]}" --json >"$farm/plan"
for name in nodisk small sectors firmware; do
  words=$(ramet job show "$job" --json | jq -r --arg t $name '.targets[] | select(.name == $t) | .error')
  jq -e --arg t $name --arg w "$words" '.items[] | select(.target == $t) | .reason == $w' "$farm/plan" >/dev/null ||
    fail "the plan has other words for $name: $(cat "$farm/plan")"
  power_off $name
done

# Two machines stand still while their orders are made, which change places in Redis meanwhile.
for name in one two; do pid=pid_$name; kill -STOP "${!pid}"; done
is_absent() { [ "$(ramet target show "$1" --json | jq -r .present)" != true ]; }
for name in one two; do look_s=0.5 wait_for 60 "the absence of $name" is_absent $name; done
job=$(ramet deploy start web-1 --engine lab --targets one,two --when-booted "${more[@]}" --yes)
await_phase "$job" one ordered 60; await_phase "$job" two ordered 60
swapped=$(redis-cli -s "$farm/redis/redis.sock" eval "
  local tasks, orders = {}, {}
  for _, key in ipairs(redis.call('KEYS', '*task:*')) do
    local service = redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'service')
    if service == 'prepare@target/one' or service == 'prepare@target/two' then
      tasks[#tasks + 1], orders[#orders + 1] = key, redis.call('HGET', key, 'b.order')
    end
  end
  redis.call('HSET', tasks[1], 'b.order', orders[2]); redis.call('HSET', tasks[2], 'b.order', orders[1])
  return #tasks" 0)
[ "$swapped" = 2 ] || fail "there are no two orders: $swapped"
for name in one two; do pid=pid_$name; kill -CONT "${!pid}"; done
expect 2 ramet job wait "$job" --timeout 90s
ends "$job" one '^the order is for two, and this machine is one$'
ends "$job" two '^the order is for one, and this machine is two$'
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || { ramet lock list >&2; fail "locks are left"; }
power_off one; power_off two
disks | cmp - "$farm/before" || fail "a disk was written"
echo "bad input: passed"

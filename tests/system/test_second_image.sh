#!/bin/bash
# A second image after one small package was installed in the source: what travels from the
# source to the imager, and from the place to the engine, by the counters of network interfaces
# (M9, M16). Source and engine each live in a network namespace of their own. Budget: 1.05 x the
# LZ4 size of the changed files + 10 % of the manifest; what the farm says to a worker that has
# nothing to do is measured beside it and taken off.
. "$(dirname "$0")/lib.sh"
net=10.213.$((RANDOM % 200 + 20))
id=$$
clean_up() {
  ip netns pids "rs$id" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
  ip netns pids "re$id" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
  ip netns del "rs$id" 2>/dev/null || true
  ip netns del "re$id" 2>/dev/null || true
  ip link del "rb$id" 2>/dev/null || true
}

host_in() { # NAMESPACE DEVICE ADDRESS
  ip netns add "$1"
  ip link add "$2" type veth peer name eth0 netns "$1"
  ip link set "$2" master "rb$id" up
  ip -n "$1" addr add "$3/24" dev eth0
  ip -n "$1" link set eth0 up
  ip -n "$1" link set lo up
}
ip link add "rb$id" type bridge
ip addr add "$net.1/24" dev "rb$id"
ip link set "rb$id" up
host_in "rs$id" "vs$id" "$net.2"
host_in "re$id" "ve$id" "$net.3"

in_tree() {
  local status=0
  mount --bind /dev "$farm/tree/dev"; mount -t proc proc "$farm/tree/proc"
  DEBIAN_FRONTEND=noninteractive chroot "$farm/tree" "$@" >"$farm/apt.log" 2>&1 || status=$?
  umount "$farm/tree/proc" "$farm/tree/dev"
  [ $status = 0 ] || { cat "$farm/apt.log" >&2; fail "$* in the source"; }
}
debian_tree "$farm/tree"
cp /etc/resolv.conf "$farm/tree/etc/resolv.conf"
in_tree apt-get update -q
RAMET_LAB_HOST=$net.1 lab up "$farm"
ip netns exec "rs$id" "$source_dir/ops/lab" source "$farm" web "$farm/tree"
# The tree is a minute too young for the stat cache as it is set for machines.
end source-web
echo 'cache-margin-s = 1' >>"$farm/run/source-web.cfg"
ip netns exec "rs$id" "$source_dir/ops/lab" source "$farm" web "$farm/tree"
RAMET_LAB_DATA_HOST=$net.3 ip netns exec "re$id" "$source_dir/ops/lab" engine "$farm" far
lab target "$farm" n1 "$farm/n1.disk" 3G --engine far --like web
eval "$(lab sh "$farm")"

counter() { ip netns exec "$1" cat "/sys/class/net/eth0/statistics/$2"; }
agent() { kill "-$1" "$(cat "$farm/run/target-n1.pid")"; }

# Sets got to what came to the engine until the order lay ready: the target sleeps so long.
deploy() { # IMAGE
  local job start=$SECONDS rx
  rx=$(counter "re$id" rx_bytes)
  agent STOP
  job=$(ramet deploy start "$1" --engine far --targets n1 --yes)
  await_phase "$job" n1 ordered 240
  got=$(($(counter "re$id" rx_bytes) - rx - idle_engine * (SECONDS - start)))
  agent CONT
  await_phase "$job" n1 awaiting-first-boot 240
  lab boot "$farm" n1
  ramet job wait "$job" --timeout 60s
}
idle_engine=0
ramet image create web --name first --wait --timeout 5m
deploy first

# What the farm says in ten seconds to a source and an engine that do nothing.
idle_source=$(counter "rs$id" tx_bytes); idle_engine=$(counter "re$id" rx_bytes)
pause 10 "what the farm says meanwhile is measured"
idle_source=$((($(counter "rs$id" tx_bytes) - idle_source) / 10)); idle_engine=$((($(counter "re$id" rx_bytes) - idle_engine) / 10))

touch "$farm/stamp"; pause 1 "what is installed is younger than the stamp"
in_tree apt-get install -y -q --no-install-recommends -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= tree

start=$SECONDS; tx=$(counter "rs$id" tx_bytes)
ramet image create web --name second --wait --timeout 5m
sent=$(($(counter "rs$id" tx_bytes) - tx - idle_source * (SECONDS - start)))
deploy second
# What the default profile leaves out of an image is no difference.
for folder in var/cache/apt var/cache/apt/archives; do
  touch -r "$farm/tree/$folder" "$farm/time"
  rm -f "$farm/tree/$folder"/*.bin "$farm/tree/$folder"/*.deb
  touch -r "$farm/time" "$farm/tree/$folder"
done
same_as_source n1 "$farm/tree" || fail "n1 is not as the source"

# The LZ4 size of the changed files that are in the image, each by itself.
ramet image files second --json | jq -r '.items[].path' >"$farm/in-image"
changed=0 files=0
while IFS= read -r -d '' path; do
  grep -qxF "$path" "$farm/in-image" || continue
  files=$((files + 1)); changed=$((changed + $(lz4 -1 -c "$farm/tree$path" | wc -c)))
done < <(cd "$farm/tree" && find . -xdev -type f -cnewer "$farm/stamp" -printf '/%P\0')
manifest=$(ramet-manifest-size "$farm/store/hq" "$(ramet image show second --json | jq -r .id)")
budget=$((changed * 105 / 100 + manifest / 10))
echo "changed files $files, their LZ4 size $changed bytes, manifest $manifest bytes, budget $budget bytes"
echo "source to imager $sent bytes; place to engine $got bytes (idle: $idle_source and $idle_engine bytes a second)"
grep event=volume.captured "$farm/run/source-web.log" | tail -n 1
[ $files -gt 0 ] || fail "nothing had changed"
[ "$sent" -le "$budget" ] || fail "the source sent more than the budget"
[ "$got" -le "$budget" ] || fail "the engine was sent more than the budget"
echo "second image: passed"

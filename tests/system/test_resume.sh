#!/bin/bash
# A transfer whose connection is cut fifty times goes on where it stopped (P12): from the place to an
# engine, and from the engine to a target. Farm and engine each live in a network namespace; a veth pair
# joins them, and its counters tell what has travelled. The same transfer without a cut is measured before:
# it has all that the protocol adds. A cut ends the connections of the data ports at both ends.
. "$(dirname "$0")/lib.sh"
cuts=50 window_kib=1024 gate_kib=1216 step=$((1152 * 1024)) image_mib=64
net=10.214.$((RANDOM % 200 + 20)) id=$$
near=ra$id far=rb$id
fetched=() written=()
clean_up() {
  local name
  for name in "$near" "$far"; do
    ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del "$name" 2>/dev/null || true
  done
}
in_near() { ip netns exec "$near" "$@"; }
in_far() { ip netns exec "$far" "$@"; }
lab_in() { RAMET_LAB_HOST=$net.1 RAMET_LAB_DATA_HOST=$net.$1 ip netns exec "$2" "$source_dir/ops/lab" "${@:3}"; }

ip netns add "$near"
ip netns add "$far"
ip link add eth0 netns "$near" type veth peer name eth0 netns "$far"
for host in "1 $near" "2 $far"; do
  read -r number name <<<"$host"
  ip -n "$name" addr add "$net.$number/24" dev eth0
  ip -n "$name" link set eth0 up
  ip -n "$name" link set lo up
done

make_tree "$farm/tree" $image_mib
echo "window-kib = $window_kib" >"$farm/installer.extra"
lab_in 1 "$near" up "$farm"
end imager-hq-1
echo "window-kib = $window_kib" >>"$farm/run/imager-hq-1.cfg"
lab_in 1 "$near" up "$farm"
lab_in 1 "$near" source "$farm" web "$farm/tree"
for name in calm torn; do
  lab_in 2 "$far" engine "$farm" "$name"
  lab_in 1 "$near" target "$farm" "$name" "$farm/$name.disk" 2G --engine "$name" --like web
done
eval "$(in_near "$source_dir/ops/lab" sh "$farm")"
ramet() { in_near "$RAMET_BIN/ramet" "$@"; }
base=$(cat "$farm/port")

counter() { in_far cat "/sys/class/net/eth0/statistics/$1_bytes"; }
agent() { kill "-$1" "$(cat "$farm/run/target-$2.pid")"; }
# The sender's kernel lets so much through by data ports, and no more until the connection was cut: how
# fast the computer is does not matter.
gate() {
  ip netns exec "$1" nft -f - <<EOF
table inet gate {
  quota passed { over $gate_kib kbytes }
  chain out {
    type filter hook output priority 0
    tcp sport $base-$((base + 4)) accept
    tcp dport $base-$((base + 4)) accept
    meta l4proto tcp quota name passed drop
  }
}
EOF
}

# The next three run in the namespace of the engine.
connections() { ss -Htn "$@" state established "( dport < :$base or dport > :$((base + 4)) )"; }
has_moved() { local now; read -r now <"/sys/class/net/eth0/statistics/$1_bytes"; [ "$now" -ge "$2" ]; }
# cut_often COUNTER SENDER: each time after more than a window has come by.
cut_often() {
  local at done=0
  read -r at <"/sys/class/net/eth0/statistics/$1_bytes"
  while [ $done -lt "$cuts" ]; do
    look_s=0.01 within 60 has_moved "$1" $((at + step)) || die "the transfer has not gone on after $done cuts"
    [ -z "$(connections -K)" ] || done=$((done + 1))
    read -r at <"/sys/class/net/eth0/statistics/$1_bytes"
    ip netns exec "$2" nft reset quota inet gate passed >/dev/null
  done
}

# transfer COUNTER TARGET SENDER BEGIN END: how much travels between two commands; sets got.
transfer() {
  local at
  at=$(counter "$1")
  if [ "$2" = torn ]; then
    gate "$3"
    $4 "$2"
    base=$base cuts=$cuts step=$step in_far bash -euc ". $source_dir/ops/lib/common.sh
      $(declare -f connections has_moved cut_often); cut_often $1 $3"
    ip netns exec "$3" nft delete table inet gate
  else
    $4 "$2"
  fi
  $5 "$2"
  got=$(($(counter "$1") - at))
}
# The target sleeps until its order is ready, so that both transfers are apart.
order() { agent STOP "$1"; job=$(ramet deploy start web-1 --engine "$1" --targets "$1" --yes); }
is_ordered() { await_phase "$job" "$1" ordered 240; }
wake() { agent CONT "$1"; }
is_written() { await_phase "$job" "$1" awaiting-first-boot 240; }

ramet image create web --name web-1 --wait --timeout 4m
for name in calm torn; do
  transfer rx "$name" "$near" order is_ordered
  fetched+=("$got")
  transfer tx "$name" "$far" wake is_written
  written+=("$got")
  same_as_source "$name" "$farm/tree" || fail "$name is not as the source"
done
# judge WHAT CALM TORN
judge() {
  local again=$(($3 - $2)) limit=$((cuts * window_kib * 1024))
  echo "$1: $2 bytes without a cut, $3 with $cuts cuts: $again again, $((again / cuts)) a cut, limit $((limit / cuts))"
  [ "$2" -ge $((image_mib << 20)) ] || fail "$1: less than the image has travelled"
  [ $again -le $limit ] || fail "$1: more than one window a cut was sent again"
}
judge "place to engine" "${fetched[@]}"
judge "engine to target" "${written[@]}"
echo "resume: passed"

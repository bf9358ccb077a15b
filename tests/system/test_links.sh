#!/bin/bash
# A farm on both sides of a bad network link (M22, M27, P3, P4, P5, P6, P12): Redis, broker, imager and an
# installer live at one end; a source, a target, and an engine with a target of its own at the other. Under
# each kind of trouble an image is made and installed, or waits and ends well after the link has healed;
# no target counts as absent while its words are only late, and nothing is written twice.
#
#   RAMET_LINKS       scenarios (the quick ones), or "all"
#   RAMET_LINKS_MIB   MiB of the image (2)
#   RAMET_SEED        seed of the link
. "$(dirname "$0")/lib.sh"
quick="mixed satellite small_packets capture_5 install_5 half_open moved"
long="satellite_whole plain lossy narrow late late_2_s lossy_1 lossy_15 slow one_way capture_60 install_60 capture_600 install_600 share_of_tcp"
scenarios=${RAMET_LINKS:-$quick} mib=${RAMET_LINKS_MIB:-2}
[ "$scenarios" != all ] || scenarios="$quick $long"
here_ip=10.214.0.1 there_ip=10.214.0.2 moved_ip=10.214.0.3

# ---- Two namespaces and the link between them

# A namespace with its own /etc/hosts; sets pid to the process that keeps it.
world() {
  unshare --net --mount sh -c "mount --bind '$farm/hosts' /etc/hosts && exec sleep infinity" &
  pid=$!
  worlds+=("$pid")
  wait_for 5 "a network namespace" own_hosts "$pid"
  within_world "$pid" ip link set lo up
}
own_hosts() { has_own_net "$1" && nsenter -t "$1" -m -r grep -q broker.test /etc/hosts; }
within_world() { local at=$1; shift; nsenter -t "$at" --net --mount --root --wd "$@"; }
here() { within_world "$here_pid" "$@"; }
there() { within_world "$there_pid" "$@"; }
ramet() { here "$RAMET_BIN/ramet" "$@"; }
clean_up() {
  [ -z "${LINK_PID:-}" ] || kill "$LINK_PID" 2>/dev/null || true
  [ ${#worlds[@]} -eq 0 ] || kill "${worlds[@]}" 2>/dev/null || true
}
worlds=()

tell_link() {
  echo "$*" >&"${LINK[1]}"
  read -r -t 10 -u "${LINK[0]}" answer || fail "the link does not answer '$*'"
}
rules() {
  tell_link "$@"
  [ "$answer" = ok ] || fail "the link said '$answer' to '$*'"
}
heal() { rules both; }
silence() { rules both loss=100; }

connect() {
  echo "$here_ip broker.test" >"$farm/hosts"
  world; here_pid=$pid
  world; there_pid=$pid
  coproc LINK { exec "$RAMET_BIN/ramet-link" "/proc/$here_pid/ns/net" "/proc/$there_pid/ns/net" ${RAMET_SEED:+"$RAMET_SEED"}; }
  read -r -t 10 -u "${LINK[0]}" answer || fail "the link does not start"
  echo "link: $answer"
  here ip addr add $here_ip peer $there_ip dev bad0
  there ip addr add $there_ip peer $here_ip dev bad0
  here ip link set bad0 up
  there ip link set bad0 up
  here ip addr add $moved_ip dev bad0
  there ip route add $moved_ip dev bad0
}

# ---- A job that crosses the link

count=0
starts() { grep -c event=write.start "$farm/run/target-$1.log" || true; }

# An image of what the source has now, with something new; sets image.
capture() {
  count=$((count + 1)) image=web-$count
  head -c 256K /dev/urandom >"$farm/tree/home/user/new"
  local job; job=$(ramet image create web --name $image)
  ramet job wait "$job" --timeout "${1:-120}s" >/dev/null || { ramet job show "$job" >&2; fail "$scenario: no image"; }
}
begin_install() { # TARGET ENGINE: sets job, writes
  target=$1
  writes=$(starts "$target")
  job=$(ramet deploy start $image --engine "$2" --targets "$target" --yes)
}
# The log knows it at once; words about phases may wait behind chunks.
await_write() { look_s=0.05 wait_for 60 "the write of $target" is_written; }
is_written() { [ "$(starts "$target")" -gt "$writes" ]; }
end_install() { # SECONDS
  await_phase "$job" "$target" awaiting-first-boot "$1"
  there "$source_dir/ops/lab" boot "$farm" "$target" >>"$farm/run/boot.log" 2>&1
  ramet job wait "$job" --timeout "${1}s" >/dev/null || { ramet job show "$job" >&2; fail "$scenario: the first boot did not end the job"; }
  [ $(($(starts "$target") - writes)) = 1 ] || fail "$scenario: $target was written more than once"
  same_as_source "$target" "$farm/tree" || fail "$scenario: $target is not as the source"
}
whole() { # SECONDS: an image and an install by the installer at the other end
  local limit=$(($1 + 3 * mib))
  capture $limit
  begin_install n1 lab
  end_install $limit
}

# No target is absent while the link has these rules.
absent() { [ "$(ramet target list --json | jq '[.items[] | select(.present != true)] | length')" != 0 ]; }
none_absent_for() { ! within "$1" absent || { ramet target list >&2; fail "$scenario: a target counts as absent"; }; }

# ---- Scenarios

plain() { whole 60; }
late() { rules both delay=150 jitter=50; whole 120; }

# A round trip of 0.9 s, and one of 1.4 s: what has no connection makes one, and all goes on as usual.
satellite_whole() { rules both delay=450 jitter=20; whole 120; }
satellite() {
  rules both delay=450 jitter=20
  capture
  rules both delay=700
  there "$RAMET_BIN/ramet" target list >"$farm/out" || fail "$scenario: a console does not connect"
  greetings=$(greetings_of n2)
  end target-n2 KILL
  nsenter -t "$there_pid" --net --mount --root --wd bash -c "exec $(cat "$farm/run/target-n2.cmd")" >>"$farm/run/target-n2.log" 2>&1 &
  echo $! >"$farm/run/target-n2.pid"
  within 40 has_greeted n2 || fail "$scenario: a target does not connect"
}
greetings_of() { grep -c "event=peer.hello role=target name=$1" "$farm/run/broker.log"; }
has_greeted() { [ "$(greetings_of "$1")" -gt "$greetings" ]; }
lossy() { rules both delay=5 loss=5; whole 120; }
lossy_1() { rules both delay=5 loss=1; whole 120; }
lossy_15() { rules both delay=5 loss=15; whole 600; }
mixed() { rules both delay=10 loss=5 twice=5 early=25; whole 120; }
slow() { rules both rate=1000; whole 1200; }

# A round trip of two seconds in the middle of an install; no handshake ends in its time, so what needs a
# connection waits until the link has healed.
late_2_s() {
  rules both rate=4000
  begin_install n1 lab
  await_write
  rules both delay=1000
  none_absent_for 30
  heal
  end_install 120
}

# The engine of the other end has the image: what crosses the link is control alone.
narrow() {
  begin_install n2 far; end_install 60
  rules both rate=64
  begin_install n2 far; end_install 120
}

small_packets() {
  here ip link set bad0 mtu 576
  there ip link set bad0 mtu 576
  whole 120
  here ip link set bad0 mtu 1500
  there ip link set bad0 mtu 1500
}

# The link is cut in the middle of a capture.
cut_capture() { # SECONDS
  rules both rate=4000
  count=$((count + 1)) image=web-$count
  head -c 2M /dev/urandom >"$farm/tree/home/user/new"
  job=$(ramet image create web --name $image)
  look_s=0.05 wait_for 60 "a capture that is under way" is_captured
  silence
  pause "$1" "the link is cut"
  heal
  ramet job wait "$job" --timeout 180s >/dev/null || { ramet job show "$job" >&2; fail "$scenario: no image"; }
}
is_captured() { [ "$(ramet job show "$job" --json | jq -r '.done // 0')" -gt 0 ]; }

# The link is cut in the middle of an install.
cut_install() { # SECONDS
  rules both rate=4000
  begin_install n1 lab
  await_write
  silence
  pause "$1" "the link is cut"
  heal
  end_install 180
}
capture_5() { cut_capture 5; }
capture_60() { cut_capture 60; }
capture_600() { cut_capture 600; }
install_5() { cut_install 5; }
install_60() { cut_install 60; }
install_600() { cut_install 600; }

# Each direction alone goes silent in the middle of an install, longer than three beats.
one_way() {
  rules both rate=4000
  begin_install n1 lab
  await_write
  rules down loss=100
  pause 11 "nothing comes from the broker"
  heal
  rules up loss=100
  pause 11 "nothing comes to the broker"
  heal
  end_install 120
}

# Broker and installer die and start again, and no word of it reaches those who were connected.
half_open() {
  rules both rate=4000 ends=1
  begin_install n1 lab
  await_write
  end broker KILL; end installer-lab-1 KILL
  here "$source_dir/ops/lab" up "$farm"
  end_install 120
}

# The broker's end gets another address, and the broker's name follows.
moved() {
  rules both rate=4000
  begin_install n1 lab
  await_write
  here ip addr del $here_ip peer $there_ip dev bad0
  here ip route replace $there_ip dev bad0 src $moved_ip
  echo "$moved_ip broker.test" >"$farm/hosts"
  end_install 120
}

# At 5 % loss ramet moves 70 % of what one plain TCP stream moves, or more; they take turns.
share_of_tcp() {
  local turn tcp=0 own=0
  head -c "${RAMET_LINKS_SHARE_MIB:-32}M" /dev/urandom >"$farm/tree/home/user/large"
  capture 600
  rules both delay=5 loss=5
  for turn in 1 2 3; do
    timed plain_stream; tcp=$((tcp + ms))
    timed there "$RAMET_BIN/ramet" image checkout $image "$farm/checkout-$turn"; own=$((own + ms))
    cmp "$farm/tree/home/user/large" "$farm/checkout-$turn/home/user/large" || fail "the checkout is not as the source"
    rm -rf "$farm/checkout-$turn"
  done
  rm "$farm/tree/home/user/large"
  echo "one TCP stream took $tcp ms, ramet $own ms: $((100 * tcp / own)) %"
  [ $((100 * tcp)) -ge $((70 * own)) ] || fail "ramet is slower than 70 % of one TCP stream"
}
plain_stream() {
  here socat -u "OPEN:$farm/tree/home/user/large" TCP-LISTEN:7,reuseaddr &
  local server=$!
  there socat -u "TCP:$moved_ip:7,retry=100,interval=0.05" "CREATE:$farm/stream"
  wait $server
  cmp "$farm/tree/home/user/large" "$farm/stream"
}
timed() {
  local start=${EPOCHREALTIME/./}
  "$@" || fail "$* did not end well"
  ms=$(((${EPOCHREALTIME/./} - start) / 1000))
}

# ---- The farm

mkdir -p "$farm/run"
connect
make_tree "$farm/tree" "$mib"
echo "$moved_ip broker.test" >>"$farm/tree/etc/hosts"   # Of the installed system, before and after the move
export RAMET_LAB_HOST=broker.test
echo 'silent-s = 900' >"$farm/broker.extra"     # The longest hole is as long as the preset
here "$source_dir/ops/lab" up "$farm"
there env RAMET_LAB_DATA_HOST=$there_ip "$source_dir/ops/lab" engine "$farm" far
there "$source_dir/ops/lab" source "$farm" web "$farm/tree"
there "$source_dir/ops/lab" target "$farm" n1 "$farm/n1.disk" 2G --like web
there "$source_dir/ops/lab" target "$farm" n2 "$farm/n2.disk" 2G --like web --engine far
eval "$(lab sh "$farm")"
scenario=calm
capture
for scenario in $scenarios; do
  began=$SECONDS
  $scenario
  heal
  echo "$scenario: ended well after $((SECONDS - began)) s"
done
tell_link counts
echo "link: $answer"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a lock is left"

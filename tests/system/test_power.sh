#!/bin/bash
# The power of machines is switched at the console, and looked at (design 13): Wake-on-LAN, IPMI and
# the engine's own program; who may not be switched off; what hangs holds up no other ([4.56] [4.58] [4.59] [4.60] [4.61]).
. "$(dirname "$0")/lib.sh"
mkdir -p "$farm/power"; chmod 700 "$farm/power"; mkfifo "$farm/power/go"
program=$farm/power/switch
cat >"$program" <<'END'
#!/bin/sh
# A switched socket: on and off are files. It tells what it was asked, and who could see a secret.
cd "${0%/*}" || exit 1
echo "$1 $2 $(tr '\0' '\n' </proc/$$/environ | sort | tr '\n' ' ')" >>asked
case $1 in
  x8) sleep 3600 & echo $! >child; wait ;;
  w*) : <go ;;                        # As long as nobody has opened it for writing
  x9) echo 'first line' >&2; echo 'the socket is broken' >&2; exit 3 ;;
esac
case $2 in
  on | cycle | netboot) : >"$1.on" ;;
  off) rm -f "$1.on" ;;
esac
if [ -f "$1.on" ]; then echo on; else echo off; fi
END
chmod 755 "$program"
cat >"$farm/installer.extra" <<END
power-program = "$program"
power-secrets = "$farm/power"
power-timeout-s = 10
power-cipher = 3
END
lab up "$farm"
eval "$(lab sh "$farm")"
seq -f '{"name":"x%g","engine":"lab","power":"exec"}' 9 | jq -s '{items: .}' >"$farm/many.json"
ramet target import "$farm/many.json"
power() { ramet target power "$@" </dev/null; }
says() { grep -qF -- "$1" "$farm/out" || { cat "$farm/out"; fail "it does not say: $1"; }; }
field() { jq -r --arg n "$1" ".items[] | select(.name == \$n) | .$2" "$farm/out.json"; }
# power_json STATUS ARGUMENT...: the same as JSON, in out.json.
power_json() {
  local want=$1 got=0; shift
  ramet target power "$@" --json </dev/null >"$farm/out.json" 2>"$farm/out" || got=$?
  [ "$got" = "$want" ] || { cat "$farm/out" "$farm/out.json"; fail "power $* ended with $got, not $want"; }
}

# What ends what runs there is confirmed: one machine by --yes or its number, several by their number.
expect 64 power x1 off
says "target power off cuts the power of 1 target: x1; confirm it with --count 1"
says "to do it without a terminal: ramet target power x1 off --count 1"
expect 64 power 'x[1-2]' cycle --yes
says "confirm it with --count 2"
expect 64 power 'x[1-2]' off --count 3
expect 64 power x1 reboot
says "write on, off, cycle, netboot or status"
answers_no test -e "$farm/power/asked"
expect 0 power x1 on
expect 0 power x1 status
grep -Eq '^x1 +lab +on' "$farm/out" || { cat "$farm/out"; fail "the list does not show that x1 is on"; }
power_json 0 'x[1-2]' status
[ "$(field x1 power) $(field x2 power)" = "on off" ] || { cat "$farm/out.json"; fail "the states are wrong"; }
expect 0 power x1 off --yes
expect 0 power 'x[1-2]' netboot --count 2
power_json 0 'x[1-2]' status
[ "$(field x1 power) $(field x2 power)" = "on on" ] || fail "netboot did not start them"
answers_no grep -Ev '^x[0-9] [a-z]+ LC_ALL=C.UTF-8 PATH=[^ ]* $' "$farm/power/asked" ||
  { cat "$farm/power/asked"; fail "the program was given more than machine and action"; }

# One that hangs is killed with what it started, one that fails says why, and the others are done.
power_json 1 'x[1-9]' cycle --count 9
[ "$(jq '[.items[] | select(.power == "on")] | length' "$farm/out.json")" = 7 ] || { cat "$farm/out.json"; fail "the others were not done"; }
[[ "$(field x8 text)" == "target x8, exec: $program did not end within 10 s, and was killed"* ]] || fail "x8: $(field x8 text)"
[ "$(field x9 text)" = "target x9, exec: $program ended with status 3: the socket is broken" ] || fail "x9: $(field x9 text)"
within 10 has_ended "$(cat "$farm/power/child")" || fail "what the program had started lives on"

# What no job may erase is not switched off, and is looked at.
ramet target protect x3 --reason "name server"
expect 2 power x3 off --yes
says "target x3 is protected: name server"
power_json 1 'x[3-4]' off --count 2
[ "$(field x4 power)" = off ] || fail "x4 was not switched off"
[[ "$(field x3 text)" == "target x3 is protected: name server"* ]] || fail "x3: $(field x3 text)"
expect 0 power x3 status
redis-cli -s "$farm/redis/redis.sock" hset ramet:lock:x5 job j-other target x5 >/dev/null
expect 2 power x5 cycle --yes
says "target x5 is locked by job j-other"
expect 0 power x5 status
expect 0 power x5 cycle --yes --force
redis-cli -s "$farm/redis/redis.sock" del ramet:lock:x5 >/dev/null

# What comes up while the first ones are switched counts for those that wait for their turn.
seq -f '{"name":"w%g","engine":"lab","power":"exec"}' 40 | jq -s '{items: .}' >"$farm/many.json"
ramet target import "$farm/many.json"
are_asked() { [ "$(grep -c '^w' "$farm/power/asked")" = "$1" ]; }
ramet target power 'w[1-40]' off --count 40 --json </dev/null >"$farm/out.json" 2>"$farm/out" &
switching=$!
wait_for 20 "the first 32 machines" are_asked 32
late=$(comm -23 <(seq -f 'w%g' 40 | sort) <(grep -o '^w[0-9]*' "$farm/power/asked" | sort) | head -n 1)
ramet target protect "$late" --reason "came up late"
exec 8>"$farm/power/go"
wait $switching && fail "the protected machine was switched off"
[[ "$(field "$late" text)" == "target $late is protected: came up late"* ]] || fail "$late: $(field "$late" text)"
are_asked 39 || fail "of 40 machines $(grep -c '^w' "$farm/power/asked") were switched, not 39"

# A program that others can write is not run; a way that is not set up says what to set.
chmod 777 "$program"
expect 2 power x1 status
says "chmod"
chmod 755 "$program"
ramet target set x1 power=none
expect 2 power x1 status
says "ramet target set x1 power=WAY"
expect 64 ramet target set x1 power=magic
says "write none, wol, ipmi, redfish or exec"

# Wake-on-LAN: 102 octets to the broadcast address of the record.
python3 - "$farm" <<'END' &
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.bind(("", 0))
open(sys.argv[1] + "/wol.port.new", "w").write(str(s.getsockname()[1]))
import os; os.rename(sys.argv[1] + "/wol.port.new", sys.argv[1] + "/wol.port")
open(sys.argv[1] + "/wol.got", "w").write(s.recv(2000).hex())
END
listener=$!
wait_for 20 "the listener" test -f "$farm/wol.port"
ramet target set x2 power=wol mac=52-54-00-AA-0B-07 "power-address=127.255.255.255:$(cat "$farm/wol.port")"
power_json 0 x2 on
[ "$(field x2 power)" = sent ] || { cat "$farm/out.json"; fail "nothing was sent"; }
wait $listener || fail "no datagram came"
mac=52540000aa0b07 mac=525400aa0b07
[ "$(cat "$farm/wol.got")" = "ffffffffffff$(printf "$mac%.0s" {1..16})" ] || fail "this wakes nothing: $(cat "$farm/wol.got")"
power_json 0 x2 status
[ "$(field x2 power)" = unknown ] || fail "nobody can know whether x2 is on"
expect 2 power x2 off --yes
says "Wake-on-LAN can switch a machine on, and nothing else"
ramet target set x2 power-address=nosuch0
expect 2 power x2 on
says "the engine has no interface nosuch0 with an IPv4 broadcast address"

# IPMI: a BMC of Debian's simulator; one that lies, one that refuses, one where nothing answers.
sims=()
clean_up() { [ ${#sims[@]} -eq 0 ] || kill "${sims[@]}" 2>/dev/null; }
udp_port() { python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# bmc NAME: a simulated BMC in bmc/NAME, whose power is the file power there, unless it is told to lie.
bmc() {
  local d=$farm/bmc/$1 port
  mkdir -p "$d/state"; port=$(udp_port)
  cat >"$d/chassis" <<'END'
#!/bin/sh
cd "${0%/*}" || exit 1
echo "$*" >>asked
shift
verb=$1; shift
while [ $# -gt 0 ]; do
  case $verb/$1 in
    get/power) echo "power:$(cat power)" ;;
    get/*) echo "$1:none" ;;
    set/*) [ -e lies ] || echo "$2" >"$1"; shift ;;
  esac
  shift
done
END
  chmod 755 "$d/chassis"; echo 0 >"$d/power"
  cat >"$d/lan.conf" <<END
name "$1"
set_working_mc 0x20
startlan 1
addr 127.0.0.1 $port
priv_limit admin
allowed_auths_callback none md2 md5 straight
allowed_auths_user none md2 md5 straight
allowed_auths_operator none md2 md5 straight
allowed_auths_admin none md2 md5 straight
guid a123456789abcdefa123456789abcdef
endlan
chassis_control "$d/chassis 0x20"
user 1 true "" "" user 10 none md2 md5 straight
user 2 true "ramet" "word-of-$1" admin 10 none md2 md5 straight
END
  printf 'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n' >"$d/commands"
  ipmi_sim -n -c "$d/lan.conf" -f "$d/commands" -s "$d/state" >"$farm/run/bmc-$1.log" 2>&1 </dev/null &
  sims+=($!)
  address[$1]=127.0.0.1:$port
  (umask 077; echo "word-of-$1" >"$farm/power/127.0.0.1:$port")
  ramet target set "$1" power=ipmi "power-address=127.0.0.1:$port" power-user=ramet
}
declare -A address
for name in x3 x4 x5; do bmc $name; done
ramet target unprotect x3 2>/dev/null
touch "$farm/bmc/x4/lies"
(umask 077; echo another-word >"$farm/power/${address[x5]}")
ramet target set x6 power=ipmi power-user=ramet power-address=127.0.0.1:9
(umask 077; echo some-word >"$farm/power/127.0.0.1:9")
within 20 power x3 status || fail "the simulator does not answer"
power_json 1 'x[3-7]' on
[ "$(field x3 power) $(field x7 power)" = "on on" ] || { cat "$farm/out.json"; fail "x3 and x7 were not switched on"; }
[ "$(cat "$farm/bmc/x3/power")" = 1 ] || fail "the BMC of x3 was not told"
[ "$(field x4 text)" = "target x4, ipmi ${address[x4]}: the BMC took the order, and the power is still off after 10 s; look at the machine, or restart its BMC" ] ||
  fail "x4: $(field x4 text)"
for name in x5 x6; do
  [[ "$(field $name text)" == "target $name, ipmi 127.0.0.1:"*"; look "* ]] || fail "$name: $(field $name text)"
done
expect 0 power x3 netboot --yes
grep -qx '0x20 set boot pxe' "$farm/bmc/x3/asked" || { cat "$farm/bmc/x3/asked"; fail "the BMC was not told to start from the network"; }
grep '0x20 set power' "$farm/bmc/x3/asked" | tail -n 2 | paste -sd, | grep -qx '0x20 set power 0,0x20 set power 1' ||
  { cat "$farm/bmc/x3/asked"; fail "it was not switched off and on"; }
expect 0 power x3 off --yes
[ "$(cat "$farm/bmc/x3/power")" = 0 ] || fail "x3 is still on"

# A password goes to the address alone that its file is called like, others may not read it, and no
# argument, log, record or message has it.
ramet target set x3 "power-address=localhost:${address[x3]#*:}"
expect 2 power x3 status
says "the engine has no password for it; write it into the file $farm/power/localhost:${address[x3]#*:}"
ramet target set x3 "power-address=${address[x3]}"
chmod 644 "$farm/power/${address[x3]}"
expect 2 power x3 status
says "chmod"
answers_no grep -rEq 'word-of-x|another-word|some-word' "$farm/run" "$farm/redis"

# It is in the audit, by the name of who did it, and in the machine's history.
ramet audit list --target x4 --json | jq -e '[.items[] | select(.what == "target.power" and .text == "off")] | length == 1' >/dev/null ||
  fail "the audit does not have it"

# An installer that ends in between: nothing is done twice, and the machines of the other engine are done and shown.
lab engine "$farm" rome
ramet target add y1 engine=rome power=exec
ramet target power x8,y1 off --count 2 --json </dev/null >"$farm/out.json" 2>"$farm/again" &
asker=$!
before=$(cat "$farm/power/child")
other_child() { [ "$(cat "$farm/power/child")" != "$before" ]; }
wait_for 10 "the program of x8" other_child
end installer-lab-1 KILL
kill "$(cat "$farm/power/child")" || true
lab up "$farm"
got=0; wait $asker || got=$?
[ $got = 69 ] || { cat "$farm/again"; fail "it ended with $got, not 69"; }
grep -q "it is not done twice" "$farm/again" || { cat "$farm/again"; fail "it does not say that it was not done twice"; }
grep -q 'engine lab: ' "$farm/again" || { cat "$farm/again"; fail "it does not say which engine failed"; }
[ "$(grep -c '^x8 off' "$farm/power/asked")" = 1 ] || fail "x8 was told twice"
[ "$(field y1 power)" = off ] || { cat "$farm/out.json"; fail "y1 of the other engine is not shown as off"; }

# An engine whose installer is gone, and one machine of another engine beside it.
ramet engine add milan
ramet target add z1 engine=milan power=exec
power_json 1 x7,z1 on
[[ "$(field z1 text)" == "no installer of engine milan is there"* ]] || fail "z1: $(field z1 text)"
[ "$(field x7 power)" = on ] || fail "x7 was not switched on"
echo "power: passed"

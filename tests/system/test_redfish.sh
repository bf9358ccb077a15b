#!/bin/bash
# Redfish switches the power of machines (design 13, [4.58] [4.59] [4.62]): over TLS that is checked, by a
# BMC that is right, and by those that are wrong in a way of their own.
. "$(dirname "$0")/lib.sh"
mkdir -p "$farm/power" "$farm/ca"; chmod 700 "$farm/power"
bmcs=()
clean_up() { [ ${#bmcs[@]} -eq 0 ] || kill "${bmcs[@]}" 2>/dev/null; }
cd "$farm/ca" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=farm -keyout ca.key -out ca.pem 2>/dev/null
# certificate FOLDER NAME: one of the farm's authority for a subject alternative name.
certificate() {
  openssl req -newkey rsa:2048 -nodes -subj /CN=bmc -keyout "$1/key.pem" -out "$1/request" 2>/dev/null
  openssl x509 -req -in "$1/request" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo "subjectAltName=$2") \
    -out "$1/cert.pem" 2>/dev/null
}
cat >"$farm/installer.extra" <<END
power-secrets = "$farm/power"
power-ca = "$farm/ca/ca.pem"
power-timeout-s = 10
END
lab up "$farm"
eval "$(lab sh "$farm")"
power() { ramet target power "$@" </dev/null; }
field() { jq -r --arg n "$1" ".items[] | select(.name == \$n) | .$2" "$farm/out.json"; }
power_json() {
  local want=$1 got=0; shift
  ramet target power "$@" --json </dev/null >"$farm/out.json" 2>"$farm/out" || got=$?
  [ "$got" = "$want" ] || { cat "$farm/out" "$farm/out.json"; fail "power $* ended with $got, not $want"; }
}
# tells NAME WORDS: the reason of a machine that failed.
tells() { grep -qF -- "$2" <<<"$(field "$1" text)" || { cat "$farm/out.json"; fail "$1 does not say: $2"; }; }
asked() { cat "$farm/bmc/$1/asked"; }

# bmc NAME CERTIFICATE [WAY]: a machine with such a BMC; CERTIFICATE is the folder of another one, too.
bmc() {
  local d=$farm/bmc/$1
  mkdir -p "$d"; cp "$2"/{cert,key}.pem "$d/"
  "$source_dir/tests/tools/redfish_bmc.py" "$d" "${3:-}" >"$farm/run/bmc-$1.log" 2>&1 </dev/null &
  bmcs+=($!)
}
mkdir good other own noname
certificate good IP:127.0.0.1
certificate other DNS:elsewhere.lan
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bmc -addext subjectAltName=IP:127.0.0.1 \
  -keyout own/key.pem -out own/cert.pem 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bmc -keyout noname/key.pem -out noname/cert.pem 2>/dev/null
bmc good good; bmc denied good
for way in lies redirect big silent text two path forgets; do bmc $way good $way; done
bmc othername other; bmc own own; bmc pinned noname; bmc wrongpin own
for d in "$farm"/bmc/*; do
  name=${d##*/}
  wait_for 20 "the BMC $name" test -f "$d/port"
  at=127.0.0.1:$(cat "$d/port")
  (umask 077; echo word-of-redfish >"$farm/power/$at")
  jq -n --arg n "$name" --arg a "$at" '{name: $n, engine: "lab", power: "redfish", "power-address": $a, "power-user": "ramet"}'
done | jq -s '{items: .}' >"$farm/many.json"
address() { echo "127.0.0.1:$(cat "$farm/bmc/$1/port")"; }
printf "https://%s" "$(address good)" >"$farm/bmc/redirect/elsewhere"
(umask 077; echo another-word >"$farm/power/$(address denied)")
openssl x509 -in noname/cert.pem -pubkey -noout >"$farm/power/$(address pinned).pub"
openssl x509 -in good/cert.pem -pubkey -noout >"$farm/power/$(address wrongpin).pub"
ramet target import "$farm/many.json"

# On: those that are right are on, each other one says what is wrong, and none holds up another.
names=good,denied,lies,redirect,big,silent,text,two,path,forgets,othername,own,pinned,wrongpin
power_json 1 $names on
for name in good forgets pinned; do
  [ "$(field $name power) $(cat "$farm/bmc/$name/power")" = "on On" ] || { cat "$farm/out.json"; fail "$name is not on"; }
done
tells denied "the BMC refuses the account ramet (status 401)"
tells lies "the BMC took the order, and the power is still off after 10 s"
tells redirect "where ramet does not follow"
tells big "the answer is larger than 262144 octets"
tells silent "no answer within"
tells text "what is not a JSON object"
tells two "the BMC has 2 systems; name one with: ramet target set two power-system=ID"
tells path "the BMC names its system by a wrong path"
for name in othername own; do
  tells $name "the server's certificate is not one of $farm/ca/ca.pem"
  [ ! -e "$farm/bmc/$name/asked" ] || fail "$name was told a password"
done
tells wrongpin "the server's key is not the one in $farm/power/$(address wrongpin).pub"
[ ! -e "$farm/bmc/wrongpin/asked" ] || fail "wrongpin was told a password"
[ "$(asked redirect | wc -l)" = 1 ] || fail "the redirection was followed"

# Off, from the network, and a system by its name.
expect 0 power good netboot --yes
[ "$(asked good | grep -v ^GET | tail -n 3 | paste -sd,)" = 'PATCH /redfish/v1/Systems/Self.1 {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}},POST /redfish/v1/Systems/Self.1/Actions/ComputerSystem.Reset {"ResetType": "ForceOff"},POST /redfish/v1/Systems/Self.1/Actions/ComputerSystem.Reset {"ResetType": "On"}' ] ||
  { asked good; fail "it was not started from the network"; }
ramet target set good power-boot=bios
expect 0 power good netboot --yes
asked good | grep -q '"BootSourceOverrideMode": "Legacy"' || fail "it does not start by its BIOS"
power_json 2 forgets netboot --yes
tells forgets "took the order to start it from the network, and does not have it"
answers_no grep -q ForceOff "$farm/bmc/forgets/asked"
expect 0 power good off --yes
[ "$(cat "$farm/bmc/good/power")" = Off ] || fail "good is still on"
ramet target set two power-system=Self.1
expect 0 power two on
[ "$(cat "$farm/bmc/two/power")" = On ] || fail "two is not on"
expect 64 ramet target set two power-system=../../Managers
# Without an authority and without a key there is no right certificate.
end installer-lab-1
sed -i '/^power-ca/d' "$farm/run/installer-lab-1.cfg"
lab up "$farm"
power_json 2 good on
tells good "nothing says which certificate of the BMC is right"
expect 0 power pinned status
answers_no grep -rEq 'word-of-redfish|another-word|cmFtZXQ6' "$farm/run" "$farm/redis"
echo "redfish: passed"

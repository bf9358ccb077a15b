#!/bin/bash
# A stranger has an admin's key, the broker's Redis or an engine, and no signing key (P20, P21, [7.10], [7.11], [7.12]):
# whatever he orders a machine to do, not one byte of its disk changes, and the console
# names what was wrong. What is signed is installed, and the job says by whom.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 1
lab up "$farm"; eval "$(lab sh "$farm")"
lab source "$farm" web "$farm/tree"
lab target "$farm" n1 "$farm/n1.disk" 400M --like web
lab target "$farm" n2 "$farm/n2.disk" 400M --like web
ramet target set n1 hostname=web-n1
# What another engine gives to its targets is nothing to the warrants of these.
echo exit 0 >"$farm/script"
ramet engine add paris
ramet script add paris alien "$farm/script"
ramet image create web --name old --wait
echo "another release" >"$farm/tree/etc/issue"
ramet image create web --name new --wait
expect 64 ramet deploy start old --engine lab --targets n1 --yes --valid never
ramet image verify old                                         # Its imager has signed it
ramet image sign new --key "$farm/trust/image.key" --counter 4000000000
release() { ramet image show "$1" --json | jq -r '.signatures[0].release'; }
head -c 1M /dev/urandom | dd of="$farm/n1.disk" bs=1M seek=1 conv=notrunc status=none
before=$(sha256sum <"$farm/n1.disk")
redis() { redis-cli -s "$farm/redis/redis.sock" "$@"; }

# replace KEY FIELD FROM TO: other bytes of the same length in a field of Redis.
replace() {
  [ ${#3} = ${#4} ] || fail "$3 and $4 differ in length"
  redis --raw hget "$1" "$2" | head -c -1 >"$farm/field"
  LC_ALL=C sed -b "s/$3/$4/g" "$farm/field" >"$farm/field.new"
  answers_no cmp -s "$farm/field" "$farm/field.new" || fail "$2 of $1 lacks $3"
  redis -x hset "$1" "$2" <"$farm/field.new" >/dev/null
}

# order IMAGE TARGET [OPTION]...: a job whose order waits for the machine's agent, which is down.
order() {
  local image=$1 target=$2; shift 2
  end "target-$target" KILL
  job=$(ramet deploy start "$image" --engine lab --targets "$target" --yes "$@" 2>/dev/null)
  await_phase "$job" "$target" ordered 30
  uid=$(ramet job show "$job" --json | jq -r .id)
  task=ramet:task:$(redis hget "ramet:job:$uid:t:$target" task)
}
# refused WORDS: the machine comes up and refuses the order, and the console says WORDS.
refused() {
  lab up "$farm"
  expect 2 ramet job wait "$job" --timeout 60s
  ramet job show "$job" --json | jq -r '.targets[].error' >"$farm/error"
  grep -qF -- "$1" "$farm/error" || { cat "$farm/error"; fail "the console does not say: $1"; }
  grep -qF "nothing was written" "$farm/error" || fail "the console does not say that nothing was written"
  [ "$(sha256sum <"$farm/n1.disk")" = "$before" ] || fail "bytes were written: $1"
}

# come_back WORD: the machine is itself again, and the farm knows it.
come_back() {
  end target-n1; lab up "$farm"
  wait_for 30 "the hardware of n1" is_itself "$1"
}
is_itself() { ramet target inventory n1 --raw | grep -q "$1"; }

# [7.14]: a machine that was told no trust root carries out nothing, and the doctor names it.
order new n1
sed -i 's/\.01[0-9a-f]*$//' "$farm/keys/n1.token"
rm "$farm"/state/target-n1/trust.*
refused "was told no trust root"
expect 1 ramet doctor
grep -q "carry out no order: n1" "$farm/out" || fail "the doctor does not name n1"
sed -i "s/\$/.$(cat "$farm/trust/id")/" "$farm/keys/n1.token"

# An admin's key alone: the console refuses at once, and the machine an order without a warrant or with one that
# is signed by keys of the stranger's own.
sed '/trust-root\|order-key/d' "$farm/console.cfg" >"$farm/thief.cfg"
RAMET_CONFIG=$farm/thief.cfg expect 78 ramet deploy start new --engine lab --targets n1 --yes
grep -q "ramet trust create" "$farm/out" || fail "the console does not say how to make keys"
order new n1
redis hdel "$task" b.warrant >/dev/null
refused "has no warrant"
ramet trust key "$farm/thief.key" >/dev/null
thief() { ramet trust "$@" 2>/dev/null; }
thief init "$farm/thief.root" --farm lab
thief add "$farm/thief.root" root "$farm/thief.key.pub" --name Thief
thief add "$farm/thief.root" order "$farm/thief.key.pub" --name Thief
thief add "$farm/thief.root" image "$farm/trust/image.key.pub" --name Lab
thief sign "$farm/thief.root" --key "$farm/thief.key"
printf 'trust-root = "%s"\norder-key = "%s"\n' "$farm/thief.root" "$farm/thief.key" >>"$farm/thief.cfg"
RAMET_CONFIG=$farm/thief.cfg order new n1
refused "of a stranger"

# The stranger's Redis has a next trust root, which names his key: it does not follow the one before it.
sed '/class=signature/d; s/version=1/version=2/' "$farm/thief.root" >"$farm/thief.root2"
thief sign "$farm/thief.root2" --key "$farm/thief.key"
redis hset ramet:root:2 version 2 id 01 >/dev/null
redis -x hset ramet:root:2 root <"$farm/thief.root2" >/dev/null
RAMET_CONFIG=$farm/thief.cfg order new n1
refused "of a stranger"
grep -q "event=trust.refused" "$farm/run/target-n1.log" || fail "the agent took another trust root"
redis del ramet:root:2 >/dev/null

# Redis gives the warrant of another machine, or one whose words were changed.
order new n2
redis --raw hget "$task" b.warrant | head -c -1 >"$farm/warrant.n2"
ramet job cancel "$job"
order new n1
redis -x hset "$task" b.warrant <"$farm/warrant.n2" >/dev/null
refused "the warrant names target n2"
order new n1
replace "$task" b.warrant "policy=\"\"" "policy=xx"
refused "no true signature by an order key"

# Redis, or the engine, puts an older image into the order, or drops the signature of the new one.
order new n1
replace "$task" b.order "$(ramet image show new --json | jq -r .id)" "$(ramet image show old --json | jq -r .id)"
refused "the warrant names image"
order new n1
redis hdel "$task" b.signatures >/dev/null
refused "the image has no true signature"

# The engine orders another disk of the machine, or exchanges the manifest of a volume.
serial=$(grep -o 'serial=[^ ]*' "$farm/run/target-n1.facts" | head -1 | cut -d= -f2)
order new n1
sed -i "s/serial=$serial/serial=0000000000000000/" "$farm/run/target-n1.facts"
replace "$task" b.order "$serial" 0000000000000000
refused "the warrant does not name it"
sed -i "s/serial=0000000000000000/serial=$serial/" "$farm/run/target-n1.facts"
come_back "$serial"
root_of() { ramet image show "$1" --json | jq -r '.layout[] | select(.root != null) | .root' | head -1; }
order new n1
replace "$task" b.order "$(root_of new)" "$(root_of old)"
refused "another layout than the image"

# The engine gives the machine another name, or changes a script of its first boot.
order new n1
replace "$task" b.order web-n1 evil-1
refused "another name or network"
ramet script add lab hello "$farm/script"
order new n1
replace "$task" b.order "exit 0" "exit 1"
refused "the warrant does not name it with these contents"
ramet script remove lab hello

# Another computer answers to the machine's name.
uuid=$(grep -o 'uuid=[^ ]*' "$farm/run/target-n1.facts" | head -1 | cut -d= -f2)
order new n1
sed -i "s/uuid=$uuid/uuid=${uuid%?????}fffff/" "$farm/run/target-n1.facts"
refused "the warrant names identity"
sed -i "s/uuid=${uuid%?????}fffff/uuid=$uuid/" "$farm/run/target-n1.facts"
come_back "$uuid"

# An order that was held back until its time was over.
order new n1 --valid 1s
redis --raw hget "$task" b.warrant | head -c -1 >"$farm/warrant.ended"
till=$(($(date +%s) + 2))
is_over() { [ "$(date +%s)" -gt $till ]; }
wait_for 10 "the end of the warrant" is_over
refused "the warrant ended at"

# hold IMAGE: a job whose target is prepared and waits for its GO: the broker arms none while it cannot save its state.
prepared() { grep -c event=target.prepared "$farm/run/target-n1.log" || true; }
is_prepared() { [ "$(prepared)" -gt "$had" ]; }
hold() {
  lab up "$farm"
  had=$(prepared)
  mv "$farm/broker.state" "$farm/broker.kept"; mkdir -p "$farm/broker.state/full"
  job=$(ramet deploy start "$1" --engine lab --targets n1 --yes 2>/dev/null)
  wait_for 60 "the plan of n1" is_prepared
  uid=$(ramet job show "$job" --json | jq -r .id)
  task=ramet:task:$(redis hget "ramet:job:$uid:t:n1" task)
}
let_go() { rmdir "$farm/broker.state/full" "$farm/broker.state"; mv "$farm/broker.kept" "$farm/broker.state"; }

# What was prepared with a good warrant comes to be written with one that has ended: the agent looks again after the GO.
hold new
redis -x hset "$task" b.warrant <"$farm/warrant.ended" >/dev/null
let_go
refused "the warrant ended at"
grep -q event=write.start "$farm/run/target-n1.log" || fail "the order was refused before its GO"
ramet lock break n1 --force --reason "its writer wrote nothing"
ramet target unhold n1

# [7.13]: a computer without an identity cannot be named by a warrant; the plan and the console say so.
sed -E 's/ (uuid|board-serial|mac)=[^ ]*//g' "$farm/run/target-n2.facts" >"$farm/n3.facts"
lab target "$farm" n3 "$farm/n3.disk" 400M --hardware "$farm/n3.facts"
ramet deploy plan new --engine lab --json 2>/dev/null >"$farm/out"
jq -r '.items[] | select(.target == "n3") | .reason' "$farm/out" | grep -q "no warrant can name it" || fail "the plan says nothing of the identity"
expect 2 ramet deploy start new --engine lab --targets n3 --yes
grep -q "does not know the computer of target n3" "$farm/out" || fail "the console does not say whom a warrant cannot name"

# What is signed is installed, and the job says by whom.
install_new() {
  lab up "$farm"
  await_phase "$job" n1 awaiting-first-boot 120
  lab boot "$farm" n1
  ramet job wait "$job" --timeout 60s
  before=$(sha256sum <"$farm/n1.disk")
}
job=$(ramet job retry "$job" --failed --yes 2>/dev/null)        # Which signs again
uid=$(ramet job show "$job" --json | jq -r .id)
redis --raw hget "ramet:job:$uid:warrants" n1 | head -c -1 >"$farm/warrant.n1"
install_new
ramet job show "$job" --json | jq -r '.targets[0]["signed-by"]' | grep -q "order: lab order (key .*image: lab image, release $(release new)" ||
  fail "the job does not say who signed"
[ "$(ramet target show n1 --json | jq -r .release)" = "$(release new)" ] || fail "the record does not say which release the machine runs"

# A GO with a lower token than the machine has seen, for what it has prepared and what is signed well. It is
# prepared again five times and no more ([6.25]), and the job says why.
hold new
for key in "$task" ramet:lock:n1 "ramet:job:$uid:t:n1"; do redis hset "$key" epoch 1 >/dev/null; done
let_go
has_seen() { grep -q "the target has seen a newer GO" "$farm/run/target-n1.log"; }
wait_for 60 "the refusal of the lower token" has_seen
expect 2 ramet job wait "$job" --timeout 60s
ramet job show "$job" --json | jq -r '.targets[0].error' | grep -q "tried 5 times: the target has seen a newer GO" ||
  fail "the job does not say why it was given up: $(ramet job show "$job")"
[ "$(sha256sum <"$farm/n1.disk")" = "$before" ] || fail "bytes were written by a lower token"
ramet lock break n1 --force --reason "its writer wrote nothing"
ramet target unhold n1

# A warrant that was valid once is void behind a newer one; and the console signs no older release.
is_later() { [ "$(date +%s)" -gt "$(grep -o 'issued=[0-9]*' "$farm/warrant.n1" | cut -d= -f2)" ]; }
wait_for 10 "the next second" is_later
order new n1
install_new
order new n1
redis -x hset "$task" b.warrant <"$farm/warrant.n1" >/dev/null
refused "this machine has accepted one"
expect 77 ramet deploy start old --engine lab --targets n1 --yes
grep -q -- "--allow-older" "$farm/out" || fail "the console does not say how to install an older release"

#!/bin/bash
# Signatures of images: a person signs, an imager signs what it commits, `show`, `verify` and `plan` say
# who has signed by the trust root of the console, and an archive carries the signatures.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 1
RAMET_LAB_TRUST=none lab up "$farm"; eval "$(lab sh "$farm")"
lab source "$farm" web "$farm/tree"
keys=$farm/persons; mkdir "$keys"
for person in ada bo imager; do ramet trust key "$keys/$person" >/dev/null; done

# A trust root on files alone, then at the broker.
root=$farm/mill.root
ramet trust init "$root" --farm mill --threshold 2
ramet trust add "$root" root "$keys/ada.pub" --name "Ada Example"
ramet trust add "$root" root "$keys/bo.pub" --name Bo
ramet trust add "$root" image "$keys/bo.pub" --name Bo
ramet trust sign "$root" --key "$keys/ada"
expect 77 ramet trust publish "$root"
ramet trust sign "$root" --key "$keys/bo"
id=$(ramet trust publish "$root")
[ "$(ramet trust show --json | jq -r .id)" = "$id" ] || fail "the broker has another trust root"

ramet image create web --name one --wait
cat "$farm/console.cfg" - >"$farm/person.cfg" <<<"trust-root = \"$root\""
export RAMET_CONFIG=$farm/person.cfg
expect 77 ramet image verify one
grep -q "ramet image sign one --key" "$farm/out" || fail "verify does not say what to do"
expect 77 ramet deploy plan one --engine lab

# A key that is not an image key counts for nothing.
ramet image sign one --key "$keys/ada" --counter 4
expect 77 ramet image verify one
ramet image show one --json | jq -e '.signatures[0] | .state == "its key is not an image key"' >/dev/null ||
  fail "show does not say that the key is no image key"
ramet image sign one --key "$keys/bo" --counter 5
expect 0 ramet image verify one
grep -q "release 5, signed by Bo" "$farm/out" || fail "verify does not name the person"
expect 0 ramet deploy plan one --engine lab
grep -q "release 5, signed by Bo" "$farm/out" || fail "the plan does not name the person"

# An archive carries the signatures to a catalogue that has none.
ramet image export one "$farm/one.tar" >/dev/null
ramet image remove one
ramet image import "$farm/one.tar" --name two --wait
[ "$(ramet image show two --json | jq '.signatures | length')" = 2 ] || fail "the import lost the signatures"
expect 0 ramet image verify two

# The next version revokes Bo, and an imager signs by itself from now on.
ramet trust remove "$root" "$keys/bo.pub"
ramet trust add "$root" root "$keys/imager.pub" --name "Imager hq"
ramet trust add "$root" image "$keys/imager.pub" --name "Imager hq"
for person in ada bo imager; do ramet trust sign "$root" --key "$keys/$person"; done
ramet trust publish "$root" >/dev/null
expect 77 ramet image verify two
end imager-hq-1
echo "sign-key = \"$keys/imager\"" >>"$farm/run/imager-hq-1.cfg"
RAMET_LAB_TRUST=none lab up "$farm"
echo more >"$farm/tree/home/user/more"
ramet image create web --name three --wait
expect 0 ramet image verify three
grep -q "signed by Imager hq" "$farm/out" || fail "the imager did not sign"

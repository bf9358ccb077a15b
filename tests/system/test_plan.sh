#!/bin/bash
# What a plan says before anything is locked (M11, M12, M33): which targets fit and why the others do
# not, bytes needed and had, warnings, every fact side by side; policies of the engine and of the
# user; one target alone; inventories as they were told.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
lab target "$farm" good "$farm/good.disk" 1G --like web
lab target "$farm" small "$farm/small.disk" 64M --like web
sed 's/driver-mode=scsi/driver-mode=raid/; s/pci-class=010000/pci-class=010400/' "$farm/run/source-web.facts" >"$farm/raid.facts"
lab target "$farm" raid "$farm/raid.disk" 1G --hardware "$farm/raid.facts"
ramet target set good address=10.9.0.1/24
# A field is refused when it is set, with a right one to write (M1); its length may stand beside it.
refused() { # WORDS FIELD=VALUE...
  local words=$1; shift
  expect 64 ramet target set good "$@"
  grep -qF -- "$words" "$farm/out" || { cat "$farm/out"; fail "set $*: the error lacks: $words"; }
}
refused 'write 10.0.0.7/24' address=10.0.0.7
refused 'address=10.9.0.1' address=10.9.0.1 prefix=33
refused "'eth0:1' is not the name of an interface" interface=eth0:1
refused 'is a multicast MAC' mac=01:00:5e:00:00:01
refused 'the nearest field is address' adress=10.0.0.7/24
refused 'the nearest field is net.data.address' net.data.adres=10.0.0.7/24
refused 'label.pos=' pos=3
refused 'write it once, as NAME' name=small rack=r2
ramet target set good address=10.9.0.1 mask=255.255.255.0
ramet target set good address=10.9.0.2                  # Its mask is in the record
expect 64 ramet target set good mask=                    # Which needs it
ramet target set good address=10.9.0.1/24 mask= rack=r1 label.pos=3
ramet target list --json | jq -e '.items[] | select(.name == "good") | .["label.pos"] == "3" and .rack == "r1" and .mask == null' >/dev/null || fail "the labels are not kept"

ramet image create web --name web-1 --wait --timeout 2m

ramet deploy plan web-1 --engine lab --json >"$farm/plan.json"
said() { jq -e --arg t "$1" "[.items[] | select(.target == \$t)][0] | $2" "$farm/plan.json" >/dev/null ||
  { cat "$farm/plan.json" >&2; fail "the plan for $1 lacks: $2"; }; }
said good '.fits == true and .available == true'
said good '.warnings == null'
said good '.choice[0].role == "system" and .choice[0].bytes == 1073741824'
said small '.fits == false and (.reason | test("^disk: the disk is too small: the image needs [0-9]+ bytes .*, and the disk has 67108864 bytes \\(64.0 MiB\\)"))'
said small '.warnings | test("DHCP")'
said raid '.fits == false and (.reason | test("^controller: the same device in another mode"))'
said raid '[.verdicts[] | select(.fits == false)] | length == 1 and (.[0].wanted | test("scsi$")) and (.[0].had | test("raid$"))'

said good '[.verdicts[] | select(.component == "network")][0] | .fits == true and .wanted == "10.9.0.1/24"'

# A record that cannot be carried out as a whole is told by the plan, and nothing is locked (M12, M33).
ramet target set good gateway=fe80::1
expect 1 ramet target match good web-1
ramet deploy plan web-1 --engine lab --json >"$farm/plan.json"
said good '.fits == false and (.reason | test("^network: gateway=fe80::1: interface main has no IPv6 address"))'
said good '[.verdicts[] | select(.fits == false)] | length == 1 and .[0].component == "network"'
expect 2 ramet deploy start web-1 --engine lab --targets good --yes --wait
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a target that cannot be set up was locked"
ramet target set good gateway=
ramet deploy plan web-1 --engine lab --json >"$farm/plan.json"

# The same for people: a table, and with --explain every fact.
ramet deploy plan web-1 --engine lab --explain >"$farm/plan.txt"
grep -Eq '^good +lab +yes +yes' "$farm/plan.txt" || fail "the table lacks the target that fits"
grep -Eq '^cpu +vendor +exact +AuthenticAMD +AuthenticAMD +yes' "$farm/plan.txt" || fail "--explain does not show the CPU's vendor"
grep -Eq '^disk-size +/ ' "$farm/plan.txt" || fail "--explain does not show what the volume needs"

# Refused before locking, with bytes needed and had.
expect 2 ramet deploy start web-1 --engine lab --targets good,small --yes --wait
job=$(ramet job list --json | jq -r '[.items[] | select(.kind == "deploy")] | max_by(.created) | .name')
ramet job show "$job" --json | jq -e '[.targets[] | select(.name == "small")][0].error | test("the image needs .*, and the disk has 67108864 bytes")' >/dev/null ||
  { ramet job show "$job" >&2; fail "the refusal does not name bytes needed and had"; }
# Whoever stands in front of the machine is told the same.
words=$(ramet job show "$job" --json | jq -r '.targets[] | select(.name == "small") | .error')
grep -qF "text=\"$words\"" <(grep event=target.notice "$farm/run/target-small.log") ||
  { tail -n 3 "$farm/run/target-small.log" >&2; fail "the target was not told: $words"; }
ramet job logs "$job" --json | jq -e '[.items[] | select(.event == "lock.taken")] | length == 0' >/dev/null || fail "a target was locked"
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a lock is left"

# A disk that was exchanged since its machine told of it is not the one that was ordered.
cp "$farm/run/target-good.facts" "$farm/good.facts"
sed -i '/^class=disk/s/serial=[^ ]*/serial=EXCHANGED/' "$farm/run/target-good.facts"
expect 2 ramet deploy start web-1 --engine lab --targets good --yes --wait
job=$(ramet job list --json | jq -r '[.items[] | select(.kind == "deploy")] | max_by(.created) | .name')
words=$(ramet job show "$job" --json | jq -r '.targets[0].error')
[[ $words == "this machine has no disk '"*"', which the order chose for role system" ]] || fail "the exchanged disk is not told: $words"
grep -qF "text=\"$words\"" <(grep event=target.notice "$farm/run/target-good.log") || fail "the target was not told: $words"
[ "$(stat -c %b "$farm/good.disk")" = 0 ] || fail "the exchanged disk was written"
mv "$farm/good.facts" "$farm/run/target-good.facts"

# An engine's own policy, and a user's before it.
ramet engine set lab policy=controller=ignore
ramet deploy plan web-1 --engine lab --json >"$farm/plan.json"
said raid '.fits == true'
ramet deploy plan web-1 --engine lab --policy controller=exact --json >"$farm/plan.json"
said raid '.fits == false'
# A word that means nothing is refused when it is said, with those that are allowed; no job is made.
jobs=$(ramet job list --json | jq '.items | length')
expect 64 ramet deploy plan web-1 --engine lab --policy fan=exact
grep -q 'this component does not exist; write one of cpu, cpu-count' "$farm/out" || { cat "$farm/out"; fail "the components are not listed"; }
expect 64 ramet deploy start web-1 --engine lab --targets good --yes --policy cpu=foo
grep -q 'the rules of cpu are exact, family, ignore' "$farm/out" || { cat "$farm/out"; fail "the rules are not listed"; }
expect 64 ramet target match good web-1 --policy nic=at-least
expect 64 ramet engine set lab policy=cpu=foo
grep -q 'the rules of cpu are exact, family, ignore' "$farm/out" || { cat "$farm/out"; fail "the engine's rules are not listed"; }
[ "$(ramet job list --json | jq '.items | length')" = "$jobs" ] || fail "a refused policy made a job"
ramet engine set lab policy=

# The image's own kernel must drive the target, and its initramfs the root disk (M12). web-1 has no
# kernel; web-2 has one that drives all, web-3 one whose initramfs lacks the disk's driver, web-4
# one without any driver for it.
said good '[.verdicts[] | select(.component == "driver")][0].reason == "not compared: the image has no record of its kernel"'
blk="virtio:d00000002v00001AF4"; bus="pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00"; net="pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"
sed -E -e "s/uuid=[^ ]*/uuid=11111111-2222-3333-4444-555555555555/; /^class=disk/s|\$| modaliases=\"$blk $bus\"|; /device=1042/s|\$| modalias=$bus|; /device=1041/s|\$| modalias=$net|" "$farm/run/source-web.facts" >"$farm/told.facts"
lab target "$farm" told "$farm/told.disk" 1G --hardware "$farm/told.facts"
kernel() { # HOW-THE-DISK-IS-DRIVEN
  rm -rf "$farm/tree/lib/modules" "$farm/tree/boot"
  { echo 'fs/ext4 alias=fs-ext4 builtin'
    echo 'virtio/virtio_pci alias=pci:v00001AF4d*sv*sd*bc*sc*i* builtin'
    [ -z "$1" ] || echo "block/virtio_blk alias=virtio:d00000002v* $1"
  } | "$source_dir/tests/tools/make_kernel" "$farm/tree" 6.1.0-9 --pack zstd
}
verdict() { ramet target match told "$1" --json >"$farm/plan.json" || true; }
kernel early; ramet image create web --name web-2 --wait --timeout 2m
kernel ""; ramet image create web --name web-4 --wait --timeout 2m
kernel alias=virtio:none; ramet image create web --name web-3 --wait --timeout 2m
verdict web-2; said told '.fits == true'
said told '[.verdicts[] | select(.component == "root-driver" and .reason == "virtio_blk" and (.wanted | test("6.1.0-9")))] | length == 1'
verdict web-3; said told '.fits == false and (.reason | test("root-driver: the image.s initramfs lacks virtio_blk"))'
verdict web-4; said told '.fits == false and (.reason | test("root-driver: the image.s kernel has no driver for it"))'
expect 0 ramet target match told web-3 --policy root-driver=ignore
expect 2 ramet deploy start web-3 --engine lab --targets told --yes --wait
ramet image show web-2 --json | jq -e '[.kernel[] | select(.class == "kernel")][0].version == "6.1.0-9"' >/dev/null || fail "image show does not tell the kernel"

# One target alone.
expect 0 ramet target match good web-1
expect 1 ramet target match small web-1
ramet target match raid web-1 --json >"$farm/plan.json" || true
jq -e '.items | length == 1 and .[0].target == "raid"' "$farm/plan.json" >/dev/null || fail "target match tells of others"
expect 0 ramet target match raid web-1 --policy controller=ignore
expect 64 ramet target match nobody web-1
expect 64 ramet target match good nothing

# Inventories: as told, as a table.
ramet target inventory good --raw >"$farm/good.raw"
grep -q '^class=pci vendor=1af4 device=1042 pci-class=010000' "$farm/good.raw" || fail "--raw is not what the agent told"
ramet target inventory good | grep -Eq '^NAME +BUS' || fail "the inventory is no table"
echo "plan: passed"

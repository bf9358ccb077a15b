#!/bin/bash
# ops/source-agent makes a system a source (M2): complete, with its secrets for root alone, started
# again whatever happens; it refuses what cannot work, and takes all of it away again (M19).
. "$(dirname "$0")/lib.sh"
tree=$farm/tree
clean_up() { umount -l "$tree/proc" "$tree/sys" 2>/dev/null; }
lab up "$farm"
eval "$(lab sh "$farm")"
# Nothing that a program could be started with: neither libraries nor a shell.
mkdir -p "$tree"/{dev,proc,sys,etc/systemd/system/multi-user.target.wants,lib/systemd,tmp,usr/lib,var/lib}
: >"$tree/lib/systemd/systemd"; echo ID=debian >"$tree/etc/os-release"
cp -a "$tree" "$farm/before"
ramet key token source --name web --place hq --approve >"$farm/token"
agent() { "$source_dir/ops/source-agent" "$@"; }

expect 64 agent
chmod 644 "$farm/token"
expect 1 agent "$tree" --broker a --token "$farm/token"
grep -qF "chmod 600 $farm/token" "$farm/out" || fail "a token that others can read was taken"
chmod 600 "$farm/token"
expect 1 agent "$farm/nowhere" --broker a --token "$farm/token"
expect 1 agent "$tree" --token "$farm/token"
(umask 077; echo "no token" >"$farm/other")
expect 1 agent "$tree" --broker a --token "$farm/other"
grep -q 'ramet key token source' "$farm/out" || fail "the refusal does not say what to do: $(cat "$farm/out")"
mv "$tree/lib/systemd/systemd" "$farm/systemd"
expect 1 agent "$tree" --broker a --token "$farm/token"
grep -q 'no systemd' "$farm/out" || fail "a system without systemd is not refused by that name"
mv "$farm/systemd" "$tree/lib/systemd/systemd"
diff -r --no-dereference "$farm/before" "$tree" || fail "a refusal has left something"

agent "$tree" --broker "127.0.0.1:$(cat "$farm/port")" --broker 127.0.0.2:7700 --token "$farm/token"
unit=$tree/etc/systemd/system/ramet-agent.service
[ "$tree/etc/systemd/system/multi-user.target.wants/ramet-agent.service" -ef "$unit" ] || fail "its service is not enabled"
[ "$(stat -c %a "$tree/etc/ramet/agent.token")" = 600 ] || fail "others can read the token"
command=$(sed -n 's/^ExecStart=//p' "$unit")
# All but what this test's tree is not: a system that runs.
sed "s|/usr/lib/ramet|$tree&|g; s|-c /etc|-c $tree/etc|" "$unit" >"$farm/ramet-agent.service"
! command -v systemd-analyze >/dev/null || systemd-analyze verify --man=no "$farm/ramet-agent.service" 2>"$farm/verify" ||
  { cat "$farm/verify" >&2; fail "systemd does not like the service"; }

mount -t proc proc "$tree/proc"; mount --rbind /sys "$tree/sys"; mount --make-rslave "$tree/sys"
install -d -m 700 "$tree/var/lib/ramet"
# shellcheck disable=SC2086
chroot "$tree" $command >"$farm/run/agent.log" 2>&1 &
pid=$!
offers() { farm_status | jq -e '.services[]? | select(.service == "capture@source/web" and .peers == 1)'; }
within 20 offers || { cat "$farm/run/agent.log" >&2; fail "the agent does not offer to image its computer"; }
[ "$(stat -c %a "$tree/var/lib/ramet/agent.key")" = 600 ] || fail "others can read the key"
kill "$pid"; wait "$pid" || true
umount -l "$tree/proc" "$tree/sys"

agent "$tree" --remove
diff -r --no-dereference "$farm/before" "$tree" || fail "something is left of it"
echo "source agent: passed"

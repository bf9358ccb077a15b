#!/bin/bash
# Refuses a service (ops/units) that systemd does not understand, or that is more exposed than its limit
# by `systemd-analyze security`: 2.0 for a service with a user of its own. The source's agent runs as
# root, in the namespaces of the system that it images (docs/operating.md, "Services"): 6.1.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0
refuse() { echo "$*"; bad=1; }

# A system that has the programs and users that the units name.
mkdir -p "$work"/{etc,usr/bin,usr/lib/systemd/system,usr/lib/sysusers.d}
cp /usr/lib/systemd/system/*.target /usr/lib/systemd/system/*.slice "$work/usr/lib/systemd/system/"
cp ops/units/*.service "$work/usr/lib/systemd/system/"
cp ops/units/ramet.sysusers "$work/usr/lib/sysusers.d/ramet.conf"
systemd-sysusers --root="$work" >"$work/said" 2>&1 || refuse "ops/units/ramet.sysusers: $(cat "$work/said")"
sed -nE 's|^ExecStart=(/[^ ]+).*|\1|p' ops/units/*.service | sort -u | while read -r program; do
  install -D -m 755 /bin/true "$work$program"
done

count=0
for unit in ops/units/*.service; do
  name=${unit##*/} limit=20
  [ "$name" != ramet-agent.service ] || limit=61
  said=$(systemd-analyze verify --root="$work" --man=no "$name" 2>&1)
  [ -z "$said" ] || refuse "$unit: $said"
  systemd-analyze security --offline=true --threshold=$limit "$unit" >"$work/said" 2>&1 || refuse "$unit: $(tail -n 1 "$work/said")"
  [ "$name" = ramet-redis.service ] || [ "$name" = ramet-netboot.service ] || ! grep -q '^RestrictSUIDSGID=' "$unit" ||
    refuse "$unit: RestrictSUIDSGID= refuses openat2, by which ramet opens files beneath a folder"
  sed -nE 's/^(User|Group|SupplementaryGroups)=//p' "$unit" | tr ' ' '\n' >"$work/users"
  while read -r user; do
    grep -qE "^[ug] $user " ops/units/ramet.sysusers || refuse "$unit: ops/units/ramet.sysusers does not make $user"
  done <"$work/users"
  count=$((count + 1))
done
[ $count -gt 0 ] || refuse "ops/units has no service"
exit $bad

# Sourced by ops/demo --vm: the main job on machines. A real Debian is imaged while it runs; one BIOS
# and one UEFI machine netboot, are installed, restart by themselves and report.
. "$top/ops/lib/debian_disk.sh"

# show NAME: the last lines of a machine's console.
show() { printf '\n--- console of %s\n' "$1"; strings "$farm/$1.serial" | tail -n "${2:-6}"; }

# await SECONDS WHAT COMMAND...: wait_for, which also shows the consoles.
await() {
  look_s=1 within "$1" "${@:3}" || { show web 20; show n1 20; show n2 20; die "$2 did not happen within $1 s"; }
}
both_present() { [ "$(ramet target list --json | jq '[.items[] | select(.present == true)] | length')" = 2 ]; }
offers_web() { farm_status | jq -e '.services[] | select(.service == "capture@source/web" and .peers == 1)'; }
at_login() { grep -aq "^$2 login:" "$farm/$1.serial"; }

say "a farm: Redis, broker, imager at \"hq\", engine \"lab\" with its network"
lab up "$farm"
eval "$(lab sh "$farm")"
lab net "$farm" >/dev/null
. "$farm/run/net-lab.env"

say "a real Debian system, with ramet-agent as its service, on a disk that starts by BIOS and by UEFI"
debian_tree "$farm/source"
echo web >"$farm/source/etc/hostname"
printf 'auto enp0s3\niface enp0s3 inet dhcp\n' >"$farm/source/etc/network/interfaces.d/enp0s3"
(umask 077; ramet key token source --name web --place hq --approve >"$farm/web.token")
"$top/ops/source-agent" "$farm/source" --broker "$host:$(cat "$farm/port")" --token "$farm/web.token"
tar -C "$farm/source" --xattrs --xattrs-include='*' --acls --numeric-owner -cpf "$farm/source.tar" .
rm -rf "$farm/source"
debian_disk "$farm/source.tar" "$farm/web.disk" 2G 2>/dev/null
rm "$farm/source.tar"

say "three machines are switched on: the source, and two with empty disks"
lab vm "$farm" web --boot disk --disk "$farm/web.disk"
lab vm "$farm" n1 --bios --disk 3G
lab vm "$farm" n2 --uefi --disk 4G
ramet target set n1 hostname=web-n1 "address=$subnet.11/24" "gateway=$gateway" "dns=$gateway"
ramet target set n2 hostname=web-n2 "address=$subnet.12/24" "gateway=$gateway" "dns=$gateway"
await 600 "the login prompt of the source" at_login web web
await 120 "the source at the broker" offers_web
show web

say "imaging the source, which runs"
ramet image create web --name web-1 --wait --timeout 10m

say "the machines netboot: DHCP, iPXE, the thin-kernel over HTTP"
await 600 "the second machine at the broker" both_present
show n1; show n2

say "planning and deploying"
ramet deploy plan web-1 --engine lab
job=$(ramet deploy start web-1 --engine lab --targets 'n[1-2]' --yes)
await 60 "the locks" sh -c '[ "$(ramet lock list --json | jq ".items | length")" = 2 ]'
ramet lock list
last=""
while :; do
  state=$(ramet job show "$job" --json) || { pause 1 "the broker may answer again"; continue; }
  now=$(jq -r '[.targets[] | "\(.name) \(.phase)"] | join("   ")' <<<"$state")
  [ "$now" = "$last" ] || echo "  $now"
  last=$now
  case $(jq -r .state <<<"$state") in
  done) break ;;
  partial | failed | cancelled) show n1 20; show n2 20; ramet job show "$job"; die "the deployment failed" ;;
  esac
  pause 1 "the next line of the display"
done

say "both have started as themselves"
await 300 "the login prompt of n1" at_login n1 web-n1
await 300 "the login prompt of n2" at_login n2 web-n2
show n1; show n2
echo
ramet job show "$job"
ramet target show n1
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || die "locks remain after the deployment"
say "shown: one Debian, imaged while it ran, duplicated onto a BIOS and a UEFI machine from the network; both at their login prompts under their own names; locks cleared by their first-boot reports"

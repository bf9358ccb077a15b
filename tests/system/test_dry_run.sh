#!/bin/bash
# What an image would be, before it is made (M33): taken, left out, made anew, private keys; and
# that the image then is what was said.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree"
t=$farm/tree
mkdir -p "$t/root/.ssh" "$t/srv/app" "$t/etc/ssl/private" "$t/var/crash" "$t/opt/old"
ssh-keygen -q -t ed25519 -N '' -f "$t/root/.ssh/id_ed25519"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout "$farm/key.pem" -out "$farm/cert.pem" 2>/dev/null
cat "$farm/cert.pem" "$farm/key.pem" >"$t/srv/app/server.bundle"     # In the middle of a file
cp "$farm/cert.pem" "$t/srv/app/public.pem"
cp "$farm/key.pem" "$t/opt/old/left-out.pem"
echo secret >"$t/etc/ssl/private/token"
head -c 1M /dev/zero >"$t/swapfile"; echo dump >"$t/var/crash/one"; echo x >"$t/tmp/junk"
printf 'class=profile name=site version=1\nclass=leave path=/srv/app/cache what=site-cache\n' >"$farm/site.profile"
echo big >"$t/srv/app/cache"
lab up "$farm"
lab source "$farm" web "$t"
end source-web
echo "profile = \"default $farm/site.profile\"" >>"$farm/run/source-web.cfg"
lab source "$farm" web "$t"
eval "$(lab sh "$farm")"
times() { find "$t" -printf '%p %C@ %T@\n' | sort | md5sum; }
before=$(times)
ramet image create web --exclude '/opt/old' --dry-run --json >"$farm/report"
[ "$(times)" = "$before" ] || fail "the dry run has changed the source"
found() { jq -r --arg w "$1" '.findings[] | select(.what == $w) | .path' "$farm/report" | sort | tr '\n' ' '; }
[ "$(found key)" = "/etc/ssl/private/token /root/.ssh/id_ed25519 /srv/app/server.bundle " ] || fail "keys: $(found key)"
[ "$(found leave)" = "/opt/old /srv/app/cache /swapfile /tmp/junk /var/crash/one " ] || fail "left out: $(found leave)"
for path in /etc/machine-id /etc/ssh/ssh_host_ed25519_key /etc/hostname; do
  jq -e --arg p $path '.findings[] | select(.what == "anew" and .path == $p)' "$farm/report" >/dev/null || fail "$path is not said to be made anew"
done
jq -e '.findings[] | select(.what == "take" and .path == "/")' "$farm/report" >/dev/null || fail "what is taken is not said"
jq -e '.findings[] | select(.path == "/swapfile") | .text == "swap"' "$farm/report" >/dev/null || fail "the reason is not said"
answers_no grep -q "BEGIN OPENSSH" "$farm/report" || fail "a key is in the report"
[ "$(ramet image list --json | jq '.items | length')" = 0 ] || fail "a dry run has made an image"
ramet image create web --dry-run >"$farm/text"          # For people
grep -q '/opt/old/left-out.pem' "$farm/text" || fail "a key that is not left out is not listed"
ramet image create web --name web-1 --exclude '/opt/old' --wait >/dev/null
ramet image files web-1 >"$farm/files"
for path in opt/old srv/app/cache swapfile tmp/junk var/crash/one; do
  answers_no grep -q "$path" "$farm/files" || fail "$path is in the image"
done
for path in root/.ssh/id_ed25519 srv/app/server.bundle; do grep -q "$path" "$farm/files" || fail "$path is not in the image"; done
# [5.11] The image says so itself, and a machine is not blamed for what the image has left out: neither
# by the globs of that capture, nor by those of its profile.
ramet image show web-1 --json >"$farm/show"
for row in '/opt/old asked for' '/srv/app/cache site-cache' '/tmp/* temporary'; do
  jq -e --arg row "$row" '[.["left-out"][] | "\(.path) \(.what)"] | index($row)' "$farm/show" >/dev/null || { cat "$farm/show"; fail "image show does not tell $row"; }
done
ramet image show web-1 | grep -Eq '/opt/old +asked for' || fail "the table does not tell what was left out"
ramet image verify web-1 --against web || fail "what was left out is taken for drift"
lab target "$farm" n1 "$farm/n1.disk" 1G --like web
job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 awaiting-first-boot 120
lab boot "$farm" n1
ramet job wait "$job" --timeout 60s
start=$(sfdisk -J "$farm/n1.disk" | jq -r '.partitiontable.partitions[0].start')
loop=$(losetup -f --show -o $((start * 512)) "$farm/n1.disk")
mkdir -p "$farm/mnt"; mount "$loop" "$farm/mnt" || { losetup -d "$loop"; fail "cannot mount the installed disk"; }
mkdir -p "$farm/mnt/opt/old"; echo y >"$farm/mnt/opt/old/y"; echo y >"$farm/mnt/tmp/y"; echo y >"$farm/mnt/srv/app/cache"
touch -r "$t/opt" "$farm/mnt/opt"; touch -r "$t/tmp" "$farm/mnt/tmp"; touch -r "$t/srv/app" "$farm/mnt/srv/app"
umount "$farm/mnt"; losetup -d "$loop"
ramet image verify web-1 --against target/n1 || fail "what the image leaves out is drift on the target"
expect 64 ramet image create nobody --dry-run
# A profile that is wrong fails the job, and says how.
printf 'class=profile version=1\nclass=leave path=/\n' >"$farm/site.profile"
job=$(ramet image create web --name web-2)
expect 2 ramet job wait "$job" --timeout 1m
ramet job show "$job" | grep -q "site.profile" || fail "the job does not name the profile"
echo "dry run: passed"

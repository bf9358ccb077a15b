#!/bin/bash
# Scripts of the first boot (M18 b, c; M25; [4.3]): those of a user and those that an engine fetches over
# https and ssh run in order, failures show at the console, and what has another hash than was
# pinned stops the order before anything is written. The broker is away while the system boots.
. "$(dirname "$0")/lib.sh"
. "$source_dir/tests/system/services.sh"
. "$source_dir/tests/system/web.sh"
make_services
sshd=""
leave() { local status=$?; web_down; [ -z "$sshd" ] || kill "$sshd" 2>/dev/null; (exit $status); finish; }
trap leave EXIT

# A tree in which scripts can run.
make_tree "$farm/tree"
mkdir -p "$farm/tree"/{usr/lib64,usr/lib/x86_64-linux-gnu}
cp /bin/dash "$farm/tree/usr/bin/sh"; cp /bin/sleep /bin/cat "$farm/tree/usr/bin/"
ln -s usr/lib64 "$farm/tree/lib64"; ln -s usr/lib "$farm/tree/lib"
cp -L /lib64/ld-linux-x86-64.so.2 "$farm/tree/usr/lib64/"; cp -L /lib/x86_64-linux-gnu/libc.so.6 "$farm/tree/usr/lib/x86_64-linux-gnu/"

# A web server, and sshd out of the Debian of machine-12.
web_up
ssh=$(free_tcp_port)
mkdir -p "$farm/sshd"
tar -C "$farm/sshd" --exclude='./dev/*' --exclude='./usr/share/*' --exclude='./var/cache/*' \
  --exclude='./boot/*' --exclude='./usr/lib/modules/*' -xpf "$cache/machine-12.tar"
mknod -m 666 "$farm/sshd/dev/null" c 1 3; mknod -m 666 "$farm/sshd/dev/urandom" c 1 9
mkdir -p "$farm/sshd/run/sshd" "$farm/sshd/root/.ssh" "$farm/sshd/srv"
ssh-keygen -q -t ed25519 -N '' -f "$farm/fetch.key"
cp "$farm/fetch.key.pub" "$farm/sshd/root/.ssh/authorized_keys"; chmod -R go= "$farm/sshd/root/.ssh"
rm -f "$farm"/sshd/etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f "$farm/sshd/etc/ssh/ssh_host_ed25519_key"
echo "[127.0.0.1]:$ssh $(cut -d' ' -f1,2 "$farm/sshd/etc/ssh/ssh_host_ed25519_key.pub")" >"$farm/known_hosts"
chroot "$farm/sshd" /usr/sbin/sshd -D -e -p "$ssh" -o ListenAddress=127.0.0.1 -o UsePAM=no >"$farm/sshd.log" 2>&1 &
sshd=$!

printf '#!/bin/sh\necho fetched >>/ran\n' >"$farm/web/join.sh"
printf '#!/bin/sh\necho over ssh >>/ran\n' >"$farm/sshd/srv/site.sh"
printf '#!/bin/sh\necho "hello $RAMET_TARGET" >>/ran\n' >"$farm/hello"
printf '#!/bin/sh\necho first words\necho the disk is on fire >&2\nexit 3\n' >"$farm/fail"
printf '#!/bin/sh\necho slow >>/ran\nsleep 60\n' >"$farm/slow"
printf '#!/bin/sh\necho rack >>/ran\n' >"$farm/rack"

cat >"$farm/installer.extra" <<CFG
script-ca = "$farm/ca/ca.pem"
script-key = "$farm/fetch.key"
script-hosts = "$farm/known_hosts"
CFG
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in n1 n2 n3; do lab target "$farm" $n "$farm/$n.disk" 1G --like web; done
ramet target set n1 rack=r1
ramet image create web --name web-1 --wait --timeout 2m

ramet script add lab 10-hello "$farm/hello"
ramet script add lab 20-fail "$farm/fail"
ramet script add lab 30-slow "$farm/slow" --time-limit 1s
ramet script add lab 40-join --location "https://127.0.0.1:$https/join.sh" --sha256 "$(sha256_of "$farm/web/join.sh")"
ramet script add lab 50-site --location "ssh://root@127.0.0.1:$ssh/srv/site.sh" --sha256 "$(sha256_of "$farm/sshd/srv/site.sh")"
ramet script add lab 60-rack "$farm/rack" --select rack=r1
ramet script add lab 70-other "$farm/rack" --select rack=r2
expect 64 ramet script add lab 80-bad --location http://127.0.0.1/x --sha256 "$(sha256_of "$farm/hello")"
expect 64 ramet script add lab 80-bad --location https://127.0.0.1/x
expect 64 ramet script add lab 80-bad "$farm/hello" --location https://127.0.0.1/x --sha256 "$(sha256_of "$farm/hello")"
expect 64 ramet script add nowhere 80-bad "$farm/hello"
[ "$(ramet script list --json | jq '.items | length')" = 7 ] || fail "the list has not 7 scripts"

job=$(ramet deploy start web-1 --engine lab --targets n1 --yes)
await_phase "$job" n1 awaiting-first-boot 120
ramet job show "$job" --json | jq -e '.targets[0].heard | length > 0' >/dev/null || fail "nothing tells what was heard last"
kill -9 "$(cat "$farm/run/broker.pid")"
lab boot "$farm" n1 >"$farm/boot.log" 2>&1 & boot=$!
all_ran() { [ "$(grep -c 'event=script\.' "$farm/boot.log")" = 6 ]; }
wait_for 30 "the end of the six scripts" all_ran
pause 3 "no broker hears the report"
kill -0 $boot || { cat "$farm/boot.log" >&2; fail "the first boot gave up without a broker"; }
lab up "$farm"
wait $boot || { cat "$farm/boot.log" >&2; fail "the first boot did not end well"; }
ramet job wait "$job" --timeout 60s
[ "$(phase_of "$job" n1)" = "confirmed (degraded)" ] || { ramet job show "$job" >&2; fail "the failed scripts do not show"; }
warning=$(ramet job show "$job" --json | jq -r '.targets[0].warning')
for text in "script 02-20-fail ended with status 3" "script 03-30-slow was ended after 1 s"; do
  case $warning in *"$text"*) ;; *) fail "the warning lacks: $text ($warning)" ;; esac
done
ramet job logs "$job" n1 >"$farm/logs"
grep -q "02-20-fail ended with status 3: .*the disk is on fire" "$farm/logs" || { cat "$farm/logs" >&2; fail "the log lacks the last lines of the script"; }
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "the lock is left"
mount_root "$farm/n1.disk" "$farm/mnt"
printf 'hello n1\nslow\nfetched\nover ssh\nrack\n' | cmp - "$farm/mnt/ran" || fail "the scripts did not run in order, once each"
[ ! -e "$farm/mnt/usr/lib/ramet" ] || fail "the agent of the first boot stayed behind"
[ ! -e "$farm/mnt/etc/systemd/system/ramet-firstboot.service" ] || fail "its unit stayed behind"
grep -q "first words" "$farm/mnt/var/log/ramet/02-20-fail.log" || fail "the whole output is not on the target"
umount "$farm/mnt"; losetup -d "$loop"

# Somebody changed what lies there; what was fetched before is kept under its hash.
echo 'rm -rf /' >>"$farm/web/join.sh"
ramet script add lab 45-join --location "https://127.0.0.1:$https/join.sh" --sha256 "$(sha256_of "$farm/hello")"
job=$(ramet deploy start web-1 --engine lab --targets n2 --yes)
status=0; ramet job wait "$job" --timeout 60s || status=$?
[ $status = 2 ] || fail "the job with a wrong hash ended with $status"
ramet job show "$job" --json | jq -r '.targets[0].error' >"$farm/out"
grep -q "script 45-join: .*has SHA-256 $(sha256_of "$farm/web/join.sh").*the script is pinned to $(sha256_of "$farm/hello")" "$farm/out" || { cat "$farm/out" >&2; fail "the error does not say what is wrong"; }
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "an order that was stopped left its lock"
[ "$(stat -c %b "$farm/n2.disk")" = 0 ] || fail "something was written to n2"

# A location that is not there, and a certificate of somebody else.
ramet script remove lab 45-join
for place in "https://127.0.0.1:$https/none.sh" "https://localhost:$https/join.sh" "ssh://root@127.0.0.1:$ssh/none"; do
  ramet script add lab 45-join --location "$place" --sha256 "$(sha256_of "$farm/hello")" >/dev/null
  job=$(ramet deploy start web-1 --engine lab --targets n3 --yes)
  status=0; ramet job wait "$job" --timeout 60s || status=$?
  [ $status = 2 ] || fail "$place: the job ended with $status"
  ramet job show "$job" --json | jq -r '.targets[0].error' | grep -q "$place could not be fetched" || { ramet job show "$job" >&2; fail "$place: not told"; }
done
[ "$(stat -c %b "$farm/n3.disk")" = 0 ] || fail "something was written to n3"
echo "scripts: passed"

#!/bin/bash
# No two copies have one identity (P23): every tree that can be started, every host key that is named, and
# what lies behind a link; cloud-init does not run again.
. "$(dirname "$0")/lib.sh"
farm_up
old=0123456789abcdef0123456789abcdef

# ---- Keys that are named, seeds behind a link, accounts of a cloud
disk web 48M
fill web 0 mke2fs -q -t ext4
at web 0 sh -ec 'mkdir -p etc/ssh/sshd_config.d srv/keys srv/state/lib/systemd etc/dropbear etc/cloud etc/ssl/private
: >usr/sbin/sshd; echo "Include /etc/ssh/sshd_config.d/*.conf" >etc/ssh/sshd_config; rm -f etc/ssh/ssh_host_*
printf "\thostkey=\"/srv/keys/main\"\n" >etc/ssh/sshd_config.d/50-own.conf
printf "HostCertificate /etc/ssh/cert.pub\n" >>etc/ssh/sshd_config
ssh-keygen -q -t ecdsa -b 521 -N "" -f srv/keys/main
echo old >srv/state/lib/systemd/random-seed; echo old >etc/dropbear/dropbear_ed25519_host_key; echo old >etc/ssl/private/site.key
rm -rf var; ln -s srv/state var; mkdir -p var/lib/dbus; echo '$old' >var/lib/dbus/machine-id
printf "users:\n - default\ncloud_init_modules: [users-groups]\n" >etc/cloud/cloud.cfg; echo "a:hash:1::::::" >etc/shadow'
capture web
deploy web hostname=copy
for words in '/etc/ssh/sshd_config:2: the certificate' '/etc/ssl/private/site.key: a private key'; do
  grep -q "^warnings: .*$words" <<<"$said" || { echo "$said" >&2; fail "the plan does not warn: $words"; }
done
look web 0 ssh-keygen -y -f srv/keys/main >"$farm/key" || fail "the named host key is no key"
grep -q '^ecdsa-sha2-nistp521 .*root@copy$' "$farm/key" || { cat "$farm/key" >&2; fail "the named host key is of another kind"; }
look web 0 cmp -s srv/keys/main.pub "$farm/key" || fail "the halves of the named host key differ"
answers_no look web 0 grep -rqx -e old -e "$old" srv/state etc/dropbear || fail "an identity of the source is on its copy"
look web 0 test -e etc/cloud/cloud-init.disabled || fail "cloud-init runs again"
[ "$(look web 0 cat etc/shadow)" = "a:hash:1::::::" ] || fail "the accounts differ from the source's"

# ---- Two roots, and a third partition that systemd finds by its type as /var: its GUID follows from the
# machine's id (systemd-id128 machine-id -a 4d21b016-b534-45c2-a9fb-5c16e091fd2d)
var=c0c46eff-e386-4746-a2bd-0962cd326ea2
disk slots 160M size=48M,type=L,name=a size=48M,type=L,name=b \
  "size=48M,type=4D21B016-B534-45C2-A9FB-5C16E091FD2D,uuid=$var,name=var"
for slot in 1 2; do
  fill slots $slot mke2fs -q -t ext4
  at slots $slot sh -ec "rm etc/fstab; echo root:x:0:0:::/bin/sh >etc/passwd; echo slot$slot >etc/slot; echo old >etc/hostname; echo $old >etc/machine-id
    mkdir -p etc/ssh; : >usr/sbin/sshd; echo old >etc/ssh/ssh_host_ed25519_key"
done
on slots 3 mke2fs -q -t ext4
at slots 3 sh -ec "mkdir -p lib/systemd lib/dbus log lib/containers/x/etc; echo old >lib/systemd/random-seed; echo $old >lib/dbus/machine-id
  echo old >lib/containers/x/etc/hostname"
capture slots
deploy slots hostname=copy
ids=
for slot in 1 2; do
  [ "$(look slots $slot cat etc/slot)" = "slot$slot" ] || fail "slot $slot is another one"
  [ "$(look slots $slot cat etc/hostname)" = copy ] || fail "slot $slot has the source's name"
  answers_no look slots $slot grep -qx old etc/ssh/ssh_host_ed25519_key || fail "slot $slot has the source's host key"
  id=$(look slots $slot cat etc/machine-id)
  [ ${#id} = 32 ] && [ "$id" != $old ] || fail "slot $slot has the source's machine-id"
  ids+="$id "
done
answers_no look slots 3 grep -qx old lib/systemd/random-seed || fail "/var has the source's seed"
[ "$(look slots 3 readlink lib/dbus/machine-id)" = /etc/machine-id ] || fail "/var has the source's machine-id"
[ "$(look slots 3 cat lib/containers/x/etc/hostname)" = old ] || fail "data in /var was changed"
look slots 1 grep -qix "PARTUUID=$var /var auto defaults 0 2" etc/fstab || fail "the copy would start without its /var"
echo "identity: passed ($ids)"

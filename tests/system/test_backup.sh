#!/bin/bash
# The broker's computer is lost, and another one goes on from a backup (M31): keys, records, tokens, audit
# and trust root are those of the backup, the era is a new one, and an imager comes back by itself. A file
# that is damaged, cut off, foreign, newer or a part is refused before anything is changed.
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2034  # Of hosts.sh.
hosts=(broker imager spare)
. "$(dirname "$0")/hosts.sh"
make_hosts
for host in "${hosts[@]}"; do
  on "$host" sh -ec 'cd /packages; dpkg -i ramet_*.deb ramet-imager_*.deb ramet-broker_*.deb' >"$farm/said" 2>&1 || { cat "$farm/said"; fail "no packages on $host"; }
done
serve() { start "$1" ramet-redis; start "$1" ramet-broker; wait_for 20 "the broker of $1" on "$1" ramet target list; }
connected() { doctor "$1" | jq -e '.services[] | select(.service | test("@hq$")) | .peers == 1'; }
# What the farm knows, without what changes by itself.
known() {
  local what
  for what in target key token; do on "$1" ramet "$what" list --json | jq -S 'del(.items[] | (."last-seen", ."left-s"))'; done
  on "$1" ramet trust show --json | jq -S .
}
says() { grep -q "$1" "$farm/out" || fail "instead of '$1' it says: $(cat "$farm/out")"; }

expect 0 on broker ramet-setup broker --farm mill --host broker.farm
serve broker
expect 0 on broker ramet-setup broker --farm mill --host broker.farm
expect 0 on imager ramet-setup imager --join "$(on broker ramet-setup token imager --place hq)"
start imager ramet-imager
wait_for 20 "the imager" connected broker
late_word=$(on broker ramet-setup token imager --place late)
on broker ramet target add n1 engine=lab mac=52:54:00:00:00:01 >"$farm/said"

# ---- The backup

expect 1 on imager ramet backup /root/mill.backup
says "no broker"
expect 0 on broker ramet backup /root/mill.backup
says "keys of the farm"
[ "$(stat -c %a "$farm/broker/root/root/mill.backup")" = 600 ] || fail "others can read the backup"
expect 1 on broker ramet backup /root/mill.backup
says "is there already"
[ -z "$(find "$farm/broker/root/root" -name '.ramet-backup.*')" ] || fail "a backup left its folder"
for name in 'anna@hq.pub' 'admin.key~' 'two words' .hidden; do
  echo x >"$farm/broker/root/etc/ramet/keys/$name"
  expect 1 on broker ramet backup /root/other
  says "/etc/ramet/keys/$name cannot be in a backup"
  rm "$farm/broker/root/etc/ramet/keys/$name"
done
ln -s admin.pub "$farm/broker/root/etc/ramet/keys/link"
expect 1 on broker ramet backup /root/other
says "/etc/ramet/keys/link .* cannot be in a backup"
rm "$farm/broker/root/etc/ramet/keys/link"
mkdir "$farm/broker/root/root/it's here"
expect 0 on broker ramet backup "/root/it's here/mill"
[ "$(ls -A "$farm/broker/root/root/it's here")" = mill ] || fail "a backup in a folder with a quote left its folder"
mkdir "$farm/broker/root/root/.ramet-backup.old"
expect 0 on broker ramet backup /root/again
says "rm -rf /root/.ramet-backup.old"
rmdir "$farm/broker/root/root/.ramet-backup.old"
known broker >"$farm/known"
on broker ramet target add n2 engine=lab mac=52:54:00:00:00:02 >"$farm/said"
sed -i.old 's|^state = .*|state = "/srv/state"|' "$farm/broker/root/etc/ramet/broker.cfg"
expect 1 on broker ramet backup /root/other
says "/srv/state"
mv "$farm/broker/root/etc/ramet/broker.cfg"{.old,}
sed -i.old 's|^key = .*|key = "/root/admin.key"|' "$farm/broker/root/etc/ramet/console.cfg"
expect 1 on broker ramet backup /root/other
says 'console.cfg has key = "/root/admin.key"'
mv "$farm/broker/root/etc/ramet/console.cfg"{.old,}
mv "$farm/broker/root/etc/ramet/keys/admin.key" "$farm/kept"
expect 1 on broker ramet backup /root/other
says "/etc/ramet/keys/admin.key is missing"
mv "$farm/kept" "$farm/broker/root/etc/ramet/keys/admin.key"

# ---- What is no backup is refused, and nothing is changed

folder=$farm/spare/root/root
cp "$farm/broker/root/root/mill.backup" "$folder/"
packed() { tar -C "$farm/parts" -czf "$folder/$1" about sums "${@:2}"; }
summed() { (cd "$farm/parts" && find . -type f ! -name sums -print0 | xargs -0 sha256sum >"$farm/sums" && mv "$farm/sums" sums); }
unpack() { rm -rf "$farm/parts"; mkdir "$farm/parts"; tar -C "$farm/parts" -xzf "$folder/mill.backup"; }
size=$(stat -c %s "$folder/mill.backup")
head -c $((size / 2)) "$folder/mill.backup" >"$folder/cut"
cp "$folder/mill.backup" "$folder/flipped"
printf '\xff\x00\xff\x00' | dd of="$folder/flipped" bs=1 seek=$((size - 2000)) conv=notrunc status=none
tar -C "$farm/broker/root" -czf "$folder/foreign" etc/hostname
printf 'ramet-backup 1\n' >"$folder/text"
unpack; echo x >>"$farm/parts/etc/keys/broker.key"; packed edited etc broker redis
unpack; rm "$farm/parts/redis/dump.rdb"; summed; packed part etc broker redis
unpack; echo x >"$farm/parts/etc/keys/more"; packed unlisted etc broker redis
unpack; echo x >"$farm/parts/more"; summed; packed foreign-file etc broker redis more
unpack; ln -sf /etc/shadow "$farm/parts/etc/keys/link"; packed link etc broker redis
unpack; sed -i 's/^version .*/version 99.0/' "$farm/parts/about"; summed; packed newer etc broker redis
unpack; sed -i 's/^ramet-backup 1/ramet-backup 2/' "$farm/parts/about"; summed; packed newer-form etc broker redis
unpack; head -c 100 "$farm/parts/redis/dump.rdb" >"$farm/x"; mv "$farm/x" "$farm/parts/redis/dump.rdb"; summed; packed redis-cut etc broker redis
state_of() { (cd "$farm/spare/root" && find etc var/lib -path '*/lib/dpkg' -prune -o -print | LC_ALL=C sort); }
state_of >"$farm/before"
while read -r name words; do
  expect 1 on spare ramet-setup broker --restore "/root/$name"
  says "$words"
  state_of | cmp -s - "$farm/before" || fail "a refused restore of $name changed something: $(state_of | diff "$farm/before" -)"
done <<'END'
missing does not exist
cut damaged or was cut off
flipped damaged
foreign is not a backup of ramet
text is not a backup of ramet
edited broker.key: FAILED
part it has no redis/dump.rdb
unlisted keys/more is not in its list
foreign-file a file that no backup has
link a file that no backup has
newer made by ramet 99.0
newer-form first upgrade
redis-cut data of Redis
END
expect 1 on broker ramet-setup broker --restore /root/mill.backup
says "a broker already"
expect 1 on spare ramet-setup broker --restore /root/mill.backup --host a/b
says "not the name or address of a computer"
state_of | cmp -s - "$farm/before" || fail "a host that is none changed something"
mkdir -p "$farm/spare/root/etc/ramet/keys"; echo mine >"$farm/spare/root/etc/ramet/keys/mine"
expect 1 on spare ramet-setup broker --restore /root/mill.backup
says "/etc/ramet/keys is there already"

# ---- The computer is lost; a restore that was cut off is done again

era=$(doctor broker | jq .era)
end_host broker KILL
ip -n "$bridge-broker" link set eth0 down
ip -n "$bridge-spare" address add 10.77.0.1/24 dev eth0
echo other >"$farm/spare/root/etc/ramet/restoring"
expect 1 on spare ramet-setup broker --restore /root/mill.backup
says "/etc/ramet/keys is there already"
sha256sum <"$folder/mill.backup" >"$farm/spare/root/etc/ramet/restoring"
expect 0 on spare ramet-setup broker --restore /root/mill.backup
says "its peers look for it at broker.farm:7700"
[ -z "$(find "$farm/spare/root/var/lib/ramet" -name '.restore.*')" ] || fail "the restore left its folder"
serve spare
known spare | diff "$farm/known" - || fail "the restored farm is another one"
[ "$(doctor spare | jq .era)" -gt $((era + 400000)) ] || fail "the era is not a new one, or another restore of the file gives it again"
on spare ramet audit list --json | jq -e '.items[] | select(.what == "era.raised")' >"$farm/said" || fail "no entry era.raised"
wait_for 60 "the imager" connected spare
on spare ramet audit export /root/audit >"$farm/said"
expect 0 on spare ramet audit verify /root/audit
expect 0 on spare ramet-setup imager --join "$late_word"
start spare ramet-imager
late() { doctor spare | jq -e '.services[] | select(.service | test("@late$")) | .peers == 1'; }
wait_for 20 "an imager by a word of before" late

# ---- Again, under another name of this computer

end_host spare
expect 0 on spare ramet-setup broker --undo --yes
expect 0 on spare ramet-setup broker --restore /root/mill.backup --host spare.farm
says 'set brokers = "spare.farm:...'
grep -qx 'brokers = "spare.farm:7700"' "$farm/spare/root/etc/ramet/console.cfg" || fail "the console looks at $(grep brokers "$farm/spare/root/etc/ramet/console.cfg")"
serve spare
known spare | diff "$farm/known" - || fail "the farm that is restored under another name is another one"
on spare ramet-setup token source | grep -q '^source:hq@spare.farm:7700/' || fail "a word names another computer than --host"
for name in keys/broker.key keys/admin.key trust/order.key; do
  [ $((0$(stat -c %a "$farm/spare/root/etc/ramet/$name") & 077)) -eq 0 ] || fail "others can read $name"
done
echo "backup: passed"

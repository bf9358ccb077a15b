# Sourced by ops/setup: the broker's part of a farm as one file, and back on this or another host.
#
# A backup is a tar, packed by gzip. Its first file, about, begins with "ramet-backup 1"; sums has the
# SHA-256 of each other file. It has what `ramet-setup broker` makes: settings, keys, trust root, the
# broker's state with its audit files, and what Redis had at that moment.
backup_format=1
redis_socket=/run/redis-ramet/redis.sock
# The value of a setting of the broker, or its preset.
broker_setting() { sed -nE "s/^$1 *= *\"?([^\"]*)\"? *\$/\\1/p" "${2:-$cfg}" | tail -n 1; } # NAME [FILE]

# Only what stands where ramet-setup puts it can be carried as a whole; else nothing is made.
backup_is_whole() {
  local in name value wanted
  for name in redis-sentinels redis-user redis-password redis-database; do
    value=$(broker_setting $name)
    [ -z "$value" ] || [ "$value" = 0 ] ||
      die "$cfg has $name = \"$value\": this farm uses a Redis of others, which a backup of $me cannot carry; back up that Redis by its own means, and $etc and $state/broker beside it"
  done
  while read -r in name wanted; do
    value=$(broker_setting "$name" "$etc/$in.cfg")
    [ -z "$value" ] || [ "$value" = "$wanted" ] ||
      die "$etc/$in.cfg has $name = \"$value\"; a backup has only what is at the place that $me gives it, $wanted"
  done <<END
broker key $etc/keys/broker.key
broker state $state/broker/state
broker redis $redis_socket
broker audit $state/broker/state.audit
broker admins $etc/keys/admin.pub
console key $etc/keys/admin.key
console broker-key $etc/keys/broker.pub
console trust-root $etc/trust/farm.root
console order-key $etc/trust/order.key
END
}
# What each backup has: the first of it that a folder lacks.
lacks() { # FOLDER
  local name
  for name in etc/broker.cfg etc/console.cfg etc/redis.conf etc/keys/broker.key etc/keys/admin.key broker/state redis/dump.rdb; do
    [ -f "$1/$name" ] || { echo "$name"; break; }
  done
}
# The first line of a list of tar (tar -tzv) that no backup has: only files and folders with plain names,
# and without the bits that make a program run as another user.
no_backup_has() { # LIST
  LC_ALL=C grep -vE '^[-d][rwx-]{9} .* (about|sums|(etc|broker|redis)/([A-Za-z0-9_.-]+/)*([A-Za-z0-9_-][A-Za-z0-9_.-]*)?)$' "$1" | head -n 1 || true
}
era_now() { redis-cli -s $redis_socket --raw get ramet:era 2>/dev/null; }

work=""      # The folder in which a backup is made or read; it goes when the script ends
left_over() { # FOLDER...
  local old
  for old; do
    [ ! -d "$old" ] || say "a backup or restore that was cut off has left the keys of a farm; unless it runs now, remove them: rm -rf $(printf %q "$old")"
  done
}
backup() { # FILE
  local all out=$1 began wrong
  cfg=$etc/broker.cfg
  [ -f "$cfg" ] || die "this computer has no broker; a backup is made on the broker's computer"
  [ ! -e "$out" ] || die "$out is there already; name another file"
  [ -d "$(dirname "$out")" ] || die "the folder of $out does not exist; make it first"
  backup_is_whole
  [ "$(redis-cli -s $redis_socket ping 2>&1)" = PONG ] || die "Redis does not answer at $redis_socket; first: systemctl start ramet-redis"
  umask 077
  left_over "$(dirname "$out")"/.ramet-backup.*
  work=$(mktemp -d "$(dirname "$out")/.ramet-backup.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  [ $((0$(stat -c %a "$work") & 077)) -eq 0 ] || die "$(dirname "$out") keeps no mode of a file, so others could read the keys; name a folder on a file system of Linux"
  all=$work/all
  mkdir -p "$all"/{etc,broker,redis}
  began=$(date -u +%FT%TZ)
  # Redis first: what the broker's files have beyond it tells that an older copy came back.
  redis-cli -s $redis_socket --rdb "$all/redis/dump.rdb" >"$work/said" 2>&1 && redis-check-rdb "$all/redis/dump.rdb" >"$work/said" 2>&1 ||
    { cat "$work/said" >&2; die "Redis gave no copy of its data; is there room in $(dirname "$out")?"; }
  cp -a "$state"/broker/state "$all/broker/"
  [ ! -d "$state"/broker/state.audit ] || cp -a "$state"/broker/state.audit "$all/broker/"
  cp -a "$etc"/broker.cfg "$etc"/console.cfg "$etc"/redis.conf "$etc"/keys "$all/etc/"
  [ ! -d "$etc"/trust ] || cp -a "$etc"/trust "$all/etc/"
  wrong=$(lacks "$all" | sed "s|^etc/|$etc/|; s|^broker/|$state/broker/|")
  [ -z "$wrong" ] || die "$wrong is missing, and without it a backup cannot be restored; put it back there"
  cat >"$all/about" <<END
ramet-backup $backup_format
version $("$bin/ramet" --version | awk '{ print $2 }')
broker $(broker_setting brokers "$etc"/console.cfg)
era $(era_now)
time $began
END
  (cd "$all" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$work/sums"
  mv "$work/sums" "$all/sums"
  tar -C "$all" --owner=0 --group=0 --hard-dereference -czf "$work/file" about sums etc broker redis && tar -tzvf "$work/file" >"$work/list" ||
    die "$out could not be written"
  wrong=$(no_backup_has "$work/list" | sed -E 's/^([^ ]+ +){5}//' | sed "s|^etc/|$etc/|; s|^broker/|$state/broker/|")
  [ -z "$wrong" ] || die "$wrong cannot be in a backup, which has only files and folders with names of letters, digits and . _ -, without a dot at the beginning, and with no s or t in their mode; rename it or move it out of its folder"
  sync "$work/file" && mv -n "$work/file" "$out" && [ ! -e "$work/file" ] ||
    die "$out could not be written"
  say "$out has the keys of the farm, its records, its audit and its trust root: a reader of the file can do everything in the farm. Only root can read it; keep it so."
  say "the images in the stores of imagers and installers are not in it"
}

# What the first file of a backup says.
about() { sed -n "s/^$1 //p" "$work/all/about"; }
not_newer() { [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$2" ]; } # VERSION THAN

# read_backup FILE: unpacked below work, and held against its sums; or nothing on this computer is changed.
read_backup() {
  local head own wrong
  [ -f "$1" ] || die "--restore: the file $1 does not exist"
  own=$("$bin/ramet" --version | awk '{ print $2 }')
  head=$(tar -xzOf "$1" --occurrence=1 about 2>/dev/null || true)
  [[ $head == "ramet-backup "* ]] || die "--restore: $1 is not a backup of ramet, or its beginning is damaged"
  [ "$(sed -n '1s/^ramet-backup //p' <<<"$head")" = $backup_format ] && not_newer "$(sed -n 's/^version //p' <<<"$head")" "$own" ||
    die "--restore: $1 was made by ramet $(sed -n 's/^version //p' <<<"$head"), and this is $own; first upgrade the packages of this computer"
  tar -tzvf "$1" >"$work/list" 2>/dev/null || die "--restore: $1 is damaged or was cut off; take another copy of it"
  wrong=$(no_backup_has "$work/list")
  [ -z "$wrong" ] || die "--restore: $1 has a file that no backup has: $wrong"
  mkdir "$work/all"
  tar -C "$work/all" --no-same-owner -xzf "$1" || die "--restore: $1 could not be unpacked in $state; nothing was changed"
  wrong=$(cd "$work/all" && sha256sum -c --strict --quiet sums 2>&1 | head -n 1) || true
  [ -z "$wrong" ] || die "--restore: $1 is damaged: $wrong"
  wrong=$(cd "$work/all" && diff <(find . -type f ! -name sums | LC_ALL=C sort) <(sed 's/^[^ ]*  //' sums | LC_ALL=C sort) | sed -n 's/^[<>] //p' | head -n 1) || true
  [ -z "$wrong" ] || die "--restore: $1 is damaged: $wrong is not in its list"
  wrong=$(lacks "$work/all")
  [ -z "$wrong" ] || die "--restore: $1 is only a part of a backup: it has no $wrong"
  redis-check-rdb "$work/all/redis/dump.rdb" >"$work/said" 2>&1 || die "--restore: the data of Redis in $1 are damaged; $(tail -n 1 "$work/said")"
}

# The era of the copy is over: what the farm has done since the backup is known to its agents alone. The
# broker's file names one that Redis does not have, so Redis raises it ([1.64]); a hundred, for the lost
# farm may have raised it as well. One backup that is restored twice gives two eras: the minutes since
# 2026-01-01, where they are more.
next_era() {
  local era minutes=$((($(date -u +%s) - 1767225600) / 60))
  era=$(($(sed -n 's/^era = \([0-9]*\)$/\1/p' "$work/all/broker/state") + 100))
  [ $minutes -le $era ] || era=$minutes
  sed -i -E "s/^era = [0-9]+\$/era = $era/" "$work/all/broker/state"
}

restore() { # FILE
  local there port mark
  umask 077
  [ -z "$host" ] || plain_host
  [ ! -e "$cfg" ] || die "this computer is a broker already: $cfg is there, and a restore replaces nothing; first: $me broker --undo"
  [ -x /usr/bin/redis-server ] && [ -x "$bin/ramet-broker" ] || die "this computer has no broker's programs; first: apt install ramet-broker"
  [ -d "$state" ] || folder "$state" 755 root
  left_over "$state"/.restore.*
  work=$(mktemp -d "$state"/.restore.XXXXXX)
  trap 'rm -rf -- "$work"; rmdir "$state" 2>/dev/null || true' EXIT
  read_backup "$1"
  mark=$(sha256sum <"$1")
  # The mark of a restore of this file that was cut off.
  if [ "$(cat "$etc"/restoring 2>/dev/null)" != "$mark" ]; then
    for there in $(made); do
      [ ! -e "$there" ] || [ -z "$(ls -A "$there")" ] || die "$there is there already, and a restore replaces nothing; first move it away"
    done
  fi
  port=$(broker_setting port "$work/all/etc/broker.cfg")
  ports_are_free "$port"
  next_era
  umask 022
  folder "$etc" 755 root
  file "$etc"/restoring 644 root <<<"$mark"
  # shellcheck disable=SC2046  # Paths of ramet's own, without blanks.
  rm -rf $(made)
  put_back
  [ -z "$host" ] || sed -i "s/^brokers = .*/brokers = \"$host:$port\"/" "$etc"/console.cfg
  install -m 644 "$work/all/etc/broker.cfg" "$cfg"
  rm -f "$etc"/restoring
  say "this computer has the broker of the backup made at $(about time) by ramet $(about version)"
  say "its peers look for it at $(about broker): $(restored_at)"
  start || return 0
  wait_hint="see: journalctl -u ramet-broker -u ramet-redis" wait_for 30 "the broker" ramet_answers
  say "the broker serves, in era $(era_now)"
}
restored_at() {
  if [ -n "$host" ]; then
    echo "let that name lead to this computer, or set brokers = \"$host:...\" in the settings of each"
  else
    echo "let that name lead to this computer; with --host NAME its own console looks elsewhere"
  fi
}
# Redis 7 begins with the files that its manifest names; the copy is the first of them.
put_back() {
  local all=$work/all aof=$state/redis/appendonlydir
  folder "$state"/redis 700 ramet-redis; folder "$aof" 700 ramet-redis; folder "$state"/broker 700 ramet-broker
  install -m 600 -o ramet-redis -g ramet-redis "$all/redis/dump.rdb" "$aof"/appendonly.aof.1.base.rdb
  echo "file appendonly.aof.1.base.rdb seq 1 type b" | file "$aof"/appendonly.aof.manifest 600 ramet-redis
  cp -r "$all/broker/." "$state"/broker/
  chown -R ramet-broker: "$state"/broker
  chmod -R u=rwX,go= "$state"/broker
  cp -r --preserve=mode "$all/etc/keys" "$etc"/keys
  chown -R root: "$etc"/keys; chmod 711 "$etc"/keys; chown ramet-broker: "$etc"/keys/broker.key
  [ ! -d "$all/etc/trust" ] || { cp -r --preserve=mode "$all/etc/trust" "$etc"/trust; chown -R root: "$etc"/trust; }
  install -m 644 "$all/etc/redis.conf" "$all/etc/console.cfg" "$etc"/
  sync
}

# Sourced instead of lib.sh by tests of a farm whose Redis is not its own: three redis-servers that follow one
# of them, and three sentinels, each at an address of its own, in a network of this test alone. Users, passwords
# and database as a careful administrator gives them. Each ends by its id, as the programs of the lab do.
[ -n "${RAMET_TEST_NETWORK:-}" ] || RAMET_TEST_NETWORK=own exec unshare -n "$0" "$@"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ip link set lo up
redis_at() { echo "127.0.0.1$1"; }
sentinel_at() { echo "127.0.0.2$1"; }
# What a redis-server says to the one who administers it; to the broker's user.
redis() { REDISCLI_AUTH=of-the-guard redis-cli --user guard -h "$(redis_at "$1")" "${@:2}"; } # N WORDS...
as_broker() { REDISCLI_AUTH=of-the-broker redis-cli --user ramet -h "$(redis_at "$1")" -n 3 "${@:2}"; } # N WORDS...
sentinel() { REDISCLI_AUTH=of-the-sentinels redis-cli -p 26379 -h "$(sentinel_at "$1")" "${@:2}"; } # N WORDS...
answers() { [ "$("$@" ping)" = PONG ]; }
launch() { # NAME COMMAND...
  setsid "${@:2}" >>"$farm/run/$1.log" 2>&1 </dev/null &
  echo $! >"$farm/run/$1.pid"
}
redis_start() { # N: as it was before
  launch "redis-$1" redis-server "$farm/redis-$1/redis.conf"
  wait_for 20 "redis-server $1" answers redis "$1"
}
redis_new() { # N: the first is the primary
  mkdir -p "$farm/redis-$1"
  cat >"$farm/redis-$1/users.acl" <<END
user default off
user guard on >of-the-guard ~* &* +@all
user ramet on >of-the-broker $(cat "$source_dir/ops/redis-user.acl")
END
  cat >"$farm/redis-$1/redis.conf" <<END
include $source_dir/ops/redis.conf
port 6379
unixsocket ""
bind $(redis_at "$1")
replica-announce-ip $(redis_at "$1")
dir $farm/redis-$1
aclfile $farm/redis-$1/users.acl
masteruser guard
masterauth of-the-guard
repl-diskless-sync-delay 0
END
  [ "$1" = 1 ] || echo "replicaof $(redis_at 1) 6379" >>"$farm/redis-$1/redis.conf"
  redis_start "$1"
}
sentinel_new() { # N
  cat >"$farm/sentinel-$1.conf" <<END
bind $(sentinel_at "$1")
port 26379
requirepass of-the-sentinels
sentinel sentinel-pass of-the-sentinels
sentinel announce-ip $(sentinel_at "$1")
sentinel monitor ramet $(redis_at 1) 6379 2
sentinel auth-user ramet guard
sentinel auth-pass ramet of-the-guard
sentinel down-after-milliseconds ramet 3000
sentinel failover-timeout ramet 6000
END
  launch "sentinel-$1" redis-server "$farm/sentinel-$1.conf" --sentinel
  wait_for 20 "sentinel $1" answers sentinel "$1"
}
# The number of the redis-server that the sentinels name.
primary() { sentinel 1 sentinel get-master-addr-by-name ramet | sed -n 's/^127\.0\.0\.1//p'; }
is_other() { [ "$(primary)" != "$1" ]; }
follows() { redis "$1" info replication | grep -q '^master_link_status:up'; } # N
knows_all() { # N
  [ "$(sentinel "$1" sentinel replicas ramet | grep -c '^127\.0\.0\.1.:6379')" = 2 ] &&
    [ "$(sentinel "$1" sentinel sentinels ramet | grep -c '^ip$')" = 2 ]
}

# farm_redis [SETTING...]: all of it, and further settings for the broker.
farm_redis() {
  local n
  mkdir -p "$farm/run"
  (umask 077; echo of-the-broker >"$farm/redis.password"; echo of-the-sentinels >"$farm/sentinel.password")
  for n in 1 2 3; do redis_new $n; done
  for n in 2 3; do wait_for 20 "replica $n" follows $n; done
  for n in 1 2 3; do sentinel_new $n; done
  for n in 1 2 3; do wait_for 30 "what sentinel $n knows" knows_all $n; done
  {
    echo "redis-user = \"ramet\""
    echo "redis-password = \"$farm/redis.password\""
    echo "redis-database = 3"
    echo "redis-sentinels = \"$(sentinel_at 1):26379 $(sentinel_at 2):26379 $(sentinel_at 3):26379\""
    echo "sentinel-password = \"$farm/sentinel.password\""
    printf '%s\n' "$@"
  } >"$farm/redis.extra"
}

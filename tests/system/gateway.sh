# Sourced after lib.sh by tests of the gateway.

# gateway_key NAME: the token with which a gateway of this name enrols.
gateway_key() {
  (umask 077; ramet key token dashboard --name "$1" --approve >"$farm/keys/$1.token")
}

# gateway_cfg NAME FILE LISTEN [MORE]: settings of a gateway with that key.
gateway_cfg() {
  cat >"$2" <<CFG
listen = "$3"
brokers = "127.0.0.1:$(cat "$farm/port")"
broker-key = "$farm/keys/broker.pub"
key = "$farm/keys/$1.key"
token = "$farm/keys/$1.token"
name = "$1"
${4:-}
CFG
}

gateway_port() { sed -n 's/.*event=gateway.started.* port=\([0-9]*\).*/\1/p' "$farm/run/$1.log" | tail -n 1; }
has_gateway_started() { [ "$(grep -c 'event=gateway.started' "$farm/run/$1.log")" -gt "$2" ]; }

# gateway_up NAME [SCHEME] [KEY] [MORE]: start it at a port that is free, or at its port of before. Sets url.
gateway_up() {
  local before port=0
  touch "$farm/run/$1.log"
  before=$(grep -c 'event=gateway.started' "$farm/run/$1.log" || true)
  [ "$before" = 0 ] || port=$(gateway_port "$1")
  gateway_cfg "${3:-$1}" "$farm/run/$1.cfg" "127.0.0.1:$port" "${4:-}"
  setsid "$RAMET_BIN/ramet-gateway" -c "$farm/run/$1.cfg" >>"$farm/run/$1.log" 2>&1 </dev/null &
  echo $! >"$farm/run/$1.pid"
  wait_for 20 "the gateway $1" has_gateway_started "$1" "$before"
  url=${2:-http}://127.0.0.1:$(gateway_port "$1")
}

# gateway_operator NAME: a key of the role operator, settings for it and a secret, as the gateway's setting operators names them.
# Sets secret_NAME.
gateway_operator() {
  local cfg=$farm/$1.cfg
  grep -v '^key' "$farm/console.cfg" >"$cfg"
  echo "key = \"$farm/keys/$1.key\"" >>"$cfg"
  (umask 077; ramet key token operator --name "$1" --approve >"$farm/keys/$1.token"; openssl rand -hex 24 >"$farm/$1.token")
  ramet --config "$cfg" key enrol operator --token "$farm/keys/$1.token" --name "$1" >/dev/null
  printf -v "secret_$1" %s "$(cat "$farm/$1.token")"
}

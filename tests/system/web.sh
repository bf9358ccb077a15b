# Sourced after lib.sh by tests that fetch over https: a web server whose certificate is of a CA made here.

free_tcp_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Serve $farm/web at https://127.0.0.1:$https; $farm/ca/ca.pem is to be trusted. Sets https and web.
web_up() {
  https=$(free_tcp_port)
  mkdir -p "$farm/web" "$farm/ca"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ramet-test-ca -keyout "$farm/ca/ca.key" -out "$farm/ca/ca.pem" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout "$farm/ca/web.key" -out "$farm/ca/web.csr" 2>/dev/null
  openssl x509 -req -in "$farm/ca/web.csr" -CA "$farm/ca/ca.pem" -CAkey "$farm/ca/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$farm/ca/web.pem" 2>/dev/null
  python3 - "$https" "$farm/web" "$farm/ca/web.pem" "$farm/ca/web.key" >/dev/null 2>&1 <<'PY' &
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PY
  web=$!
}
web_down() { [ -z "${web:-}" ] || kill "$web" 2>/dev/null || true; }

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

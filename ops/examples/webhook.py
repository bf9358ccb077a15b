#!/usr/bin/env python3
"""Take what a gateway tells of jobs (docs/spec/11-http.md, Webhooks), and print a line for each.

    webhook.py SECRET-FILE [PORT]

SECRET-FILE is that of the gateway's setting webhook-secret. It listens at 127.0.0.1, at a port that is free
without PORT, and prints which. What is not signed by the secret, or is older than five minutes, is refused.
"""
import hashlib
import hmac
import http.server
import json
import sys
import time

SIZE_MAX = 64 * 1024


def is_signed(secret, header, body):
    """Is the header "t=SECONDS,v1=HEX" made by who has the secret, just now?"""
    try:
        fields = dict(part.split("=", 1) for part in header.split(","))
        moment = int(fields["t"])
    except (KeyError, ValueError):
        return False
    wanted = hmac.new(secret, b"%d." % moment + body, hashlib.sha256).hexdigest()
    return abs(time.time() - moment) < 300 and hmac.compare_digest(wanted, fields.get("v1", ""))


class Taker(http.server.BaseHTTPRequestHandler):
    secret = b""

    def do_POST(self):  # noqa: N802 (the name that http.server asks for)
        size = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(size) if size <= SIZE_MAX else b""
        if not is_signed(self.secret, self.headers.get("Ramet-Signature", ""), body):
            self.send_error(403)
            return
        told = json.loads(body)
        # The same delivery may come twice: what is done with it is done once by this name.
        print(self.headers["Ramet-Delivery"], told["name"], told["kind"], told["state"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        Taker.secret = file.read().strip()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Taker)
    print("listens at http://127.0.0.1:%d/" % server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

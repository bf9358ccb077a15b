#!/usr/bin/env python3
"""A BMC with Redfish for tests: redfish_bmc.py FOLDER [WAY].

FOLDER has cert.pem and key.pem; the port goes into FOLDER/port, each request into FOLDER/asked, the
state of the machine into FOLDER/power. WAY is how it is wrong: lies (answers well and does nothing),
redirect, big, silent, text, two (systems), path (names another host), forgets (the order to netboot).
"""
import base64
import http.server
import json
import os
import ssl
import sys
import threading

folder, way = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
state = {"power": "Off", "boot": {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}}
account = "Basic " + base64.b64encode(b"ramet:word-of-redfish").decode()
system = "/redfish/v1/Systems/Self.1"


def keep(name, text):
    with open(os.path.join(folder, name + ".new"), "w") as file:
        file.write(text)
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_all(self):
        size = int(self.headers.get("Content-Length", 0))
        sent = json.loads(self.rfile.read(size)) if size else {}
        with open(os.path.join(folder, "asked"), "a") as file:
            file.write(f"{self.command} {self.path} {json.dumps(sent)}\n")
        if way == "silent":
            threading.Event().wait()
        if way == "redirect":
            return self.answer(307, {}, Location=open(os.path.join(folder, "elsewhere")).read() + self.path)
        if self.headers.get("Authorization") != account:
            return self.answer(401, {"error": {}})
        if way == "big":
            return self.answer(200, b"x" * (1 << 20))
        if way == "text":
            return self.answer(200, b"<html>BMC</html>")
        if self.command == "GET" and self.path == "/redfish/v1/Systems":
            paths = {"two": [system, system + "b"], "path": ["https://192.0.2.1/steal"]}.get(way, [system])
            return self.answer(200, {"Members": [{"@odata.id": path} for path in paths]})
        if not self.path.startswith(system):
            return self.answer(404, {})
        if self.command == "POST" and way != "lies":
            state["power"] = {"On": "On", "ForceOff": "Off"}[sent["ResetType"]]
            keep("power", state["power"])
        if self.command == "PATCH" and way != "forgets":
            state["boot"].update(sent["Boot"])
        if self.command != "GET":
            return self.answer(204, b"")
        reset = {"#ComputerSystem.Reset": {"target": system + "/Actions/ComputerSystem.Reset"}}
        self.answer(200, {"PowerState": state["power"], "Boot": state["boot"], "Actions": reset})

    do_GET = do_POST = do_PATCH = handle_all

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
keep("power", state["power"])
keep("port", str(server.server_address[1]))
server.serve_forever()

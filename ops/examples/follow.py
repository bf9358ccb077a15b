#!/usr/bin/env python3
"""Follow a farm through its gateway: prints each value of each topic as it comes, one JSON a line.

    ops/examples/follow.py URL [--token-file FILE] [--ca FILE] [--until TOPIC FIELD=VALUE]

URL is that of the gateway, such as http://127.0.0.1:7780. With --until it ends when a topic that
ends with TOPIC has that value, such as --until /target/n1 phase=confirmed. A connection that is
lost is made again: the gateway then tells the whole state once more.
"""
import argparse
import http.client
import json
import ssl
import sys
import time
import urllib.error
import urllib.request


def pause(seconds):
    """Between two tries."""
    time.sleep(seconds)


def frames(stream):
    """(event, data) of each frame of text/event-stream; comments are left out."""
    event, data = "message", []
    for line in stream:
        line = line.decode("utf-8").rstrip("\r\n")
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
        elif line.startswith("event: "):
            event = line[len("event: "):]
        elif line.startswith("data: "):
            data.append(line[len("data: "):])


def events(url, token, context):
    """(event, value) without an end, over as many connections as it takes."""
    request = urllib.request.Request(url.rstrip("/") + "/api/v1/events")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    while True:
        try:
            # A gateway that has nothing to tell says so every 15 s.
            with urllib.request.urlopen(request, timeout=45, context=context) as stream:
                for event, data in frames(stream):
                    yield event, json.loads(data)
            reason = "the stream ended"
        except urllib.error.HTTPError as error:
            if error.code not in (502, 503):
                sys.exit("%s: %s" % (url, error.read().decode("utf-8", "replace").strip()))
            reason = "the gateway is not ready"
        except (OSError, http.client.HTTPException) as error:
            reason = error
        print("%s: %s; trying again" % (url, reason), file=sys.stderr, flush=True)
        pause(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--token-file")
    parser.add_argument("--ca")
    parser.add_argument("--until", nargs=2, metavar=("TOPIC", "FIELD=VALUE"))
    options = parser.parse_args()
    token = None
    if options.token_file:
        with open(options.token_file, encoding="ascii") as file:
            token = file.read().strip()
    context = ssl.create_default_context(cafile=options.ca) if options.ca else None
    state = {}                                      # Topic: its present value
    for event, value in events(options.url, token, context):
        if event == "begin":                        # The whole state follows
            state.clear()
        elif event == "end":                        # A job that is over, a machine that was removed
            state.pop(value["topic"], None)
        else:
            state[value["topic"]] = value
            print(json.dumps(value), flush=True)
        if options.until and event == "value" and value["topic"].endswith(options.until[0]):
            field, _, wanted = options.until[1].partition("=")
            if str(value.get(field)) == wanted:
                return


if __name__ == "__main__":
    main()

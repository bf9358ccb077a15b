#!/usr/bin/env python3
"""Drive Debian's chromium without a window, by its own protocol over a pipe.

    browser.py WIDTH SCHEME <STEPS

STEPS are lines: `open URL`, `until JAVASCRIPT` (until it is true, 60 s at most), `do JAVASCRIPT`,
`type TEXT`, `press KEY`, `say JAVASCRIPT` (print its value as JSON), `shot FILE`, `reach` (nothing hinders people
on this view: reach.js, and Tab goes through all that can be used, in its order, and shows where it is), `quit`. It
ends with status 1 when a step fails, or when the page has thrown or written an error into the console; answers of the
gateway with a status from 400 on are told by the browser as such errors, and are not counted.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile
import time


def pause(seconds):
    """Between two looks at the page."""
    time.sleep(seconds)


class Browser:
    def __init__(self, width, scheme, profile):
        to_child, self.out = os.pipe()
        self.inside, from_child = os.pipe()

        def place():
            os.dup2(to_child, 103)
            os.dup2(from_child, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)
        self.child = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--no-first-run", "--remote-debugging-pipe", "--user-data-dir=" + profile],
            preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_child)
        os.close(from_child)
        self.rest, self.serial, self.session, self.errors = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def note(self, message):
        method, told = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.errors.append(json.dumps(told["args"])[:500])
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error" and told["entry"]["source"] != "network":
            self.errors.append(told["entry"]["text"])

    def call(self, method, **parameters):
        self.serial += 1
        request = {"id": self.serial, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                more = os.read(self.inside, 65536)
                if not more:
                    sys.exit("chromium ended")
                self.rest += more
            frame, self.rest = self.rest.split(b"\0", 1)
            message = json.loads(frame)
            self.note(message)
            if message.get("id") == self.serial:
                if "error" in message:
                    sys.exit("%s: %s" % (method, message["error"]))
                return message["result"]

    def evaluate(self, script):
        """(value, what it has thrown or None)"""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            return None, json.dumps(answer["exceptionDetails"])[:500]
        return answer["result"].get("value"), None

    def value(self, script):
        value, thrown = self.evaluate(script)
        if thrown:
            sys.exit("%s: %s" % (script, thrown))
        return value

    def until(self, script):
        end = time.monotonic() + 60
        while (looked := self.evaluate(script)) != (True, None):
            if time.monotonic() > end:
                sys.exit("not within 60 s: %s gave %s\nthe page: %s\nerrors: %s" %
                         (script, looked, self.evaluate("document.body.innerText"), self.errors))
            pause(0.1)

    def tab_through(self):
        self.value("""window.findStops = () => [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
            .filter((node) => node.checkVisibility() && !node.disabled && (!document.querySelector("dialog[open]") || node.closest("dialog[open]")));
            window.stops = findStops()""")
        self.value("stops[0].focus()")
        for number in range(1, self.value("stops.length")):
            self.step("press Tab")
            at, outline = self.value("[stops.indexOf(document.activeElement), getComputedStyle(document.activeElement).outlineStyle]")
            if at != number or outline == "none":
                return "Tab %d leads to %s, and its outline is %s" % (number, self.value("document.activeElement.outerHTML.slice(0, 200)"), outline)
        return None

    def reach(self):
        with open(os.path.join(os.path.dirname(__file__), "reach.js"), encoding="utf-8") as script:
            faults = self.value(script.read())
        for _ in range(5):
            fault = self.tab_through()
            # News may have drawn the view again meanwhile.
            if not fault or self.value("findStops().length === stops.length && findStops().every((node, number) => node === stops[number])"):
                break
        faults += [fault] if fault else []
        if faults:
            sys.exit("%s: %s" % (self.value("location.href"), "\n".join(faults)))

    def step(self, line):
        word, _, rest = line.partition(" ")
        if word == "open":
            told = self.call("Page.navigate", url=rest)
            if told.get("errorText"):
                sys.exit("open %s: %s" % (rest, told["errorText"]))
        elif word == "until":
            self.until(rest)
        elif word == "do":
            self.value(rest)
        elif word == "type":
            self.call("Input.insertText", text=rest)
        elif word == "press":
            for kind in ("rawKeyDown", "keyUp"):
                code = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowRight": 39, "ArrowDown": 40}[rest]
                self.call("Input.dispatchKeyEvent", type=kind, key=rest, code=rest, windowsVirtualKeyCode=code)
                if kind == "rawKeyDown" and rest == "Enter":
                    self.call("Input.dispatchKeyEvent", type="char", key=rest, text="\r")
        elif word == "say":
            print(json.dumps(self.value(rest)), flush=True)
        elif word == "reach":
            self.reach()
        elif word == "shot":
            with open(rest, "wb") as file:
                file.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        else:
            sys.exit("not a step: " + line)


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(int(sys.argv[1]), sys.argv[2], profile)
        try:
            for line in sys.stdin:
                if line.strip() == "quit":
                    break
                if line.strip():
                    browser.step(line.rstrip("\n"))
        finally:
            browser.child.kill()
            browser.child.wait()
    if browser.errors:
        sys.exit("errors of the page: " + "\n".join(browser.errors))


if __name__ == "__main__":
    main()

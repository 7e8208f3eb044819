# SPDX-License-Identifier: Apache-2.0
"""browser.py - headless Chromium, driven by WebDriver over plain HTTP."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from harness import kernel
from harness.wait import GUARD, wait_for

# A browser that starts beside other tests takes its time.
START_GUARD = 4 * GUARD
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
    "--no-default-browser-check", "--force-color-profile=srgb",
    "--force-device-scale-factor=1",
]
# WebDriver's names of keys that are no characters.
KEYS = {"Escape": "\ue00c", "Enter": "\ue007", "Up": "\ue013",
        "Down": "\ue015", "Right": "\ue014", "End": "\ue010",
        "Home": "\ue011"}
PORT = re.compile(r"successfully on port (\d+)")


class Browser:
    """One window, for all tests of a file: it takes seconds to start."""

    def __init__(self):
        for program in "chromium", "chromedriver":
            if not shutil.which(program):
                pytest.skip(f"there is no {program} here")
        self.directory = tempfile.TemporaryDirectory(prefix="berth-browser-")
        log_path = pathlib.Path(self.directory.name) / "log"
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["chromedriver", "--port=0"], stdout=log, stderr=log,
                preexec_fn=kernel.die_with_parent)
        port = wait_for(lambda: PORT.search(log_path.read_text()),
                        "chromedriver to listen", START_GUARD).group(1)
        self.base = f"http://127.0.0.1:{port}/session"
        self.base += "/" + self._call("POST", "", {"capabilities": {
            "alwaysMatch": {
                "browserName": "chrome",
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"args": ARGUMENTS + [
                    f"--user-data-dir={self.directory.name}/data"]},
            }}})["sessionId"]

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request,
                                        timeout=START_GUARD) as response:
                return json.loads(response.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def quit(self):
        self._call("DELETE", "")
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *args):
        """What the body of a function returns in the page."""
        return self._call("POST", "/execute/sync",
                          {"script": script, "args": list(args)})

    def press(self, *keys):
        """Keys, to what has the focus."""
        actions = []
        for key in keys:
            value = KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value},
                        {"type": "keyUp", "value": value}]
        self._call("POST", "/actions", {"actions": [
            {"type": "key", "id": "keys", "actions": actions}]})

    def click(self, selector):
        element = self._call("POST", "/element", {
            "using": "css selector", "value": selector})
        (key,) = element.values()
        self._call("POST", f"/element/{key}/click", {})

    def _devtools(self, command, **parameters):
        self._call("POST", "/goog/cdp/execute",
                   {"cmd": command, "params": parameters})

    def resize(self, width, height):
        self._devtools("Emulation.setDeviceMetricsOverride", width=width,
                       height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme):
        """dark or light"""
        self._devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))
        return path

    def complaints(self):
        """What the browser has written to its console, warnings and up."""
        return [entry["message"] for entry in self._call(
            "POST", "/se/log", {"type": "browser"})
            if entry["level"] in ("WARNING", "SEVERE")]

# SPDX-License-Identifier: Apache-2.0
"""web.py - berth-web, its viewers, and a berthd that only answers."""

import http.client
import json
import socket

from harness.berthd import BUILD
from harness.process import sanitizer_reports
from harness.varlink_server import VarlinkServer
from harness.wait import GUARD, wait_for

WEB = BUILD / "berth-web"
# What it listens at unless it is told; the tests have a host of their own.
ADDRESS = ("127.0.0.1", 10390)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=GUARD)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(GUARD)
        self.sock.connect(self.path)


class Web:
    """berth-web, with the sockets of the berthd given."""

    def __init__(self, world, runtime, *args, prefix=(), **popen):
        self.log_path = world.base / "web.log"
        with open(self.log_path, "ab") as log:
            self.process = world.popen(
                *prefix, str(WEB), "--runtime-dir", str(runtime),
                "--log-level", "debug", *args, stdout=log, stderr=log,
                **popen)
        self.path = None
        for arg in args:
            if arg.startswith("unix:"):
                self.path = arg.removeprefix("unix:")
        wait_for(self._listens, "berth-web to listen")

    def _listens(self):
        assert self.process.poll() is None, self.log()
        try:
            self.open().close()
            return True
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text()

    def check(self):
        assert self.process.poll() is None, self.log()
        assert not sanitizer_reports(self.log()), self.log()

    def open(self):
        """A connection that was not used yet."""
        connection = UnixConnection(self.path) if self.path else \
            http.client.HTTPConnection(*ADDRESS, timeout=GUARD)
        connection.connect()
        return connection

    def request(self, path, method="GET", **options):
        """Return: the response, and its body."""
        connection = self.open()
        try:
            connection.request(method, path, **options)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def get(self, path, status=200):
        """Return: what the JSON there says."""
        response, body = self.request(path)
        assert response.status == status, (path, response.status, body)
        return json.loads(body)


class StandIn(VarlinkServer):
    """Answers what `replies` has for a method: parameters, a list of the
    parts of a long reply, or a function of the call's parameters."""

    def __init__(self, world, replies=None):
        self.replies = replies or {}
        runtime = world.mkdir("runtime")
        super().__init__(runtime / "control.sock")
        world.defer(self.stop)

    @property
    def runtime(self):
        return self.path.parent

    def reply(self, method, parameters):
        if method not in self.replies:
            return {"error": "org.varlink.service.MethodNotFound",
                    "parameters": {"method": method}}
        reply = self.replies[method]
        if callable(reply):
            reply = reply(parameters)
        if isinstance(reply, list):
            return [{"parameters": part, "continues": part is not reply[-1]}
                    for part in reply]
        return {"parameters": reply}

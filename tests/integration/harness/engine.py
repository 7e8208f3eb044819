# SPDX-License-Identifier: Apache-2.0
"""engine.py - a stand-in for a container engine: Docker's API on a UNIX
socket, its answers in the form that Docker 20.10 and podman 4.3 were seen to
give."""

import http.server
import json
import os
import socketserver
import threading
import time
from contextlib import suppress
from pathlib import Path


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        del args

    def address_string(self):
        return "engine"

    def do_GET(self):  # the name that http.server calls
        engine, path = self.server.engine, self.path.split("?")[0]
        engine.requests.append(self.path)
        instead = engine.instead.get(path)
        if instead:
            instead(self)
        elif path == "/events":
            self._events(engine)
        elif path == "/containers/json":
            self.answer(engine.list())
        else:
            found = engine.containers.get(path.split("/")[2])
            if found:
                self.answer(found)
            else:
                self.answer({"message": "No such container"}, 404)

    def answer(self, value, status=200):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def begin(self):
        """As the stream of events begins."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _events(self, engine):
        self.begin()
        sent = len(engine.lines)
        engine.streams += 1
        while True:
            with engine.changed:
                engine.changed.wait_for(
                    lambda: len(engine.lines) > sent or engine.ended(self))
                lines = engine.lines[sent:]
                if engine.ended(self):
                    self.close_connection = True
                    return
            for line in lines:
                self.chunk(line)
            sent += len(lines)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def process_request(self, request, client_address):
        self.engine.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        del request, client_address  # who asks may leave at any time


class Engine:
    """A Docker of the test's. `instead` takes the place of an answer: by
    path, a function of the handler."""

    def __init__(self, path):
        self.path = Path(path)
        self.containers, self.lines, self.requests = {}, [], []
        self.instead, self.connections, self.streams = {}, [], 0
        self.changed = threading.Condition()
        self._server = None
        self.start()

    def start(self):
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._server = _Server(str(self.path), _Handler)
        self._server.engine = self
        self._server.timeout = 0.01
        threading.Thread(target=self._server.serve_forever,
                         args=(0.01,), daemon=True).start()
        os.chmod(self.path, 0o666)

    def ended(self, handler):
        return handler.server is not self._server

    def stop(self):
        """As the service is stopped: all connections end."""
        server, self._server = self._server, None
        if not server:
            return
        server.shutdown()
        server.server_close()
        with suppress(FileNotFoundError):
            self.path.unlink()
        with self.changed:
            self.changed.notify_all()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(2)
        self.connections = []

    def list(self):
        return [{"Id": key, "Names": [value["Name"]],
                 "State": "running",
                 "Labels": value["Config"]["Labels"]}
                for key, value in self.containers.items()
                if value["State"]["Running"]]

    def add(self, key, pid, path="", mode="bridge", name=None, labels=None,
            quiet=False):
        """A container starts. Return: its id."""
        key = key.ljust(64, "0")
        self.containers[key] = {
            "Id": key, "Name": "/" + (name or key[:12]),
            "State": {"Status": "running", "Running": True, "Paused": False,
                      "Restarting": False, "Pid": pid, "ExitCode": 0},
            "Config": {"Hostname": key[:12], "Labels": labels or {}},
            "HostConfig": {"NetworkMode": mode},
            "NetworkSettings": {"SandboxKey": str(path), "Networks": {}},
        }
        if not quiet:
            self.event("start", key)
        return key

    def end(self, key, quiet=False):
        """A container's process has ended; it can be started again."""
        self.containers[key]["State"].update(Running=False, Pid=0)
        self.containers[key]["NetworkSettings"]["SandboxKey"] = ""
        if not quiet:
            self.event("die", key)

    def remove(self, key, quiet=False):
        del self.containers[key]
        if not quiet:
            self.event("destroy", key)

    def event(self, action, key):
        now = time.time()
        self.line(json.dumps({
            "status": action, "id": key, "from": "busybox",
            "Type": "container", "Action": action,
            "Actor": {"ID": key, "Attributes": {"name": key[:12]}},
            "scope": "local", "time": int(now),
            "timeNano": int(now * 1e9)}).encode() + b"\n")

    def line(self, data):
        with self.changed:
            self.lines.append(data)
            self.changed.notify_all()

# SPDX-License-Identifier: Apache-2.0
"""varlink_server.py - a stand-in for berthd's control socket."""

import json
import socketserver
import threading
from contextlib import suppress
from pathlib import Path


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        text = b""
        while True:
            piece = self.request.recv(65536)
            if not piece:
                return
            *calls, text = (text + piece).split(b"\0")
            for call in calls:
                self._call(json.loads(call))

    def _call(self, call):
        method = call["method"].rpartition(".")[2]
        owner = self.server.owner
        with owner.changed:
            owner.calls.append((method, call["parameters"]))
        reply = owner.reply(method, call["parameters"])
        for part in reply if isinstance(reply, list) else [reply]:
            if part is not None:
                self.request.sendall(json.dumps(part).encode() + b"\0")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def process_request(self, request, client_address):
        self.owner.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        del request, client_address  # who asks may leave at any time


class VarlinkServer:
    """Knows io.berth.Register and Unregister, and nothing of namespaces.
    `refuses` answers instead: a function of method and parameters that
    returns an error (name, parameters), or None."""

    def __init__(self, path):
        self.path = Path(path)
        self.calls, self.connections = [], []
        self.registered = {}
        self.refuses = lambda method, parameters: None
        self.changed = threading.Lock()
        self._server = None
        self.start()

    def start(self):
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._server = _Server(str(self.path), _Handler)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever,
                         args=(0.01,), daemon=True).start()

    def stop(self):
        """It ends, and what it was told is lost."""
        server, self._server = self._server, None
        if not server:
            return
        server.shutdown()
        server.server_close()
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.registered = {}
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(2)
        self.connections = []

    def reply(self, method, parameters):
        error = self.refuses(method, parameters)
        if error:
            return {"error": error[0], "parameters": error[1]}
        if method == "Register":
            self.registered[parameters["id"]] = parameters
            return {"parameters": {
                "registration": parameters["id"], "namespace": "",
                "namespace_id": 1, "ready": True, "listeners": []}}
        ended = self.registered.pop(parameters["id"], None)
        return {"parameters": {"ended": 0 if ended is None else 1}}

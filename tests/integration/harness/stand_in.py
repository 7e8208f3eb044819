# SPDX-License-Identifier: Apache-2.0
"""stand_in.py - a stand-in for berthd's control socket, good or bad."""

import json
import os
import socket
import threading
import time
from contextlib import suppress


class StandIn:
    """Takes calls of one after the other client, and does to each what
    answer(connection, call) does; calls holds what they said, fds the
    descriptors that came along."""

    def __init__(self, directory, answer, backlog=16):
        self.calls = []
        self.fds = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.settimeout(None)
        self._listener.bind(str(directory / "control.sock"))
        self._listener.listen(backlog)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # Wakes accept(2), which a close alone would not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for fd in self.fds:
            os.close(fd)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._answer(connection, self._read(connection))

    def _read(self, connection):
        data = b""
        while not data.endswith(b"\0"):
            part, fds, _, _ = socket.recv_fds(connection, 65536, 4)
            self.fds += fds
            if not part:
                return None
            data += part
        self.calls.append(json.loads(data[:-1]))
        return self.calls[-1]


def reply(parameters):
    """Answers each call with the same."""
    def answer(connection, _):
        connection.sendall(
            json.dumps({"parameters": parameters}).encode() + b"\0")
    return answer


def error(name, **parameters):
    def answer(connection, _):
        connection.sendall(json.dumps(
            {"error": name, "parameters": parameters}).encode() + b"\0")
    return answer


def says(data):
    """Answers with these bytes, and ends the connection."""
    def answer(connection, _):
        connection.sendall(data)
    return answer


def hangs(connection, _):
    """Says nothing, until the client goes."""
    while connection.recv(4096):
        pass


def drips(connection, _):
    """Says a byte after the other, for ever."""
    while True:
        connection.sendall(b" ")
        time.sleep(0.001)

# SPDX-License-Identifier: Apache-2.0
"""example.py - the consumers of contrib/consumers, and a stand-in for berthd.

The stand-in says to a consumer what doc/consumer-protocol.md lets berthd say,
when a test wants it to: what a real berthd says now and then only.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from . import kernel
from .berthd import BUILD
from .wait import GUARD

_ROOT = Path(__file__).resolve().parents[3]
SOURCES = _ROOT / "contrib" / "consumers"
# Nobody, who may do nothing.
USER = 65534
NAMES = ["c", "go", "python"]
_GO_SECONDS = 300


def _go_program():
    """Built once for all sessions, without network."""
    go = shutil.which("go")
    if not go:
        pytest.skip("needs Go: contrib/install-dependencies test")
    directory = _ROOT / "build" / "contrib" / "consumers" / "go"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            [go, "build", "-buildvcs=false", "-o", directory / "http_name",
             "."], cwd=SOURCES / "go", check=True, timeout=_GO_SECONDS,
            env=dict(os.environ, GOFLAGS="-mod=mod", GOPROXY="off",
                     CGO_ENABLED="0", GOCACHE=str(directory / "cache")))
    return directory / "http_name"


def command(world, name):
    """How to run the example; as a copy that every user can reach."""
    original = {"c": lambda: BUILD / "contrib/consumers/c/http_name",
                "go": _go_program,
                "python": lambda: SOURCES / "python/http_name.py"}[name]()
    copy = world.base / f"consumer-{name}"
    if not copy.exists():
        shutil.copy(original, copy)
        copy.chmod(0o755)
    return [sys.executable, str(copy)] if name == "python" else [str(copy)]


def start(world, name, path, *options):
    """Runs the example as nobody, with a consumer's socket."""
    return world.popen(*command(world, name), *options, str(path), user=USER,
                       group=USER, extra_groups=[])


class StandIn:
    """berthd's end of one consumer's socket."""

    def __init__(self, world, orphan_timeout_ms=60000):
        self.path = world.base / "consumer.sock"
        self.orphan_timeout_ms = orphan_timeout_ms
        self.door = self.conn = None
        self.listeners = {}
        world.defer(self.stop)
        self.open()

    def open(self):
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self.path.exists():
            self.path.unlink()
        self.door.bind(os.fspath(self.path))
        os.chown(self.path, USER, USER)
        self.door.listen()
        self.door.settimeout(GUARD)

    def stop(self):
        """As when berthd ends: nobody is told anything."""
        for sock in (self.door, self.conn, *self.listeners.values()):
            if sock:
                sock.close()
        self.door = self.conn = None
        self.listeners = {}

    def welcome(self):
        """Waits for a consumer. Return: its hello."""
        self.conn, _ = self.door.accept()
        self.conn.settimeout(GUARD)
        hello, _ = self.hear("hello")
        self.say(type="welcome", version=1, consumer="test",
                 orphan_timeout_ms=self.orphan_timeout_ms,
                 drain_timeout_ms=300000)
        return hello

    def say(self, fd=None, **message):
        text = json.dumps(message).encode()
        if fd is None:
            self.conn.send(text)
        else:
            socket.send_fds(self.conn, [text], [fd])

    def hear(self, kind):
        """Waits for a message of a kind. Return: it, and its descriptor."""
        while True:
            text, fds, _, _ = socket.recv_fds(self.conn, 65536, 1)
            assert text, f"the consumer hung up, no {kind} came"
            message = json.loads(text)
            if message["type"] == kind:
                return message, fds[0] if fds else None
            for fd in fds:
                os.close(fd)

    def give(self, number, netns, port=8080, protocol="tcp"):
        """A new listener on 127.0.0.1 in a namespace."""
        sock = netns.new_socket(kind=socket.SOCK_DGRAM if protocol == "udp"
                                else socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        if protocol != "udp":
            sock.listen(64)
        sock.setblocking(False)
        self.listeners[number] = sock
        self.tell(number, netns.name, kernel.cookie(sock), port,
                  protocol, sock.fileno())
        return sock

    def tell(self, number, name, cookie, port=8080, protocol="tcp", fd=None):
        self.say(fd, type="listener", id=number, protocol=protocol,
                 netns={"id": cookie, "host": False, "names": [name]},
                 address="127.0.0.1", port=port, interface="", rule="test",
                 action="handoff")

    def withdraw(self, number, abort=False):
        """Return: the consumer's released."""
        if number in self.listeners:
            self.listeners.pop(number).close()
        self.say(type="withdraw", id=number, abort=abort)
        released, _ = self.hear("released")
        assert released["id"] == number
        return released


def curl(netns, port=8080, address="127.0.0.1"):
    """What the example answers to curl inside a namespace."""
    return netns.run("curl", "--silent", "--show-error", "--max-time",
                     str(int(GUARD)), f"http://{address}:{port}/").strip()

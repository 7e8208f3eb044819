# SPDX-License-Identifier: Apache-2.0
"""user.py - callers of the control socket that are not root."""

import contextlib
import json
import os
import socket
import subprocess

import pytest

from harness.netns import Netns
from harness.wait import wait_for

# Numbers that no user of a test machine has.
USER, OTHER, GROUP = 64123, 64124, 64125


AS_USER = ["setpriv", "--clear-groups", f"--regid={GROUP}"]


@contextlib.contextmanager
def user(uid, gid=GROUP):
    """The test's own process is that user for a while, in that group."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def let_in(world):
    """Users may walk to berthd's sockets."""
    world.base.chmod(0o755)


class Caller:
    """A connection to berthd of a user; 0 is root."""

    def __init__(self, berthd, uid=USER, gid=GROUP):
        self.data = b""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        path = str(berthd.runtime / "control.sock")
        if uid == 0:
            self.sock.connect(path)
            return
        with user(uid, gid):
            self.sock.connect(path)

    def close(self):
        self.sock.close()

    def send(self, method, parameters, fds=(), more=False):
        text = json.dumps({"method": f"io.berth.{method}", "more": more,
                           "parameters": parameters}).encode() + b"\0"
        socket.send_fds(self.sock, [text], list(fds))

    def receive(self):
        while b"\0" not in self.data:
            more = self.sock.recv(65536)
            assert more, f"berthd ended the connection after {self.data!r}"
            self.data += more
        message, _, self.data = self.data.partition(b"\0")
        return json.loads(message)

    def message(self, method, fds=(), **parameters):
        self.send(method, parameters, fds)
        return self.receive()

    def call(self, method, fds=(), **parameters):
        message = self.message(method, fds, **parameters)
        assert "error" not in message, message
        return message["parameters"]

    def fails(self, method, fds=(), **parameters):
        """The error's name without the interface, and its parameters."""
        message = self.message(method, fds, **parameters)
        assert "error" in message, message
        return message["error"].removeprefix("io.berth."), \
            message["parameters"]


class UserSandbox(Netns):
    """A process of a user, in a network namespace that is theirs."""

    def __init__(self, world, uid=USER, argv=("unshare", "-Urn")):
        self.process = subprocess.Popen(
            [*AS_USER, f"--reuid={uid}", *argv, "sleep", "inf"])
        world.defer(self.end)
        self.pid = wait_for(self._sleeper, "the sandbox")
        super().__init__(f"/proc/{self.pid}/ns/net")
        self.up()

    def _sleeper(self):
        """The pid of the process inside; it may be a child of a child."""
        if self.process.poll() is not None:
            pytest.skip("a user cannot make user namespaces here: "
                        f"{self.process.args} failed")
        pids = [self.process.pid]
        for pid in pids:
            try:
                with open(f"/proc/{pid}/task/{pid}/children",
                          encoding="ascii") as file:
                    pids += map(int, file.read().split())
                if os.readlink(f"/proc/{pid}/exe").endswith("sleep"):
                    return pid
            except OSError:
                pass
        return None

    def end(self):
        for pid in (self.pid, self.process.pid):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self.process.wait()

# SPDX-License-Identifier: Apache-2.0
"""tenant.py - processes in namespaces of their own, as containers have."""

import errno
import os
import signal
import threading

import pytest

from . import kernel
from .pids import fork_as


def _fork_as(number):
    try:
        return fork_as(number)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS):
            pytest.skip(f"cannot choose the number of a process: {error}")
        raise


class Tenant:
    """A process that has a network namespace, and does what it is told."""

    def __init__(self, world, number=None):
        asked, self._ask = os.pipe()
        self._answer, answered = os.pipe()
        self.pid = _fork_as(number) if number else os.fork()
        if self.pid == 0:
            try:
                kernel.die_with_parent()
                _serve(asked, answered)
            finally:
                os._exit(0)
        os.close(asked)
        os.close(answered)
        world.defer(self.close)
        self.move()

    def close(self):
        if self.pid:
            self.kill()
        os.close(self._ask)
        os.close(self._answer)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def _tell(self, what):
        os.write(self._ask, what)
        answer = os.read(self._answer, 32)
        assert answer, "the process ended"
        return int(answer)

    def move(self):
        """To a new namespace."""
        self._tell(b"m")

    def open(self):
        """Return: the number of its descriptor of its namespace."""
        return self._tell(b"o")

    def start_thread(self):
        """In a namespace of its own. Return: its number."""
        return self._tell(b"t")

    def end_thread(self):
        self._tell(b"e")


def _serve(asked, answered):
    go, thread = threading.Event(), None

    def other():
        kernel.unshare(kernel.CLONE_NEWNET)
        os.write(answered, b"%d" % threading.get_native_id())
        go.wait()

    while what := os.read(asked, 1):
        answer = 0
        if what == b"t":
            thread = threading.Thread(target=other)
            thread.start()
            continue
        if what == b"m":
            kernel.unshare(kernel.CLONE_NEWNET)
        elif what == b"o":
            answer = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        elif what == b"e":
            go.set()
            thread.join()
        os.write(answered, b"%d" % answer)

# SPDX-License-Identifier: Apache-2.0
"""tenant.py - processes in namespaces of their own, as containers have."""

import ctypes
import errno
import os
import signal
import threading

import pytest

from . import kernel

SYS_CLONE3 = 435  # on every architecture


class _CloneArgs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack",
        "stack_size", "tls", "set_tid", "set_tid_size", "cgroup")]


def _fork_as(number):
    """fork(2), but the child's number is chosen. It must be free."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = (ctypes.c_int * 1)(number)
    args = _CloneArgs(exit_signal=signal.SIGCHLD, set_tid_size=1,
                      set_tid=ctypes.addressof(numbers))
    pid = libc.syscall(SYS_CLONE3, ctypes.byref(args), ctypes.sizeof(args))
    if pid < 0:
        error = ctypes.get_errno()
        if error in (errno.EPERM, errno.ENOSYS):
            pytest.skip("cannot choose the number of a process: "
                        + os.strerror(error))
        raise OSError(error, f"clone3: {os.strerror(error)}")
    return pid


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

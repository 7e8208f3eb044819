# SPDX-License-Identifier: Apache-2.0
"""pids.py - processes in namespaces without a name, and their numbers."""

import ctypes
import errno
import os
import platform
import signal

from . import kernel

_SYS_CLONE3 = {"x86_64": 435, "aarch64": 435}.get(platform.machine(), 435)
_libc = ctypes.CDLL(None, use_errno=True)


class _CloneArgs(ctypes.Structure):
    """struct clone_args of linux/sched.h."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack",
        "stack_size", "tls", "set_tid", "set_tid_size", "cgroup")]


def _fork_as(pid):
    """fork(2) whose child has the number given: clone(2), set_tid."""
    number = (ctypes.c_int * 1)(pid)
    args = _CloneArgs(exit_signal=signal.SIGCHLD,
                      set_tid=ctypes.addressof(number), set_tid_size=1)
    child = _libc.syscall(_SYS_CLONE3, ctypes.byref(args),
                          ctypes.sizeof(args))
    if child < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"clone3: {os.strerror(error)}")
    return child


class Sandbox:
    """A process in a network namespace of its own that has no name."""

    def __init__(self, pid=None):
        ready, told = os.pipe()
        child = _fork_as(pid) if pid else os.fork()
        if child == 0:
            self._child(told)
        os.close(told)
        try:
            self.pid = child
            if os.read(ready, 1) != b"1":
                self.end()
                raise OSError(errno.ECHILD, "the sandbox did not start")
        finally:
            os.close(ready)

    @staticmethod
    def _child(told):
        try:
            kernel.die_with_parent()
            kernel.unshare(kernel.CLONE_NEWNET)
            kernel.set_link_up("lo")
            os.write(told, b"1")
            # Nothing of the parent's is kept alive by its child.
            os.closerange(0, 1 << 16)
            while True:
                signal.pause()
        finally:
            os._exit(1)

    @property
    def path(self):
        return f"/proc/{self.pid}/ns/net"

    def end(self):
        """Ends the process; its number is free when this returns."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None

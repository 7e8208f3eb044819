# SPDX-License-Identifier: Apache-2.0
"""pids.py - processes in namespaces without a name, and their numbers."""

import ctypes
import errno
import os
import signal

from . import kernel

_SYS_CLONE3 = 435  # on every architecture
_CLONE_PARENT = 0x8000
_libc = ctypes.CDLL(None, use_errno=True)


class _CloneArgs(ctypes.Structure):
    """struct clone_args of linux/sched.h."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack",
        "stack_size", "tls", "set_tid", "set_tid_size", "cgroup")]


def fork_as(number):
    """fork(2), but the child's number is chosen: clone(2), set_tid.

    A process in between makes it, which has one thread: Python knows nothing
    of this call, and another thread's lock would be locked in the child for
    ever. Raises FileExistsError when somebody has the number.
    """
    numbers = (ctypes.c_int * 1)(number)
    args = _CloneArgs(flags=_CLONE_PARENT, set_tid_size=1,
                      set_tid=ctypes.addressof(numbers))
    between = os.fork()
    if between == 0:
        pid = _libc.syscall(_SYS_CLONE3, ctypes.byref(args),
                            ctypes.sizeof(args))
        if pid == 0:
            return 0
        os._exit(0 if pid > 0 else ctypes.get_errno())
    error = os.waitstatus_to_exitcode(os.waitpid(between, 0)[1])
    if error:
        raise OSError(error, f"clone3: {os.strerror(abs(error))}")
    return number


class Sandbox:
    """A process in a network namespace of its own that has no name."""

    def __init__(self, pid=None):
        ready, told = os.pipe()
        child = fork_as(pid) if pid else os.fork()
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

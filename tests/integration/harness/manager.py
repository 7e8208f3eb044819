# SPDX-License-Identifier: Apache-2.0
"""manager.py - a service manager with a descriptor store, and a berthd that it
starts and restarts."""

import os
import signal
import socket
import sys
import threading

from .berthd import Berthd, _Relays
from .wait import GUARD, wait_exit, wait_for

# Makes descriptors 3 and up of those given, and becomes the program. Only a
# process itself can know what LISTEN_PID is to be.
_GIVE = """
import fcntl, os, resource, sys
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
given = [int(fd) for fd in sys.argv[1].split(",") if fd]
above = 3 + len(given)
moved = {fd: fcntl.fcntl(fd, fcntl.F_DUPFD, above) for fd in set(given)}
for i, fd in enumerate(given):
    os.dup2(moved[fd], 3 + i)
os.closerange(above, max([*given, *moved.values()]) + 1)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(given))
os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """Reads what berthd says to it, as systemd does."""

    def __init__(self, path, store_max=100):
        self.path = str(path)
        self.store_max = store_max
        self.store = []  # (name, descriptor)
        self.messages = []  # {field: value}
        self.repeat = 1  # gives each descriptor so many times
        self.reading = threading.Event()
        self.reading.set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(None)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self):
        self.reading.set()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"END=1", self.path)
        self._thread.join()
        self._socket.close()
        self.empty()

    def empty(self):
        """The service was stopped."""
        for _, fd in self.store:
            os.close(fd)
        self.store = []

    def put(self, name, fd):
        """Something that berthd did not leave there; takes the descriptor."""
        self.store.append((name, fd))

    def names(self):
        return [name for name, _ in self.store]

    def said(self, field):
        """The values of a field, in the order of the messages."""
        return [message[field] for message in self.messages
                if field in message]

    def _read(self):
        while True:
            text, fds, _, _ = socket.recv_fds(self._socket, 4096, 253)
            self.reading.wait()
            message = dict(line.split("=", 1)
                           for line in text.decode().splitlines())
            if "END" in message:
                return
            if message.get("FDSTORE") == "1":
                self._keep(message, fds)
            else:
                for fd in fds:  # with BARRIER=1 that is the answer
                    os.close(fd)
            if message.get("FDSTOREREMOVE") == "1":
                self._remove(message["FDNAME"])
            self.messages.append(message)

    def _keep(self, message, fds):
        inodes = [os.fstat(fd).st_ino for _, fd in self.store]
        for fd in fds:
            if len(self.store) >= self.store_max or \
                    os.fstat(fd).st_ino in inodes:
                os.close(fd)
            else:
                self.store.append((message["FDNAME"], fd))

    def _remove(self, name):
        for kept, fd in self.store:
            if kept == name:
                os.close(fd)
        self.store = [entry for entry in self.store if entry[0] != name]


class ManagedBerthd(Berthd):
    """berthd as its unit has it, with FileDescriptorStoreMax."""

    def __init__(self, *args, tell_max=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.manager = Manager(self.base / "manager")
        self.env["NOTIFY_SOCKET"] = self.manager.path
        self.env["FDSTORE"] = \
            str(self.manager.store_max) if tell_max else None

    def spawn(self, argv=None):
        self.manager.messages = []
        return super().spawn(argv)

    def command(self):
        fds = [fd for _, fd in self.manager.store] * self.manager.repeat
        self.pass_fds = tuple(set(fds))
        if not fds:
            return super().command()
        return [sys.executable, "-c", _GIVE,
                ",".join(str(fd) for fd in fds),
                ":".join(self.manager.names() * self.manager.repeat),
                *super().command()]

    def wait_ready(self, guard=GUARD):
        wait_for(lambda: self.manager.said("READY")
                 or self.process.poll() is not None, "READY=1")
        assert self.process.poll() is None, self.log()

    def down(self, number=signal.SIGTERM):
        """berthd ends, and its relay is killed: nobody has its listeners but
        the manager."""
        relays = _Relays(self.relays())
        self.send_signal(number)
        assert wait_exit(self.pidfd, GUARD), "berthd runs on"
        relays.wait(0)
        relays.close()
        self._reap()
        self.check_log()

    def stop(self):
        try:
            super().stop()
        finally:
            self.manager.close()

# SPDX-License-Identifier: Apache-2.0
"""consumer.py - a program that listeners are handed off to, in the test."""

import json
import os
import socket
import time

from .wait import GUARD


class Consumer:
    """One connection to consumers/NAME.sock. It answers what it is told when
    the test asks it to look."""

    def __init__(self, berthd, name, hello=None, takeover=False):
        self.path = berthd.runtime / "consumers" / f"{name}.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(None)  # else a full backlog is an error
        self.socket.connect(str(self.path))
        self.listeners = {}  # by id: (the message, the socket)
        self.closed = {}  # by id: whether with abort
        if hello is None:
            hello = {"type": "hello", "version": 1, "name": "harness"}
            if takeover:
                hello["takeover"] = True
        if hello:
            self.say(**hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends as a process does: everything that it has is closed."""
        self.socket.close()
        for _, listener in self.listeners.values():
            if listener:
                listener.close()
        self.listeners = {}

    def say(self, **message):
        self.socket.send(json.dumps(message).encode())

    def receive(self, timeout=GUARD):
        """The next message and its socket, or None when berthd has ended the
        connection."""
        self.socket.settimeout(timeout)
        text, fds, _, _ = socket.recv_fds(self.socket, 65536, 1)
        if not text:
            return None
        return (json.loads(text),
                socket.socket(fileno=fds[0]) if fds else None)

    def expect(self, kind):
        """The next message is of this type. Return: it."""
        got = self.receive()
        assert got and got[0]["type"] == kind, (kind, got)
        self._apply(*got)
        return got[0]

    def welcome(self):
        assert self.expect("welcome")["consumer"] == self.path.stem
        return self

    def ended(self):
        """Has berthd ended the connection, after what it said before?"""
        return self.receive() is None

    def _apply(self, message, listener):
        if message["type"] == "listener":
            had = self.listeners.get(message["id"], (None, None))[1]
            if listener and had:
                had.close()
            self.listeners[message["id"]] = (message, listener or had)
        elif message["type"] == "withdraw":
            number = message["id"]
            self.closed[number] = message["abort"]
            held = self.listeners.pop(number, None)
            if held:
                held[1].close()

    def until(self, done):
        """Obeys until done(): sockets of withdrawn listeners are closed at
        once, and nothing is said about it."""
        deadline = time.monotonic() + GUARD
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, (self.listeners, self.closed)
            got = self.receive(left)
            assert got, "berthd has ended the connection"
            self._apply(*got)
        return self

    def until_listening(self, n=1):
        """Waits for n listeners. Return: their sockets."""
        self.until(lambda: len(self.listeners) >= n)
        return [listener for _, listener in self.listeners.values()]

    def until_withdrawn(self, n=1):
        """Waits until n were taken away. Return: their ids."""
        self.until(lambda: len(self.closed) >= n)
        return list(self.closed)

    def release(self, number, **counts):
        self.say(type="released", id=number, **counts)


def sees_eof(sock, timeout=GUARD):
    """Does the peer end the connection?"""
    sock.settimeout(timeout)
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def file_of(path):
    """Owner, group and permission bits."""
    st = os.lstat(path)
    return st.st_uid, st.st_gid, st.st_mode & 0o777

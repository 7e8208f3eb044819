# SPDX-License-Identifier: Apache-2.0
"""consumer.py - a program that listeners are handed off to, in the test."""

import json
import os
import socket
import time

from .wait import GUARD, wait_for


class Consumer:
    """One connection to consumers/NAME.sock. It answers what it is told when
    the test asks it to look."""

    def __init__(self, berthd, name, hello=None, takeover=False):
        self.path = berthd.runtime / "consumers" / f"{name}.sock"
        self.listeners = {}  # by id: (the message, the socket)
        self.closed = {}  # by id: whether with abort
        self.reasons = {}  # by id: why it was taken away, if that was said
        self._connect()
        if hello is None:
            hello = {"type": "hello", "version": 1, "name": "harness"}
            if takeover:
                hello["takeover"] = True
        if hello:
            self.say(**hello)

    def _connect(self):
        """Waits for a berthd that is being started."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(None)  # else a full backlog is an error
        wait_for(lambda: self.socket.connect_ex(str(self.path)) == 0,
                 f"somebody at {self.path}")

    def connect_again(self):
        """Connects another time, and says nothing yet."""
        self.socket.close()
        self._connect()

    def again(self, n_held=None, **hello):
        """Connects another time, with all listeners that it has. n_held: how
        many it says that it hands back, if not these."""
        self.connect_again()
        if n_held is None:
            n_held = len(self.listeners)
        self.say(**{"type": "hello", "version": 1, "name": "harness",
                    "held": n_held, **hello})
        return self

    def hand_back(self, number, fds=None, **changes):
        """Says `held` of one listener. fds: what to attach instead of its
        socket; changes: members that are not what berthd said."""
        told, sock = self.listeners.get(number, (None, None))
        message = {"type": "held", "id": number}
        if told:
            message.update((key, told[key]) for key in (
                "protocol", "address", "port", "interface", "rule"))
            message["netns"] = told["netns"]["id"]
        message.update(changes)
        if fds is None:
            fds = [sock.fileno()] if sock else []
        self.say_with(fds, **message)

    def hand_back_all(self):
        for number in self.listeners:
            self.hand_back(number)
        return self

    def say_with(self, fds, **message):
        """Says it with descriptors attached."""
        socket.send_fds(self.socket, [json.dumps(message).encode()], fds)

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

    def was_ended(self):
        """Waits until berthd has ended the connection, whatever it says
        before."""
        try:
            while self.receive():
                pass
        except ConnectionResetError:
            pass  # some of what this side said was not read
        return True

    def _apply(self, message, listener):
        if message["type"] == "listener":
            had = self.listeners.get(message["id"], (None, None))[1]
            if listener and had:
                had.close()
            self.listeners[message["id"]] = (message, listener or had)
        elif message["type"] == "withdraw":
            number = message["id"]
            self.closed[number] = message["abort"]
            self.reasons[number] = message.get("reason")
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

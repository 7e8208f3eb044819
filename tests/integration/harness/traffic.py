# SPDX-License-Identifier: Apache-2.0
"""traffic.py - bytes through a relay, and programs at its other end."""

import hashlib
import select
import socket
import struct
import threading

from .wait import GUARD


def pair(netns, backend, address="127.0.0.1", port=8080):
    """A client connected through the relay, and its backend connection."""
    client = netns.connect(address, port)
    try:
        server, _ = backend.accept()
    except BaseException:
        client.close()
        raise
    server.settimeout(GUARD)
    return client, server


def works(client, server, data=b"ping"):
    """Both directions of one relayed connection."""
    client.sendall(data)
    assert _receive(server, len(data)) == data
    server.sendall(data[::-1])
    assert _receive(client, len(data)) == data[::-1]
    return True


def _receive(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, f"ended after {data!r}"
        data += more
    return data


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def ended(sock):
    """Did the peer end or reset it? Whatever came before is thrown away."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    except socket.timeout:
        return False
    return True


def was_reset(sock):
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except socket.timeout:
        pass
    return False


def stuff(sock, limit=1 << 30):
    """Sends until nothing is taken any more for a while.

    Return: how many bytes were taken.
    """
    block = b"\xa5" * 65536
    sent = 0
    sock.setblocking(False)
    try:
        while sent < limit:
            if not select.select([], [sock], [], 0.3)[1]:
                break
            try:
                sent += sock.send(block)
            except BlockingIOError:
                pass
    finally:
        sock.settimeout(GUARD)
    return sent


def pattern(size, seed):
    """Bytes in which every misplaced block shows."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


class Talk:
    """Sends all of data and shuts down, and reads to the end meanwhile."""

    def __init__(self, sock, data):
        self._sock = sock
        self._chunks = []
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (lambda: self._send(data), self._read)]
        for thread in self._threads:
            thread.start()

    def _send(self, data):
        self._sock.sendall(data)
        self._sock.shutdown(socket.SHUT_WR)

    def _read(self):
        while chunk := self._sock.recv(1 << 16):
            self._chunks.append(chunk)

    def receipt(self):
        """Waits for the end. Return: all that came."""
        for thread in self._threads:
            thread.join(2 * GUARD)
        return b"".join(self._chunks)


def exchange(one, one_sends, other, other_sends):
    """Both talk at once. Return: both receipts."""
    talks = Talk(one, one_sends), Talk(other, other_sends)
    return tuple(talk.receipt() for talk in talks)


class EchoBackend:
    """Serves every connection by sending back what comes."""

    def __init__(self, listener):
        self.listener = listener
        self.served = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def _accept(self):
        self.listener.settimeout(None)
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.served += 1
            threading.Thread(target=self._echo, args=(conn,),
                             daemon=True).start()

    @staticmethod
    def _echo(conn):
        with conn:
            try:
                while data := conn.recv(1 << 16):
                    conn.sendall(data)
            except OSError:
                pass

    def close(self):
        # shutdown() wakes the accepting thread, close() would not.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def echo_backend(world, place=None, address="127.0.0.1"):
    """An EchoBackend on the host that ends with the test."""
    backend = EchoBackend((place or world.host).listen(address, backlog=1024))
    return world.close_later(backend)

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""http_name.py - a consumer in Python: answers with the namespace's name

usage: http_name.py [--takeover] /run/berth/consumers/NAME.sock

An HTTP server for the listeners of every namespace that a rule hands off to
NAME (`handoff: NAME`). A request to a TCP or MPTCP listener is answered with
the name of the namespace that it came from, and so is each UDP datagram. It
needs asyncio and nothing else, no privilege, and may run as any user who may
open the socket (see `consumers` in berthd.yaml(5)).

It shows what every consumer has to do, as doc/consumer-protocol.md says:

  Berthd          the connection: hello, welcome, what berthd says, the
                  connection lost and made again, with everything handed back
  Listener        one socket to accept from, with its connections and counts;
                  it is released when nothing of it is left
  Connection      one client; ended at once when its namespace goes

Copy it, and put your own protocol into Connection.data_received.
"""
import argparse
import asyncio
import collections
import fcntl
import json
import os
import socket
import struct
import sys
import termios
import time

VERSION = 1
MESSAGE_MAX = 65536
ACCEPTS_AT_ONCE = 32  # then others have their turn
REQUEST_MAX = 8192
IDLE_SECONDS = 60  # of a client that neither asks nor takes its answer
PAUSE_SECONDS = 1.0  # when the process has no descriptor left
RETRY_SECONDS = (0.01, 0.25)  # the first and the longest pause
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close(2) resets


class Connection(asyncio.Protocol):
    """One client of a listener."""

    def __init__(self, listener):
        self.listener = listener
        self.transport = None
        self.received = b""
        self.answered = False
        self.over = False  # nothing more is answered
        self.aborted = False
        self.used = time.monotonic()

    def connection_made(self, transport):
        self.transport = transport
        if self.aborted:
            self.abort()

    def data_received(self, data):
        self.used = time.monotonic()
        self.listener.counts["bytes_in"] += len(data)
        if self.over:
            return
        self.received += data
        while not self.over and b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.answer(head.lower())
        if len(self.received) > REQUEST_MAX:
            self.abort()

    def answer(self, head):
        # What a request carries after its head is not understood: the
        # connection ends with the answer then.
        last = self.listener.withdrawn or b"\r\nconnection: close" in head or \
            b"http/1.0" in head or b"\r\ncontent-length:" in head or \
            b"\r\ntransfer-encoding:" in head
        body = self.listener.answer()
        text = (f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
                f"{'Connection: close' + chr(13) + chr(10) if last else ''}"
                "\r\n").encode() + body
        self.listener.counts["bytes_out"] += len(text)
        self.transport.write(text)
        self.answered = True
        if last:
            self.finish()

    def finish(self):
        """The answer was the last one. Only this side's direction is ended:
        a closed socket with bytes that the client did not acknowledge lives
        on in the kernel, where nothing can reset it any more, and would keep
        a deleted namespace alive."""
        self.over = True
        self.transport.write_eof()

    def eof_received(self):
        self.over = True
        return not self.is_through()  # False: asyncio closes it

    def is_through(self):
        """Has the client acknowledged everything?"""
        if self.transport.get_write_buffer_size():
            return False
        sock = self.transport.get_extra_info("socket")
        left = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        return struct.unpack("i", left)[0] == 0

    def look(self, now):
        """Called now and then: ends what is idle, or over."""
        if not self.transport:
            return
        if self.over and self.is_through():
            self.transport.close()
        elif now - self.used > IDLE_SECONDS:
            self.abort()

    def drain(self):
        """No request after the first, or the one that is under way."""
        if self.answered and not self.received and not self.over:
            self.finish()

    def abort(self):
        """Resets it: nothing is left of it in its namespace."""
        self.aborted = self.over = True
        if self.transport:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()

    def connection_lost(self, _):
        self.listener.lose(self)


class Listener:
    """One listening socket, and what was accepted from it."""

    def __init__(self, berthd, message, sock):
        self.berthd = berthd
        self.sock = sock
        self.id = message["id"]
        self.members = message
        self.connections = set()
        self.tasks = set()
        self.counts = collections.Counter()
        self.withdrawn = False
        sock.setblocking(False)
        self.start()

    def start(self):
        if self.sock:
            asyncio.get_running_loop().add_reader(
                self.sock, self.receive if self.members["protocol"] == "udp"
                else self.accept)

    def stop(self, seconds=None):
        """Stops accepting, for some seconds or for ever. close(2) alone, never
        shutdown(2): berthd and whoever comes next use the same socket."""
        if not self.sock:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.sock)
        if seconds:
            loop.call_later(seconds, self.start)
        else:
            self.sock.close()
            self.sock = None

    def accept(self):
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                print(f"cannot accept: {error}; waiting", file=sys.stderr)
                self.stop(PAUSE_SECONDS)
                return
            sock.setblocking(False)
            connection = Connection(self)
            self.counts["accepted"] += 1
            self.connections.add(connection)
            task = asyncio.get_running_loop().create_task(
                self.serve(connection, sock))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, connection, sock):
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, sock)
        except OSError:
            sock.close()
            self.lose(connection)

    def receive(self):
        """With address `any` the answer leaves from the address that the
        kernel chooses; a rule with `each` has none but the right one."""
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                data, client = self.sock.recvfrom(MESSAGE_MAX)
                self.counts["messages_in"] += 1
                self.counts["bytes_in"] += len(data)
                self.counts["bytes_out"] += self.sock.sendto(self.answer(),
                                                             client)
                self.counts["messages_out"] += 1
            except BlockingIOError:
                return
            except OSError:
                self.counts["dropped"] += 1

    def answer(self):
        """The namespace's name; it may have several, or none."""
        netns = self.members["netns"]
        name = netns["names"][0] if netns["names"] else \
            "host" if netns.get("host") else str(netns["id"])
        return name.encode("utf-8", "replace") + b"\n"

    def counted(self):
        return {**self.counts, "active": len(self.connections)}

    def withdraw(self, abort):
        self.withdrawn = True
        self.stop()
        for connection in list(self.connections):
            if abort:
                connection.abort()
            else:
                connection.drain()
        self.look_whether_released()

    def lose(self, connection):
        self.connections.discard(connection)
        self.look_whether_released()

    def look_whether_released(self):
        if self.withdrawn and not self.connections:
            self.berthd.release(self)


class Berthd:
    """The connection to berthd, and the listeners that came over it."""

    def __init__(self, path, takeover):
        self.path = path
        self.takeover = takeover
        self.listeners = {}
        self.sock = None
        self.outgoing = collections.deque()  # (message, descriptor's owner)
        self.welcome = False
        self.taken_over = False
        self.orphan_timer = None
        self.orphan_seconds = 60
        self.retry_seconds = RETRY_SECONDS[0]
        self.ended = asyncio.get_running_loop().create_future()

    # The connection

    def connect(self):
        """Connects and says hello; berthd answers `welcome` or `denied`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            self.retry()
            return
        self.sock = sock
        asyncio.get_running_loop().add_reader(sock, self.receive)
        hello = {"type": "hello", "version": VERSION,
                 "name": os.path.basename(sys.argv[0]),
                 "held": len(self.listeners)}
        if self.takeover:
            hello["takeover"] = True
        self.send(hello)

    def retry(self):
        pause, longest = self.retry_seconds, RETRY_SECONDS[1]
        self.retry_seconds = min(pause * 2, longest)
        asyncio.get_running_loop().call_later(pause, self.connect)

    def lost(self):
        """berthd is gone: what it gave is served on, and handed back to the
        next one. Nobody says meanwhile which namespaces are deleted, so this
        may not last for ever."""
        if not self.sock:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.sock)
        loop.remove_writer(self.sock)
        self.sock.close()
        self.sock = None
        self.outgoing.clear()
        self.welcome = False
        if not self.orphan_timer:
            self.orphan_timer = loop.call_later(self.orphan_seconds,
                                                self.withdraw_all)
        if not self.taken_over:
            self.retry()

    def end(self, status):
        if not self.ended.done():
            self.ended.set_result(status)

    # What is sent

    def send(self, message, owner=None):
        """The owner's socket goes with it, if it has one by then."""
        if self.sock:
            self.outgoing.append((message, owner))
            self.flush()

    def flush(self):
        loop = asyncio.get_running_loop()
        try:
            while self.outgoing:
                message, owner = self.outgoing[0]
                text = json.dumps(message).encode()
                if owner and owner.sock:
                    socket.send_fds(self.sock, [text], [owner.sock.fileno()])
                else:
                    self.sock.send(text)
                self.outgoing.popleft()
            loop.remove_writer(self.sock)
        except BlockingIOError:
            loop.add_writer(self.sock, self.flush)
        except OSError:
            self.lost()

    def hand_back(self):
        """Says what this process holds from an earlier berthd: each listener
        with its socket; those that were withdrawn already without."""
        for listener in self.listeners.values():
            members = listener.members
            message = {"type": "held", "id": listener.id,
                       "netns": members["netns"]["id"],
                       "rule": members.get("rule", ""), **listener.counted()}
            if listener.withdrawn:
                message["draining"] = True
            else:
                for name in ("protocol", "address", "port", "interface"):
                    message[name] = members[name]
            self.send(message, listener)
        for listener in list(self.listeners.values()):
            listener.look_whether_released()

    def release(self, listener):
        """Without a berthd to say it to it is said after the hand back."""
        if not self.welcome and not self.taken_over:
            return
        if self.listeners.pop(listener.id, None):
            self.send({"type": "released", "id": listener.id,
                       **listener.counted()})
        if self.taken_over and not self.listeners:
            self.end(0)

    # What berthd says

    def receive(self):
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                text, fds, _, _ = socket.recv_fds(self.sock, MESSAGE_MAX, 1)
            except BlockingIOError:
                return
            except OSError:
                text, fds = b"", []
            if not text:
                self.lost()
                return
            sock = socket.socket(fileno=fds[0]) if fds else None
            try:
                message = json.loads(text)
                handler = getattr(self, "on_" + message["type"], None)
            except (ValueError, KeyError, TypeError):
                message, handler = None, None
            if handler:
                sock = handler(message, sock)
            if sock:
                sock.close()
            if not self.sock:
                return

    # Each returns the socket if it did not take it.

    def on_welcome(self, message, sock):
        self.welcome = True
        self.takeover = False
        self.retry_seconds = RETRY_SECONDS[0]
        self.orphan_seconds = message["orphan_timeout_ms"] / 1000
        if self.orphan_timer:
            self.orphan_timer.cancel()
            self.orphan_timer = None
        self.hand_back()
        return sock

    def on_denied(self, message, sock):
        print(f"berthd: {message['error']}", file=sys.stderr)
        if message["reason"] != "busy" or not self.listeners:
            self.end(1)
        return sock

    def on_listener(self, message, sock):
        listener = self.listeners.get(message["id"])
        if listener:
            listener.members = message
            return sock
        if not sock or message["protocol"] not in ("tcp", "mptcp", "udp"):
            self.send({"type": "refused", "id": message["id"]})
            return sock
        self.listeners[message["id"]] = Listener(self, message, sock)
        return None

    def on_withdraw(self, message, sock):
        listener = self.listeners.get(message["id"])
        if listener:
            listener.withdraw(message.get("abort", False))
        else:
            self.send({"type": "released", "id": message["id"]})
        return sock

    def on_taken_over(self, _, sock):
        """Another process serves the listeners from now on; what was accepted
        here may finish."""
        self.taken_over = True
        for listener in list(self.listeners.values()):
            listener.withdraw(abort=False)
        if not self.listeners:
            self.end(0)
        return sock

    def on_stats(self, message, sock):
        """The answer, in datagrams that are small enough."""
        listeners = list(self.listeners.values())
        while True:
            part, listeners = listeners[:100], listeners[100:]
            self.send({"type": "stats", "request": message["request"],
                       "listeners": [{"id": listener.id, **listener.counted()}
                                     for listener in part],
                       **({"more": True} if listeners else {})})
            if not listeners:
                return sock

    # Time

    def withdraw_all(self):
        for listener in list(self.listeners.values()):
            listener.withdraw(abort=True)

    async def look_at_connections(self):
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for listener in list(self.listeners.values()):
                for connection in list(listener.connections):
                    connection.look(now)


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takeover", action="store_true",
                        help="instead of the one that runs")
    parser.add_argument("socket")
    args = parser.parse_args()
    berthd = Berthd(args.socket, args.takeover)
    berthd.connect()
    looking = asyncio.create_task(berthd.look_at_connections())
    status = await berthd.ended
    looking.cancel()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

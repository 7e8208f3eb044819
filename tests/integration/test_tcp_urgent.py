# SPDX-License-Identifier: Apache-2.0
"""test_tcp_urgent.py - urgent data are bytes of the stream like all others

A "break" of Oracle Net, an ABOR of FTP, a mark of telnet. recv(2) and
splice(2) stop at the mark, whatever is behind it.
"""

import errno
import os
import socket
import threading
import time

import pytest

from harness import process
from harness.netns import read_all, read_exactly
from harness.rules import ack, forward
from harness.traffic import pair, pattern, works
from harness.wait import GUARD, wait_for

BULK = 4 << 20  # the relay splices long before that
MANY = 20
WAITING = 128 << 10  # fits the buffers in between, whatever their size

BACKENDS = pytest.mark.parametrize("backend", ["tcp", "unix"])


@pytest.fixture
def netns(world):
    return world.netns("n")


def start(world, netns, backend, protocol="tcp", **options):
    """Return: a client and its backend's end."""
    if protocol == "mptcp" and not os.path.exists(
            "/proc/sys/net/mptcp/enabled"):
        pytest.skip("this kernel has no MPTCP")
    if backend == "unix":
        listening, path = world.unix_listen("backend.sock")
        target = f"unix:{path}"
    else:
        place = world.host
        if options:
            place = world.netns("back")
        listening = world.close_later(place.listen())
        target = f"127.0.0.1:{listening.getsockname()[1]}"
    world.berthd(forward(target, namespace="n", protocol=protocol,
                         options=options))
    wait_for(netns.listeners, "the listener")
    client, server = pair(netns, listening)
    world.close_later(client)
    world.close_later(server)
    assert works(client, server)
    return client, server


def send_urgent(sock, byte=b"!"):
    try:
        assert sock.send(byte, socket.MSG_OOB) == 1
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("UNIX sockets of this kernel have no urgent data")


def urgent_stream(sock, size):
    """Says size bytes, an urgent one, as many again. Return: all of it."""
    data = pattern(size, size)
    if size:
        sock.sendall(data)
    send_urgent(sock)
    if size:
        sock.sendall(data)
    return data + b"!" + data


@BACKENDS
@pytest.mark.parametrize("size", [0, 3, BULK], ids=["alone", "few", "bulk"])
@pytest.mark.parametrize("who", ["client", "backend"])
@pytest.mark.parametrize("then", ["silence", "end"])
def test_all_bytes_arrive(world, netns, backend, size, who, then):
    client, server = start(world, netns, backend)
    sender, receiver = (client, server) if who == "client" \
        else (server, client)
    expected = pattern(size, size) + b"!" + pattern(size, size)
    got = []
    reader = threading.Thread(
        target=lambda: got.append(read_exactly(receiver, len(expected))),
        daemon=True)
    reader.start()
    assert urgent_stream(sender, size) == expected
    reader.join(GUARD)
    assert got == [expected]
    if then == "end":
        sender.shutdown(socket.SHUT_WR)
        assert receiver.recv(1) == b""
    receiver.sendall(b"the other direction")
    assert read_exactly(sender, 19) == b"the other direction"


@BACKENDS
@pytest.mark.kernel
def test_end_right_behind_the_mark(world, netns, backend):
    """What splice(2) says at a mark, once the end is there, is the end."""
    client, server = start(world, netns, backend)
    data = pattern(BULK, "end")
    sender = threading.Thread(target=client.sendall, args=[data], daemon=True)
    sender.start()
    got = [read_exactly(server, BULK - WAITING)]
    sender.join(GUARD)
    assert not sender.is_alive()
    reader = threading.Thread(target=lambda: got.append(read_all(server)),
                              daemon=True)
    with process.stopped(netns_relay(world)):
        send_urgent(client)
        client.sendall(b"rest")
        client.shutdown(socket.SHUT_WR)
        reader.start()
    reader.join(GUARD)
    assert b"".join(got) == data + b"!rest"


def netns_relay(world):
    return world.daemons[0].relay_pid()


@BACKENDS
@pytest.mark.parametrize("who", ["client", "backend"])
def test_many_marks(world, netns, backend, who):
    """A new mark while the last one is not read yet, and several at a time
    for one who is slow."""
    client, server = start(world, netns, backend)
    sender, receiver = (client, server) if who == "client" \
        else (server, client)
    expected = b""
    for number in range(MANY):
        send_urgent(sender, bytes([number]))
        sender.sendall(b"then")
        send_urgent(sender, b"A")
        send_urgent(sender, b"B")
        expected += bytes([number]) + b"thenAB"
        if number % 5 == 0:
            assert read_exactly(receiver, len(expected)) == expected
            expected = b""
    sender.shutdown(socket.SHUT_WR)
    assert read_all(receiver) == expected


@pytest.mark.kernel
@pytest.mark.parametrize("size", [3, BULK], ids=["few", "bulk"])
def test_mptcp_listener_and_a_plain_client(world, netns, size):
    """Urgent data do not exist in MPTCP itself."""
    client, server = start(world, netns, "tcp", protocol="mptcp")
    talk = []
    reader = threading.Thread(target=lambda: talk.append(read_all(server)),
                              daemon=True)
    reader.start()
    expected = urgent_stream(client, size)
    client.shutdown(socket.SHUT_WR)
    reader.join(GUARD)
    assert talk == [expected]


@pytest.mark.parametrize("who", ["client", "backend"])
def test_backend_in_another_namespace(world, netns, who):
    client, server = start(world, netns, "tcp", namespace="back")
    sender, receiver = (client, server) if who == "client" \
        else (server, client)
    expected = urgent_stream(sender, 3)
    assert read_exactly(receiver, len(expected)) == expected


@pytest.mark.kernel
@pytest.mark.parametrize("size", [0, 3, BULK], ids=["alone", "few", "bulk"])
def test_echo(world, netns, size):
    world.berthd(ack(respond="echo"))
    with netns.connect("127.0.0.1", 8080) as client:
        expected = pattern(size, size) + b"!" + pattern(size, size)
        got = []
        reader = threading.Thread(
            target=lambda: got.append(read_exactly(client, len(expected))),
            daemon=True)
        reader.start()
        urgent_stream(client, size)
        reader.join(GUARD)
        assert got == [expected]
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


@pytest.mark.parametrize("respond", ["discard", "ack"])
def test_what_is_dropped_does_not_hold_up_the_end(world, netns, respond):
    world.berthd(ack(respond=respond))
    with netns.connect("127.0.0.1", 8080) as client:
        urgent_stream(client, 100)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == (b"ack" if respond == "ack" else b"")


@BACKENDS
def test_mark_costs_no_cpu(world, netns, backend):
    """Neither when it was passed on, nor while the receiver takes nothing."""
    client, server = start(world, netns, backend)
    urgent_stream(client, 3)
    assert len(read_exactly(server, 7)) == 7
    client.setblocking(False)
    try:
        while True:
            client.send(b"x" * 65536)
    except BlockingIOError:
        pass
    relay = netns_relay(world)
    before = process.cpu_seconds(relay)
    time.sleep(0.5)
    assert process.cpu_seconds(relay) - before < 0.2

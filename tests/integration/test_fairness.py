# SPDX-License-Identifier: Apache-2.0
"""test_fairness.py - one namespace cannot take what all namespaces share.

A container that asks for all it can get, by whatever protocol, and another
one beside it, which must be served as before.
"""

import resource
import select
import socket

import pytest

from harness import process
from harness.netns import read_exactly
from harness.rules import rule, rules
from harness.traffic import echo_backend
from harness.wait import wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM
UDP_PORTS = (5000, 5001, 5002, 5003)


@pytest.fixture
def datagrams(world):
    """A backend that reads what it gets when it is told to."""
    return world.close_later(world.host.listen(kind=DGRAM))


def to(sock):
    return f"127.0.0.1:{sock.getsockname()[1]}"


def udp_client(world, netns, port):
    sock = world.close_later(netns.new_socket(socket.AF_INET, DGRAM))
    sock.connect(("127.0.0.1", port))
    return sock


def answered(client, backend):
    """Asks until the backend has heard it, and answers."""
    def heard():
        client.send(b"question")
        while select.select([backend], [], [], 0.1)[0]:
            data, session = backend.recvfrom(100)
            if data == b"question":
                return session
        return None

    backend.sendto(b"answer", wait_for(heard, "the question"))
    return client.recv(100) == b"answer"


def limited(berthd, name):
    """How often a limit stopped the clients of one rule."""
    shown = berthd.ctl("stats")["rules"]
    return next(row["counters"]["limited"] for row in shown
                if row["name"] == name)


def test_sessions_count_with_connections(world, datagrams):
    """As many UDP sessions as one namespace can get and beside them as many
    connections: half of the descriptors is its own, a part of them never its
    sessions', and another namespace is served at once by both protocols."""
    backend = echo_backend(world)
    one, other = world.netns("one"), world.netns("other")
    berthd = world.berthd(
        rules(rule(name="t", port=8080,
                   forward={"to": f"127.0.0.1:{backend.port}",
                            "max_connections": 1000}),
              *(rule(name=name, namespace=name, protocol="udp",
                     port="5000-5003",
                     forward={"to": to(datagrams), "max_connections": 1000})
                for name in ("one", "other"))),
        args=["--workers", "2"], limits={resource.RLIMIT_NOFILE: (512, 512)})
    old = udp_client(world, other, 5000)
    assert answered(old, datagrams)
    relay = berthd.relay_pid()

    def taken():
        return len(process.descriptors(relay)) - before

    before = 0
    before = taken()
    for i in range(400):
        udp_client(world, one, UDP_PORTS[i % len(UDP_PORTS)]).send(b"x")
    sessions = process.steady(taken, 0.5)
    # 512 less a quarter for listeners and 26 fixed: half of it, and three
    # quarters of that.
    assert 90 <= sessions <= 140, sessions
    clients = []
    for _ in range(200):
        client = world.close_later(one.new_socket())
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", 8080))
        clients.append(client)
    used = process.steady(taken, 0.5)
    assert sessions + 20 <= used <= 190, (sessions, used)
    with other.connect("127.0.0.1", 8080) as client:
        client.sendall(b"ping")
        assert read_exactly(client, 4) == b"ping"
    # Its session is the oldest of all, and was not ended for others.
    assert answered(old, datagrams)
    assert answered(udp_client(world, other, 5001), datagrams)
    assert limited(berthd, "other") == 0
    assert limited(berthd, "one") > 0

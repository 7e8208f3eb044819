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
from harness.wait import wait_for

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


# Local ports

FIRST_PORT, N_PORTS = 40000, 400


@pytest.fixture
def few_ports(world):
    """The host has 400 local ports, an eighth of which berth leaves alone."""
    with open("/proc/sys/net/ipv4/ip_local_port_range",
              encoding="ascii") as file:
        world.defer(world.host.sysctl, "net.ipv4.ip_local_port_range",
                    file.read())
    world.host.sysctl("net.ipv4.ip_local_port_range",
                      f"{FIRST_PORT} {FIRST_PORT + N_PORTS - 1}")


def greedy_and_modest(world, datagrams):
    """One namespace has 150 sessions by four listeners and asks for more."""
    one, other = world.netns("one"), world.netns("other")
    berthd = world.berthd(
        rules(*(rule(name=name, namespace=name, protocol="udp",
                     port="5000-5003", forward={"to": to(datagrams)})
                for name in ("one", "other"))),
        args=["--workers", "2"])
    for i in range(N_PORTS):
        udp_client(world, one, UDP_PORTS[i % len(UDP_PORTS)]).send(b"x")
    wait_for(lambda: limited(berthd, "one") > 0, "its own sessions to end")
    return berthd, other


def host_takes_ports(world):
    """Programs of the host take all that there are. Return: how many."""
    n = 0
    while True:
        sock = world.close_later(world.host.new_socket(kind=DGRAM))
        try:
            sock.connect(("127.0.0.1", 9))
        except BlockingIOError:
            return n
        n += 1


def test_sessions_leave_local_ports(world, few_ports, datagrams):
    """One namespace that wants them all has half; another one and programs of
    the host find some."""
    berthd, other = greedy_and_modest(world, datagrams)
    for port in UDP_PORTS:
        assert answered(udp_client(world, other, port), datagrams)
    assert limited(berthd, "other") == 0
    assert host_takes_ports(world) > N_PORTS // 3


def test_greediest_gives_way_when_ports_are_out(world, few_ports, datagrams):
    """Programs of the host have all the local ports that one namespace's
    sessions have not. It gives some to another one, whichever worker serves
    that, and to the host."""
    berthd, other = greedy_and_modest(world, datagrams)
    before = limited(berthd, "one")
    host_takes_ports(world)
    for port in UDP_PORTS:
        assert answered(udp_client(world, other, port), datagrams)
    assert limited(berthd, "one") > before
    assert limited(berthd, "other") == 0
    with world.host.new_socket(kind=DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))


def test_log_names_ports(world, few_ports, datagrams):
    """With no session to give way, the log says what is short."""
    netns = world.netns("one")
    berthd = world.berthd(rules(rule(protocol="udp", port=5000,
                                     forward={"to": to(datagrams)})))
    host_takes_ports(world)
    udp_client(world, netns, 5000).send(b"x")
    berthd.wait_log("no session; dropping datagrams: no local port is left")

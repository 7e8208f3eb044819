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
from harness.traffic import echo_backend, ended, reset
from harness.wait import GUARD, wait_equal, wait_for

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
    """Asks until the backend has heard it, and answers. Another client's
    question, asked more than once, may still lie there."""
    question = b"question %d" % client.getsockname()[1]

    def heard():
        client.send(question)
        while select.select([backend], [], [], 0.1)[0]:
            data, session = backend.recvfrom(100)
            if data == question:
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


# Waiting for a backend

def start_clients(world, netns, number, data):
    """Clients that are connected to the relay, or wait in its backlog."""
    clients = []
    for _ in range(number):
        client = world.close_later(netns.new_socket())
        client.connect(("127.0.0.1", 8080))
        client.sendall(data)
        clients.append(client)
    return clients


def next_client(backend):
    """Who is next: what it says first, and its connection."""
    server = backend.accept()[0]
    server.settimeout(GUARD)
    return read_exactly(server, 4), server


def test_full_backlog_is_shared(world):
    """A UNIX backend whose backlog is full: clients that wait are taken in
    order, those of another namespace in turn and not behind hundreds, and
    nothing that they said is lost."""
    backend, path = world.unix_listen("full", backlog=0)
    one, other = world.netns("one"), world.netns("other")
    berthd = world.berthd(
        rules(rule(forward={"to": f"unix:{path}"})),
        args=["--workers", "1"])

    def active():
        return sum(row["counters"]["active"]
                   for row in berthd.ctl("stats")["rules"])

    start_clients(world, one, 200, b"many")
    wait_equal(active, 200, "all of them to wait")
    start_clients(world, other, 2, b"few.")
    wait_equal(active, 202, "those as well")
    came = []
    for _ in range(202):
        name, server = next_client(backend)
        came.append(name)
        server.close()
    assert came.count(b"many") == 200
    # One is in the backlog before any of the others come, another one may be
    # on its way.
    assert all(i < 8 for i, name in enumerate(came) if name == b"few."), came


def test_clients_that_leave_the_queue(world):
    """A client that is reset while it waits is forgotten, a timeout ends the
    others, and who comes then is served."""
    backend, path = world.unix_listen("full", backlog=0)
    netns = world.netns("one")
    berthd = world.berthd(
        rules(rule(forward={"to": f"unix:{path}",
                            "connect_timeout": "500ms"})))
    first = start_clients(world, netns, 1, b"1st.")[0]
    # Only then is the backend full for all others.
    wait_equal(lambda: [row["state"] for row in
                        berthd.ctl("connections")["connections"]],
               ["open"], "the first one to have the place in the backlog")
    patient = start_clients(world, netns, 10, b"wait")
    for client in start_clients(world, netns, 10, b"gone"):
        reset(client)
    for client in patient:
        assert ended(client)
    assert next_client(backend)[0] == b"1st."
    last = start_clients(world, netns, 1, b"last")[0]
    assert next_client(backend)[0] == b"last"
    for client in (first, last):
        client.close()
    wait_equal(lambda: berthd.ctl("stats")["total"]["active"], 0,
               "nothing to be left")


def test_connections_wait_for_local_ports(world, few_ports):
    """One namespace wants more connections to one backend than there are
    local ports. It gets half, the rest waits; another namespace is served at
    once, and those that wait are when others end."""
    echo = echo_backend(world)
    one, other = world.netns("one"), world.netns("other")
    berthd = world.berthd(rules(*(
        rule(name=f"r{port}", port=port,
             forward={"to": f"127.0.0.1:{echo.port}",
                      "max_connections": 1000}) for port in (8080, 8081))))

    def served():
        return [client for client in clients
                if select.select([client], [], [], 0)[0]]

    clients = []
    for i in range(N_PORTS):
        client = world.close_later(one.new_socket())
        client.connect(("127.0.0.1", 8080 + i % 2))
        client.sendall(b"x")
        clients.append(client)
    count = process.steady(lambda: len(served()), 0.5)
    assert N_PORTS // 4 <= count <= N_PORTS // 2, count
    berthd.wait_log("no local port is left, or its namespace has its share")
    for _ in range(20):
        with other.connect("127.0.0.1", 8080) as client:
            client.sendall(b"ping")
            assert read_exactly(client, 4) == b"ping"
    while clients:
        ready = wait_for(served, f"answers for {len(clients)} that wait")
        for client in ready:
            assert client.recv(10) == b"x", "cut off"
            clients.remove(client)
            client.close()

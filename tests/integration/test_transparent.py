# SPDX-License-Identifier: Apache-2.0
"""test_transparent.py - the backend sees the client's address.

Its answers are addressed to the client, so routing must bring them to the
relay: here by a rule that takes all that comes from the backend's side for
local, which is what an administrator has to set up.
"""

import socket

import pytest

from harness import process
from harness.rules import forward
from harness.traffic import ended, exchange, pattern, reset, works
from harness.wait import GUARD, wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM

SIDES = {
    "ipv4": {"client": "10.1.0.2", "gateway": "10.1.0.1", "bits": 24,
             "server": "10.2.0.2", "near": "10.2.0.1", "all": "0.0.0.0/0"},
    "ipv6": {"client": "fd01::2", "gateway": "fd01::1", "bits": 64,
             "server": "fd02::2", "near": "fd02::1", "all": "::/0"},
}


def to(backend):
    host, port = backend.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Setup:
    """client -veth- host -veth- server, in both families."""

    def __init__(self, world):
        self.client = world.netns("client")
        self.server = world.netns("server")
        world.veth(self.client, "eth0", world.host, "tp-c", dad=False)
        world.veth(self.server, "eth0", world.host, "tp-s", dad=False)
        for side in SIDES.values():
            bits = side["bits"]
            self.client.addr_add(f"{side['client']}/{bits}", "eth0")
            world.host.addr_add(f"{side['gateway']}/{bits}", "tp-c")
            self.server.addr_add(f"{side['server']}/{bits}", "eth0")
            world.host.addr_add(f"{side['near']}/{bits}", "tp-s")
            version = "-6" if ":" in side["all"] else "-4"
            self.server.ip(version, "route", "add", "default", "via",
                           side["near"])
            world.host.ip(version, "rule", "add", "iif", "tp-s", "lookup",
                          "100")
            world.defer(world.host.ip, version, "rule", "del", "iif", "tp-s",
                        "lookup", "100")
            world.host.ip(version, "route", "add", "local", side["all"],
                          "dev", "lo", "table", "100")
            world.defer(world.host.ip, version, "route", "flush", "table",
                        "100")

        # Nobody is asked for a neighbour before its link has an address.
        wait_for(lambda: not any(
            address.get("tentative") for place in (
                self.client, self.server, world.host)
            for address in place.addresses()), "duplicates to be looked for")

    def connect(self, backend, side):
        """A client, its backend connection, and whom that one sees."""
        client = self.client.connect(side["client"], 8080)
        server, peer = backend.accept()
        server.settimeout(15)
        return client, server, peer[0]


@pytest.fixture
def setup(world):
    return Setup(world)


@pytest.mark.parametrize("family", SIDES)
def test_backend_sees_the_client(world, setup, family):
    side = SIDES[family]
    backend = world.close_later(setup.server.listen(side["server"]))
    berthd = world.berthd(forward(to(backend), namespace="client",
                                  options={"transparent": True}))
    wait_for(setup.client.listeners, "the listener")
    berthd.wait_delivered()
    idle = process.steady(berthd.relay_descriptors)
    for _ in range(5):
        client, server, seen = setup.connect(backend, side)
        with client, server:
            assert seen == side["client"]
            assert works(client, server)
    client, server, seen = setup.connect(backend, side)
    with client, server:
        up, down = pattern(4 << 20, "up"), pattern(4 << 20, "down")
        assert exchange(client, up, server, down) == (down, up)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_client_that_is_gone_is_no_failure(world, setup):
    """It reset its connection before it was accepted: whom to stand in for
    is not known any more, and no backend is to blame."""
    backend = world.close_later(setup.server.listen("10.2.0.2"))
    berthd = world.berthd(forward([to(backend), "10.2.0.2:9"],
                                  namespace="client",
                                  options={"transparent": True}),
                          args=["--workers", "1"])
    wait_for(setup.client.listeners, "the listener")
    berthd.wait_delivered()
    with process.stopped(berthd.relay_pid()):
        for _ in range(3):
            reset(setup.client.connect("10.1.0.2", 8080))

    def counters():
        return berthd.ctl("stats")["total"]

    wait_for(lambda: counters()["accepted"] == 3, "them to be accepted")
    wait_equal(lambda: counters()["active"], 0, "them to be ended")
    assert counters()["failed"] == 0
    assert "cannot connect" not in berthd.log()
    backend.setblocking(False)
    with pytest.raises(BlockingIOError):
        backend.accept()


def test_in_another_namespace(world, setup):
    """The backend's own kernel sees the client's address as one of its own
    host's, when it is told to."""
    backend = world.close_later(setup.server.listen("10.2.0.2"))
    setup.server.ip("route", "add", "local", "10.1.0.0/24", "dev", "lo")
    world.berthd(forward(to(backend), namespace="client",
                         options={"transparent": True,
                                  "namespace": "server"}))
    wait_for(setup.client.listeners, "the listener")
    client, server, seen = setup.connect(backend, SIDES["ipv4"])
    with client, server:
        assert seen == "10.1.0.2"
        assert works(client, server)
        setup.server.delete()
        assert ended(client)


def test_with_a_proxy_header(world, setup):
    backend = world.close_later(setup.server.listen("10.2.0.2"))
    world.berthd(forward(to(backend), namespace="client",
                         options={"transparent": True,
                                  "proxy_protocol": "v1"}))
    wait_for(setup.client.listeners, "the listener")
    client, server, seen = setup.connect(backend, SIDES["ipv4"])
    with client, server:
        assert seen == "10.1.0.2"
        line = f"PROXY TCP4 10.1.0.2 10.1.0.2 {client.getsockname()[1]} 8080"
        assert server.recv(200) == line.encode() + b"\r\n"


def test_without_it_the_backend_sees_the_host(world, setup):
    backend = world.close_later(setup.server.listen("10.2.0.2"))
    world.berthd(forward(to(backend), namespace="client"))
    wait_for(setup.client.listeners, "the listener")
    client, server, seen = setup.connect(backend, SIDES["ipv4"])
    with client, server:
        assert seen == "10.2.0.1"


def test_client_of_the_other_family(world, setup):
    """It has no address that an IPv4 backend could see: the next backend of
    its family gets it, and without one it is turned away, with the reason."""
    four = world.close_later(setup.server.listen("10.2.0.2"))
    berthd = world.berthd(forward(to(four), namespace="client",
                                  options={"transparent": True}))
    wait_for(setup.client.listeners, "the listener")
    with pytest.raises(ConnectionResetError):
        setup.client.ask("fd01::2", 8080, b"x")
    berthd.wait_log("Address family not supported")
    # It is not held against the backend.
    client, server, seen = setup.connect(four, SIDES["ipv4"])
    with client, server:
        assert seen == "10.1.0.2"
    six = world.close_later(setup.server.listen("fd02::2"))
    berthd.write_rules("50-test.yaml", forward(
        [to(four), to(six)], namespace="client",
        options={"transparent": True}))
    berthd.wait_log("1 rule in force", after=len(berthd.log()) - 200)

    def seen_by_six():
        six.settimeout(0.5)
        try:
            client = setup.client.connect("fd01::2", 8080)
            with client, six.accept()[0] as server:
                return server.getpeername()[0] == "fd01::2"
        except (TimeoutError, ConnectionError):
            return False

    wait_for(seen_by_six, "the IPv6 backend to be chosen")


# Datagrams come from the client's port, too


def udp_rule(to, **options):
    return forward(to, namespace="client", protocol="udp",
                   options=dict({"transparent": True}, **options))


def udp_backend(world, setup, address="10.2.0.2"):
    return world.close_later(setup.server.listen(address, kind=DGRAM))


def udp_client(world, setup, address="10.1.0.2", port=0):
    """The address that it speaks from is the one that it speaks to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = world.close_later(setup.client.new_socket(family, DGRAM))
    sock.settimeout(GUARD)
    sock.bind((address, port))
    sock.connect((address, 8080))
    return sock


def udp_asks(client, backend, data=b"ping"):
    """Return: whom the backend sees."""
    client.send(data)
    got, peer = backend.recvfrom(1 << 16)
    assert got.endswith(data)
    backend.sendto(data[::-1], peer)
    assert client.recv(1 << 16) == data[::-1]
    return peer[:2]


def udp_refused(berthd, client, error):
    """No backend gets it; it is counted, and why."""
    before = berthd.ctl("stats")["total"]
    client.send(b"refused")

    def counted():
        now = berthd.ctl("stats")["total"]
        return (now["dropped"] - before["dropped"],
                error in [row["error"] for row in now["errors"]])

    wait_equal(counted, (1, True), f"one dropped, and {error}")


@pytest.mark.parametrize("family", SIDES)
def test_datagrams_come_from_the_client(world, setup, family):
    side = SIDES[family]
    backend = udp_backend(world, setup, side["server"])
    berthd = world.berthd(udp_rule(to(backend), idle_timeout="2s"))
    idle = berthd.idle_relay_descriptors()
    clients = [udp_client(world, setup, side["client"]) for _ in range(5)]
    for _ in range(2):
        for client in clients:
            assert udp_asks(client, backend) == client.getsockname()[:2]
    for size in (0, 1, 1400, 9000, 65507):
        udp_asks(clients[0], backend, b"d" * size)
    # And once more when the session is gone, and its port free again.
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    for client in clients:
        assert udp_asks(client, backend) == client.getsockname()[:2]


def test_datagrams_in_another_namespace(world, setup):
    """The ports that need a privilege are that namespace's affair."""
    backend = udp_backend(world, setup)
    setup.server.ip("route", "add", "local", "10.1.0.0/24", "dev", "lo")
    berthd = world.berthd(udp_rule(to(backend), namespace="server"))
    berthd.wait_delivered()
    client = udp_client(world, setup)
    assert udp_asks(client, backend) == client.getsockname()
    low = udp_client(world, setup, port=123)
    udp_refused(berthd, low, "EACCES")
    setup.server.sysctl("net.ipv4.ip_unprivileged_port_start", 123)
    assert udp_asks(low, backend) == ("10.1.0.2", 123)
    idle = berthd.relay_descriptors()
    setup.server.delete()
    wait_equal(berthd.relay_descriptors, idle - 2, "its sockets to be gone")


def test_datagrams_with_a_proxy_header(world, setup):
    backend = udp_backend(world, setup)
    berthd = world.berthd(udp_rule(to(backend), proxy_protocol="v2"))
    berthd.wait_delivered()
    client = udp_client(world, setup)
    client.send(b"payload")
    got, peer = backend.recvfrom(1000)
    assert got.startswith(b"\r\n\r\n\0\r\nQUIT\n")
    assert got.endswith(b"payload")
    assert peer == client.getsockname()


def test_port_that_somebody_has(world, setup):
    """No other port is taken instead; when it is free it is the client's."""
    backend = udp_backend(world, setup)
    berthd = world.berthd(udp_rule(to(backend)))
    berthd.wait_delivered()
    client = udp_client(world, setup)
    port = client.getsockname()[1]
    with world.host.listen("0.0.0.0", port=port, kind=DGRAM):
        udp_refused(berthd, client, "EADDRINUSE")
    assert udp_asks(client, backend) == ("10.1.0.2", port)


def test_one_port_and_two_services(world, setup):
    """A client's second conversation from the same port is not mixed up with
    the first: it has none."""
    setup.client.addr_add("10.1.0.3/24", "eth0")
    backend = udp_backend(world, setup)
    berthd = world.berthd(udp_rule(to(backend)))
    berthd.wait_delivered()
    client = udp_client(world, setup)
    assert udp_asks(client, backend) == client.getsockname()
    client.connect(("10.1.0.3", 8080))
    udp_refused(berthd, client, "EADDRINUSE")
    client.connect(("10.1.0.2", 8080))
    assert udp_asks(client, backend) == client.getsockname()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_nobody_is_the_hosts_own_loopback(world, setup, address):
    """A container could choose among its ports."""
    backend = udp_backend(world, setup,
                          "10.2.0.2" if address[0] == "1" else "fd02::2")
    berthd = world.berthd(udp_rule(to(backend)))
    berthd.wait_delivered()
    udp_refused(berthd, udp_client(world, setup, address), "EADDRNOTAVAIL")


def test_datagrams_of_the_other_family(world, setup):
    four = udp_backend(world, setup)
    berthd = world.berthd(udp_rule(to(four)))
    berthd.wait_delivered()
    client = udp_client(world, setup, "fd01::2")
    udp_refused(berthd, client, "EAFNOSUPPORT")
    # It is not held against the backend.
    other = udp_client(world, setup)
    assert udp_asks(other, four) == other.getsockname()
    six = udp_backend(world, setup, "fd02::2")
    six.settimeout(0.2)
    berthd.write_rules("50-test.yaml", udp_rule([to(four), to(six)]))

    def reached():
        client.send(b"six?")
        try:
            return six.recvfrom(100)[1][:2] == client.getsockname()[:2]
        except socket.timeout:
            return False

    wait_for(reached, "the IPv6 backend to be chosen")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_connections_of_the_loopback(world, address):
    """A client on its own one is not one on the backend's."""
    netns = world.netns("client")
    backend = world.close_later(world.host.listen(address))
    berthd = world.berthd(forward(to(backend), namespace="client",
                                  options={"transparent": True}))
    wait_for(netns.listeners, "the listener")
    with pytest.raises(ConnectionResetError):
        netns.ask(address, 8080, b"x")
    berthd.wait_log("Cannot assign requested address; resetting")


def test_path_is_refused(world):
    netns = world.netns("n")
    berthd = world.berthd(forward("unix:/run/x",
                                  options={"transparent": True}))
    assert "from the client's address" in berthd.log()
    assert netns.listeners() == set()


def test_the_relay_cannot_do_it_alone(world):
    """What makes it possible is berthd's: the relay has no capability."""
    world.netns("n")
    berthd = world.berthd(forward("127.0.0.1:1"))
    caps = process.status(berthd.relay_pid(), "CapEff")
    assert int(caps, 16) == 0

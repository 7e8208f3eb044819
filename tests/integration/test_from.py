# SPDX-License-Identifier: Apache-2.0
"""test_from.py - connecting to backends from an address of the rule's."""

import socket

import pytest

from harness.rules import forward
from harness.traffic import ended, works
from harness.wait import GUARD, wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM

# Of the backend's namespace: the backend, one to connect from, one that comes
# later.
SIDES = {
    "ipv4": ("10.77.0.1", "10.77.0.2", "10.77.0.3", 32),
    "ipv6": ("fd77::1", "fd77::2", "fd77::3", 128),
}


def to(backend):
    host, port = backend.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Setup:
    """A client's namespace, and a backend's with addresses of both families."""

    def __init__(self, world):
        self.world = world
        self.client = world.netns("client")
        self.server = world.netns("server")
        for server, source, _, bits in SIDES.values():
            for address in (server, source):
                self.server.addr_add(f"{address}/{bits}", "lo", "nodad")

    def backend(self, address, kind=socket.SOCK_STREAM):
        return self.world.close_later(self.server.listen(address, kind=kind))

    def rule(self, backends, sources, **more):
        return forward(backends, namespace="client", options={
            "from": sources, "namespace": "server"}, **more)

    def seen(self, backend):
        """Whom the backend sees in a new connection that works."""
        with self.client.connect("127.0.0.1", 8080) as client:
            server, peer = backend.accept()
            with server:
                assert works(client, server)
                return peer[0]

    def udp_client(self):
        sock = self.world.close_later(
            self.client.new_socket(socket.AF_INET, DGRAM))
        sock.settimeout(GUARD)
        sock.connect(("127.0.0.1", 8080))
        return sock

    def turned_away(self):
        try:
            with self.client.connect("127.0.0.1", 8080) as client:
                return ended(client)
        except ConnectionError:
            return True


@pytest.fixture
def setup(world):
    return Setup(world)


@pytest.mark.parametrize("family", SIDES)
def test_connections(world, setup, family):
    """Many at a time: a port is not taken for one destination only."""
    address, source, _, _ = SIDES[family]
    backend = setup.backend(address)
    berthd = world.berthd(setup.rule(to(backend), source))
    berthd.wait_delivered()
    idle = berthd.idle_relay_descriptors()
    for _ in range(5):
        assert setup.seen(backend) == source
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_one_address_of_each_family(world, setup):
    """The backend's family decides, whatever the client's."""
    sources = [side[1] for side in SIDES.values()]
    backends = [setup.backend(side[0]) for side in SIDES.values()]
    berthd = world.berthd(setup.rule([to(b) for b in backends], sources))
    berthd.wait_delivered()
    for _ in range(2):
        clients = [world.close_later(setup.client.connect("127.0.0.1", 8080))
                   for _ in backends]
        for backend, source in zip(backends, sources):
            server, peer = backend.accept()
            world.close_later(server)
            assert peer[0] == source
        del clients


@pytest.mark.parametrize("family", SIDES)
def test_datagrams(world, setup, family):
    address, source, _, _ = SIDES[family]
    backend = setup.backend(address, DGRAM)
    berthd = world.berthd(setup.rule(to(backend), source, protocol="udp"))
    berthd.wait_delivered()
    ports = set()
    for client in [setup.udp_client() for _ in range(5)]:
        client.send(b"ping")
        data, peer = backend.recvfrom(100)
        assert (data, peer[0]) == (b"ping", source)
        ports.add(peer[1])
        backend.sendto(b"pong", peer)
        assert client.recv(100) == b"pong"
    assert len(ports) == 5


def test_in_the_hosts_own_namespace(world):
    """Without `namespace`: a loopback address has a subnet of neighbours."""
    netns = world.netns("client")
    backend = world.close_later(world.host.listen("127.0.0.1"))
    berthd = world.berthd(forward(to(backend), namespace="client",
                                  options={"from": "127.9.8.7"}))
    berthd.wait_delivered()
    with netns.connect("127.0.0.1", 8080) as client:
        server, peer = backend.accept()
        with server:
            assert works(client, server)
            assert peer[0] == "127.9.8.7"


@pytest.mark.parametrize("family", SIDES)
def test_address_that_is_not_there(world, setup, family):
    """It is said which, counted, and not held against the backend."""
    address, _, later, bits = SIDES[family]
    backend = setup.backend(address)
    berthd = world.berthd(setup.rule(to(backend), later))
    berthd.wait_delivered()
    assert setup.turned_away()
    berthd.wait_log(f"in 'server' from {later}: Cannot assign requested "
                    "address; resetting the client")
    wait_for(lambda: "EADDRNOTAVAIL" in [
        row["error"] for row in berthd.ctl("stats")["total"]["errors"]],
        "the error to be counted")
    setup.server.addr_add(f"{later}/{bits}", "lo", "nodad")
    assert setup.seen(backend) == later


def test_datagrams_without_the_address(world, setup):
    address, _, later, bits = SIDES["ipv4"]
    backend = setup.backend(address, DGRAM)
    berthd = world.berthd(setup.rule(to(backend), later, protocol="udp"))
    berthd.wait_delivered()
    client = setup.udp_client()
    client.send(b"lost")
    berthd.wait_log(f"from {later}; dropping datagrams: Cannot assign")
    setup.server.addr_add(f"{later}/{bits}", "lo", "nodad")
    backend.settimeout(0.2)

    def heard():
        client.send(b"ping")
        try:
            return backend.recvfrom(100)[1][0] == later
        except socket.timeout:
            return False

    wait_for(heard, "the backend to hear")


def test_change_by_a_reload(world, setup):
    """Connections that are there go on; new ones come from the other."""
    address, source, later, bits = SIDES["ipv4"]
    setup.server.addr_add(f"{later}/{bits}", "lo")
    backend = setup.backend(address)
    berthd = world.berthd(setup.rule(to(backend), source))
    berthd.wait_delivered()
    with setup.client.connect("127.0.0.1", 8080) as client:
        server, _ = backend.accept()
        with server:
            berthd.write_rules("50-test.yaml",
                               setup.rule(to(backend), later))
            wait_for(lambda: setup.seen(backend) == later,
                     "the other address")
            assert works(client, server)

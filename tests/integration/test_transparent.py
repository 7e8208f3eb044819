# SPDX-License-Identifier: Apache-2.0
"""test_transparent.py - the backend sees the client's address.

Its answers are addressed to the client, so routing must bring them to the
relay: here by a rule that takes all that comes from the backend's side for
local, which is what an administrator has to set up.
"""

import pytest

from harness import process
from harness.rules import forward
from harness.traffic import ended, exchange, pattern, works
from harness.wait import wait_equal, wait_for

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
        world.veth(self.client, "eth0", world.host, "tp-c")
        world.veth(self.server, "eth0", world.host, "tp-s")
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


def test_udp_is_refused_clearly(world):
    netns = world.netns("n")
    berthd = world.berthd(forward("127.0.0.1:53", protocol="udp",
                                  options={"transparent": True}))
    row = berthd.wait_state(netns.cookie(), "refused", protocol="udp")
    assert "transparent" in row["reason"]


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

# SPDX-License-Identifier: Apache-2.0
"""test_sctp_paths.py - from which addresses, and to which, a backend's
association goes"""
import pytest

import sctp
from harness.rules import forward
from harness.wait import wait_equal
from test_sctp import BOTH, works

pytestmark = pytest.mark.kernel


class Backend:
    """A server, and the place that is connected from, on one network; there
    the latter has another address, too, which means somebody else to the
    server."""

    def __init__(self, world, place, network):
        near, self.far, elsewhere = network
        self.source = near.split("/", 1)[0]
        self.address = self.far.split("/", 1)[0]
        self.server = world.netns("server")
        world.veth(self.server, "eth0", place, "bk")
        for address in (near, elsewhere):
            place.addr_add(address, "bk")
        self.server.addr_add(self.far, "eth0")
        self.server.addr_add(elsewhere, "lo")
        self.socket = world.close_later(sctp.listen(self.server,
                                                    self.address, 5000))
        host = f"[{self.address}]" if ":" in self.address else self.address
        self.to = f"sctp://{host}:5000"


NETWORKS = [("10.67.7.1/24", "10.67.7.2/24", "172.17.0.1/16"),
            ("fd67:7::1/64", "fd67:7::2/64", "fd17::1/64")]


@pytest.mark.parametrize("protocol,where,network", [
    ("sctp", "host", 0), ("sctp-seqpacket", "host", 1),
    ("sctp", "back", 1), ("sctp-seqpacket", "back", 0)])
def test_announces_the_routed_address_only(  # pylint: disable=R0913,R0917
        world, front, back, protocol, network, where):
    """And no other of its namespace, where the peer may have a neighbour of
    the same address that aborts what it does not know."""
    options = {"namespace": "back"} if where == "back" else {}
    place = back if where == "back" else world.host
    backend = Backend(world, place, NETWORKS[network])
    world.berthd(forward(backend.to, namespace="front", protocol=protocol,
                         options=options))
    with sctp.connect(front) as client, backend.socket.accept()[0] as server:
        assert works(client, server)
        assert sctp.peer_addresses(server) == {backend.source}


@BOTH
def test_no_route(world, front, protocol):
    """Is told as what it is."""
    berthd = world.berthd(forward("sctp://192.0.2.1:5000", protocol=protocol,
                                  namespace="front"))
    berthd.wait_delivered()
    assert sctp.is_turned_away(front)
    berthd.wait_log("cannot connect to 'sctp://192.0.2.1:5000': Network is "
                    "unreachable; aborting")


class TwoNetworks:
    """A server that is reached on two networks, which the first does not
    answer on."""

    def __init__(self, world, place, families):
        self.server = world.netns("server")
        self.places = []
        for number, version in enumerate(families, 1):
            # All global: SCTP tells no private address to a global one.
            near, far = {
                4: (f"203.0.113.{16 * number + 1}/28",
                    f"203.0.113.{16 * number + 2}/28"),
                6: (f"fd67:{number}::1/64", f"fd67:{number}::2/64"),
            }[version]
            world.veth(self.server, f"eth{number}", place, f"bk{number}")
            place.addr_add(near, f"bk{number}")
            self.server.addr_add(far, f"eth{number}")
            self.places.append((near.split("/")[0], far.split("/")[0]))
        sources, addresses = zip(*self.places)
        self.sources = set(sources)
        self.socket = world.close_later(sctp.make(
            self.server, sctp.family_of("".join(addresses))))
        for address in addresses:
            sctp.bind_more(self.socket, address, 5000)
        self.socket.listen(16)
        self.to = f"sctp://[{','.join(addresses)}]:5000"

    def cut(self, number):
        """Packets of a network go nowhere, and nobody says so."""
        self.server.ip("link", "set", f"eth{number}", "down")


@pytest.mark.parametrize("protocol,where,families", [
    ("sctp", "host", (4, 4)), ("sctp-seqpacket", "back", (4, 4)),
    ("sctp", "back", (6, 4)), ("sctp-seqpacket", "host", (4, 6))])
def test_a_backend_of_two_addresses(  # pylint: disable=R0913,R0917
        world, front, back, protocol, families, where):
    """Is announced one address for each path to it; and reached by the second
    while the first leads nowhere."""
    options = {"namespace": "back"} if where == "back" else {}
    place = back if where == "back" else world.host
    backend = TwoNetworks(world, place, families)
    world.berthd(forward(backend.to, namespace="front", protocol=protocol,
                         options=options))
    with sctp.connect(front) as client, backend.socket.accept()[0] as server:
        assert works(client, server)
        assert sctp.peer_addresses(server) == backend.sources
    backend.cut(1)
    with sctp.connect(front) as client, backend.socket.accept()[0] as server:
        assert works(client, server)


@BOTH
def test_a_backend_that_falls_silent(world, front, back, protocol):
    """With data that it does not acknowledge: is given up, however often the
    kernel would have tried, and the client is told."""
    for key, value in (("rto_min", 20), ("rto_initial", 20), ("rto_max", 200),
                       ("association_max_retrans", 1 << 15)):
        back.sysctl(f"net.sctp.{key}", value)
    backend = Backend(world, back, NETWORKS[0])
    berthd = world.berthd(forward(backend.to, namespace="front",
                                  protocol=protocol,
                                  options={"namespace": "back"}))
    idle = berthd.idle_relay_descriptors()
    with sctp.connect(front) as client, backend.socket.accept()[0] as server:
        assert works(client, server)
        backend.server.down("eth0")
        sctp.send(client, sctp.Message(b"hello?"))
        assert sctp.was_aborted(client)
        sctp.abort(server)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


@pytest.mark.parametrize("protocol,where", [("sctp", "host"),
                                            ("sctp-seqpacket", "back")])
def test_from_what_a_rule_says(world, front, back, protocol, where):
    """All its addresses, and its port, for peers that know each other so: one
    association with each."""
    place = back if where == "back" else world.host
    options = {"namespace": "back"} if where == "back" else {}
    backend = Backend(world, place, NETWORKS[0])
    place.addr_add("10.67.7.3/24", "bk")
    other = world.close_later(sctp.listen(backend.server, backend.address,
                                          5001))
    options["from"] = ["10.67.7.1:2905", "10.67.7.3:2905"]
    to = [backend.to, f"sctp://{backend.address}:5001"]
    world.berthd(forward(to, namespace="front", protocol=protocol,
                         options=options))
    pairs = [(sctp.connect(front), sock.accept())
             for sock in (backend.socket, other)]
    for client, (server, peer) in pairs:
        with client, server:
            assert peer[1] == 2905
            assert works(client, server)
            assert sctp.peer_addresses(server) == {"10.67.7.1", "10.67.7.3"}

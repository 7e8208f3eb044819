# SPDX-License-Identifier: Apache-2.0
"""test_sctp_paths.py - from which addresses, and to which, a backend's
association goes"""
import pytest

import sctp
from harness.rules import forward
from test_sctp import BOTH, works


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


NETWORKS = pytest.mark.parametrize("network", [
    ("10.67.7.1/24", "10.67.7.2/24", "172.17.0.1/16"),
    ("fd67:7::1/64", "fd67:7::2/64", "fd17::1/64")], ids=["v4", "v6"])


@BOTH
@NETWORKS
@pytest.mark.parametrize("where", ["host", "back"])
def test_announces_the_routed_address_only(  # pylint: disable=R0913,R0917
        world, front, back, protocol, network, where):
    """And no other of its namespace, where the peer may have a neighbour of
    the same address that aborts what it does not know."""
    options = {"namespace": "back"} if where == "back" else {}
    backend = Backend(world, back if where == "back" else world.host, network)
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

# SPDX-License-Identifier: Apache-2.0
"""test_sctp_balance.py - which of several backends an association gets"""
import select

import sctp
from harness.rules import forward
from harness.wait import GUARD, wait_equal
from test_sctp import BOTH, netns, to, works  # noqa: F401

CLIENTS = [f"10.9.0.{i}" for i in range(1, 13)]


def begin(world, netns, backends, address="127.0.0.1", **kwargs):  # noqa: F811
    """Return: a client, the number of its backend."""
    client = world.close_later(sctp.connect(netns, address, **kwargs))
    ready, _, _ = select.select(backends, [], [], GUARD)
    server = world.close_later(ready[0].accept()[0])
    server.settimeout(GUARD)
    assert works(client, server)
    return client, backends.index(ready[0])


@BOTH
def test_least_connections(world, netns, protocol):  # noqa: F811
    backends = [world.close_later(sctp.listen(world.host)) for _ in range(2)]
    berthd = world.berthd(forward(
        [to(backend) for backend in backends], protocol=protocol,
        options={"balance": "least-connections"}))
    held = [begin(world, netns, backends) for _ in range(4)]
    assert sorted(number for _, number in held) == [0, 0, 1, 1]
    for client, number in held:
        if number == 1:
            client.close()
    wait_equal(lambda: len(berthd.ctl("connections")["connections"]), 2,
               "the associations that are left")
    assert [begin(world, netns, backends)[1] for _ in range(2)] == [1, 1]


def test_hash(world, netns):  # noqa: F811
    """Both kinds of listeners, and each association of a client."""
    for address in CLIENTS:
        netns.addr_add(f"{address}/32")
    backends = [world.close_later(sctp.listen(world.host)) for _ in range(3)]
    world.berthd(forward(
        [to(backend) for backend in backends],
        listen=[{"protocol": "sctp", "port": 8080},
                {"protocol": "sctp-seqpacket", "port": 8081}],
        options={"balance": "hash"}))
    chosen = [[begin(world, netns, backends, address, port=port,
                     source=(address, 0))[1] for address in CLIENTS]
              for port in (8080, 8081, 8080)]
    assert chosen[0] == chosen[1] == chosen[2]
    assert len(set(chosen[0])) > 1

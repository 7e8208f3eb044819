# SPDX-License-Identifier: Apache-2.0
"""test_sctp_clients.py - whom a listener of SCTP serves at all, and how often"""
import sctp
from harness.rules import forward
from harness.wait import wait_equal
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401

GOOD, BAD = "10.9.0.1", "10.9.1.1"


@BOTH
def test_clients(world, netns, backend, protocol):  # noqa: F811
    for address in (GOOD, BAD):
        netns.addr_add(f"{address}/32")
    berthd = world.berthd(forward(to(backend), listen=[
        {"protocol": protocol, "port": 8080, "clients": f"{GOOD}/32"},
        {"protocol": protocol, "port": 8081, "clients": f"!{BAD}"}]))
    assert sctp.is_turned_away(netns, BAD, source=(BAD, 0))
    client, server = pair(netns, backend, GOOD, source=(GOOD, 0))
    assert works(client, server)
    # Each address that a client has counts: unbound, it has both.
    assert sctp.is_turned_away(netns, GOOD, port=8081)
    other, other_server = pair(netns, backend, GOOD, port=8081,
                               source=(GOOD, 0))
    assert works(other, other_server)
    wait_equal(lambda: berthd.ctl("stats")["total"]["not_admitted"], 2,
               "their count")
    counted = berthd.ctl("stats")["total"]["ended"]
    assert counted == [{"reason": "not-admitted", "count": 2}]
    assert works(client, server)


@BOTH
def test_rate_limit(world, netns, backend, protocol):  # noqa: F811
    berthd = world.berthd(forward(to(backend), protocol=protocol, options={
        "rate_limit": {"connections": 2, "per": "1h"}}))
    pairs = [pair(netns, backend) for _ in range(2)]
    assert sctp.is_turned_away(netns)
    assert all(works(client, server) for client, server in pairs)
    wait_equal(lambda: berthd.ctl("stats")["total"]["limited"], 1,
               "its count")
    counted = berthd.ctl("stats")["total"]["ended"]
    assert counted == [{"reason": "rate-limit", "count": 1}]

# SPDX-License-Identifier: Apache-2.0
"""test_lifetime.py - no connection or session gets older than max_lifetime."""

import time

import pytest

from harness.rules import forward
from harness.traffic import pair, was_reset, works
from harness.wait import SLOWNESS, wait_equal, wait_for
from test_access_log import as_json, logged, wait_objects
from test_endings import NOTHING, ended, session, to, wait_ended
from test_restart_relay import restart

LIMIT = 1.5 * SLOWNESS
SHORTEST = 0.8 * LIMIT
LIMITED = {"max_lifetime": f"{LIMIT * 1000:.0f}ms", "idle_timeout": "off"}


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.mark.parametrize("protocol", ["tcp", "mptcp"])
def test_connections(world, netns, backend, protocol):
    """Both sides see a reset, whether they speak or not."""
    berthd = as_json(world, logged(to(backend), protocol=protocol,
                                   options=LIMITED))
    began = time.monotonic()
    busy, silent = pair(netns, backend), pair(netns, backend)
    with pytest.raises(ConnectionError):
        while works(*busy):
            time.sleep(LIMIT / 50)
    assert time.monotonic() - began >= SHORTEST
    assert all(was_reset(sock) for sock in silent)
    wait_ended(berthd, lifetime=2)
    for line in wait_objects(berthd, 2):
        assert line["ending"] == "lifetime"
        assert line["duration_us"] >= SHORTEST * 1000000
    for sock in busy + silent:
        sock.close()


def test_what_held_when_it_began(world, netns, backend):
    """Also for those whose listener is gone, or whose relay is the earlier
    one."""
    berthd = world.berthd({"a.yaml": forward(to(backend))})
    old = pair(netns, backend)
    berthd.write_rules("a.yaml", forward(
        to(backend), options=dict(LIMITED, drain_timeout="1h")))
    berthd.ctl("reload")
    opened = []

    def knows():
        opened.extend(pair(netns, backend))
        return "lifetime" in ended(berthd)

    wait_for(knows, "the relay to know the rule")
    carried = pair(netns, backend)
    restart(berthd)
    assert all(was_reset(sock) for sock in carried)
    last = pair(netns, backend)
    berthd.write_rules("a.yaml", NOTHING)
    wait_equal(netns.listeners, set(), "no listener")
    assert all(was_reset(sock) for sock in last)
    assert works(*old)
    for sock in [*opened, *old, *carried, *last]:
        sock.close()


def test_sessions(world, netns, datagrams):
    """The next datagram begins another one."""
    berthd = world.berthd({"a.yaml": forward(to(datagrams), protocol="udp",
                                             options={"idle_timeout": "off"})})
    old, old_address = session(world, netns, datagrams)
    berthd.write_rules("a.yaml", forward(to(datagrams), protocol="udp",
                                         options=LIMITED))
    berthd.ctl("reload")

    def knows():
        session(world, netns, datagrams)
        return "lifetime" in ended(berthd)

    wait_for(knows, "the relay to know the rule")
    began = time.monotonic()
    client, address = session(world, netns, datagrams)

    def another():
        client.send(b"x")
        return datagrams.recvfrom(64)[1] != address

    wait_for(another, "another session")
    assert time.monotonic() - began >= SHORTEST
    old.send(b"x")
    assert datagrams.recvfrom(64)[1] == old_address

# SPDX-License-Identifier: Apache-2.0
"""test_drain.py - connections of listeners that no rule wants any more."""

import pytest

from harness.rules import forward
from harness.traffic import pair, was_reset, works
from harness.wait import GUARD, wait_equal


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    server = world.host.listen()
    server.settimeout(GUARD)
    return server


def to(backend, drain_timeout="1h", **kwargs):
    return forward(f"127.0.0.1:{backend.getsockname()[1]}",
                   options={"drain_timeout": drain_timeout}, **kwargs)


def wait_closed(netns):
    wait_equal(netns.listeners, set(), "no listener")


def test_connections_end_in_time(world, netns, backend):
    berthd = world.berthd(to(backend, "1s"))
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.remove_rules("50-test.yaml")
    client.settimeout(GUARD)
    assert was_reset(client)
    assert was_reset(server)
    wait_closed(netns)
    wait_equal(lambda: berthd.status()["consumers"][0]["withdrawn"], 0,
               "nothing to be left of it")


def test_connections_may_finish(world, netns, backend):
    berthd = world.berthd(to(backend))
    client, server = pair(netns, backend)
    berthd.remove_rules("50-test.yaml")
    wait_closed(netns)
    assert works(client, server)
    client.close()
    assert server.recv(1) == b""
    server.close()
    wait_equal(lambda: berthd.status()["consumers"][0]["withdrawn"], 0,
               "nothing to be left of it")


def test_is_listed(world, netns, backend):
    berthd = world.berthd(to(backend))
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.remove_rules("50-test.yaml")
    row = berthd.wait_state(netns.cookie(), "draining")
    assert (row["rule"], row["consumer"]) == ("web", "relay")
    assert row["draining"]["pid"] == berthd.relay_pid()
    assert 3500e6 < row["draining"]["ends_us"] <= 3600e6
    wait_equal(lambda: berthd.listener(netns.cookie())["counters"]["active"], 1,
               "its connection to be counted")
    text = berthd.ctl_text("listeners", "n")
    assert "draining" in text and "its connections may finish" in text
    assert works(client, server)
    client.close()
    server.close()
    wait_equal(lambda: berthd.listeners(netns.cookie()), [],
               "nothing to be listed")

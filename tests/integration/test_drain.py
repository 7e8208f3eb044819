# SPDX-License-Identifier: Apache-2.0
"""test_drain.py - connections of listeners that no rule wants any more."""

import socket

import pytest

from harness.rules import forward
from harness.traffic import pair, was_reset, works
from harness.wait import GUARD, wait_equal, wait_for


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
    explained = berthd.ctl("explain", "n")["draining"]
    assert [(r["rule"], r["port"]) for r in explained] == [("web", 8080)]
    assert "DRAINING" in berthd.ctl_text("explain", "n")
    assert works(client, server)
    client.close()
    server.close()
    wait_equal(lambda: berthd.listeners(netns.cookie()), [],
               "nothing to be listed")


def test_drained_by_hand(world, netns, backend):
    berthd = world.berthd(to(backend))
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.ctl("drain", "web")
    wait_closed(netns)
    row = wait_for(lambda: [r for r in berthd.listeners()
                            if r["state"] == "refused"], "a refusal")[0]
    assert "by hand" in row["reason"]
    assert works(client, server)
    # Neither another namespace nor a reload opens it.
    other = world.netns("m")
    berthd.ctl("reload")
    wait_for(lambda: berthd.listeners(other.cookie()), "the namespace")
    assert other.listeners() == set() == netns.listeners()
    assert berthd.ctl("undrain", "web") == {"targets": 1}
    wait_equal(netns.listeners, {"tcp *:8080"}, "the listener")
    wait_equal(other.listeners, {"tcp *:8080"}, "the listener")
    assert works(client, server)
    assert "no such rule" in berthd.ctl_process("undrain", "web").stderr


def test_closed_by_hand(world, netns, backend):
    berthd = world.berthd(to(backend))
    other = world.netns("m")
    wait_equal(other.listeners, {"tcp *:8080"}, "the listener")
    client, server = pair(netns, backend)
    kept, kept_server = pair(other, backend)
    assert works(client, server) and works(kept, kept_server)
    berthd.ctl("close", str(berthd.listener(netns.cookie())["id"]))
    client.settimeout(GUARD)
    assert was_reset(client)
    wait_closed(netns)
    assert works(kept, kept_server)
    assert other.listeners() == {"tcp *:8080"}
    assert berthd.ctl("undrain") == {"targets": 1}
    wait_equal(netns.listeners, {"tcp *:8080"}, "the listener")


def test_what_drains_is_closed_by_hand(world, netns, backend):
    berthd = world.berthd(to(backend))
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.remove_rules("50-test.yaml")
    berthd.wait_state(netns.cookie(), "draining")
    assert "no rule" in berthd.ctl_process("drain", "web").stderr
    assert berthd.ctl("close", "web") == {"listeners": 0, "draining": 1,
                                            "connections": 0}
    client.settimeout(GUARD)
    assert was_reset(client)
    wait_equal(berthd.listeners, [], "nothing to be left")


@pytest.fixture
def datagrams(world):
    server = world.close_later(world.host.new_socket(kind=socket.SOCK_DGRAM))
    server.bind(("127.0.0.1", 0))
    return server


@pytest.fixture
def asker(world, netns):
    client = world.close_later(netns.new_socket(kind=socket.SOCK_DGRAM))
    client.connect(("127.0.0.1", 8080))
    return client


def ask(client, datagrams):
    client.send(b"ask")
    assert datagrams.recv(100) == b"ask"


@pytest.mark.parametrize("how", ["rule", "drain", "close"])
def test_sessions_end_at_once(world, netns, datagrams, asker, how):
    """A UDP session has no socket of its own: it goes with its listener, is
    never said to drain, and begins anew with the next."""
    text = to(datagrams, protocol="udp")
    berthd = world.berthd(text)
    ask(asker, datagrams)
    if how == "rule":
        berthd.remove_rules("50-test.yaml")
    else:
        berthd.ctl(how, "web")
    wait_closed(netns)
    wait_equal(lambda: berthd.status()["consumers"][0]["withdrawn"], 0,
               "nothing to be left of it")
    assert not [row for row in berthd.listeners(netns.cookie())
                if row["state"] != "refused"]
    asker.send(b"nobody is there")
    with pytest.raises(ConnectionRefusedError):
        asker.recv(100)
    if how == "rule":
        berthd.write_rules("50-test.yaml", text)
    else:
        berthd.ctl("undrain", "web")
    berthd.wait_state(netns.cookie(), "listening", protocol="udp")
    ask(asker, datagrams)

# SPDX-License-Identifier: Apache-2.0
"""test_endings.py - why connections and sessions ended, as the counts say."""

import socket

import pytest

from harness.rules import ack, forward, rules
from harness.traffic import pair, reset, works
from harness.wait import wait_equal, wait_for
from test_tcp import black_hole

DGRAM = socket.SOCK_DGRAM
NOTHING = rules()


@pytest.fixture
def netns(world):
    return world.netns("n")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def ended(berthd):
    """How many ended of each reason, in all."""
    rows = berthd.ctl("stats")["total"]["ended"]
    return {row["reason"]: row["count"] for row in rows}


def wait_ended(berthd, **expected):
    """Waits until these are all; "_" stands for "-"."""
    expected = {key.replace("_", "-"): n for key, n in expected.items()}
    wait_equal(lambda: ended(berthd), expected, "the endings")


def session(world, netns, datagrams):
    """A client with a session, and the address that the backend sees."""
    client = world.close_later(netns.new_socket(socket.AF_INET, DGRAM))
    client.connect(("127.0.0.1", 8080))
    client.send(b"x")
    _, address = datagrams.recvfrom(64)
    return client, address


def test_in_order(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    assert ended(berthd) == {}
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.close()
    assert client.recv(1) == b""
    client.close()
    wait_ended(berthd, client_end=1)
    client, server = pair(netns, backend)
    server.close()
    assert client.recv(1) == b""
    client.close()
    wait_ended(berthd, client_end=1, backend_end=1)


def test_reset(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    assert works(client, server)
    reset(client)
    wait_ended(berthd, client_reset=1)
    server.close()
    client, server = pair(netns, backend)
    assert works(client, server)
    reset(server)
    wait_ended(berthd, client_reset=1, backend_reset=1)
    client.close()
    # A client that had begun to end.
    client, server = pair(netns, backend)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    reset(server)
    wait_ended(berthd, client_reset=1, backend_reset=2)
    client.close()


def test_no_backend(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    backend.close()
    client = netns.connect("127.0.0.1", 8080)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    wait_ended(berthd, backend_refused=1)
    client.close()


def test_connect_timeout(world, netns):
    berthd = world.berthd(forward(black_hole(world),
                                  options={"connect_timeout": "300ms"}))
    client = netns.connect("127.0.0.1", 8080)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    wait_ended(berthd, connect_timeout=1)
    client.close()


def test_answered(world, netns):
    berthd = world.berthd(ack())
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    wait_ended(berthd, answered=1)


def test_idle(world, netns, backend):
    berthd = world.berthd(forward(to(backend),
                                  options={"idle_timeout": "200ms"}))
    client, server = pair(netns, backend)
    wait_ended(berthd, idle=1)
    client.close()
    server.close()


def test_netns_gone(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    assert works(client, server)
    netns.delete()
    wait_ended(berthd, netns_gone=1)
    client.close()
    server.close()


def test_drained(world, netns, backend):
    berthd = world.berthd({"a.yaml": forward(
        to(backend), options={"drain_timeout": "1s"})})
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.write_rules("a.yaml", NOTHING)
    wait_ended(berthd, drained=1)
    client.close()
    server.close()


def test_closed_by_hand(world, netns, backend):
    berthd = world.berthd({"a.yaml": forward(to(backend))})
    client, server = pair(netns, backend)
    assert works(client, server)
    row = wait_for(lambda: berthd.ctl("connections")["connections"],
                   "the connection")[0]
    berthd.ctl("close", row["id"])
    wait_ended(berthd, closed_by_hand=1)
    client.close()
    server.close()


def test_closed_by_hand_while_it_drains(world, netns, backend):
    berthd = world.berthd({"a.yaml": forward(
        to(backend), options={"drain_timeout": "1h"})})
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.write_rules("a.yaml", NOTHING)
    wait_equal(netns.listeners, set(), "no listener")
    berthd.ctl("close", "web")
    wait_ended(berthd, closed_by_hand=1)
    client.close()
    server.close()


def test_session_idle(world, netns, datagrams):
    berthd = world.berthd(forward(to(datagrams), protocol="udp",
                                  options={"idle_timeout": "200ms"}))
    session(world, netns, datagrams)
    wait_ended(berthd, idle=1)


def test_session_limit(world, netns, datagrams):
    berthd = world.berthd(forward(to(datagrams), protocol="udp",
                                  options={"max_connections": 1}))
    session(world, netns, datagrams)
    session(world, netns, datagrams)
    wait_ended(berthd, limit=1)


def test_session_refused(world, netns, datagrams):
    berthd = world.berthd(forward(to(datagrams), protocol="udp"))
    client, _ = session(world, netns, datagrams)
    datagrams.close()
    client.send(b"x")
    wait_ended(berthd, backend_refused=1)


def test_session_netns_gone(world, netns, datagrams):
    berthd = world.berthd(forward(to(datagrams), protocol="udp"))
    session(world, netns, datagrams)
    netns.delete()
    wait_ended(berthd, netns_gone=1)


def test_session_rule_changed(world, netns, datagrams):
    berthd = world.berthd({"a.yaml": forward(to(datagrams), protocol="udp")})
    session(world, netns, datagrams)
    berthd.write_rules("a.yaml", forward("127.0.0.1:9", protocol="udp"))
    wait_ended(berthd, rule_changed=1)
    session_count = berthd.ctl("stats")["total"]
    assert session_count["active"] == 0


def test_session_drained(world, netns, datagrams):
    berthd = world.berthd({"a.yaml": forward(to(datagrams), protocol="udp")})
    session(world, netns, datagrams)
    berthd.write_rules("a.yaml", NOTHING)
    wait_ended(berthd, drained=1)


def test_session_closed_by_hand(world, netns, datagrams):
    berthd = world.berthd(forward(to(datagrams), protocol="udp"))
    session(world, netns, datagrams)
    row = wait_for(lambda: berthd.ctl("connections")["connections"],
                   "the session")[0]
    berthd.ctl("close", row["id"])
    wait_ended(berthd, closed_by_hand=1)

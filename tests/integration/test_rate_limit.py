# SPDX-License-Identifier: Apache-2.0
"""test_rate_limit.py - how often a client may come.

The times of the limits are long, so that no window ends while a test runs.
"""

import socket

import pytest

from harness.rules import forward, rules, rule
from harness.traffic import echo_backend
from harness.wait import wait_equal, wait_for
from test_clients import echoes, speaker

DGRAM = socket.SOCK_DGRAM
ONE, OTHER = "10.9.0.1", "10.9.0.2"
ONE6, SAME6, OTHER6 = "fd99::1", "fd99::2", "fd99:0:0:1::1"
THREE = {"rate_limit": {"connections": 3, "per": "1h"}}


@pytest.fixture
def netns(world):
    """Whoever connects to an address comes from it."""
    made = world.netns("n").up()
    for address in (ONE, OTHER):
        made.addr_add(f"{address}/32")
    for address in (ONE6, SAME6, OTHER6):
        made.addr_add(f"{address}/128", "lo", "nodad")
    return made


@pytest.fixture
def where(world):
    return f"127.0.0.1:{echo_backend(world).port}"


def total(berthd, name="limited"):
    return berthd.ctl("stats")["total"][name]


def served(netns, address, times=5):
    return [echoes(netns, address) for _ in range(times)]


@pytest.mark.parametrize("protocol", ["tcp", "mptcp"])
def test_connections(world, netns, where, protocol):
    berthd = world.berthd(forward(where, protocol=protocol, options=THREE))
    assert served(netns, ONE) == [True] * 3 + [False] * 2
    assert served(netns, OTHER) == [True] * 3 + [False] * 2
    wait_equal(lambda: total(berthd), 4, "those that were refused")
    wait_for(lambda: total(berthd, "active") == 0, "the ends")
    rows = berthd.ctl("stats")["total"]["ended"]
    assert {"reason": "rate-limit", "count": 4} in rows
    assert total(berthd, "accepted") == 10
    assert "comes more often than its rate_limit allows; resetting the " \
        "client" in berthd.log()


def test_all_workers_count_together(world, netns, where):
    """Many at one time, which several workers accept."""
    berthd = world.berthd(forward(where, options={
        "rate_limit": [{"connections": 20, "per": "1h"},
                       {"connections": 1000, "per": "24h"}]}),
        args=["--workers", "4"])
    socks = []
    for _ in range(60):
        try:
            socks.append(netns.connect(ONE, 8080))
        except ConnectionResetError:
            pass
    alive = 0
    for sock in socks:
        with sock:
            try:
                sock.sendall(b"x")
                alive += sock.recv(1) == b"x"
            except ConnectionError:
                pass
    assert alive == 20
    wait_equal(lambda: total(berthd), 40, "those that were refused")


def test_networks_of_ipv6(world, netns, where):
    world.berthd(forward(where, options={"rate_limit": [
        {"connections": 2, "per": "1h", "ipv6_prefix": 64}]}))
    assert echoes(netns, ONE6) and echoes(netns, SAME6)
    assert not echoes(netns, SAME6)
    assert echoes(netns, OTHER6)
    assert served(netns, ONE, 3) == [True, True, False]


def test_namespaces_and_rules_apart(world, netns, where):
    other = world.netns("m").up()
    other.addr_add(f"{ONE}/32")
    listens = [[{"protocol": "tcp", "port": port}] for port in (8080, 8081)]
    world.berthd(rules(*(
        rule(name=f"r{i}", listen=listen, forward={"to": where, **THREE})
        for i, listen in enumerate(listens))))
    assert served(netns, ONE) == [True] * 3 + [False] * 2
    assert served(other, ONE) == [True] * 3 + [False] * 2
    with netns.connect(ONE, 8081) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"


def test_sessions(world, netns):
    backend = world.close_later(world.host.listen(kind=DGRAM))
    berthd = world.berthd(forward(
        f"127.0.0.1:{backend.getsockname()[1]}", protocol="udp",
        options=THREE))
    socks = [speaker(world, netns, ONE) for _ in range(5)]
    for i, sock in enumerate(socks):
        sock.send(b"%d" % i)
    assert [backend.recv(1) for _ in range(3)] == [b"0", b"1", b"2"]
    wait_equal(lambda: total(berthd), 2, "the datagrams that were dropped")
    assert (total(berthd, "accepted"), total(berthd, "dropped")) == (3, 2)
    # Sessions that there are go on.
    socks[0].send(b"more")
    assert backend.recv(64) == b"more"


def test_reload(world, netns, where):
    """What was counted outlives a reload that leaves the limit alone."""
    berthd = world.berthd(forward(where, options=THREE))
    assert served(netns, ONE) == [True] * 3 + [False] * 2
    berthd.write_rules("50-test.yaml", forward(
        where, options=dict(THREE, max_connections=7, idle_timeout="9m"),
        listen=[{"protocol": "tcp", "port": port} for port in (8080, 8081)]))
    wait_for(lambda: "tcp *:8081" in netns.listeners(), "the other rules")
    assert served(netns, ONE, 2) == [False, False]
    berthd.write_rules("50-test.yaml", forward(where, options={
        "rate_limit": {"connections": 4, "per": "1h"}}))
    wait_for(lambda: echoes(netns, ONE), "another limit")

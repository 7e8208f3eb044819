# SPDX-License-Identifier: Apache-2.0
"""test_rate_limit.py - how often a client may come.

The times of the limits are long, so that no window ends while a test runs.
"""

import re
import socket

import pytest

from harness.netns import read_all
from harness.rules import forward, rule, rules
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
    assert "comes more often than its rate_limit allows" in berthd.log()


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


def test_requests(world, netns):
    """429 says when to come again, and what is refused counts."""
    backend = world.close_later(world.host.listen())
    berthd = world.berthd(forward(
        f"127.0.0.1:{backend.getsockname()[1]}",
        options={"http": {"path": "/good", "rate_limit": [
            {"requests": 2, "per": "1h"}, {"requests": 100, "per": "24h"}]}}))

    def asked(path="/good", address=ONE):
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        client = world.close_later(netns.connect(address, 8080))
        client.sendall(request)
        return client

    def answer(client):
        with client:
            return read_all(client).decode()

    def status(client):
        return answer(client).split(" ", 2)[1]

    client = asked()
    server, _ = backend.accept()
    with server:
        assert server.recv(1 << 16).startswith(b"GET /good ")
        server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert status(client) == "200"
    assert status(asked("/bad")) == "403"
    head = answer(asked())
    assert head.startswith("HTTP/1.1 429 ")
    wait_s = int(re.search(r"\r\nRetry-After: (\d+)\r\n", head)[1])
    # Three in this hour: two thirds of them in the last one are two.
    assert 4700 <= wait_s <= 4800
    assert status(asked()) == "429"
    assert status(asked("/bad", OTHER)) == "403"
    wait_equal(lambda: total(berthd), 2, "those that were refused")
    backend.setblocking(False)
    with pytest.raises(BlockingIOError):
        backend.accept()
    wait_for(lambda: {"reason": "rate-limit", "count": 2}
             in berthd.ctl("stats")["total"]["ended"], "their endings")

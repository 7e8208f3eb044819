# SPDX-License-Identifier: Apache-2.0
"""test_check.py - the relay tries backends, whether there are clients or not."""

import os
import socket

import pytest

from harness.rules import forward, rule, rules
from harness.wait import GUARD, wait_equal, wait_for

OFTEN = {"check": {"every": "100ms", "rise": 2, "fall": 3}}


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def gone(world):
    """An address where nobody listens."""
    sock = world.host.listen()
    address, port = sock.getsockname()
    sock.close()
    return f"{address}:{port}"


def rows(berthd):
    return {(row["rule"], row["backend"]): row
            for row in berthd.ctl("backends")["backends"]}


def wait_states(berthd, expected):
    wait_equal(lambda: {key: row["state"]
                        for key, row in rows(berthd).items()},
               expected, "the states of backends")


def test_down_and_up_without_a_client(world, netns, gone):
    """It is left out after `fall` failures, and comes back after `rise`."""
    berthd = world.berthd(forward(gone, options=OFTEN))
    wait_states(berthd, {("web", gone): "down"})
    row = rows(berthd)["web", gone]
    assert row["checked"] and row["failures"] >= 3
    assert row["error"] == "ECONNREFUSED"
    berthd.wait_log(f"rule 'web': checking '{gone}' failed 3 times: Connection "
                    "refused; leaving it out")
    world.close_later(world.host.listen(port=int(gone.split(":")[1])))
    wait_states(berthd, {("web", gone): "up"})
    berthd.wait_log(f"rule 'web': '{gone}' is back again, as its check says")
    assert rows(berthd)["web", gone]["failures"] == 0


def test_left_out(world, netns, gone):
    """Clients go to the others; a failure of each is not met by any."""
    there = world.close_later(world.host.listen())
    name = "{}:{}".format(*there.getsockname())
    berthd = world.berthd(forward([gone, name], options=OFTEN))
    wait_states(berthd, {("web", gone): "down", ("web", name): "up"})
    there.settimeout(GUARD)
    for _ in range(6):
        with netns.connect("127.0.0.1", 8080) as client:
            client.sendall(b"?")
            served = accept_client(there)
            served.close()
    stats = berthd.ctl("stats")["total"]
    assert stats["accepted"] == 6 and stats["failed"] == 0


def accept_client(listener):
    """The next connection that says something: checks do not."""
    while True:
        conn = listener.accept()[0]
        conn.settimeout(GUARD)
        try:
            if conn.recv(1):
                return conn
        except ConnectionResetError:
            pass
        conn.close()


def test_all_left_out(world, netns, gone):
    """Then clients are sent to them all the same."""
    berthd = world.berthd(forward([gone, f"unix:{world.base}/x"],
                                  options=OFTEN))
    wait_states(berthd, {("web", gone): "down",
                         ("web", f"unix:{world.base}/x"): "down"})
    with pytest.raises(ConnectionResetError):
        netns.ask("127.0.0.1", 8080)
    assert berthd.ctl("stats")["total"]["failed"] == 2


def test_one_check_for_all(world, netns):
    """Of a backend that two rules check for listeners in two namespaces; and
    its settings are those of the newest rules."""
    world.netns("m")
    there = world.close_later(world.host.listen())
    name = "{}:{}".format(*there.getsockname())
    slow = {"check": {"every": "1h"}}
    berthd = world.berthd(rules(
        rule(forward={"to": name, **slow}),
        rule(name="second", port=8081, forward={"to": name, **slow})))
    wait_states(berthd, {("web", name): "up", ("second", name): "up"})
    there.settimeout(GUARD)
    there.accept()[0].close()
    there.setblocking(False)
    with pytest.raises(BlockingIOError):
        there.accept()
    berthd.write_rules("50-test.yaml", forward(name, options=OFTEN))
    berthd.ctl("reload")
    there.settimeout(GUARD)
    for _ in range(3):
        there.accept()[0].close()
    berthd.write_rules("50-test.yaml", forward(name))
    berthd.ctl("reload")
    wait_for(lambda: not rows(berthd)["web", name]["checked"],
             "the end of checks")


@pytest.mark.parametrize("kind", ["stream", "dgram"])
def test_unix(world, netns, kind):
    path = os.fspath(world.base / "backend")
    protocol = "tcp" if kind == "stream" else "udp"
    berthd = world.berthd(forward(f"unix:{path}", protocol=protocol,
                                  options=OFTEN))
    wait_states(berthd, {("web", f"unix:{path}"): "down"})
    assert rows(berthd)["web", f"unix:{path}"]["error"] == "ENOENT"
    sock = world.close_later(socket.socket(
        socket.AF_UNIX,
        socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM))
    sock.bind(path)
    os.chmod(path, 0o666)
    if kind == "stream":
        # Nobody accepts: once its backlog is full, it waits as clients do.
        sock.listen(1)
    wait_states(berthd, {("web", f"unix:{path}"): "up"})


def test_udp(world, netns):
    """An address gets what the rule says. That nobody listens is a failure; an
    answer is a success, and so is silence."""
    sock = world.host.listen(kind=socket.SOCK_DGRAM)
    name = "{}:{}".format(*sock.getsockname())
    berthd = world.berthd(forward(name, protocol="udp", options={
        "check": {**OFTEN["check"], "send": "are you there?"}}))
    wait_states(berthd, {("web", name): "up"})
    sock.settimeout(GUARD)
    assert sock.recv(100) == b"are you there?"
    sock.close()
    wait_states(berthd, {("web", name): "down"})
    row = rows(berthd)["web", name]
    assert (row["protocol"], row["error"]) == ("udp", "ECONNREFUSED")
    back = world.close_later(world.host.listen(
        port=int(name.split(":")[1]), kind=socket.SOCK_DGRAM))
    wait_states(berthd, {("web", name): "up"})
    back.settimeout(GUARD)
    assert back.recv(100) == b"are you there?"


def test_full_backlog(world, netns):
    """A TCP backend that takes nobody does not answer within the timeout."""
    there = world.close_later(world.host.listen(backlog=0))
    name = "{}:{}".format(*there.getsockname())
    for _ in range(2):
        client = world.close_later(socket.socket())
        client.setblocking(False)
        client.connect_ex(there.getsockname())
    berthd = world.berthd(forward(name, options={
        "check": {"every": "100ms", "timeout": "50ms", "fall": 1}}))
    wait_states(berthd, {("web", name): "down"})
    assert rows(berthd)["web", name]["error"] == "ETIMEDOUT"

# SPDX-License-Identifier: Apache-2.0
"""test_after.py - listeners that leave their port to others at first."""

import json
import os
import socket
import time

import pytest

from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for


def later(after, port=8080, **match):
    return rules(rule(port=port, match={"after": after, **match}))


def wait_open(netns, *ports):
    wait_equal(netns.listeners, {f"tcp *:{port}" for port in ports},
               "the listeners")


def row(berthd, netns):
    return berthd.listener(netns.cookie())


def set_rules(berthd, text, match):
    berthd.write_rules("50-test.yaml", text)
    wait_for(lambda: match in berthd.ctl_text("rules"), "the rule")


def tell(berthd, netns, **labels):
    directory = berthd.runtime / "containers.d"
    temporary = directory / ".a.new"
    temporary.write_text(json.dumps({"netns": str(netns.path),
                                     "name": "web-1", "labels": labels}))
    os.rename(temporary, directory / "a.json")


def test_opens_when_its_time_comes(world):
    """With no event but the time; never before it."""
    berthd = world.berthd(later("400ms"))
    before = time.monotonic()
    blue = world.netns("blue")
    wait_open(blue, 8080)
    assert time.monotonic() - before >= 0.4
    assert blue.ask("127.0.0.1", 8080) == b"ack"
    assert "opens when the namespace is 400ms old" in \
        berthd.ctl("explain", "blue")["rules"][0]["reason"]


def test_says_when(world):
    berthd = world.berthd(later("1h"))
    blue = world.netns("blue")
    waiting = berthd.wait_state(blue.cookie(), "waiting")
    assert "later (\"after\")" in waiting["reason"]
    assert waiting["error"] is None and waiting["attempts"] == 0
    assert 3500e6 < waiting["next_attempt_us"] < 3601e6
    assert "next attempt in" in berthd.ctl_text("explain", "blue")
    assert berthd.status()["listeners"]["waiting"] == 1


def test_open_stays_open(world):
    """The rule wants it later now; berthd is restarted; it crashes."""
    blue = world.netns("blue")
    berthd = world.berthd(later("1ms"))
    wait_open(blue, 8080)
    set_rules(berthd, later("1h"), "after 3600s")
    red = world.netns("red")
    berthd.wait_state(red.cookie(), "waiting")
    opened = row(berthd, blue)
    assert opened["state"] == "listening"
    for end in (berthd.leave, berthd.crash):
        end()
        berthd.start()
        berthd.wait_state(red.cookie(), "waiting")
        assert berthd.wait_state(blue.cookie(), "listening")["id"] == \
            opened["id"]
    assert blue.ask("127.0.0.1", 8080) == b"ack"


def test_old_namespace(world):
    """Older than berthd: its file in nsfs says how old."""
    blue = world.netns("blue")
    time.sleep(0.3)  # an age, nothing is awaited
    berthd = world.berthd(later("1h"))
    age = 3600e6 - row(berthd, blue)["next_attempt_us"]
    assert age >= 0.3e6
    berthd.write_rules("50-test.yaml", later("200ms"))
    wait_open(blue, 8080)


def test_server_of_the_container_comes_first(world):
    """It has the port; berth takes it when it ends."""
    berthd = world.berthd(later("200ms"))
    blue = world.netns("blue")
    with blue.listen(port=8080):
        waiting = wait_for(
            lambda: (r := row(berthd, blue)) and r["error"] == "EADDRINUSE"
            and r, "an attempt")
        assert "taken by a program" in waiting["reason"]
    wait_open(blue, 8080)


def test_container_that_is_told_again(world):
    """Its age goes on; another rule that it matches by now is in time."""
    blue = world.netns("blue")
    berthd = world.berthd(rules(
        rule(namespace=None, match={"labels": "app=web", "after": "1h"}),
        rule("old", namespace=None, port=2000,
             match={"labels": "app=db", "after": "300ms"})))
    tell(berthd, blue, app="web")
    first = berthd.wait_state(blue.cookie(), "waiting")["next_attempt_us"]
    time.sleep(0.3)  # an age, nothing is awaited
    tell(berthd, blue, app="web", tier="front")
    wait_for(lambda: berthd.ctl("explain", "blue")["namespace"]["containers"][0]
             ["labels"].get("tier"), "the label")
    assert row(berthd, blue)["next_attempt_us"] <= first - 0.3e6
    tell(berthd, blue, app="db")
    wait_open(blue, 2000)


def held_by(berthd, netns):
    return berthd.ctl("explain", netns.name)["listeners"][0]["held_by"]


def wait_taken(berthd, netns, protocol="tcp"):
    wait_for(lambda: (r := berthd.listener(netns.cookie(), protocol=protocol))
             and r["error"] == "EADDRINUSE", "an attempt")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_explain_says_who_has_the_port(world, protocol, address):
    blue = world.netns("blue")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with blue.listen(address, port=8080, kind=kind) as server:
        berthd = world.berthd(rules(rule(protocol=protocol)))
        wait_taken(berthd, blue, protocol)
        assert held_by(berthd, blue) == [
            {"address": address, "uid": os.getuid(),
             "inode": os.fstat(server.fileno()).st_ino}]
        text = berthd.ctl_text("explain", "blue")
        assert f"held by {address} of uid {os.getuid()}" in text
        assert f"pid {os.getpid()})" in text
    wait_equal(lambda: held_by(berthd, blue), None, "nobody")


def test_explain_knows_who_is_in_the_way(world):
    """Not a server on another address."""
    blue = world.netns("blue")
    for address in ("127.0.0.1", "127.0.0.2"):
        world.close_later(blue.listen(address, port=8080))
    berthd = world.berthd(rules(rule(address="127.0.0.2")))
    wait_for(lambda: (r := berthd.listener(blue.cookie(), "127.0.0.2"))
             and r["error"] == "EADDRINUSE", "an attempt")
    assert [h["address"] for h in held_by(berthd, blue)] == ["127.0.0.2"]


def test_socket_that_does_not_listen(world):
    """Whose program only bound it, or is connected."""
    blue = world.netns("blue")
    server = world.close_later(blue.listen(port=9090))
    client = world.close_later(blue.new_socket(socket.AF_INET,
                                               socket.SOCK_STREAM))
    client.bind(("127.0.0.1", 8080))
    client.connect(server.getsockname())
    berthd = world.berthd(rules(rule(address="127.0.0.1")))
    wait_for(lambda: (r := berthd.listener(blue.cookie(), "127.0.0.1"))
             and r["error"] == "EADDRINUSE", "an attempt")
    assert [h["inode"] for h in held_by(berthd, blue)] == [
        os.fstat(client.fileno()).st_ino]


def test_who_has_the_hosts_port(world):
    """The namespace that berthd is in is not entered."""
    with world.host.listen(port=0) as server:
        port = server.getsockname()[1]
        berthd = world.berthd(rules(rule(namespace=None, port=port,
                                         match={"host": True})))
        wait_for(lambda: any(r["error"] == "EADDRINUSE"
                             for r in berthd.listeners()), "an attempt")
        found = berthd.ctl("explain", "host")["listeners"][0]["held_by"]
        assert [h["inode"] for h in found] == [
            os.fstat(server.fileno()).st_ino]

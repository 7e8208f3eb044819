# SPDX-License-Identifier: Apache-2.0
"""test_monitor.py - what happens is told to whoever monitors."""

import json
import os

import pytest

from harness.consumer import Consumer
from harness.monitor import Monitor
from harness.rules import ack, forward, rule, rules
from harness.sandbox import Sandbox, register
from harness.varlink import Connection
from harness.wait import wait_for


def wait_nsid(berthd, cookie):
    """The freeing of a namespace is told when it has a number."""
    wait_for(lambda: any(netns["id"] == cookie and netns["nsid"] is not None
                         for netns in berthd.namespaces()), "its nsid")


def test_life_of_a_namespace(world):
    berthd = world.berthd(ack(namespace="ns-*"))
    monitor = Monitor(berthd)
    blue = world.netns("ns-blue")
    appeared = monitor.until("namespace.appeared", namespace="ns-blue")
    cookie = appeared["namespace_id"]
    assert cookie == blue.cookie() and appeared["time_us"] > 1e15
    opened = monitor.until("listener.opened")
    assert (opened["namespace"], opened["namespace_id"], opened["rule"],
            opened["protocol"], opened["address"], opened["port"]) == \
        ("ns-blue", cookie, "web", "tcp", "*", 8080)
    assert opened["listener"] == berthd.listeners(cookie)[0]["id"]
    wait_nsid(berthd, cookie)
    blue.delete()
    closed = monitor.until("listener.closed", listener=opened["listener"])
    assert closed["namespace"] == "ns-blue"
    assert closed["reason"] == "its namespace is gone"
    for kind in "namespace.gone", "namespace.freed":
        event = monitor.next()
        assert (event["event"], event["namespace"],
                event["namespace_id"]) == (kind, "ns-blue", cookie)


def test_names(world):
    berthd = world.berthd(ack(namespace="other"))
    monitor = Monitor(berthd, kinds=["namespace"])
    blue = world.netns("blue")
    monitor.until("namespace.appeared", namespace="blue")
    other = world.symlink(blue.path, "other")
    assert monitor.next()["event"] == "namespace.named"
    os.unlink(other.path)
    assert monitor.next()["event"] == "namespace.named"


def test_listener_waits(world):
    blue = world.netns("blue")
    berthd = world.berthd()
    server = blue.listen("0.0.0.0", 8080)
    monitor = Monitor(berthd, kinds=["listener"])
    berthd.write_rules("web.yaml", ack())
    waiting = monitor.until("listener.waiting", namespace="blue")
    assert "the port is taken" in waiting["reason"], waiting
    attempts = berthd.listener(blue.cookie())["attempts"]
    wait_for(lambda: berthd.listener(blue.cookie())["attempts"] > attempts,
             "another attempt")
    server.close()
    # However often it was tried meanwhile, it was told once.
    assert monitor.next()["event"] == "listener.opened"
    berthd.ctl("drain", "web")
    closed = monitor.next()
    assert (closed["event"], closed["reason"]) == \
        ("listener.closed", "closed by hand")


def test_rules(world):
    berthd = world.berthd(ack(name="first"))
    monitor = Monitor(berthd, kinds=["rule", "listener"])
    blue = world.netns("blue")
    monitor.until("listener.opened", namespace="blue")
    berthd.write_rules("second.yaml", ack(name="second", port=8081))
    loaded = monitor.next()
    assert loaded["event"] == "rule.loaded"
    assert os.path.basename(loaded["file"]) == "second.yaml"
    assert loaded["reason"] == "1 rule in force"
    monitor.until("listener.opened", rule="second")
    berthd.write_rules("second.yaml", "rules: [ { name: 1, mitch: } ]")
    rejected = monitor.until("rule.rejected")
    assert "second.yaml:1:" in rejected["reason"], rejected
    berthd.remove_rules("second.yaml")
    closed = monitor.until("listener.closed", rule="second")
    assert closed["reason"] == "no rule wants it as it was"


def test_containers(world):
    berthd = world.berthd(rules(rule(namespace=None,
                                     match={"labels": "app=web"})))
    monitor = Monitor(berthd)
    sandbox = Sandbox(world)
    register(berthd, pid=sandbox.pid, name="web-1", label="app=web",
             wait="10s")
    monitor.until("namespace.appeared", namespace="web-1")
    monitor.until("container.registered", namespace="web-1",
                  container="web-1")
    assert monitor.until("listener.opened")["container"] == "web-1"
    sandbox.end()
    monitor.until("container.gone", container="web-1")
    monitor.until("namespace.gone", namespace="web-1")


def test_addresses(world):
    blue = world.netns("blue")
    berthd = world.berthd(ack(address="each", match={"address": "10.9.0.0/16"}))
    monitor = Monitor(berthd, kinds=["address", "listener"], namespace="blue")
    blue.addr_add("10.9.0.1/24")
    added = monitor.until("address.added", address="10.9.0.1")
    assert (added["prefix"], added["interface"], added["namespace"]) == \
        (24, "lo", "blue")
    assert monitor.until("listener.opened")["address"] == "10.9.0.1"
    blue.addr_del("10.9.0.1/24")
    monitor.until("address.gone", address="10.9.0.1")
    monitor.until("listener.closed", address="10.9.0.1")


def test_consumers(world):
    berthd = world.berthd(rules(rule(handoff="who")))
    monitor = Monitor(berthd, kinds=["consumer"])
    with Consumer(berthd, "who") as consumer:
        assert consumer.welcome()
        come = monitor.until("consumer.come", consumer="who")
        assert come["pid"] == os.getpid()
    lost = monitor.until("consumer.lost", consumer="who")
    assert lost["pid"] == os.getpid() and lost["reason"]


def test_backends(world):
    path = world.base / "backend.sock"
    blue = world.netns("blue")
    berthd = world.berthd(forward(f"unix:{path}"))
    monitor = Monitor(berthd, kinds=["backend"])
    with pytest.raises(ConnectionResetError):
        blue.ask("127.0.0.1", 8080)
    down = monitor.next()
    assert (down["event"], down["rule"], down["backend"], down["consumer"]) \
        == ("backend.down", "web", f"unix:{path}", "relay")
    assert down["reason"]


def test_limits(world):
    berthd = world.berthd(rules(rule(name="three", namespace="three",
                                     port="8080-8082"),
                                rule(name="one", namespace="full")),
                          args=["--max-listeners", "2",
                                "--max-listeners-per-netns", "2"])
    monitor = Monitor(berthd, kinds=["limit"])
    world.netns("three")
    assert monitor.next()["reason"] == \
        "1 listeners above max_listeners_per_netns are left out"
    world.netns("full")
    assert "max_listeners are open" in monitor.next()["reason"]


def test_filters(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(rule(name="a"), rule(name="b", port=8081)))
    by_rule = Monitor(berthd, rule="b")
    red = Monitor(berthd, namespace="red")
    by_path = Monitor(berthd, namespace=str(world.dir / "red"))
    both = Monitor(berthd, namespace="red", rule="a",
                   kinds=["listener.opened"])
    world.netns("yellow")
    red_netns = world.netns("red")
    cookie = red_netns.cookie()
    wait_nsid(berthd, cookie)
    red_netns.delete()
    for monitor in red, by_path:
        kinds = []
        while not kinds or kinds[-1] != "namespace.freed":
            event = monitor.next()
            assert event["namespace_id"] == cookie
            kinds.append(event["event"])
        assert sorted(kinds) == sorted(
            ["namespace.appeared"] + 2 * ["listener.opened"] +
            2 * ["listener.closed"] + ["namespace.gone", "namespace.freed"])
    assert {by_rule.next()["rule"] for _ in range(3)} == {"b"}
    event = both.next()
    assert (event["rule"], event["namespace_id"]) == ("a", cookie)
    by_id = Monitor(berthd, namespace=str(blue.cookie()))
    blue.delete()
    assert by_id.until("namespace.gone")["namespace"] == "blue"


def test_bad_calls(world):
    berthd = world.berthd()
    connection = Connection(berthd)
    connection.call("io.berth.Monitor")
    assert connection.reply()["error"] == "org.varlink.service.ExpectedMore"
    for parameters in ({"kinds": ["listener.oponed"]}, {"kinds": "rule"},
                       {"namespace": 7}, {"rule": ""}, {"rules": "web"}):
        connection.call("io.berth.Monitor", more=True, **parameters)
        reply = connection.reply()
        assert reply["error"] == "org.varlink.service.InvalidParameter"
        assert reply["parameters"]["parameter"] == list(parameters)[0]
        assert reply["parameters"]["message"]


def test_readers_are_bounded(world):
    berthd = world.berthd()
    monitors = [Monitor(berthd) for _ in range(64)]
    one_more = Connection(berthd)
    one_more.call("io.berth.Monitor", more=True)
    assert one_more.reply()["error"] == "io.berth.LimitReached"
    monitors.pop().close()

    def is_heard():
        one_more.call("io.berth.Monitor", more=True)
        return "error" not in one_more.reply()

    wait_for(is_heard, "room for another")
    world.netns("blue")
    for monitor in monitors:
        monitor.until("namespace.appeared", namespace="blue")


CONTAINERS = 64  # of each namespace
NAMESPACES = 9  # a file has at most 1 MiB


class Crowd:
    """Containers with long names, all told anew at once. A quotation mark is
    two in JSON: each event has more than 1,400 bytes."""

    def __init__(self, world, berthd):
        self.path = berthd.runtime / "containers.d" / "crowd.json"
        self.netns = [world.netns(f"{i}".ljust(220, '"'), up=False)
                      for i in range(NAMESPACES)]
        self.round = 0

    def tell(self):
        self.round += 1
        told = [{"name": f"{i}-".ljust(500, '"'), "netns": str(netns.path),
                 "labels": {"round": str(self.round)}}
                for netns in self.netns for i in range(CONTAINERS)]
        temporary = self.path.with_name(".crowd.new")
        temporary.write_text(json.dumps(told))
        os.rename(temporary, self.path)
        return len(told)


def last_replies(connection):
    """Reads until the last reply. Return: how many events, and that one."""
    n = 0
    while True:
        reply = connection.reply()
        if not reply.get("continues"):
            return n, reply
        n += len(reply["parameters"]["events"])


def skip_events(monitor, n):
    """Reads so many, and looks at none."""
    seen = b""
    while seen.count(b'"event":') < n:
        seen += monitor.connection.socket.recv(1 << 20)
    assert seen.count(b'"event":') == n and b'"error"' not in seen


def test_slow_reader(world):
    """It loses what it does not read, is told how much, and costs nobody
    else anything."""
    berthd = world.berthd()
    crowd = Crowd(world, berthd)
    wait_for(lambda: len(berthd.namespaces()) > NAMESPACES, "the namespaces")
    slow = Monitor(berthd, kinds=["container.registered"])
    quick = Monitor(berthd, kinds=["container.registered"])
    sent = 0
    while sent * 1400 < 18 * 1024 * 1024:  # and what the socket takes
        n = crowd.tell()
        sent += n
        skip_events(quick, n)
    read, last = last_replies(slow.connection)
    assert last["error"] == "io.berth.TooSlow"
    assert 0 < read and read + last["parameters"]["lost"] == sent
    # The connection goes on.
    slow.connection.call("io.berth.GetStatus")
    assert slow.connection.reply()["parameters"]["settled"]


def test_reader_goes(world):
    """With the events that it did not read."""
    berthd = world.berthd()
    before = len(berthd.descriptors())
    monitors = [Monitor(berthd) for _ in range(3)]
    for i in range(3):
        world.netns(f"ns-{i}")
    monitors[0].until("namespace.appeared", namespace="ns-2")
    for monitor in monitors:
        monitor.close()
    wait_for(lambda: len(berthd.descriptors()) <= before, "its descriptors")

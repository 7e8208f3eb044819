# SPDX-License-Identifier: Apache-2.0
"""test_wait.py - berthctl wait, and the method Wait: for namespaces and
containers that are there, or come, until their listeners are open."""

import json
import os
import subprocess

from harness.berthd import BERTHCTL
from harness.rules import rule, rules
from harness.varlink import Connection
from harness.wait import GUARD, wait_for

READY, ABSENT, UNREACHABLE, NOT_READY = 0, 1, 3, 4


class Waiter:
    """A berthctl wait that runs."""

    def __init__(self, berthd, *args):
        self.process = subprocess.Popen(
            [str(BERTHCTL), "--runtime-dir", str(berthd.runtime), "--json",
             "wait", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)

    def end(self, code=READY):
        out, err = self.process.communicate(timeout=GUARD)
        assert self.process.returncode == code, (out, err)
        return json.loads(out) if code in (READY, NOT_READY) else err


def waits(berthd):
    """Somebody waits: a connection more than that which asks."""
    return len([line for line in open("/proc/net/unix")
                if line.rstrip().endswith(str(berthd.runtime /
                                              "control.sock"))])


def wait_waiting(berthd, n):
    """Until berthd has @n connections besides its listening socket."""
    wait_for(lambda: waits(berthd) == n + 1, f"{n} callers to wait")


def write_container(berthd, netns, name="web-1", **more):
    directory = berthd.runtime / "containers.d"
    temporary = directory / ".a.new"
    temporary.write_text(json.dumps(
        {"netns": str(netns.path), "name": name, **more}))
    os.rename(temporary, directory / "a.json")


def test_what_is_there(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(rule()))
    write_container(berthd, blue, pod_namespace="shop", id="0c5b")
    wait_for(lambda: berthd.namespaces()[-1]["containers"] or
             berthd.namespaces()[0]["containers"], "the container")
    for name in ("blue", str(blue.path), "web-1", "shop/web-1", "0c5b",
                 str(blue.cookie())):
        reply = Waiter(berthd, name).end()
        assert reply["ready"] and reply["namespace_id"] == blue.cookie()
        assert reply["namespace"] == "blue" and reply["omitted"] == 0
        listener, = reply["listeners"]
        assert listener["state"] == "listening"
        assert (listener["protocol"], listener["port"]) == ("tcp", 8080)
    assert blue.ask("127.0.0.1", 8080) == b"ack"
    text = berthd.ctl_text("wait", "blue")
    assert text == "blue: 1 of 1 listeners are listening\n"


def test_comes_later(world):
    berthd = world.berthd(rules(rule()))
    blue = world.name("blue")
    waiters = [Waiter(berthd, "blue"), Waiter(berthd, str(blue.path)),
               Waiter(berthd, "web-1", "--timeout", "1m")]
    wait_waiting(berthd, 3)
    blue.create()
    for waiter in waiters[:2]:
        assert waiter.end()["ready"]
    blue.up()
    assert blue.ask("127.0.0.1", 8080) == b"ack"
    wait_waiting(berthd, 1)
    write_container(berthd, blue)
    assert waiters[2].end()["namespace"] == "blue"
    blue.delete()


def test_ends_when_the_last_one_listens(world):
    """The port is taken; when it is free again the wait is over."""
    blue = world.netns("blue")
    server = blue.listen("127.0.0.1", 8080)
    berthd = world.berthd(rules(rule(), rule("b", port=8081)))
    waiter = Waiter(berthd, "blue")
    wait_waiting(berthd, 1)
    berthd.wait_state(blue.cookie(), "waiting")
    assert waiter.process.poll() is None
    server.close()
    reply = waiter.end()
    assert {row["state"] for row in reply["listeners"]} == {"listening"}


def test_rule_that_goes_ends_it(world):
    blue = world.netns("blue")
    server = blue.listen("127.0.0.1", 8080)
    berthd = world.berthd(rules(rule()))
    waiter = Waiter(berthd, "blue")
    wait_waiting(berthd, 1)
    berthd.write_rules("50-test.yaml", rules(rule(port=8081)))
    reply = waiter.end()
    assert [row["port"] for row in reply["listeners"]] == [8081]
    server.close()


def test_time_is_over(world):
    blue = world.netns("blue")
    server = blue.listen("127.0.0.1", 8080)
    berthd = world.berthd(rules(rule(), rule("b", port=8081)))
    reply = Waiter(berthd, "blue", "--timeout", "50ms").end(NOT_READY)
    assert not reply["ready"]
    states = {row["port"]: row for row in reply["listeners"]}
    assert states[8081]["state"] == "listening"
    assert states[8080]["state"] == "waiting"
    assert states[8080]["error"] == "EADDRINUSE"
    assert states[8080]["reason"]
    text = berthd.ctl_text("wait", "blue", "--timeout", "0", code=NOT_READY)
    assert "1 of 2 listeners are listening" in text
    assert states[8080]["reason"].split("\n")[0][:20] in text
    error = Waiter(berthd, "red", "--timeout", "50ms").end(ABSENT)
    assert "no network namespace 'red'" in error
    assert "no network namespace 'red'" in \
        Waiter(berthd, "red", "--timeout", "0").end(ABSENT)
    server.close()


def test_refused_is_not_waited_for(world):
    """What people closed stays closed until they say otherwise."""
    world.netns("blue")
    berthd = world.berthd(rules(rule(), rule("b", port=8081)))
    berthd.ctl_text("drain", "b")
    reply = Waiter(berthd, "blue", "--timeout", "1h").end(NOT_READY)
    states = {row["port"]: row["state"] for row in reply["listeners"]}
    assert states == {8080: "listening", 8081: "refused"}


def test_namespace_goes_and_comes(world):
    blue = world.netns("blue")
    server = blue.listen("127.0.0.1", 8080)
    berthd = world.berthd(rules(rule()))
    waiter = Waiter(berthd, "blue")
    wait_waiting(berthd, 1)
    server.close()
    blue.delete()
    blue = world.netns("blue")
    assert waiter.end()["namespace_id"] == blue.cookie()


def test_order_of_replies(world):
    """Calls of one connection are answered in order, those of others are
    not kept waiting."""
    world.netns("blue")
    berthd = world.berthd(rules(rule()))
    one, other = Connection(berthd), Connection(berthd)
    one.call("io.berth.Wait", name="red")
    one.call("io.berth.Wait", name="blue")
    other.call("io.berth.Wait", name="blue")
    assert other.reply()["parameters"]["namespace"] == "blue"
    world.netns("red")
    assert one.reply()["parameters"]["namespace"] == "red"
    assert one.reply()["parameters"]["namespace"] == "blue"
    one.close()
    other.close()


def test_caller_vanishes(world):
    berthd = world.berthd(rules(rule()))
    before = berthd.idle_descriptors()
    waiter = Waiter(berthd, "blue")
    wait_waiting(berthd, 1)
    waiter.process.kill()
    waiter.process.communicate()
    wait_waiting(berthd, 0)
    world.netns("blue").delete()
    berthd.wait_descriptors(before)


def test_too_many(world):
    """Some connections are left for those who ask what is waited for."""
    berthd = world.berthd(rules(rule()))
    connections = [Connection(berthd) for _ in range(193)]
    for connection in connections:
        connection.call("io.berth.Wait", name="blue")
    reply = connections[-1].reply()
    assert reply["error"] == "io.berth.LimitReached"
    assert berthd.status()
    world.netns("blue")
    for connection in connections[:-1]:
        assert connection.reply()["parameters"]["ready"]
    for connection in connections:
        connection.close()


def test_parameters(world):
    berthd = world.berthd(rules(rule()))
    connection = Connection(berthd)
    connection.call("io.berth.Wait", name="blue", timeout_ms=-1)
    assert connection.reply() == {
        "error": "org.varlink.service.InvalidParameter",
        "parameters": {"parameter": "timeout_ms",
                       "message": "expected a number from 0 to 3600000"}}
    connection.close()
    for args in (["wait"], ["wait", "blue", "--timeout", "1"],
                 ["wait", "blue", "--timeout", "2h"],
                 ["wait", "blue", "--name", "a"],
                 ["status", "--timeout", "1s"]):
        assert berthd.ctl_process(*args).returncode == 2, args


def test_unreachable(world):
    berthd = world.berthd(rules(rule()))
    waiter = Waiter(berthd, "blue")
    wait_waiting(berthd, 1)
    berthd.kill9()
    waiter.end(UNREACHABLE)
    assert berthd.ctl_process("wait", "blue").returncode == UNREACHABLE

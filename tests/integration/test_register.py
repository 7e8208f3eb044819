# SPDX-License-Identifier: Apache-2.0
"""test_register.py - Register and Unregister: containers that somebody tells
of, by path, pid and descriptor, and their listeners."""

import os
import select
import subprocess

from harness.rules import rule, rules
from harness.sandbox import Sandbox, register, wait_freed
from harness.varlink import Connection
from harness.wait import GUARD, wait_equal, wait_for

ABSENT, USAGE, NOT_READY = 1, 2, 4


def web(name="web", port=8080, **match):
    return rule(name=name, namespace=None, port=port,
                match={"labels": "app=web", **match})


def test_by_path(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(web()))
    reply = register(berthd, netns=blue.path, name="web-1", id="0c5b",
                     label=["app=web", "a=b=c"], pod_namespace="shop",
                     runtime="podman", wait="10s")
    assert reply["ready"] and reply["namespace"] == "blue"
    assert blue.ask("127.0.0.1", 8080) == b"ack"
    container, = berthd.ctl("explain", "web-1")["namespace"]["containers"]
    assert container["labels"] == {"app": "web", "a": "b=c"}
    assert (container["pod_namespace"], container["id"],
            container["runtime"]) == ("shop", "0c5b", "podman")
    assert berthd.ctl("unregister", "--id", "0c5b") == {"ended": 1}
    wait_equal(blue.listeners, set(), "the listeners")
    assert berthd.ctl("unregister", "--id", "0c5b") == {"ended": 0}


def test_by_pid(world):
    """A namespace without a name: the registration is its name."""
    berthd = world.berthd(rules(web()))
    sandbox = Sandbox(world)
    reply = register(berthd, pid=sandbox.pid, name="web-1", label="app=web",
                     wait="10s")
    assert reply["ready"] and reply["namespace"] == "web-1"
    assert sandbox.ask("127.0.0.1", 8080) == b"ack"
    done = berthd.ctl_process("register", "--pid", f"{sandbox.pid}a",
                              "--name", "web-2")
    assert done.returncode == USAGE and "no number" in done.stderr, done
    sandbox.end()
    wait_for(lambda: not berthd.wanted_listeners(), "its end")
    wait_freed(berthd)


def test_by_descriptor(world):
    berthd = world.berthd(rules(web()))
    sandbox = Sandbox(world)
    connection = Connection(berthd)
    for number, fd in enumerate((os.open(sandbox.path, os.O_RDONLY),
                                 os.pidfd_open(sandbox.pid))):
        connection.call("io.berth.Register", fd, fd=0, name=f"web-{number}",
                        labels={"app": "web"}, wait_ms=10000)
        os.close(fd)
        assert connection.reply()["parameters"]["ready"]
    assert sandbox.ask("127.0.0.1", 8080) == b"ack"
    sandbox.end()
    connection.call("io.berth.Unregister", name="web-0")
    assert connection.reply()["parameters"]["ended"] == 1
    wait_freed(berthd)
    connection.close()


def test_what_is_no_namespace(world):
    berthd = world.berthd(rules(web()))
    connection = Connection(berthd)
    read, write = os.pipe()
    for fd in (read, os.open("/dev/null", os.O_RDONLY)):
        connection.call("io.berth.Register", fd, fd=0, name="a")
        os.close(fd)
        reply = connection.reply()
        assert reply["error"] in ("io.berth.NoSuchNamespace",
                                  "org.varlink.service.InvalidParameter")
    # Nobody has the reading end any more.
    poll = select.poll()
    poll.register(write, 0)
    assert poll.poll(GUARD * 1000), "berthd keeps the descriptor"
    os.close(write)
    for path in ("/nowhere", "/dev/null", "/proc/self"):
        connection.call("io.berth.Register", path=path, name="a")
        assert connection.reply()["error"] == "io.berth.NoSuchNamespace", path
    process = subprocess.Popen(["true"])
    process.wait()
    connection.call("io.berth.Register", pid=process.pid, name="a")
    assert connection.reply()["error"] == "io.berth.NoSuchNamespace"
    connection.close()


def test_parameters(world):
    berthd = world.berthd(rules(web()))
    connection = Connection(berthd)
    connection.call("io.berth.Register", pid="7", name="a")
    assert connection.reply() == {
        "error": "org.varlink.service.InvalidParameter",
        "parameters": {"parameter": "pid",
                       "message": "expected a number from 1 to 4194304"}}
    connection.call("io.berth.Unregister")
    assert connection.reply()["parameters"]["parameter"] == "name"
    connection.close()
    for args in (["register"], ["register", "--name", "a"],
                 ["register", "--pid", "7"],
                 ["register", "--netns", "/a", "--name", "a", "b"],
                 ["register", "--netns", "a", "--name", "a"],
                 ["register", "--pid", "7", "--name", "a", "--label", "a"],
                 ["register", "--pid", "7", "--name", "a", "--wait", "2m"],
                 ["unregister"], ["unregister", "a", "--id", "b"],
                 ["explain", "a", "--name", "b"]):
        done = berthd.ctl_process(*args)
        assert done.returncode == USAGE, (args, done.stderr)
        assert done.stderr.startswith("berthctl: "), args


def test_wait_is_over(world):
    berthd = world.berthd(rules(web(), web("b", port=8081)))
    sandbox = Sandbox(world)
    server = sandbox.listen("127.0.0.1", 8080)
    reply = register(berthd, pid=sandbox.pid, name="a", label="app=web",
                     wait="50ms", code=NOT_READY)
    states = {row["port"]: row for row in reply["listeners"]}
    assert states[8081]["state"] == "listening"
    assert states[8080]["error"] == "EADDRINUSE"
    # Who does not wait is told how it stands, and that is no failure.
    text = berthd.ctl_text("register", "--pid", str(sandbox.pid), "--name",
                           "a", "--label", "app=web")
    assert f"registration {reply['registration']}\n" in text
    assert "1 of 2 listeners are listening" in text
    server.close()


def test_two_callers_wait(world):
    berthd = world.berthd(rules(web()))
    sandbox = Sandbox(world)
    server = sandbox.listen("127.0.0.1", 8080)
    callers = [Connection(berthd), Connection(berthd)]
    for number, caller in enumerate(callers):
        caller.call("io.berth.Register", pid=sandbox.pid, name=f"a{number}",
                    labels={"app": "web"}, wait_ms=60000)
        caller.call("io.berth.Unregister", name=f"a{number}")
    wait_for(lambda: len(berthd.ctl("namespaces")["namespaces"][-1]
                         ["containers"]) == 2, "both to be registered")
    server.close()
    replies = [caller.reply()["parameters"] for caller in callers]
    assert [reply["ready"] for reply in replies] == [True, True]
    assert replies[0]["namespace_id"] == replies[1]["namespace_id"]
    for caller in callers:
        assert caller.reply()["parameters"] == {"ended": 1}
        caller.close()
    sandbox.end()
    wait_freed(berthd)


def test_labels_change_in_place(world):
    berthd = world.berthd(rules(web(), rule(
        "db", namespace=None, port=5432, match={"labels": "app=db"})))
    sandbox = Sandbox(world)
    first = register(berthd, pid=sandbox.pid, name="a", label="app=web",
                     wait="10s")
    second = register(berthd, pid=sandbox.pid, name="a", label="app=db",
                      wait="10s")
    assert first["registration"] == second["registration"]
    assert [row["port"] for row in second["listeners"]] == [5432]
    assert sandbox.listeners() == {"tcp *:5432"}


def test_ends_with_connection(world):
    berthd = world.berthd(rules(web()))
    sandbox = Sandbox(world)
    connection = Connection(berthd)
    connection.call("io.berth.Register", pid=sandbox.pid, name="a",
                    labels={"app": "web"}, end_with_connection=True,
                    wait_ms=10000)
    assert connection.reply()["parameters"]["ready"]
    other = Connection(berthd)
    other.call("io.berth.Unregister", name="other")
    assert other.reply()["parameters"]["ended"] == 0
    other.close()
    assert sandbox.listeners() == {"tcp *:8080"}
    connection.close()
    wait_equal(sandbox.listeners, set(), "the listeners")
    # Told again without that, on another connection, it stays.
    first, second = Connection(berthd), Connection(berthd)
    for caller, ends in ((first, True), (second, False)):
        caller.call("io.berth.Register", pid=sandbox.pid, name="a",
                    labels={"app": "web"}, end_with_connection=ends)
        assert "registration" in caller.reply()["parameters"]
    first.close()
    second.call("io.berth.Unregister", name="other")
    second.reply()
    assert sandbox.listeners() == {"tcp *:8080"}
    second.close()


def test_caller_vanishes(world):
    """With its wait, and with what it registered so."""
    berthd = world.berthd(rules(web()))
    before = berthd.idle_descriptors()
    sandbox = Sandbox(world)
    server = sandbox.listen("127.0.0.1", 8080)
    connection = Connection(berthd)
    fd = os.open(sandbox.path, os.O_RDONLY)
    connection.call("io.berth.Register", fd, fd=0, name="a",
                    labels={"app": "web"}, end_with_connection=True,
                    wait_ms=60000)
    os.close(fd)
    wait_for(lambda: berthd.wanted_listeners(), "the listener")
    connection.close()
    wait_for(lambda: not berthd.wanted_listeners(), "its end")
    server.close()
    sandbox.end()
    wait_freed(berthd)
    berthd.wait_descriptors(before)


def test_too_many_wait(world):
    """What is registered is so; only its listeners are not waited for."""
    blue = world.netns("blue")
    server = blue.listen("127.0.0.1", 8080)
    berthd = world.berthd(rules(web()))
    waiters = [Connection(berthd) for _ in range(193)]
    for waiter in waiters:
        waiter.call("io.berth.Wait", name="red")
    # One of them had no room: now all others wait.
    assert select.select([waiter.socket for waiter in waiters], [], [],
                         GUARD)[0]
    connection = Connection(berthd)
    connection.call("io.berth.Register", path=str(blue.path), name="a",
                    labels={"app": "web"}, wait_ms=60000)
    reply = connection.reply()["parameters"]
    assert not reply["ready"] and reply["registration"]
    berthd.wait_state(blue.cookie(), "waiting")
    server.close()
    for waiter in [connection, *waiters]:
        waiter.close()


def test_namespace_goes_while_waiting(world):
    blue = world.netns("blue")
    server = blue.listen("127.0.0.1", 8080)
    berthd = world.berthd(rules(web()))
    connection = Connection(berthd)
    connection.call("io.berth.Register", path=str(blue.path), name="a",
                    labels={"app": "web"}, wait_ms=60000)
    wait_for(lambda: berthd.wanted_listeners(), "the listener")
    server.close()
    blue.delete()
    reply = connection.reply()
    assert reply["error"] == "io.berth.NoSuchNamespace"
    assert "registration ended" in reply["parameters"]["message"]
    connection.close()

# SPDX-License-Identifier: Apache-2.0
"""test_backend_state.py - the relay tells berthd which backends work."""

import os
import re
import signal
import socket

import pytest

from harness.rules import forward, rule, rules
from harness.wait import wait_equal, wait_for


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


def fail(netns, port=8080, times=1):
    for _ in range(times):
        with pytest.raises(ConnectionResetError):
            netns.ask("127.0.0.1", port)


def backends(berthd, *rule_name):
    return {(row["rule"], row["backend"]): row
            for row in berthd.ctl("backends", *rule_name)["backends"]}


def states(berthd):
    return {key: row["state"] for key, row in backends(berthd).items()}


def wait_states(berthd, expected):
    wait_equal(lambda: states(berthd), expected, "the states of backends")


def test_down_and_up(world, netns, gone):
    """It is told when it fails, how often and why, and when it is back."""
    berthd = world.berthd(forward(gone))
    assert backends(berthd) == backends(berthd, "web") == {}
    fail(netns, times=3)
    row = wait_for(
        lambda: [row for row in backends(berthd).values()
                 if row["failures"] == 3], "three failures")[0]
    assert row["rule"] == "web" and row["backend"] == gone
    assert (row["state"], row["error"]) == ("down", "ECONNREFUSED")
    assert (row["protocol"], row["namespace"]) == ("tcp", None)
    assert (row["consumer"], row["checked"]) == ("relay", False)
    assert row["since_us"] >= row["failed_us"]
    assert row["reason"].startswith(f"the backend {gone} refused 3 times, ")
    assert gone in berthd.ctl_text("backends")
    assert "ECONNREFUSED" in berthd.ctl_text("backends", "web")
    done = berthd.ctl_process("backends", "other")
    assert done.returncode == 1 and "no rule in force" in done.stderr, done
    back = world.close_later(world.host.listen(port=int(gone.split(":")[1])))
    with netns.connect("127.0.0.1", 8080):
        back.accept()[0].close()
    wait_states(berthd, {("web", gone): "up"})
    row = backends(berthd)["web", gone]
    assert (row["failures"], row["reason"]) == (0, None)
    berthd.wait_log(f"'{gone}' is back again")


def test_one_row_for_all_namespaces(world, netns, gone):
    """What clients of two namespaces meet is one backend's, of each rule."""
    other = world.netns("m")
    berthd = world.berthd(rules(
        rule(forward={"to": gone}),
        rule(name="second", port=8081, forward={"to": gone})))
    for place in (netns, other):
        fail(place)
    wait_for(lambda: backends(berthd).get(("web", gone), {})
             .get("failures") == 2, "a failure of each namespace")
    assert list(backends(berthd)) == [("web", gone)]
    fail(netns, 8081)
    wait_states(berthd, {("web", gone): "down", ("second", gone): "down"})


def test_forgotten_with_the_rule(world, netns, gone):
    """Another rule, and another backend of the same rule, are other ones."""
    nothing = f"unix:{world.base}/nothing"
    berthd = world.berthd(forward([gone, nothing]))
    fail(netns)
    wait_states(berthd, {("web", gone): "down", ("web", nothing): "down"})
    berthd.write_rules("50-test.yaml", forward(gone))
    berthd.ctl("reload")
    wait_states(berthd, {("web", gone): "down"})
    berthd.write_rules("50-test.yaml", forward(gone, name="other"))
    berthd.ctl("reload")
    wait_states(berthd, {})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_another_berthd_is_told(world, netns, gone, number):
    berthd = world.berthd(forward(gone))
    fail(netns)
    wait_states(berthd, {("web", gone): "down"})
    since = backends(berthd)["web", gone]["since_us"]
    berthd.leave(number)
    berthd.start()
    wait_states(berthd, {("web", gone): "down"})
    row = backends(berthd)["web", gone]
    assert row["since_us"] > since and row["failures"] == 1


def test_another_relay(world, netns, gone):
    """One that takes over does not know yet, so what was known stands; without
    a relay nothing is known."""
    berthd = world.berthd(forward(gone))
    fail(netns)
    wait_states(berthd, {("web", gone): "down"})
    relay = berthd.relay_pid()
    berthd.ctl("restart-relay")
    new = berthd.relay_pid(other_than=relay)
    wait_equal(lambda: berthd.status()["consumers"][0]["pid"], new,
               "the new relay's connection")
    assert states(berthd) == {("web", gone): "down"}
    fail(netns)
    berthd.kill_relay()
    wait_states(berthd, {})
    fail(netns)
    wait_states(berthd, {("web", gone): "down"})


def test_udp(world, netns):
    """A UDP backend that refuses, and one rule with two protocols."""
    sock = world.host.listen(kind=socket.SOCK_DGRAM)
    backend = "{}:{}".format(*sock.getsockname())
    sock.close()
    listen = [{"protocol": "udp", "address": "any", "port": 8080},
              {"protocol": "tcp", "address": "any", "port": 8080}]
    berthd = world.berthd(rules(rule(listen=listen,
                                     forward={"to": backend})))
    client = world.close_later(netns.new_socket(kind=socket.SOCK_DGRAM))
    client.connect(("127.0.0.1", 8080))
    client.send(b"lost")
    rows = wait_for(lambda: berthd.ctl("backends")["backends"], "a backend")
    assert [(row["protocol"], row["state"]) for row in rows] == \
        [("udp", "down")]
    fail(netns)
    wait_equal(lambda: sorted(row["protocol"] for row in
                              berthd.ctl("backends")["backends"]),
               ["tcp", "udp"], "both protocols")


def test_lines_of_all_workers(world, netns, gone):
    """Each rule and backend has one limit of log lines, whichever workers meet
    the failures; how many are missing is said without another failure."""
    nothing = f"unix:{world.base}/nothing"
    berthd = world.berthd(rules(
        rule("first", port=7001, forward={"to": gone}),
        rule("second", port=7002, forward={"to": nothing})),
        args=("--workers", "4"))
    fail(netns, 7001, times=20)
    fail(netns, 7002)
    berthd.wait_log(f"rule 'second': .* cannot connect to '{nothing}': No such "
                    "file or directory")
    assert berthd.log().count("rule 'first': tcp") == 5
    berthd.wait_log(f"rule 'first': '{gone}': 15 similar messages were not "
                    "printed")


def test_what_others_say_is_ignored(world, netns, gone):
    """A consumer tells of its own rules only."""
    berthd = world.berthd(rules(
        rule(forward={"to": gone}),
        rule(name="mine", port=8081, handoff="me")))
    sock = world.close_later(socket.socket(socket.AF_UNIX,
                                           socket.SOCK_SEQPACKET))
    sock.connect(os.fspath(berthd.runtime / "consumers" / "me.sock"))
    sock.send(b'{"type":"hello","version":1,"name":"me"}')
    for name in ("web", "nobody", "mine"):
        sock.send(b'{"type":"backend","rule":"%s","backend":"x",'
                  b'"protocol":"tcp","state":"down","failures":2}'
                  % name.encode())
    wait_states(berthd, {("mine", "x"): "down"})
    row = backends(berthd)["mine", "x"]
    assert (row["consumer"], row["error"], row["failed_us"]) == \
        ("me", None, None)
    sock.close()
    wait_states(berthd, {})


def test_health_of_a_listener(world, netns, gone):
    """It says that nobody answers, how often that was found and when, as long
    as all of its backends are down."""
    there = world.host.listen()
    name = "{}:{}".format(*there.getsockname())
    berthd = world.berthd(forward([gone, name]))

    def health():
        row = berthd.listener(netns.cookie())
        return row["health"], row["health_reason"]

    with netns.connect("127.0.0.1", 8080):
        there.accept()[0].close()
    there.close()
    assert health()[0] == "ok"
    fail(netns)
    state, reason = wait_for(
        lambda: health() if health()[0] == "backend-down" else None,
        "that no backend answers")
    assert re.fullmatch(r"the backend 127\.0\.0\.1:\d+ refused \d times?, last "
                        r"\d+ s ago", reason)
    assert reason.split(", last")[0] in berthd.ctl_text("explain", "n")

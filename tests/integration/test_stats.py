# SPDX-License-Identifier: Apache-2.0
"""test_stats.py - what was accepted and transferred, as berthctl tells it."""

import os
import re
import signal
import socket

import pytest

from harness.rules import ack, forward, rule, rules
from harness.traffic import echo_backend, pair, pattern, reset, works
from harness.wait import GUARD, wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM
ZERO = {"accepted": 0, "active": 0, "limited": 0, "failed": 0, "bytes_in": 0,
        "bytes_out": 0, "messages_in": 0, "messages_out": 0, "dropped": 0,
        "looped": 0, "not_admitted": 0, "unlogged": 0, "ended": [],
        "dropped_by": [], "limited_by": [], "errors": []}


@pytest.fixture
def netns(world):
    return world.netns("n")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def stats(berthd):
    """All by rule, from consumers that are not silent."""
    shown = berthd.ctl("stats")
    assert shown["silent"] == []
    return {r["name"]: r["counters"] for r in shown["rules"]}


def of_rule(berthd, name="web"):
    return stats(berthd)[name]


def total(berthd):
    return berthd.ctl("stats")["total"]


def of_listener(berthd, netns, **which):
    """None until its consumer has it."""
    row = berthd.listener(netns.cookie(), **which)
    return row and row["counters"]


def wait_counts(read, what, **expected):
    """Counts follow the traffic at once, but not within its system calls."""
    def now():
        counters = read() or {}
        return {key: counters.get(key) for key in expected}

    wait_equal(now, expected, what)


def everywhere(berthd, netns, what, port=8080, protocol="tcp", name="web",
               **expected):
    """The same by listener, by rule and in all, with one listener."""
    wait_counts(lambda: of_listener(berthd, netns, port=port,
                                    protocol=protocol), what, **expected)
    wait_counts(lambda: of_rule(berthd, name), what, **expected)
    wait_counts(lambda: total(berthd), what, **expected)


def udp(world, place, port=8080):
    sock = world.close_later(place.new_socket(socket.AF_INET, DGRAM))
    sock.connect(("127.0.0.1", port))
    return sock


def swap(client, server, size):
    """One exchange of two different sizes. Return: bytes in, bytes out."""
    client.sendall(b"x" * size)
    left = size
    while left:
        left -= len(server.recv(1 << 16))
    server.sendall(b"y" * (size + 1))
    left = size + 1
    while left:
        left -= len(client.recv(1 << 16))
    return size, size + 1


def test_nothing_yet(world, netns):
    berthd = world.berthd(rules(rule(), rule(name="never", port=1,
                                             namespace="none")))
    wait_for(lambda: of_listener(berthd, netns), "delivery")
    assert of_listener(berthd, netns) == ZERO
    assert stats(berthd) == {"web": ZERO, "never": ZERO}
    assert total(berthd) == ZERO
    head = berthd.ctl_text("listeners").splitlines()[0]
    assert "ACCEPTED" not in head and "RECEIVED" not in head
    text = berthd.ctl_text("stats")
    assert re.search(r"^RULE +ACTIVE +ACCEPTED +RECEIVED +SENT$", text, re.M)
    assert re.search(r"^total +0 +0 +0 B +0 B$", text, re.M)


def test_tcp(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    pairs = [pair(netns, backend) for _ in range(3)]
    everywhere(berthd, netns, "three connections", accepted=3, active=3,
               bytes_in=0, bytes_out=0)
    bytes_in = bytes_out = 0
    for size, (client, server) in zip((1, 4096, 3 << 20), pairs):
        more_in, more_out = swap(client, server, size)
        bytes_in += more_in
        bytes_out += more_out
    everywhere(berthd, netns, "their bytes", accepted=3, active=3,
               bytes_in=bytes_in, bytes_out=bytes_out, messages_in=0,
               messages_out=0, limited=0, failed=0, dropped=0)
    for n, (client, server) in enumerate(pairs):
        client.close()
        server.close()
        everywhere(berthd, netns, "one less", accepted=3, active=2 - n,
                   bytes_in=bytes_in, bytes_out=bytes_out)
    text = berthd.ctl_text("listeners")
    assert re.search(r"STATE +HEALTH +(ACTIVE +)?ACCEPTED +RECEIVED +SENT$",
                     text, re.M), text
    assert re.search(r"listening +ok +3 +3.0 MiB +3.0 MiB$", text, re.M), text


def test_resets_end_connections(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    everywhere(berthd, netns, "it is there", active=1)
    reset(client)
    everywhere(berthd, netns, "it is gone", active=0, accepted=1)
    server.close()


def test_respond(world, netns):
    berthd = world.berthd(ack())
    for _ in range(5):
        assert netns.ask("127.0.0.1", 8080) == b"ack"
    everywhere(berthd, netns, "five answers", accepted=5, active=0,
               bytes_out=15)


@pytest.mark.parametrize("action", ["echo", "discard"])
def test_own_answers(world, netns, action):
    berthd = world.berthd(ack(respond=action))
    data = pattern(100_000, action)
    got = netns.ask("127.0.0.1", 8080, data)
    assert got == (data if action == "echo" else b"")
    everywhere(berthd, netns, "all of it", accepted=1, active=0,
               bytes_in=len(data), bytes_out=len(got))


def test_udp(world, netns, datagrams):
    berthd = world.berthd(forward(to(datagrams), protocol="udp",
                                  options={"idle_timeout": "1s"}))
    one, two = udp(world, netns), udp(world, netns)
    bytes_in = bytes_out = messages = 0
    for client, size in ((one, 1), (two, 100), (one, 1200), (two, 9000)):
        client.send(b"x" * size)
        data, session = datagrams.recvfrom(1 << 16)
        assert len(data) == size
        datagrams.sendto(b"y" * (size + 1), session)
        assert len(client.recv(1 << 16)) == size + 1
        bytes_in += size
        bytes_out += size + 1
        messages += 1
    everywhere(berthd, netns, "two sessions", protocol="udp", accepted=2,
               messages_in=messages, messages_out=messages,
               bytes_in=bytes_in, bytes_out=bytes_out, limited=0, failed=0)
    everywhere(berthd, netns, "the sessions' end", protocol="udp", accepted=2,
               active=0, messages_in=messages, bytes_in=bytes_in)


def test_refused_by_limit(world, netns, backend):
    berthd = world.berthd(forward(to(backend),
                                  options={"max_connections": 2}))
    pairs = [pair(netns, backend) for _ in range(2)]
    more = netns.connect("127.0.0.1", 8080)
    wait_for(lambda: of_rule(berthd)["limited"] > 0, "the limit to count")
    wait_counts(lambda: of_rule(berthd), "the limit to hold", active=2)
    # It waits in the backlog, and has its turn when another ends.
    for sock in pairs.pop():
        sock.close()
    server, _ = backend.accept()
    pairs.append((more, server))
    assert works(more, server)
    for sock in (sock for pair_ in pairs for sock in pair_):
        sock.close()
    wait_counts(lambda: of_rule(berthd), "the end", active=0, accepted=3)


def test_failed_by_errno(world, netns, backend):
    """A port where nothing listens, and a socket that is not there."""
    port = backend.getsockname()[1]
    backend.close()
    berthd = world.berthd(rules(
        rule(name="refused", port=1001, forward={"to": f"127.0.0.1:{port}"}),
        rule(name="absent", port=1002,
             forward={"to": f"unix:{world.base}/nothing"})))
    for _ in range(3):
        for where in (1001, 1002):
            try:
                assert netns.ask("127.0.0.1", where) == b""
            except ConnectionError:
                pass
    wait_counts(lambda: of_rule(berthd, "refused"), "refusals", failed=3,
                active=0, errors=[{"error": "ECONNREFUSED", "count": 3}])
    wait_counts(lambda: of_rule(berthd, "absent"), "absences", failed=3,
                active=0, errors=[{"error": "ENOENT", "count": 3}])
    assert total(berthd)["failed"] == 6
    text = berthd.ctl_text("stats")
    assert re.search(r"^refused .* ECONNREFUSED 3$", text, re.M), text
    assert re.search(r"^total .* ECONNREFUSED 3, ENOENT 3$", text, re.M), text


def test_rules_are_counted_apart(world, netns, backend):
    """And each namespace's listener has its own part of them."""
    other = world.netns("other")
    berthd = world.berthd(rules(
        rule(name="a", port=1001, forward={"to": to(backend)}),
        rule(name="b", port=1002, forward={"to": to(backend)})))
    for place, port, size in ((netns, 1001, 10), (other, 1001, 100),
                              (netns, 1002, 1000)):
        client, server = pair(place, backend, port=port)
        with client, server:
            swap(client, server, size)
    wait_counts(lambda: of_rule(berthd, "a"), "rule a", accepted=2,
                bytes_in=110, bytes_out=112)
    wait_counts(lambda: of_rule(berthd, "b"), "rule b", accepted=1,
                bytes_in=1000, bytes_out=1001)
    wait_counts(lambda: total(berthd), "all", accepted=3, bytes_in=1110)
    assert of_listener(berthd, netns, port=1001)["bytes_in"] == 10
    assert of_listener(berthd, other, port=1001)["bytes_in"] == 100


def test_totals_survive_the_namespace(world, netns, backend):
    """Those of its end, too: a connection that the end resets."""
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        swap(client, server, 5000)
        everywhere(berthd, netns, "before", accepted=1, active=1,
                   bytes_in=5000)
        netns.delete()
        wait_equal(berthd.names, [], "the namespace to go")
        wait_counts(lambda: of_rule(berthd), "what is left", accepted=1,
                    active=0, bytes_in=5000, bytes_out=5001)
    netns.create().up()
    client, server = wait_for(lambda: _try_pair(netns, backend), "its return")
    with client, server:
        swap(client, server, 7)
        wait_counts(lambda: of_rule(berthd), "both", accepted=2, active=1,
                    bytes_in=5007, bytes_out=5009)
        assert of_listener(berthd, netns)["accepted"] == 1


def _try_pair(netns, backend):
    try:
        return pair(netns, backend)
    except ConnectionRefusedError:
        return None


def test_totals_and_reloads(world, netns, backend):
    """A rule that is changed goes on, one that goes stays in the sum."""
    berthd = world.berthd({
        "a.yaml": forward(to(backend), name="a", port=1001),
        "b.yaml": forward(to(backend), name="b", port=1002)})
    for port in (1001, 1002):
        client, server = pair(netns, backend, port=port)
        with client, server:
            swap(client, server, 10)
    wait_counts(lambda: total(berthd), "two connections", accepted=2,
                active=0)
    berthd.write_rules("a.yaml", forward(to(backend), name="a", port=1003))
    berthd.remove_rules("b.yaml")
    wait_equal(netns.listeners, {"tcp *:1003"}, "the new rules")
    wait_equal(lambda: set(stats(berthd)), {"a"}, "one rule")
    wait_counts(lambda: of_rule(berthd, "a"), "what a had", accepted=1,
                bytes_in=10)
    wait_counts(lambda: total(berthd), "what both had", accepted=2,
                bytes_in=20, bytes_out=22)


def test_counts_go_on_while_connections_finish(world, netns, backend):
    """Of a rule that is gone: they are in the sum at every moment."""
    berthd = world.berthd({"a.yaml": forward(to(backend)), "b.yaml": ""})
    client, server = pair(netns, backend)
    with client, server:
        swap(client, server, 10)
        berthd.remove_rules("a.yaml")
        wait_equal(netns.listeners, set(), "no listener")
        wait_counts(lambda: total(berthd), "still there", accepted=1,
                    active=1, bytes_in=10)
        swap(client, server, 10)
        wait_counts(lambda: total(berthd), "more", accepted=1, active=1,
                    bytes_in=20)
    wait_counts(lambda: total(berthd), "the end", accepted=1, active=0,
                bytes_in=20, bytes_out=22)


def test_relay_restarts(world, netns, backend):
    """What it said when it was asked last is not lost."""
    other = world.netns("other")
    berthd = world.berthd(forward(to(backend)))
    for place in (other, netns):
        client, server = pair(place, backend)
        with client, server:
            swap(client, server, 100)
    wait_counts(lambda: of_rule(berthd), "both", accepted=2, active=0)
    other.delete()
    wait_equal(berthd.names, ["n"], "one namespace")
    wait_counts(lambda: of_listener(berthd, netns), "it", accepted=1)
    killed = berthd.kill_relay()
    berthd.relay_pid(other_than=killed)
    wait_for(lambda: of_listener(berthd, netns), "delivery")
    left = of_rule(berthd)
    assert left["accepted"] == 2 and left["bytes_in"] == 200
    assert of_listener(berthd, netns) == ZERO
    client, server = pair(netns, backend)
    with client, server:
        swap(client, server, 11)
        wait_counts(lambda: of_rule(berthd), "it counts again", accepted=3,
                    active=1, bytes_in=211)


def test_consumer_that_does_not_answer(world, netns, backend):
    """It costs one wait; berthd serves others, and says what it knows."""
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        swap(client, server, 100)
        everywhere(berthd, netns, "as usual", bytes_in=100)
        relay = berthd.relay_pid()
        os.kill(relay, signal.SIGSTOP)
        try:
            shown = berthd.ctl("stats")
            assert shown["silent"] == ["relay"]
            # What it said before stands, but for what may have ended.
            assert shown["total"]["accepted"] == 1
            assert shown["total"]["active"] == 0
            row = berthd.listener(netns.cookie())
            assert row["state"] == "listening" and row["counters"] is None
            assert berthd.ctl("listeners")["silent"] == ["relay"]
            text = berthd.ctl_text("stats")
            assert "consumer 'relay' does not say what it counts" in text
            assert "consumer 'relay' does not say" \
                in berthd.ctl_text("listeners")
            assert berthd.status()["settled"]
        finally:
            os.kill(relay, signal.SIGCONT)
        wait_equal(lambda: berthd.ctl("stats")["silent"], [], "its answer")
        everywhere(berthd, netns, "nothing was lost", accepted=1,
                   bytes_in=100)
        assert works(client, server)


def test_clients_that_go_while_they_wait(world, netns):
    berthd = world.berthd(ack())
    wait_for(lambda: of_listener(berthd, netns), "delivery")
    relay = berthd.relay_pid()
    os.kill(relay, signal.SIGSTOP)
    try:
        for method in ("GetStats", "ListListeners") * 5:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(berthd.runtime / "control.sock"))
                sock.sendall(b'{"method":"io.berth.%s"}\0' % method.encode())
    finally:
        os.kill(relay, signal.SIGCONT)
    wait_equal(lambda: berthd.ctl("stats")["silent"], [], "its answer")
    assert of_rule(berthd) == ZERO


def test_many_listeners(world, netns):
    """More than one datagram of the answer holds."""
    ports = 400
    berthd = world.berthd(ack(port=f"10000-{10000 + ports - 1}"))
    wait_for(lambda: len(netns.listeners()) == ports, "all listeners")
    for port in range(10000, 10000 + ports):
        assert netns.ask("127.0.0.1", port) == b"ack"
    wait_counts(lambda: of_rule(berthd), "all of them", accepted=ports,
                active=0, bytes_out=3 * ports)
    rows = berthd.listeners(netns.cookie())
    assert {row["counters"]["accepted"] for row in rows} == {1}


def test_more_listeners_than_one_turn_looks_at(world):
    """The relay answers for all of them, whether they have clients or not."""
    ports = 800
    places = [world.netns(f"m{n}") for n in range(2)]
    berthd = world.berthd(ack(port=f"10000-{10000 + ports - 1}"))
    for place in places:
        wait_for(lambda: len(place.listeners()) == ports, "all listeners")
    berthd.wait_delivered()
    for place in places:
        assert place.ask("127.0.0.1", 10000) == b"ack"
    wait_counts(lambda: of_rule(berthd), "both", accepted=2, active=0)


def test_two_daemons(world, netns, backend):
    """Each counts its own."""
    one = world.berthd(forward(to(backend), port=1001))
    two = world.berthd(forward(to(backend), port=1002))
    for berthd, port, size in ((one, 1001, 10), (two, 1002, 20)):
        client, server = pair(netns, backend, port=port)
        with client, server:
            swap(client, server, size)
        everywhere(berthd, netns, "its own", port=port, accepted=1,
                   bytes_in=size)
    assert total(one)["bytes_in"] == 10 and total(two)["bytes_in"] == 20


def test_counting_while_traffic_runs(world, netns):
    """Nothing goes backwards, and in the end nothing is missing."""
    backend = echo_backend(world)
    berthd = world.berthd(forward(f"127.0.0.1:{backend.port}"))
    data = pattern(64 << 10, "data")
    seen = ZERO
    for _ in range(20):
        with netns.connect("127.0.0.1", 8080) as client:
            client.settimeout(GUARD)
            client.sendall(data)
            now = of_rule(berthd)
            for key in ("accepted", "bytes_in", "bytes_out"):
                assert now[key] >= seen[key]
            assert now["active"] <= now["accepted"]
            seen = now
            client.shutdown(socket.SHUT_WR)
            got = b""
            while more := client.recv(1 << 16):
                got += more
            assert got == data
    everywhere(berthd, netns, "all", accepted=20, active=0,
               bytes_in=20 * len(data), bytes_out=20 * len(data))

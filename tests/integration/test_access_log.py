# SPDX-License-Identifier: Apache-2.0
"""test_access_log.py - a line for each connection or session that ends."""

import json
import os
import re
import signal
import socket

import pytest

from harness.rules import ack, forward, rule, rules
from harness.traffic import pair, reset, works
from harness.wait import wait_equal, wait_for
from test_commandline import TIME
from test_endings import session, to
from test_log_format import Journal

ALL = {"log": "connections"}


@pytest.fixture
def netns(world):
    return world.netns("n")


def with_log(text, what="connections"):
    """A file with one rule that forwards, and logs, too."""
    return text.replace("\n  forward:", f"\n  log: {what}\n  forward:", 1)


def logged(where, what="connections", **kwargs):
    """A rule that forwards and logs."""
    return with_log(forward(where, **kwargs), what)


def objects(berthd):
    """The lines of connections, of a log in JSON."""
    lines = [json.loads(line) for line in berthd.log().splitlines()]
    return [line for line in lines if "ending" in line]


def wait_objects(berthd, n=1):
    wait_for(lambda: len(objects(berthd)) >= n, f"{n} lines")
    found = objects(berthd)
    assert len(found) == n, found
    return found


def as_json(world, text):
    return world.berthd({"a.yaml": text}, args=["--log-format", "json"])


def name(sock):
    return "{}:{}".format(*sock.getsockname()[:2])


def test_fields(world, netns, backend):
    berthd = as_json(world, logged(to(backend)))
    client, server = pair(netns, backend)
    client.sendall(b"123")
    assert server.recv(3) == b"123"
    server.sendall(b"12345")
    assert client.recv(5) == b"12345"
    address = name(client)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.close()
    assert client.recv(1) == b""
    client.close()
    line, = wait_objects(berthd)
    assert re.fullmatch(TIME, line.pop("time"))
    assert line.pop("duration_us") > 0
    assert line == {
        "level": "info", "program": "berth-relay", "message": "connection",
        "ending": "client-end", "rule": "web", "netns": "n",
        "listener": "tcp *:8080", "client": address,
        "local": "127.0.0.1:8080", "backend": to(backend),
        "bytes_in": 3, "bytes_out": 5}


def test_text(world, netns, backend):
    """One line, for people and for programs that split at spaces."""
    berthd = world.berthd(logged(to(backend)))
    client, server = pair(netns, backend)
    address = name(client)
    server.close()
    assert client.recv(1) == b""
    client.close()
    berthd.wait_log(
        f"^{TIME} berth-relay: connection ending=backend-end rule=web "
        rf"netns=n listener=\"?tcp \*:8080\"? client={address} "
        rf"local=127.0.0.1:8080 backend={to(backend)} "
        r"bytes_in=0 bytes_out=0 duration_us=\d+$")


def test_journal(world, netns, backend):
    journal = Journal()
    world.defer(journal.close)
    berthd = world.berthd(logged(to(backend)),
                          args=["--log-format", "journal"])
    client, server = pair(netns, backend)
    address = name(client)
    assert works(client, server)
    reset(client)
    entry = journal.wait("ending=client-reset")
    assert entry["SYSLOG_IDENTIFIER"] == "berth-relay"
    assert entry["PRIORITY"] == "6"
    assert entry["ENDING"] == "client-reset"
    assert (entry["RULE"], entry["NETNS"]) == ("web", "n")
    # Also of a client that is gone.
    assert entry["CLIENT"] == address
    assert (entry["BYTES_IN"], entry["BYTES_OUT"]) == ("4", "4")
    assert int(entry["DURATION_US"]) > 0
    assert berthd.log() == ""
    server.close()


def test_container(world, netns, backend):
    """Also if it is told of when the listener is open."""
    berthd = as_json(world, logged(to(backend)))
    wait_for(netns.listeners, "the listener")
    berthd.ctl("register", "--netns", netns.path, "--name", "shop")

    def last():
        n = len(objects(berthd))
        client, server = pair(netns, backend)
        server.close()
        client.close()
        return wait_objects(berthd, n + 1)[-1]

    wait_for(lambda: last().get("container") == "shop", "the container")


def test_failures_only(world, netns, backend):
    berthd = as_json(world, logged(to(backend), what="failures"))
    client, server = pair(netns, backend)
    server.close()
    client.close()
    wait_equal(lambda: berthd.ctl("stats")["total"]["active"], 0, "its end")
    client, server = pair(netns, backend)
    assert works(client, server)
    reset(server)
    line, = wait_objects(berthd)
    assert line["ending"] == "backend-reset"
    client.close()


def test_no_backend(world, netns, backend):
    berthd = as_json(world, logged(to(backend), what="failures"))
    where = to(backend)
    backend.close()
    netns.connect("127.0.0.1", 8080).close()
    line, = wait_objects(berthd)
    assert line["backend"] == where
    assert line["ending"] in ("backend-refused", "client-reset")


def test_answered(world, netns):
    berthd = as_json(world, rules(rule(respond="ack", **ALL)))
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    line, = wait_objects(berthd)
    assert line["ending"] == "answered"
    assert line["bytes_out"] == 3
    assert "backend" not in line


def test_session(world, netns, datagrams):
    berthd = as_json(world, logged(to(datagrams), protocol="udp",
                                   options={"idle_timeout": "200ms"}))
    client, address = session(world, netns, datagrams)
    datagrams.sendto(b"1234", address)
    assert client.recv(9) == b"1234"
    line, = wait_objects(berthd)
    assert (line["message"], line["ending"]) == ("session", "idle")
    assert line["client"] == name(client)
    assert line["local"] == "127.0.0.1:8080"
    assert line["backend"] == to(datagrams)
    assert (line["bytes_in"], line["bytes_out"]) == (1, 4)


def test_session_rule_changed(world, netns, datagrams):
    """Which backend it had the new rule does not know."""
    berthd = as_json(world, logged(to(datagrams), protocol="udp"))
    client, _ = session(world, netns, datagrams)
    berthd.write_rules("a.yaml", logged("127.0.0.1:9", protocol="udp"))
    line, = wait_objects(berthd)
    assert (line["message"], line["ending"]) == ("session", "rule-changed")
    assert line["client"] == name(client)
    assert line["bytes_in"] == 1
    assert "backend" not in line


def test_nothing_is_asked_for(world, netns, backend):
    berthd = as_json(world, forward(to(backend)))
    client, server = pair(netns, backend)
    server.close()
    client.close()
    wait_equal(lambda: berthd.ctl("stats")["total"]["active"], 0, "its end")
    # With the rule changed, it is for those that come.
    berthd.write_rules("a.yaml", logged(to(backend)))
    berthd.ctl("reload")

    def another():
        for sock in pair(netns, backend):
            sock.close()
        return objects(berthd)

    assert objects(berthd) == []
    wait_for(another, "the relay to know the rule")


def test_relay_ends(world, netns, backend, datagrams):
    """By itself, while berthd is there; of sessions, too."""
    udp = {"protocol": "udp", "port": 8080}
    berthd = as_json(world, rules(
        rule("one", forward={"to": to(backend)}, **ALL),
        rule("two", forward={"to": to(datagrams)}, listen=[udp], **ALL)))
    client, server = pair(netns, backend)
    assert works(client, server)
    session(world, netns, datagrams)
    os.kill(berthd.relay_pid(), signal.SIGTERM)
    lines = wait_objects(berthd, 2)
    assert {(line["message"], line["ending"]) for line in lines} == {
        ("connection", "relay-end"), ("session", "relay-end")}
    client.close()
    server.close()


def test_berthd_ends(world, netns, backend):
    """What was noted last is written."""
    berthd = as_json(world, logged(to(backend)))
    client, server = pair(netns, backend)
    assert works(client, server)
    berthd.stop()
    line, = objects(berthd)
    assert line["ending"] in ("relay-end", "netns-gone")
    client.close()
    server.close()


def test_log_that_takes_nothing(world, netns):
    """The relay serves on, and counts what has no line."""
    journal = Journal()
    world.defer(journal.close)
    berthd = world.berthd(rules(rule(respond="ack", **ALL)),
                          args=["--log-format", "journal"])
    with open("/proc/sys/net/unix/max_dgram_qlen", encoding="ascii") as file:
        n = 2 * int(file.read()) + 50
    for _ in range(n):
        assert netns.ask("127.0.0.1", 8080) == b"ack"
    wait_equal(lambda: berthd.ctl("stats")["total"]["accepted"], n, "all")
    lost = journal.wait("lines were lost")
    written = [entry for entry in journal.read() if "ENDING" in entry]
    assert 0 < len(written) < n
    assert 0 < int(lost["LOST"]) <= n - len(written) + n


@pytest.mark.parametrize("text, problem", [
    (rules(rule(respond="ack", log="all")), "connections or failures"),
    (rules(rule(handoff="x", log="connections")),
     "no effect with handoff"),
])
def test_wrong(world, text, problem):
    berthd = world.berthd({"a.yaml": ack(), "b.yaml": text})
    assert problem in berthd.log()

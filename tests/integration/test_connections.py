# SPDX-License-Identifier: Apache-2.0
"""test_connections.py - which clients there are, and how to end one."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from harness.berthd import BERTHCTL
from harness.consumer import Consumer
from harness.netns import read_exactly
from harness.rules import forward, rule, rules
from harness.traffic import pair, was_reset, works
from harness.wait import GUARD, wait_equal, wait_for

COMPLETION = (Path(__file__).resolve().parents[2]
              / "contrib/completions/berth.bash")
DGRAM = socket.SOCK_DGRAM


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    server = world.close_later(world.host.listen())
    server.settimeout(GUARD)
    return server


def text(address):
    return f"{address[0]}:{address[1]}"


def to(backend):
    return text(backend.getsockname())


def listed(berthd, *target):
    answer = berthd.ctl("connections", *target)
    assert answer["silent"] == []
    return answer["connections"]


def of_client(berthd, client):
    """The row of this client. It is there once the relay has accepted it."""
    end = text(client.getsockname())
    return wait_for(lambda: [row for row in listed(berthd)
                             if row["client"] == end], f"{end} in the list")[0]


class Asked:
    """A berthctl that waits while the test plays the consumer."""

    def __init__(self, berthd, *args):
        self.process = subprocess.Popen(
            [str(BERTHCTL), "--runtime-dir", str(berthd.runtime), *args,
             "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)

    def answer(self, code=0):
        out, err = self.process.communicate(timeout=GUARD)
        assert self.process.returncode == code, err
        return json.loads(out) if out else err


def test_tcp(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    assert works(client, server, b"12345")
    row = of_client(berthd, client)
    assert row["consumer"] == "relay"
    assert row["id"].startswith(f"relay/{berthd.relay_pid()}/")
    assert row["listener"] == berthd.listener(netns.cookie())["id"]
    assert (row["namespace"], row["rule"], row["protocol"]) == ("n", "web",
                                                                "tcp")
    assert row["namespace_id"] == netns.cookie()
    assert row["local"] == text(client.getpeername())
    assert row["backend"] == to(backend)
    assert (row["state"], row["draining"]) == ("open", False)
    assert 0 <= row["idle_us"] <= row["age_us"] < GUARD * 1e6
    assert (row["bytes_in"], row["bytes_out"]) == (5, 5)
    table = berthd.ctl_text("connections")
    assert row["id"] in table and text(client.getsockname()) in table
    assert works(client, server)


def test_closes_one(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    kept, kept_server = pair(netns, backend)
    row = of_client(berthd, client)
    done = berthd.ctl("close", row["id"])
    assert done == {"listeners": 0, "draining": 0, "connections": 1}
    client.settimeout(GUARD)
    server.settimeout(GUARD)
    assert was_reset(client)
    assert was_reset(server)
    assert works(kept, kept_server)
    assert [r["client"] for r in listed(berthd)] \
        == [text(kept.getsockname())]
    failed = berthd.ctl_process("close", row["id"])
    assert failed.returncode == 1
    assert "no such connection" in failed.stderr
    wait_equal(lambda: berthd.listener(netns.cookie())["counters"]["active"],
               1, "one connection to be left")
    more, more_server = pair(netns, backend)  # the listener stays
    assert works(more, more_server)


@pytest.mark.parametrize("target", [
    "relay/{pid}/123456789", "relay/1/{n}", "other/{pid}/{n}",
    "relay/{pid}/", "relay/{pid}", "relay/{pid}/{n}x", "relay/{pid}/-1",
    "relay/{pid}/99999999999999999999", "/{pid}/{n}", "relay//{n}"])
def test_closes_nothing_else(world, netns, backend, target):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    number = of_client(berthd, client)["id"].split("/")[2]
    done = berthd.ctl_process(
        "close", target.format(pid=berthd.relay_pid(), n=number))
    assert done.returncode == 1
    assert "there is no" in done.stderr
    assert works(client, server)


def test_filters(world, netns, backend):
    other = world.netns("m")
    berthd = world.berthd(rules(
        rule("one", forward={"to": to(backend)}),
        rule("two", forward={"to": to(backend)}, port=8081)))
    pairs = {(place.name, port): pair(place, backend, port=port)
             for place in (netns, other) for port in (8080, 8081)}
    clients = {key: text(client.getsockname())
               for key, (client, _) in pairs.items()}
    wait_equal(lambda: len(listed(berthd)), 4, "four clients")

    def seen(*target):
        return sorted((row["namespace"], int(row["local"].split(":")[1]))
                      for row in listed(berthd, *target))

    assert seen() == sorted(clients)
    assert seen("n") == [("n", 8080), ("n", 8081)]
    assert seen("one") == [("m", 8080), ("n", 8080)]
    listener = berthd.listener(netns.cookie(), port=8081)["id"]
    assert seen(str(listener)) == [("n", 8081)]
    failed = berthd.ctl_process("connections", "nobody")
    assert failed.returncode == 1
    assert "no such namespace" in failed.stderr


def test_udp(world, netns):
    backend = world.close_later(world.host.listen(kind=DGRAM))
    berthd = world.berthd(forward(to(backend), protocol="udp"))
    clients = []
    for _ in range(2):
        client = world.close_later(netns.new_socket(kind=DGRAM))
        client.connect(("127.0.0.1", 8080))
        client.send(b"123")
        data, session = backend.recvfrom(16)
        backend.sendto(b"12345", session)
        assert (data, client.recv(16)) == (b"123", b"12345")
        clients.append(client)
    row = of_client(berthd, clients[0])
    assert row["protocol"] == "udp"
    assert (row["local"], row["backend"]) == ("127.0.0.1:8080", to(backend))
    assert (row["bytes_in"], row["bytes_out"]) == (3, 5)
    assert row["state"] == "open"
    berthd.ctl("close", row["id"])
    assert [r["client"] for r in listed(berthd)] \
        == [text(clients[1].getsockname())]
    # It begins anew, from another port of the relay's.
    clients[0].send(b"again")
    assert backend.recv(16) == b"again"
    again = of_client(berthd, clients[0])
    assert again["id"] != row["id"]
    assert again["bytes_in"] == 5


def test_without_backend(world, netns):
    berthd = world.berthd(rules(rule(respond="echo")))
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(b"abc")
        assert read_exactly(client, 3) == b"abc"
        row = of_client(berthd, client)
        assert row["backend"] is None
        assert (row["bytes_in"], row["bytes_out"]) == (3, 3)
        berthd.ctl("close", row["id"])
        client.settimeout(GUARD)
        assert was_reset(client)


def test_what_drains(world, netns, backend):
    """Who keeps a listener draining is seen, and can be ended."""
    berthd = world.berthd(forward(to(backend),
                                  options={"drain_timeout": "1h"}))
    client, server = pair(netns, backend)
    row = of_client(berthd, client)
    berthd.remove_rules("50-test.yaml")
    berthd.wait_state(netns.cookie(), "draining")
    drains = of_client(berthd, client)
    assert (drains["id"], drains["draining"]) == (row["id"], True)
    assert drains["rule"] == "web"
    assert [r["id"] for r in listed(berthd, "web")] == [row["id"]]
    assert [r["id"] for r in listed(berthd, str(row["listener"]))] \
        == [row["id"]]
    assert works(client, server)
    assert "draining" in berthd.ctl_text("connections", "n")
    berthd.ctl("close", row["id"])
    client.settimeout(GUARD)
    assert was_reset(client)
    wait_equal(berthd.listeners, [], "nothing to drain")


def test_after_takeover(world, netns, backend):
    """Those of the earlier relay are listed beside those of the new one."""
    berthd = world.berthd(forward(to(backend)))
    old, old_server = pair(netns, backend)
    relay = berthd.relay_pid()
    of_client(berthd, old)
    berthd.wait_delivered()
    berthd.ctl("restart-relay")
    later = berthd.relay_pid(other_than=relay)
    wait_equal(lambda: berthd.status()["consumers"][0]["pid"], later,
               "the new relay's connection")
    berthd.wait_delivered()
    new, new_server = pair(netns, backend)
    rows = {text(client.getsockname()): of_client(berthd, client)
            for client in (old, new)}
    pids = [rows[text(client.getsockname())]["pid"] for client in (old, new)]
    assert pids == [relay, later]
    drains = [rows[text(client.getsockname())]["draining"]
              for client in (old, new)]
    assert drains == [True, False]
    # Their numbers are alike, but each process has its own.
    berthd.ctl("close", rows[text(old.getsockname())]["id"])
    old.settimeout(GUARD)
    assert was_reset(old)
    assert works(new, new_server)
    old_server.close()


def test_many(world, netns, backend):
    """More than one part of every worker, whole and without a double; and a
    filter that few of them pass."""
    berthd = world.berthd(forward(to(backend)))
    pairs = [pair(netns, backend) for _ in range(300)]
    last, _ = pairs[-1]
    of_client(berthd, last)
    rows = listed(berthd)
    assert len({row["id"] for row in rows}) == len(rows)
    assert sorted(row["client"] for row in rows) \
        == sorted(text(client.getsockname()) for client, _ in pairs)
    listener = str(berthd.listener(netns.cookie())["id"])
    assert len(listed(berthd, listener)) == len(pairs)
    for client, server in pairs:
        client.close()
        server.close()


def test_container_without_conditions_on_containers(world, netns, backend):
    """The namespace's only one; with two nobody knows whom a client reached."""
    berthd = world.berthd(forward(to(backend)))
    client, _ = pair(netns, backend)
    assert "container" not in of_client(berthd, client)

    def tell(*names):
        path = berthd.runtime / "containers.d" / ".new"
        path.write_text(json.dumps([{"name": name, "netns": str(netns.path)}
                                    for name in names]))
        os.rename(path, path.with_name("a.json"))

    tell("web-1")
    wait_for(lambda: of_client(berthd, client).get("container") == "web-1",
             "the container")
    assert "web-1" in berthd.ctl_text("connections", "n").splitlines()[1]
    tell("web-1", "db-1")
    wait_for(lambda: "container" not in of_client(berthd, client),
             "none of two")


def test_completion(world, netns, backend):
    """bash offers what close takes."""
    berthd = world.berthd(forward(to(backend)))
    client, _ = pair(netns, backend)
    connection = of_client(berthd, client)["id"]
    script = (f"source {COMPLETION}; COMP_WORDS=({BERTHCTL} --runtime-dir "
              f"{berthd.runtime} close relay/); COMP_CWORD=4; _berth; "
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], text=True, check=True,
                          timeout=GUARD, capture_output=True)
    assert (done.stdout, done.stderr) == (connection + "\n", "")


# Other consumers

@pytest.fixture
def front(world, netns):
    """A consumer of the test's own that has a listener."""
    berthd = world.berthd(rules(rule(handoff="front")))
    consumer = world.close_later(Consumer(berthd, "front").welcome())
    consumer.until_listening()
    consumer.berthd = berthd
    consumer.listener, = consumer.listeners
    return consumer


def connections(consumer, asked, *clients, **members):
    consumer.say(type="connections", request=asked["request"],
                 connections=list(clients), **members)


def client_of(consumer, number=1, **members):
    return {"id": number, "listener": consumer.listener,
            "client": "10.0.0.2:99", **members}


def test_foreign_consumer(front):
    """Parts follow each other by what the consumer said; what it leaves out is
    the listener's."""
    call = Asked(front.berthd, "connections", str(front.listener))
    asked = front.expect("connections")
    assert (asked["after"], asked["listener"]) == (0, front.listener)
    connections(front, asked, client_of(front), next=7)
    asked = front.expect("connections")
    assert asked["after"] == 7
    connections(front, asked, client_of(front, 2, local="10.0.0.1:80",
                                        backend="b", state="odd",
                                        age_ms=2000, idle_ms=1000, bytes_in=3,
                                        bytes_out=4))
    answer = call.answer()
    assert answer["silent"] == []
    first, second = answer["connections"]
    assert (first["local"], first["backend"], first["state"]) \
        == ("*:8080", None, "open")
    assert (second["local"], second["backend"], second["state"]) \
        == ("10.0.0.1:80", "b", "odd")
    assert (second["age_us"], second["idle_us"], second["bytes_in"],
            second["bytes_out"]) == (2000000, 1000000, 3, 4)
    call = Asked(front.berthd, "close", second["id"])
    asked = front.expect("close")
    assert asked["connection"] == 2
    # An answer about another one is none.
    front.say(type="closed", request=asked["request"], connection=1,
              closed=True)
    front.say(type="closed", request=asked["request"], connection=2,
              closed=True)
    assert call.answer()["connections"] == 1


def test_foreign_ids(front):
    """Of a listener that is not its own, a consumer cannot tell anything."""
    call = Asked(front.berthd, "connections")
    asked = front.expect("connections")
    connections(front, asked, dict(client_of(front), listener=1),
                client_of(front, 2), dict(client_of(front), listener=-1))
    assert [row["id"].split("/")[2] for row in call.answer()["connections"]] \
        == ["2"]


def test_not_asked(front):
    """What nobody asked for is not read, however much it is."""
    for _ in range(100):
        connections(front, {"request": 1}, *[client_of(front)] * 300)
        front.say(type="closed", request=1, connection=1, closed=True)
    call = Asked(front.berthd, "connections")
    asked = front.expect("connections")
    connections(front, {"request": asked["request"] + 1}, client_of(front, 8))
    front.say(type="closed", request=asked["request"], connection=0,
              closed=True)
    connections(front, asked, client_of(front, 9))
    connections(front, asked, client_of(front, 10), next=5)
    assert [row["id"].split("/")[2] for row in call.answer()["connections"]] \
        == ["9"]


@pytest.mark.parametrize("message", [
    {"connections": None}, {"connections": [1]}, {"connections": [{}]},
    {"connections": [], "next": -1}, {"connections": [], "next": "x"},
    {"connections": [{"id": -1, "listener": 1, "client": ""}]},
    {"connections": [{"id": 1, "listener": 1, "client": "x" * 1000}]},
    {"connections": [{"id": 1, "listener": 1, "client": "", "age_ms": -1}]},
])
def test_garbage(front, message):
    """Ends the connection, and the call goes on without it."""
    call = Asked(front.berthd, "connections")
    asked = front.expect("connections")
    front.say(type="connections", request=asked["request"], **message)
    assert front.ended()
    assert call.answer() == {"connections": [], "silent": []}


def test_never_answers(front):
    """The caller is told in time, and the consumer has one message to read."""
    call = Asked(front.berthd, "connections")
    front.expect("connections")
    assert call.answer() == {"connections": [], "silent": ["front"]}
    assert front.berthd.ctl("connections") == {"connections": [],
                                               "silent": ["front"]}
    pid = front.berthd.ctl("consumers")["consumers"]
    pid, = [entry["connections"][0]["pid"] for entry in pid
            if entry["name"] == "front"]
    done = front.berthd.ctl_process("close", f"front/{pid}/1")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "does not say" in front.berthd.ctl_text("connections")
    with pytest.raises(TimeoutError):
        front.receive(timeout=0.1)


def test_late_answer(front):
    """It may be asked again then."""
    call = Asked(front.berthd, "connections")
    late = front.expect("connections")
    assert call.answer()["silent"] == ["front"]
    connections(front, late, client_of(front, 1))
    front.berthd.status()  # it was read
    call = Asked(front.berthd, "connections")
    connections(front, front.expect("connections"), client_of(front, 2))
    assert [row["id"].split("/")[2] for row in call.answer()["connections"]] \
        == ["2"]


def test_caller_goes_away(front):
    """The next one waits for the answer that is on its way, and gets its
    own."""
    call = Asked(front.berthd, "connections")
    asked = front.expect("connections")
    call.process.kill()
    call.process.communicate(timeout=GUARD)
    call = Asked(front.berthd, "connections")
    connections(front, asked, client_of(front, 1))
    connections(front, front.expect("connections"), client_of(front, 2))
    assert [row["id"].split("/")[2] for row in call.answer()["connections"]] \
        == ["2"]


def test_ends_while_asked(front):
    call = Asked(front.berthd, "connections")
    front.expect("connections")
    front.close()
    assert call.answer() == {"connections": [], "silent": []}


def test_slow_reader_is_not_served_ahead(front):
    """Of a consumer with always more, a client that reads nothing gets no more
    than what the sockets hold, and the rest when it reads on."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(GUARD)
        sock.connect(str(front.berthd.runtime / "control.sock"))
        sock.sendall(b'{"method":"io.berth.ListConnections","more":true}\0')
        asked = front.expect("connections")
        parts = 0
        client = client_of(front, backend="x" * 1000)
        while asked:
            parts += 1
            assert parts < 100
            connections(front, asked, *[client] * 50, next=parts)
            front.berthd.status()  # that was read
            try:
                asked, _ = front.receive(timeout=0.2)
            except TimeoutError:
                asked = None
        got = b""
        while asked is None:
            got = sock.recv(1 << 16)
            assert got
            try:
                asked, _ = front.receive(timeout=0.01)
            except TimeoutError:
                pass
        assert asked["after"] == parts

# SPDX-License-Identifier: Apache-2.0
"""test_restart_berthd.py - berthd ends or crashes, and nobody notices."""

import json
import os
import signal
import socket

import pytest

from harness import process
from harness.rules import ack, forward, rule, rules
from harness.traffic import ended, pair, works
from harness.wait import GUARD, stays, wait_equal, wait_exit, wait_for

BOTH = pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def short(world):
    """A configuration with which a relay soon gives up waiting for berthd."""
    path = world.mkdir("config") / "berthd.yaml"
    path.write_text("orphan_timeout: 1s\n")
    return ["--config", str(path)]


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def ids(berthd):
    return {(row["namespace_id"], row["port"]): row["id"]
            for row in berthd.listeners()}


def relay_connection(berthd):
    return berthd.status()["consumers"][0]["pid"]


def exits(pidfd):
    try:
        return wait_exit(pidfd)
    finally:
        os.close(pidfd)


@BOTH
def test_established_and_new(world, netns, backend, number):
    """Connections go on, clients are answered meanwhile, and the next berthd
    has the same listeners, the same relay and the same totals."""
    places = [netns, world.netns("m")]
    berthd = world.berthd(forward(to(backend)))
    pairs = [pair(place, backend) for place in places]
    for one in pairs:
        works(*one)
    relay = berthd.relay_pid()
    berthd.wait_delivered()
    before = ids(berthd)
    inodes = [place.listener_inodes() for place in places]
    berthd.leave(number)
    for one in pairs:
        works(*one)
    meanwhile = [pair(place, backend) for place in places]
    for one in meanwhile:
        works(*one)
    berthd.start()
    wait_equal(lambda: relay_connection(berthd), relay,
               "the relay to connect again")
    assert ids(berthd) == before
    assert [place.listener_inodes() for place in places] == inodes
    after = [pair(place, backend) for place in places]
    for one in pairs + meanwhile + after:
        works(*one)
    assert berthd.ctl("stats")["total"]["accepted"] == 6
    assert berthd.relays() == [relay]
    for one in pairs + meanwhile + after:
        for sock in one:
            sock.close()


@BOTH
def test_udp_session(world, netns, number):
    """An answer that is on its way, and the next question."""
    backend = world.close_later(world.host.new_socket(kind=socket.SOCK_DGRAM))
    backend.bind(("127.0.0.1", 0))
    berthd = world.berthd(forward(to(backend), protocol="udp"))
    with netns.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 8080))
        client.send(b"first")
        data, session = backend.recvfrom(100)
        assert data == b"first"
        berthd.leave(number)
        backend.sendto(b"answer", session)
        assert client.recv(100) == b"answer"
        client.send(b"meanwhile")
        assert backend.recvfrom(100) == (b"meanwhile", session)
        berthd.start()
        client.send(b"after")
        assert backend.recvfrom(100) == (b"after", session)
        backend.sendto(b"another", session)
        assert client.recv(100) == b"another"


@BOTH
def test_what_changed_meanwhile(world, netns, backend, number):
    """Namespaces that went are freed, those that came have listeners, and
    other rules are in force, when it says that it is ready."""
    gone = world.netns("gone")
    berthd = world.berthd(rules(
        rule(name="web", forward={"to": to(backend)}),
        rule(name="less", port=8081)))
    client, server = pair(gone, backend)
    kept = pair(netns, backend)
    berthd.wait_delivered()
    berthd.leave(number)
    gone.delete()
    come = world.netns("come")
    berthd.write_rules("50-test.yaml", rules(
        rule(name="web", forward={"to": to(backend)}),
        rule(name="more", port=8082, respond="more")))
    berthd.start()
    expected = {"tcp *:8080", "tcp *:8082"}
    assert netns.listeners() == expected
    assert come.listeners() == expected
    assert ended(client) and ended(server)
    wait_equal(lambda: berthd.ctl("namespaces")["lingering"], [],
               "the namespace to be freed")
    assert come.ask("127.0.0.1", 8082) == b"more"
    works(*kept)
    for sock in (client, server, *kept):
        sock.close()


def test_again_and_again(world, netns, backend):
    """With a relay that dies now and then, and a restart of it."""
    berthd = world.berthd(forward(to(backend)))
    for attempt in range(6):
        one = pair(netns, backend)
        berthd.leave((signal.SIGKILL, signal.SIGTERM)[attempt % 2])
        berthd.start()
        works(*one)
        relay = berthd.relay_pid()
        if attempt == 2:
            berthd.ctl("restart-relay")
            wait_for(lambda: relay_connection(berthd) not in (None, 0, relay),
                     "another relay")
            works(*one)
        if attempt == 3:
            berthd.kill_relay()
            assert ended(one[0])
            berthd.relay_pid(other_than=relay)
        for sock in one:
            sock.close()
    wait_equal(lambda: len(berthd.relays()), 1, "one relay")


@BOTH
def test_relay_dies_meanwhile(world, netns, number):
    """The next berthd starts one."""
    berthd = world.berthd(ack())
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    relay = berthd.relay_pid()
    berthd.leave(number)
    pidfd = os.pidfd_open(relay)
    os.kill(relay, signal.SIGKILL)
    assert exits(pidfd)
    berthd.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.relay_pid(other_than=relay)


def test_relay_of_an_earlier_berthd_dies(world, netns):
    """It is no child, and another one is started all the same."""
    berthd = world.berthd(ack())
    berthd.relay_pid()
    berthd.wait_delivered()
    berthd.leave(signal.SIGKILL)
    berthd.start()
    relay = berthd.kill_relay()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.relay_pid(other_than=relay)
    berthd.wait_log(rf"\(pid {relay}\) ended; starting it again")


def test_relay_of_an_earlier_berthd_is_restarted(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    one = pair(netns, backend)
    relay = berthd.relay_pid()
    berthd.leave(signal.SIGKILL)
    berthd.start()
    berthd.ctl("restart-relay")
    wait_for(lambda: relay_connection(berthd) not in (None, 0, relay),
             "another relay")
    other = pair(netns, backend)
    works(*one)
    works(*other)
    for sock in (*one, *other):
        sock.close()
    wait_for(lambda: relay not in berthd.relays(), "the earlier one to end")


def test_interrupt_ends_everything(world, netns, backend):
    """SIGINT: the relay that an earlier berthd started, too."""
    berthd = world.berthd(forward(to(backend)))
    one = pair(netns, backend)
    berthd.leave(signal.SIGKILL)
    berthd.start()
    relay = berthd.relay_pid()
    berthd.stop()
    assert ended(one[0]) and ended(one[1])
    assert netns.listeners() == set()
    assert not os.path.exists(f"/proc/{relay}/exe")
    assert not (berthd.runtime / "control.sock").exists()
    for sock in one:
        sock.close()


def test_berthd_does_not_come_back(world, netns, backend, short):
    """Nobody frees namespaces: after a while everything is let go of."""
    berthd = world.berthd(forward(to(backend)), args=short)
    client, server = pair(netns, backend)
    pidfd = os.pidfd_open(berthd.relay_pid())
    berthd.wait_delivered()
    berthd.leave(signal.SIGKILL)
    works(client, server)
    assert exits(pidfd), "the relay runs on without berthd"
    assert ended(client) and ended(server)
    assert netns.listeners() == set()
    berthd.start()
    assert netns.listeners() == {"tcp *:8080"}
    client.close()
    server.close()


def drains(berthd, pid):
    return [c for consumer in berthd.ctl("consumers")["consumers"]
            for c in consumer["connections"]
            if c["pid"] == pid and c["draining_since_us"] is not None]


def test_one_that_drains_comes_back(world, netns, backend, short):
    """A relay that was taken over keeps its clients, and is told by the next
    berthd which namespaces go."""
    berthd = world.berthd(forward(to(backend)), args=short)
    client, server = pair(netns, backend)
    earlier = berthd.relay_pid()
    berthd.ctl("restart-relay")
    wait_for(lambda: relay_connection(berthd) not in (None, 0, earlier),
             "another relay")
    pidfd = os.pidfd_open(earlier)
    berthd.leave(signal.SIGKILL)
    works(client, server)
    berthd.start()
    wait_for(lambda: drains(berthd, earlier), "the earlier relay")
    works(client, server)
    netns.delete()
    assert ended(server)
    assert exits(pidfd), "the earlier relay has nothing left"
    client.close()
    server.close()


def test_relay_that_hangs_is_replaced(world, netns):
    """It has the listeners and does not hand them back."""
    berthd = world.berthd(ack())
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    relay = berthd.relay_pid()
    pidfd = os.pidfd_open(relay)
    os.kill(relay, signal.SIGSTOP)
    berthd.leave(signal.SIGKILL)
    berthd.start()
    assert exits(pidfd), "a relay that hangs is left alone"
    assert berthd.relay_pid(other_than=relay)
    wait_equal(netns.listeners, {"tcp *:8080"}, "the listener")
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_stranger_gets_nothing(world, netns):
    """A process that berthd did not start is not berth-relay, whoever it
    is."""
    berthd = world.berthd(ack())
    relay = berthd.relay_pid()
    berthd.wait_delivered()
    path = str(berthd.runtime / "consumers" / "relay.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(GUARD)
        sock.connect(path)
        sock.send(json.dumps({"type": "hello", "version": 1, "name": "me",
                              "takeover": True}).encode())
        answer = json.loads(sock.recv(65536))
        assert (answer["type"], answer["reason"]) == ("denied", "permission")
        assert sock.recv(1) == b""
    assert relay_connection(berthd) == relay
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_nothing_of_berthds_own_is_left_in_a_child(world):
    """A child has copies of all descriptors until it executes berth-relay:
    listeners of dead namespaces among them. berthd waits for that moment."""
    berthd = world.berthd(ack(), start=False)
    path = berthd.runtime / "relays.json"
    for _ in range(5):
        berthd.spawn()
        while not path.exists():
            assert berthd.process.poll() is None
        one, = json.loads(path.read_text())["consumers"]
        assert os.path.basename(process.command(one["pid"])) == "berth-relay"
        berthd.wait_ready()
        berthd.stop()
        path.unlink()


def test_pid_of_another(world, netns):
    """The file may name a process that got the pid meanwhile: it is left
    alone."""
    berthd = world.berthd(ack())
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    berthd.kill9()
    other = world.popen("sleep", "600")
    (berthd.runtime / "relays.json").write_text(json.dumps({
        "consumers": [{"name": "relay", "pid": other.pid, "started": 1}]}))
    berthd.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    berthd.stop()
    stays(lambda: other.poll() is None, "the other process", 0.1)

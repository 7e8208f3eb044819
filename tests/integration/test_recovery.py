# SPDX-License-Identifier: Apache-2.0
"""test_recovery.py - after a crash of either process all is as it was."""

import os
import re
import resource
import signal
import socket
import time

import pytest

from harness import process
from harness.netns import read_all
from harness.rules import ack, forward, rule, rules
from harness.traffic import echo_backend, ended, pair, works
from harness.wait import GUARD, stays, wait_equal, wait_exit, wait_for


@pytest.fixture
def netns(world):
    return world.netns("n")


def test_relay_killed_with_connections_and_backlog(world, netns):
    """Its connections end; those in the backlog are answered by the next."""
    backend = world.close_later(world.host.listen())
    berthd = world.berthd(forward(
        f"127.0.0.1:{backend.getsockname()[1]}"))
    before = netns.listener_inodes()
    client, server = pair(netns, backend)
    works(client, server)
    relay = berthd.relay_pid()
    with process.stopped(relay):
        # The relay cannot accept these: they are in the kernel's queue.
        waiting = [netns.connect("127.0.0.1", 8080) for _ in range(5)]
        for number, sock in enumerate(waiting):
            sock.sendall(b"waited %d" % number)
        os.kill(relay, signal.SIGKILL)
    assert ended(client) and ended(server)
    got = set()
    for _ in waiting:
        conn, _ = backend.accept()
        conn.settimeout(GUARD)
        got.add(conn.recv(100))
        conn.sendall(b"answer")
        conn.close()
    assert got == {b"waited %d" % n for n in range(5)}
    for sock in waiting:
        assert read_all(sock) == b"answer"
        sock.close()
    assert berthd.relay_pid(other_than=relay)
    assert netns.listener_inodes() == before, "a listener was reopened"
    assert re.search(r"relay", berthd.log()), "the crash is not in the log"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_refused_and_changed_meanwhile(world, netns, protocol):
    """The relay has no descriptor for a listener, and a change of it is in
    the queue behind the offer: the relay has not got it, and berthd knows."""
    # Each worker takes descriptors, so that the relay's table is full of
    # listeners long before berthd's.
    berthd = world.berthd(
        rules(rule(name="many", namespace="n", port="9000-9019"),
              rule(protocol=protocol, namespace="m*")),
        args=["--workers", "16"], limits={resource.RLIMIT_NOFILE: (64, 64)})
    relay = berthd.relay_pid()
    berthd.wait_log("short of descriptors")
    with process.stopped(relay):
        other = world.netns("m")
        berthd.wait_delivered()
        world.name("m2").bind(other)
        wait_equal(berthd.names, ["m", "m2", "n"], "both names")
        berthd.wait_delivered()
        netns.delete()
    berthd.wait_delivered()
    if protocol == "tcp":
        assert other.ask("127.0.0.1", 8080) == b"ack"
    else:
        with other.new_socket(kind=socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", 8080))
            sock.send(b"?")
            assert sock.recv(10) == b"ack"
    assert berthd.relay_pid() == relay


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM,
                                    signal.SIGABRT])
def test_relay_ends_again_and_again(world, netns, number):
    """It comes back each time, and berthd's listeners never close."""
    berthd = world.berthd(ack())
    before = netns.listener_inodes()
    for _ in range(4):
        relay = berthd.kill_relay(number)
        berthd.relay_pid(other_than=relay)
        assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert netns.listener_inodes() == before
    consumer = berthd.status()["consumers"][0]
    assert (consumer["connected"], consumer["delivered"]) == (True, 1)


def test_relay_crash_loop_does_not_burn_the_host(world, netns):
    """Restarts are paced; when it can live again, it serves."""
    berthd = world.berthd(ack())
    killed = 0
    last = 0
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        relay = berthd.relay_now()
        if relay not in (0, last):
            try:
                os.kill(relay, signal.SIGKILL)
                killed, last = killed + 1, relay
            except ProcessLookupError:
                pass
        time.sleep(0.002)
    assert 1 < killed < 40, killed
    pauses = [int(ms) for ms in re.findall(r"again in (\d+) ms",
                                           berthd.log())]
    assert 100 <= max(pauses) <= 1000, pauses
    assert netns.listeners() == {"tcp *:8080"}
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_namespaces_change_while_there_is_no_relay(world, netns):
    """What a new relay gets is what is, not what was."""
    berthd = world.berthd(ack())
    gone = world.netns("gone")
    wait_for(gone.listeners, "the listener")
    relay = berthd.relay_pid()
    with process.stopped(relay):
        gone.delete()
        come = world.netns("come")
        wait_for(come.listeners, "the listener")
        os.kill(relay, signal.SIGKILL)
    assert come.ask("127.0.0.1", 8080) == b"ack"
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    wait_equal(lambda: berthd.status()["consumers"][0]["delivered"], 2,
               "two listeners delivered")


def test_relay_that_sleeps_while_much_happens(world):
    """More than its socket holds: nothing is lost and nothing blocks."""
    berthd = world.berthd(rules(
        *(rule(name=f"r{i}", port=1000 + i) for i in range(20))))
    with process.stopped(berthd.relay_pid()):
        made = [world.netns(f"n{i}") for i in range(40)]
        wait_for(lambda: berthd.status()["listeners"]["open"] == 800,
                 "800 listeners")
        for netns in made[:10]:
            netns.delete()
        berthd.write_rules("60-more.yaml", ack(name="more", port=9000))
        wait_for(lambda: berthd.status()["listeners"]["open"] == 630,
                 "630 listeners")
    for netns in made[10:]:
        assert netns.ask("127.0.0.1", 1019) == b"ack"
        assert netns.ask("127.0.0.1", 9000) == b"ack"
    berthd.wait_delivered()


def test_berthd_killed_and_started_again(world, netns):
    """kill -9 of both: the next berthd makes everything so."""
    berthd = world.berthd(ack(protocol=["tcp", "udp"]))
    gone = world.netns("gone")
    wait_equal(lambda: len(gone.listeners()), 2, "listeners")
    berthd.kill9()
    wait_equal(netns.listeners, set(), "everything to be closed")
    gone.delete()
    come = world.netns("come")
    berthd.write_rules("60-more.yaml", ack(name="more", port=9000))
    berthd.start()
    expected = {"tcp *:8080", "udp *:8080", "tcp *:9000"}
    assert netns.listeners() == expected
    assert come.listeners() == expected
    assert come.ask("127.0.0.1", 9000) == b"ack"
    assert berthd.names() == ["come", "n"]


def test_berthd_killed_again_and_again(world, netns):
    berthd = world.berthd(ack())
    for _ in range(5):
        berthd.kill9()
        berthd.start()
        assert netns.ask("127.0.0.1", 8080) == b"ack"
        assert len(berthd.status()["consumers"]) == 1


def test_berthd_killed_while_it_starts(world):
    """At any moment of the start; the next one does not mind."""
    made = [world.netns(f"n{i}") for i in range(30)]
    berthd = world.berthd(ack(), start=False)
    for pause in (0, 0.001, 0.003, 0.006, 0.01, 0.02):
        berthd.spawn()
        time.sleep(pause)
        berthd.kill9()
    berthd.start()
    for netns in made:
        assert netns.ask("127.0.0.1", 8080) == b"ack"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_while_it_starts(world, number):
    for i in range(30):
        world.netns(f"n{i}")
    berthd = world.berthd(ack(), start=False)
    for pause in (0.003, 0.01, 0.03):
        berthd.spawn()
        time.sleep(pause)
        berthd.process.send_signal(number)
        assert wait_exit(berthd.pidfd)
        # Before its handler is in place the signal's default ends it.
        assert berthd.process.wait() in (0, -number)
        berthd.process = None
    berthd.start()


def test_stop_with_connections(world, netns):
    """SIGINT: clean and within a second, whatever is going on."""
    backend = echo_backend(world)
    berthd = world.berthd(forward(f"127.0.0.1:{backend.port}"))
    clients = [netns.connect("127.0.0.1", 8080) for _ in range(20)]
    for client in clients:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    berthd.stop()
    for client in clients:
        assert ended(client)
        client.close()
    assert netns.listeners() == set()
    assert not (berthd.runtime / "control.sock").exists()


def test_stop_with_a_relay_that_is_stopped(world, netns):
    """SIGINT does not wait for a relay that cannot answer: it is killed."""
    wait_for(lambda: netns.listeners() == set(), "nothing yet")
    berthd = world.berthd(ack())
    berthd.wait_delivered()
    relay = berthd.relay_pid()
    relay_pidfd = os.pidfd_open(relay)
    os.kill(relay, signal.SIGSTOP)
    berthd.process.send_signal(signal.SIGINT)
    assert wait_exit(berthd.pidfd), "berthd waits for its relay"
    assert wait_exit(relay_pidfd), "the relay runs on"
    os.close(relay_pidfd)
    assert berthd.process.wait() == 0
    berthd.process = None
    assert "killing it" in berthd.log()
    assert netns.listeners() == set()


def test_descriptors_do_not_grow_over_crashes(world, netns):
    berthd = world.berthd(ack())
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    wait_for(lambda: berthd.status()["consumers"][0]["delivered"] == 1,
             "the delivery")
    # berthctl's connection may be there still.
    before = process.steady(lambda: len(process.descriptors(berthd.pid)))
    for _ in range(5):
        relay = berthd.kill_relay()
        berthd.relay_pid(other_than=relay)
        assert netns.ask("127.0.0.1", 8080) == b"ack"
    wait_equal(lambda: len(process.descriptors(berthd.pid)), before,
               "berthd's descriptors")


def test_two_rules_after_a_crash_serve_their_own(world, netns):
    """Listeners are not mixed up in the new delivery."""
    berthd = world.berthd(rules(
        *(rule(name=f"r{i}", port=1000 + i, respond=f"r{i}")
          for i in range(30))))
    relay = berthd.kill_relay()
    berthd.relay_pid(other_than=relay)
    for i in range(30):
        assert netns.ask("127.0.0.1", 1000 + i) == b"r%d" % i
    stays(lambda: berthd.relay_pid() != relay, "the new relay", 0.1)

# SPDX-License-Identifier: Apache-2.0
"""test_handoff.py - listeners that programs other than the relay serve."""

import errno
import os
import pwd
import re
import signal
import socket
import subprocess
import sys

import pytest

from harness.consumer import Consumer, file_of
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for


def handoff(name="web", to="front", **kwargs):
    return rule(name=name, handoff=to, **kwargs)


def consumer_of(berthd, name="front"):
    """What status says of one consumer, or None."""
    found = [entry for entry in berthd.status()["consumers"]
             if entry["name"] == name]
    return found[0] if found else None


def test_tcp(world):
    """The socket listens inside, clients reach the consumer with nothing in
    between, and it can tell where they came from."""
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front").welcome() as consumer:
        listener, = consumer.until_listening()
        message, = [m for m, _ in consumer.listeners.values()]
        assert message["action"] == "handoff"
        assert message["rule"] == "web"
        assert message["netns"]["id"] == netns.cookie()
        assert message["netns"]["names"] == ["n"]
        listener.setblocking(True)
        with netns.connect("127.0.0.1", 8080) as client:
            server, peer = listener.accept()
            with server:
                assert peer[1] == client.getsockname()[1]
                # It is the program's own: closing it is no reset.
                linger = server.getsockopt(socket.SOL_SOCKET,
                                           socket.SO_LINGER, 8)
                assert linger == bytes(8)
                server.sendall(b"hello")
            assert client.recv(16) == b"hello"
            assert client.recv(16) == b""


@pytest.mark.parametrize("protocol,kind,number", [
    ("tcp", socket.SOCK_STREAM, socket.IPPROTO_TCP),
    ("mptcp", socket.SOCK_STREAM, 262),
    ("udp", socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    ("sctp", socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    ("sctp-seqpacket", socket.SOCK_SEQPACKET, socket.IPPROTO_SCTP),
])
def test_protocols(world, protocol, kind, number):
    try:
        socket.socket(socket.AF_INET, kind, number).close()
    except OSError as error:
        pytest.skip(f"this kernel has no {protocol}: {error}")
    world.netns("n")
    berthd = world.berthd(rules(handoff(protocol=protocol)))
    with Consumer(berthd, "front").welcome() as consumer:
        listener, = consumer.until_listening()
        assert listener.type == kind
        assert listener.proto == number
        message, = [m for m, _ in consumer.listeners.values()]
        assert message["protocol"] == protocol


def test_udp(world):
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff(protocol="udp")))
    with Consumer(berthd, "front").welcome() as consumer:
        listener, = consumer.until_listening()
        listener.setblocking(True)
        with netns.new_socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"ask", ("127.0.0.1", 8080))
            data, peer = listener.recvfrom(16)
            assert data == b"ask"
            listener.sendto(b"answer", peer)
            client.settimeout(10)
            assert client.recv(16) == b"answer"


def test_clients_wait_for_it(world):
    """Nobody is refused while the consumer is away, be it for the first time
    or between two of its lives."""
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff()))
    for _ in range(2):
        with netns.connect("127.0.0.1", 8080) as client:
            with Consumer(berthd, "front").welcome() as consumer:
                listener, = consumer.until_listening()
                listener.setblocking(True)
                server, _ = listener.accept()
                server.sendall(b"late")
                assert client.recv(16) == b"late"
                server.close()
        wait_for(lambda: not consumer_of(berthd)["connected"], "it to be gone")


def test_namespaces_and_rules_come_and_go(world):
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front").welcome() as consumer:
        netns = world.netns("late")
        consumer.until_listening()
        netns.destroy()
        gone, = consumer.until_withdrawn()
        assert consumer.closed[gone] is True
        consumer.release(gone)
        world.netns("other")
        consumer.until_listening()
        berthd.write_rules("50-test.yaml", rules(rule(name="web")))
        consumer.until_withdrawn(2)
        wait_equal(lambda: consumer_of(berthd)["withdrawn"], 1,
                   "what it holds")
        consumer.release(list(consumer.closed)[1])
        wait_equal(lambda: consumer_of(berthd)["withdrawn"], 0,
                   "what it holds")
        # No rule names it any more.
        assert not consumer.path.exists()


def test_each_consumer_gets_its_own(world):
    netns = world.netns("n")
    berthd = world.berthd(rules(
        handoff("a", "one", port=9001), handoff("b", "two", port=9002),
        rule(name="c", port=9003)))
    with Consumer(berthd, "one").welcome() as one, \
            Consumer(berthd, "two").welcome() as two:
        one.until_listening()
        two.until_listening()
        assert [m["port"] for m, _ in one.listeners.values()] == [9001]
        assert [m["port"] for m, _ in two.listeners.values()] == [9002]
        assert netns.ask("127.0.0.1", 9003) == b"ack"


def test_the_socket_is_roots_alone(world):
    world.netns("n")
    berthd = world.berthd(rules(handoff()))
    path = berthd.runtime / "consumers" / "front.sock"
    assert file_of(path) == (0, 0, 0o600)
    assert file_of(path.parent) == (0, 0, 0o755)


def test_who_is_there(world):
    """berthctl consumers: absent, connected, taken over, and what of it."""
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff()))

    def shown():
        return {entry["name"]: entry
                for entry in berthd.ctl("consumers")["consumers"]}["front"]

    assert shown()["connections"] == []
    assert shown()["when_absent"] == "hold"
    assert re.search(r"^front +absent \(hold\)",
                     berthd.ctl_text("consumers"), re.M)
    with Consumer(berthd, "front").welcome() as first:
        first.until_listening()
        (connection,) = shown()["connections"]
        assert connection["pid"] == os.getpid()
        assert connection["uid"] == os.getuid()
        assert connection["program"] == "harness"
        assert connection["draining_since_us"] is None
        assert shown()["delivered"] == 1
        with Consumer(berthd, "front", takeover=True).welcome() as second:
            second.until_listening()
            first.until_withdrawn()
            old, new = shown()["connections"]
            assert old["draining_since_us"] and old["withdrawn"] == 1
            assert not new["draining_since_us"] and new["withdrawn"] == 0
            text = berthd.ctl_text("consumers")
            assert re.search(r"^front +draining .* harness +1$", text, re.M)
            assert re.search(r"^front +connected .* harness +1", text, re.M)
            netns.destroy()
            wait_for(lambda: shown()["connections"][0]["overdue"] == 1,
                     "the first to be late")


def test_one_at_a_time(world):
    """The second hears who has it; when that one ends there is room."""
    world.netns("n")
    berthd = world.berthd(rules(handoff()))
    first = Consumer(berthd, "front").welcome()
    first.until_listening()
    with Consumer(berthd, "front") as second:
        denied = second.expect("denied")
        assert denied["reason"] == "busy"
        assert f"pid {os.getpid()} " in denied["error"]
        assert second.ended()
    first.close()
    wait_for(lambda: not consumer_of(berthd)["connected"], "it to be gone")
    with Consumer(berthd, "front").welcome() as third:
        third.until_listening()


def test_take_over(world):
    """Both serve for a moment, nobody is refused, and what the first has
    accepted goes on; the namespace that goes is asked of both."""
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front").welcome() as first:
        listener, = first.until_listening()
        listener.setblocking(True)
        client = netns.connect("127.0.0.1", 8080)
        old, _ = listener.accept()
        waiting = netns.connect("127.0.0.1", 8080)
        with Consumer(berthd, "front", takeover=True).welcome() as second:
            fresh, = second.until_listening()
            first.expect("taken_over")
            number, = first.until_withdrawn()
            assert first.closed[number] is False
            fresh.setblocking(True)
            new, _ = fresh.accept()
            new.sendall(b"new")
            assert waiting.recv(16) == b"new"
            old.sendall(b"old")
            assert client.recv(16) == b"old"
            for sock in (client, waiting, new):
                sock.close()
            netns.destroy()
            first.until(lambda: first.closed[number])
            second.until_withdrawn()
            old.close()
            first.release(number)
            second.release(number)
            wait_equal(lambda: consumer_of(berthd)["withdrawn"], 0,
                       "what both hold")
    wait_for(lambda: berthd.status()["freed"]["count"] > 0,
             "the namespace to be freed")


@pytest.mark.parametrize("hello,reason", [
    ({"type": "hello", "version": 2, "name": "later"}, "version"),
    ({"type": "hello", "name": "none"}, "version"),
    ({"type": "released", "id": 1}, "protocol"),
    ({"type": 1}, "protocol"),
    ({"no": "type"}, "protocol"),
])
def test_bad_first_words(world, hello, reason):
    world.netns("n")
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front", hello=hello) as consumer:
        denied = consumer.expect("denied")
        assert denied["reason"] == reason
        assert consumer.ended()
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()


def test_garbage_later(world):
    """Its connection is ended, and another one is welcome."""
    world.netns("n")
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()
        consumer.socket.send(b"\xff{")
        assert consumer.ended()
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()


def test_a_thousand_connections(world):
    """They keep nobody else from anything, and leave nothing behind."""
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff(port=9000), rule(name="ack")))
    idle = berthd.idle_descriptors()
    path = str(berthd.runtime / "consumers" / "front.sock")
    silent = []
    for _ in range(1000):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        if sock.connect_ex(path) in (0, errno.EAGAIN):
            silent.append(sock)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.descriptors()[0] <= idle[0] + 20
    for sock in silent:
        sock.close()
    berthd.wait_descriptors(idle)
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()


def test_the_socket_of_a_user(world):
    """Who may connect stands in berthd.yaml; others are kept out."""
    world.netns("n")
    config = world.mkdir("etc") / "berthd.yaml"
    config.write_text("consumers:\n"
                      "  front: { user: nobody, mode: '0600' }\n"
                      "  other: { mode: '0666' }\n")
    berthd = world.berthd(rules(handoff()), args=["--config", config])
    path = berthd.runtime / "consumers" / "front.sock"
    user = pwd.getpwnam("nobody")
    assert file_of(path)[0] == user.pw_uid
    assert file_of(path)[2] == 0o600
    assert file_of(path.with_name("other.sock"))[2] == 0o666
    as_user = [sys.executable, "-c", "import os, socket, sys\n"
               "os.setgroups([]); os.setgid(int(sys.argv[2]))\n"
               "os.setuid(int(sys.argv[2]))\n"
               "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
               "s.connect(sys.argv[1])\n"
               "s.send(b'{\"type\":\"hello\",\"version\":1}')\n"
               "print(s.recv(4096))\n"]
    done = subprocess.run([*as_user, str(path), str(user.pw_uid)],
                          capture_output=True, text=True, check=True)
    assert "welcome" in done.stdout
    done = subprocess.run([*as_user, str(path), "1"],
                          capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def connect_as(user, berthd):
    """A consumer whose connection is that user's."""
    os.seteuid(pwd.getpwnam(user).pw_uid)
    try:
        return Consumer(berthd, "front")
    finally:
        os.seteuid(0)


def test_access_taken_away(world):
    """Whose user may not be the consumer any more has to let go at once, and
    keeps what it accepted; a change that leaves it be is not noticed."""
    netns = world.netns("n")
    config = world.mkdir("etc") / "berthd.yaml"
    config.write_text("consumers:\n  front: { user: nobody }\n")
    berthd = world.berthd(rules(handoff()), args=["--config", config])
    with connect_as("nobody", berthd).welcome() as consumer:
        listener, = consumer.until_listening()
        client = netns.connect("127.0.0.1", 8080)
        listener.setblocking(True)
        server, _ = listener.accept()
        config.write_text("consumers:\n"
                          "  front: { user: nobody, mode: 0660 }\n"
                          "  other: {}\n")
        assert berthd.ctl("reload")["changed"] == ["consumers"]
        assert consumer_of(berthd)["connected"]
        config.write_text("consumers:\n"
                          "  front: { user: daemon, when_absent: close }\n")
        berthd.ctl("reload")
        # It was told nothing before this.
        consumer.expect("taken_over")
        withdraw = consumer.expect("withdraw")
        assert not withdraw["abort"]
        assert 200_000 < withdraw["drain_timeout_ms"] <= 300_000
        berthd.wait_log(r"consumer 'front' \(pid \d+, uid \d+\): this user may "
                        "not be the consumer any more")
        row = berthd.wait_state(netns.cookie(), "refused")
        assert "not connected" in row["reason"]
        assert netns.refuses("127.0.0.1", 8080)
        with client, server:
            server.sendall(b"still here")
            assert client.recv(16) == b"still here"
        consumer.release(withdraw["id"])
    path = berthd.runtime / "consumers" / "front.sock"
    assert file_of(path)[0] == pwd.getpwnam("daemon").pw_uid
    with connect_as("daemon", berthd).welcome() as consumer:
        consumer.until_listening()


def test_access_taken_away_before_hello(world):
    world.netns("n")
    config = world.mkdir("etc") / "berthd.yaml"
    config.write_text("consumers:\n  front: { user: nobody }\n")
    berthd = world.berthd(rules(handoff()), args=["--config", config])
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        silent = Consumer(berthd, "front", hello={})
    finally:
        os.seteuid(0)
    # One more connection is answered after the first was accepted.
    with connect_as("nobody", berthd).welcome():
        pass
    config.write_text("consumers:\n  front: { user: daemon }\n")
    berthd.ctl("reload")
    with silent:
        silent.say(type="hello", version=1)
        assert silent.expect("denied")["reason"] == "permission"


def test_closed_when_absent(world):
    """Without its consumer the listener is closed, and clients are refused;
    it opens when the consumer is there."""
    netns = world.netns("n")
    config = world.mkdir("etc") / "berthd.yaml"
    config.write_text("consumers:\n  front: { when_absent: close }\n")
    berthd = world.berthd(rules(handoff()), args=["--config", config])
    for _ in range(2):
        row = berthd.wait_state(netns.cookie(), "refused")
        assert "not connected" in row["reason"]
        assert netns.refuses("127.0.0.1", 8080)
        with Consumer(berthd, "front").welcome() as consumer:
            consumer.until_listening()
            berthd.wait_state(netns.cookie(), "listening")
            netns.connect("127.0.0.1", 8080).close()


def test_closed_when_it_does_not_come_back(world):
    """A berthd that is started anew waits for a consumer that lives; if it
    does not come, what it serves was never opened."""
    netns = world.netns("n")
    config = world.mkdir("etc") / "berthd.yaml"
    config.write_text("consumers:\n  front: { when_absent: close }\n")
    berthd = world.berthd(rules(handoff()), args=["--config", config])
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()
        berthd.kill9()
    berthd.start()
    row = berthd.wait_state(netns.cookie(), "refused")
    assert "not connected" in row["reason"]
    assert berthd.status()["listeners"]["opened_total"] == 0
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()


def test_berthd_ends_before_its_consumer(world):
    world.netns("n")
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()
        berthd.leave()
        assert consumer.ended()
    berthd.stop()


def test_berthd_is_interrupted(world):
    """SIGINT: a consumer is told to let go of everything."""
    netns = world.netns("n")
    berthd = world.berthd(rules(handoff()))
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()
        berthd.send_signal(signal.SIGINT)
        number, = consumer.until_withdrawn()
        assert consumer.closed[number], "its connections may finish"
        consumer.release(number)
        assert consumer.ended()
        assert netns.listeners() == set()

# SPDX-License-Identifier: Apache-2.0
"""test_sctp.py - SCTP through the relay: what must arrive, and how it ends"""
import os
import signal
import socket

import pytest

import sctp
from harness.rules import forward, rule, rules
from harness.wait import wait_equal, wait_exit, wait_for
from sctp import Message

BOTH = pytest.mark.parametrize("protocol", ["sctp", "sctp-seqpacket"])
FAMILIES = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    return world.close_later(sctp.listen(world.host))


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def pair(netns, backend, address="127.0.0.1", **kwargs):
    client = sctp.connect(netns, address, **kwargs)
    server, _ = backend.accept()
    return client, server


def works(client, server):
    for sender, receiver in ((client, server), (server, client)):
        message = Message(b"ping", 0, 7)
        sctp.send(sender, message)
        assert sctp.receive(receiver) == message
    return True


MESSAGES = [
    Message(b"x"),
    Message(b"two", 1, 60),
    Message(b"a whole page " * 300, 9, 0x12345678),
    Message(b"out of order", 3, 0xfffffffe, True),
    Message(bytes(range(256)) * 255, 2, 1),
    Message(b"\0" * 150000, 0, 5),
    Message(b"large and unordered" * 5000, 4, 46, True),
    Message(b"last", 9, 0x12345678),
]


@BOTH
@FAMILIES
def test_messages_arrive_as_they_were_sent(world, netns, protocol, address):
    """Bounds, streams, payload protocol ids, the unordered flag; both ways,
    messages smaller and larger than one read."""
    backend = world.close_later(sctp.listen(world.host, address))
    host = f"[{address}]" if ":" in address else address
    world.berthd(forward(f"{host}:{backend.getsockname()[1]}",
                         protocol=protocol))
    client, server = pair(netns, backend, address)
    with client, server:
        for sender, receiver in ((client, server), (server, client)):
            for message in MESSAGES:
                sctp.send(sender, message)
                assert sctp.receive(receiver) == message


@BOTH
def test_with_a_scheme(world, netns, backend, protocol):
    world.berthd(forward("sctp://" + to(backend), protocol=protocol))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)


@BOTH
def test_streams_are_mirrored(world, netns, protocol):
    """The backend sees as many as the client asked for, each way."""
    backend = world.close_later(sctp.listen(world.host, streams=(500, 500)))
    listen = [{"protocol": protocol, "port": 8080, "streams": 300}]
    world.berthd(forward(to(backend), listen=listen))
    client, server = pair(netns, backend, streams=(17, 5))
    with client, server:
        assert sctp.streams(client) == (5, 17)
        assert sctp.streams(server) == (17, 5)
        assert works(client, server)


@BOTH
@pytest.mark.parametrize("option,granted", [
    ({}, (256, 256)), ({"streams": {"in": 20, "out": 30}}, (30, 20))])
def test_answers_on_the_stream_of_the_question(world, netns, protocol, option,
                                               granted):
    """A client has as many streams each way, whatever it asked for."""
    backend = world.close_later(sctp.listen(world.host, streams=(900, 900)))
    listen = [dict(option, protocol=protocol, port=8080)]
    world.berthd(forward(to(backend), listen=listen))
    client, server = pair(netns, backend, streams=(900, 900))
    with client, server:
        assert sctp.streams(client) == granted
        assert sctp.streams(server) == granted[::-1]
        last = min(granted) - 1
        sctp.send(client, Message(b"question", last))
        assert sctp.receive(server).sid == last
        sctp.send(server, Message(b"answer", last))
        assert sctp.receive(client) == Message(b"answer", last)


@BOTH
def test_a_stream_that_the_backend_did_not_grant(world, netns, protocol):
    """Aborts the association, and says so; nothing goes to another stream."""
    backend = world.close_later(sctp.listen(world.host, streams=(10, 3)))
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    client, server = pair(netns, backend)
    with client, server:
        sctp.send(client, Message(b"on the last", 2))
        assert sctp.receive(server).sid == 2
        sctp.send(client, Message(b"beyond", 3))
        assert sctp.was_aborted(client)
        assert sctp.was_aborted(server)
    berthd.wait_log("on a stream that the other side did not grant")


@BOTH
def test_a_message_over_the_limit(world, netns, backend, protocol):
    """Aborts the association, and says so; it is not cut."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    client, server = pair(netns, backend)
    with client, server:
        client.setsockopt(socket.SOL_SOCKET, sctp.SO_SNDBUFFORCE, 1 << 20)
        sctp.send(client, Message(b"m" * (256 << 10)))
        assert len(sctp.receive(server).data) == 256 << 10
        sctp.send(client, Message(b"m" * ((256 << 10) + 1)))
        assert sctp.was_aborted(client)
        assert sctp.was_aborted(server)
    berthd.wait_log("larger than the limit")


@pytest.mark.kernel
@BOTH
def test_shutdown_of_the_client(world, netns, backend, protocol):
    """What it sent before arrives; then the backend's association ends."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend)
    with client, server:
        for message in MESSAGES:
            sctp.send(client, message)
        client.shutdown(socket.SHUT_WR)
        for message in MESSAGES:
            assert sctp.receive(server) == message
        assert sctp.receive(server) is None
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


@pytest.mark.kernel
@BOTH
def test_shutdown_of_the_backend(world, netns, backend, protocol):
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend)
    with client, server:
        sctp.send(server, Message(b"goodbye", 1, 2))
        server.shutdown(socket.SHUT_WR)
        assert sctp.receive(client) == Message(b"goodbye", 1, 2)
        assert sctp.receive(client) is None
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


@pytest.mark.kernel
@BOTH
@pytest.mark.parametrize("who", ["client", "backend"])
def test_abort(world, netns, backend, protocol, who):
    """Is carried over."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
        first, second = (client, server) if who == "client" \
            else (server, client)
        sctp.abort(first)
        assert sctp.was_aborted(second)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


@BOTH
def test_echo_discard_respond(world, netns, protocol):
    world.berthd(rules(
        rule(name="echo", protocol=protocol, port=7, respond="echo"),
        rule(name="discard", protocol=protocol, port=9, respond="discard"),
        rule(name="ack", protocol=protocol, port=11, respond="ack")))
    with sctp.connect(netns, port=7) as client:
        for message in MESSAGES:
            sctp.send(client, message)
            assert sctp.receive(client) == message
    with sctp.connect(netns, port=9) as client:
        for message in MESSAGES:
            sctp.send(client, message)
        client.shutdown(socket.SHUT_WR)
        wait_for(lambda: sctp.gone(client), "the client's SHUTDOWN")
    with sctp.connect(netns, port=11) as client:
        assert sctp.receive(client) == Message(b"ack")
        assert sctp.receive(client) is None


@BOTH
def test_a_backend_that_refuses(world, netns, protocol):
    berthd = world.berthd(forward("127.0.0.1:9", protocol=protocol))
    with sctp.connect(netns) as client:
        assert sctp.was_aborted(client)
    berthd.wait_log("cannot connect to '127.0.0.1:9': Connection refused; "
                    "aborting")


@BOTH
def test_fail_over(world, netns, backend, protocol):
    """What the client says meanwhile is not lost."""
    world.berthd(forward(["127.0.0.1:9", to(backend)], protocol=protocol))
    for _ in range(2):
        client = sctp.connect(netns)
        sctp.send(client, Message(b"early", 4, 4))
        server, _ = backend.accept()
        with client, server:
            assert sctp.receive(server) == Message(b"early", 4, 4)
            assert works(client, server)


@pytest.mark.kernel
@BOTH
def test_the_namespace_goes(world, monitor, netns, backend, protocol):
    """Associations do not hold it, even with data that nobody acknowledges."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    tracked = monitor.track(netns)
    client, server = pair(netns, backend)
    with server:
        assert works(client, server)
        sctp.stuff(server)
        netns.ip("link", "set", "lo", "down")
        sctp.abort(client)  # which nobody hears
        netns.delete()
        assert sctp.was_aborted(server)
    monitor.wait_freed(tracked)
    wait_for(lambda: not berthd.wanted_listeners(), "no listener")


@pytest.mark.kernel
@BOTH
@pytest.mark.parametrize("who", ["relay", "berthd"])
def test_a_process_dies(world, netns, backend, protocol, who):
    """No association ends as if all had been said."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
        if who == "relay":
            berthd.kill_relay()
        else:
            berthd.kill9()
        assert sctp.was_aborted(client)
        assert sctp.was_aborted(server)


@pytest.mark.kernel
@BOTH
def test_no_orphan_of_a_dead_relay_holds_a_namespace(world, monitor, netns,
                                                     backend, protocol):
    """With data on its way to a client that does not acknowledge it."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    tracked = monitor.track(netns)
    client, server = pair(netns, backend)
    with server:
        assert works(client, server)
        sctp.stuff(server)
        netns.ip("link", "set", "lo", "down")
        sctp.abort(client)  # which nobody hears
        relay = berthd.relay_pid()
        pidfd = os.pidfd_open(relay)
        os.kill(relay, signal.SIGSTOP)
        netns.delete()
        os.kill(relay, signal.SIGKILL)
        assert wait_exit(pidfd)
        os.close(pidfd)
        assert sctp.was_aborted(server)
    monitor.wait_freed(tracked)


@BOTH
def test_counters(world, netns, backend, protocol):
    """Associations, messages and bytes each way, and what was dropped."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))

    def counted():
        row = berthd.listener(netns.cookie(), protocol=protocol)
        return {key: value for key, value in row["counters"].items() if value}

    client, server = pair(netns, backend)
    with client, server:
        for message in MESSAGES:
            sctp.send(client, message)
            assert sctp.receive(server) == message
        size = sum(len(message.data) for message in MESSAGES)
        sctp.send(server, Message(b"answer"))
        assert sctp.receive(client) == Message(b"answer")
        wait_equal(counted, {"accepted": 1, "active": 1, "bytes_in": size,
                             "messages_in": len(MESSAGES), "bytes_out": 6,
                             "messages_out": 1}, "what was counted")
        client.setsockopt(socket.SOL_SOCKET, sctp.SO_SNDBUFFORCE, 1 << 20)
        sctp.send(client, Message(b"m" * ((256 << 10) + 1)))
        assert sctp.was_aborted(server)
    wait_equal(lambda: counted().get("dropped"), 1, "one dropped message")
    assert counted()["dropped_by"] == [{"reason": "too-large", "count": 1}]
    assert "active" not in counted()


@BOTH
def test_failures_are_counted(world, netns, protocol):
    berthd = world.berthd(forward("127.0.0.1:9", protocol=protocol))
    assert sctp.is_turned_away(netns)
    row = berthd.listener(netns.cookie(), protocol=protocol)
    assert row["counters"]["errors"] == [{"error": "ECONNREFUSED", "count": 1}]

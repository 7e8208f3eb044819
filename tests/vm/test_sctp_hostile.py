# SPDX-License-Identifier: Apache-2.0
"""test_sctp_hostile.py - peers that do wrong, are slow, or are too many

Each test says in its first lines what must hold.
"""
import socket
import struct
import threading
import time

import pytest

import sctp
from harness import process
from harness.berthd import SANITIZED
from harness.rules import forward, rule, rules
from harness.wait import GUARD, stays, wait_equal, wait_for
from sctp import Message
from sctp_raw import ABORT, NO_USER_DATA, RawPeer
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401

# What one association may hold back in the relay, with room for malloc's own;
# and sanitizers keep what was freed.
HELD_BACK_KIB = 16384 if SANITIZED else 4096
STALL_SECONDS = 30
# What a full buffer threw away is sent again after at most this.
RTO_MAX_SECONDS = 60


def others_work(netns, backend):
    client, server = pair(netns, backend)
    with client, server:
        return works(client, server)


@BOTH
def test_a_message_without_bytes(world, netns, backend, protocol):
    """The kernel aborts it; the backend sees the abort, others do not."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    peer = RawPeer(world, netns).connect()
    server, _ = backend.accept()
    with server:
        peer.data(b"fine")
        assert sctp.receive(server).data == b"fine"
        peer.data(b"")
        assert peer.wait(ABORT)[:2] == struct.pack("!H", NO_USER_DATA)
        assert sctp.was_aborted(server)
    assert others_work(netns, backend)


@BOTH
def test_an_endless_message(world, netns, backend, protocol):
    """Costs its sender the association once it is over the limit; none of it
    reaches the backend; the relay's memory stays bounded; others go on."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    assert others_work(netns, backend)
    growth = berthd.relay_growth()
    peer = RawPeer(world, netns).connect()
    server, _ = backend.accept()
    with server:
        assert peer.endless(4 << 20) < 1 << 20
        assert sctp.was_aborted(server)
    berthd.wait_log("larger than the limit")
    assert growth.kib() < HELD_BACK_KIB
    assert others_work(netns, backend)


@pytest.mark.kernel
@BOTH
def test_a_huge_message(world, netns, backend, protocol):
    """As an endless one, from a real stack that could end it."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    client, server = pair(netns, backend)
    with client, server:
        client.setsockopt(socket.SOL_SOCKET, sctp.SO_SNDBUFFORCE, 32 << 20)
        sctp.send(client, Message(b"h" * (16 << 20)))
        assert sctp.was_aborted(server)
        assert sctp.was_aborted(client)
    berthd.wait_log("larger than the limit")
    assert others_work(netns, backend)


@BOTH
def test_a_huge_message_of_a_backend(world, netns, backend, protocol):
    """Costs the association, as a client's does; none of it reaches the
    client, and the memory stays bounded."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    assert others_work(netns, backend)
    growth = berthd.relay_growth()
    client, server = pair(netns, backend)
    with client, server:
        server.setsockopt(socket.SOL_SOCKET, sctp.SO_SNDBUFFORCE, 8 << 20)
        sctp.send(server, Message(b"fine"))
        assert sctp.receive(client).data == b"fine"
        sctp.send(server, Message(b"h" * (4 << 20)))
        assert sctp.was_aborted(client)
        assert sctp.was_aborted(server)
    berthd.wait_log("larger than the limit")
    assert growth.kib() < HELD_BACK_KIB
    assert others_work(netns, backend)


@BOTH
def test_a_huge_message_to_a_stream(world, netns, protocol):
    """A stream could take it in parts; but it has the limit that all have,
    and what came of it is not passed on: the stream is reset."""
    stream = world.close_later(world.host.listen())
    berthd = world.berthd(forward(
        f"tcp://127.0.0.1:{stream.getsockname()[1]}", protocol=protocol))
    client = sctp.connect(netns)
    server, _ = stream.accept()
    with client, server:
        server.settimeout(GUARD)
        client.setsockopt(socket.SOL_SOCKET, sctp.SO_SNDBUFFORCE, 8 << 20)
        sctp.send(client, Message(b"fine"))
        assert server.recv(100) == b"fine"
        sctp.send(client, Message(b"h" * (4 << 20)))
        with pytest.raises(ConnectionResetError):
            server.recv(100)
        assert sctp.was_aborted(client)
    berthd.wait_log("larger than the limit")


@pytest.mark.kernel
@BOTH
def test_abort_in_the_middle_of_a_message(world, netns, backend, protocol):
    """The part is forgotten: the backend sees the abort, and no message."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    peer = RawPeer(world, netns)
    assert others_work(netns, backend)
    idle = berthd.idle_relay_descriptors()
    peer.connect()
    server, _ = backend.accept()
    with server:
        peer.data(b"the beginning", flags=2)
        peer.send(struct.pack("!BBH", ABORT, 0, 4))
        with pytest.raises(ConnectionResetError):
            sctp.receive(server)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    assert others_work(netns, backend)


class Sender(threading.Thread):
    """Sends numbered messages until it is stopped or its peer is gone."""

    def __init__(self, sock, size=10000):
        super().__init__(daemon=True)
        self.sock = sock
        self.size = size
        self.sent = 0
        self.quit = False
        self.start()

    def message(self, number):
        return Message(struct.pack("=I", number) * (self.size // 4), 1, number)

    def run(self):
        self.sock.settimeout(0.2)
        while not self.quit:
            try:
                sctp.send(self.sock, self.message(self.sent))
                self.sent += 1
            except TimeoutError:
                continue
            except OSError:
                return

    def wait_stuck(self):
        """Until nothing more is taken. Return: how many were."""
        return process.steady(lambda: self.sent, seconds=2)

    def stop(self):
        self.quit = True
        self.join()
        self.sock.settimeout(GUARD)


@BOTH
def test_a_client_that_reads_slowly(world, netns, backend, protocol):
    """Its backend is slowed down instead; nothing is lost, nothing piles up
    in the relay, it costs no CPU to wait, and others go on."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    assert others_work(netns, backend)
    relay = berthd.relay_pid()
    growth = berthd.relay_growth()
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
        assert others_work(netns, backend)
        with sctp.connect(netns) as other:
            accepted, _ = backend.accept()
            with accepted:
                sender = Sender(server)
                sender.wait_stuck()
                assert growth.kib() < HELD_BACK_KIB
                switches = process.context_switches(relay)
                time.sleep(1)
                assert process.context_switches(relay) < switches + 50
                for _ in range(20):
                    assert works(other, accepted)
        sender.stop()
        for number in range(sender.sent):
            assert sctp.receive(client) == sender.message(number)
        assert works(client, server)


@BOTH
def test_a_backend_that_reads_slowly(world, netns, backend, protocol):
    """The same the other way."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    assert others_work(netns, backend)
    relay = berthd.relay_pid()
    growth = berthd.relay_growth()
    client, server = pair(netns, backend)
    with client, server:
        sender = Sender(client)
        sender.wait_stuck()
        assert growth.kib() < HELD_BACK_KIB
        switches = process.context_switches(relay)
        time.sleep(1)
        assert process.context_switches(relay) < switches + 50
        sender.stop()
        for number in range(sender.sent):
            assert sctp.receive(server) == sender.message(number)
        assert works(client, server)


def test_who_holds_a_shared_socket_is_aborted(world, netns, backend):
    """One-to-many: a backend that takes nothing stops the reading of the
    socket it shares; after the stall timeout its client is aborted, and the
    others' messages, none of them lost, go on."""
    berthd = world.berthd(forward(to(backend), protocol="sctp-seqpacket"))
    other, accepted = pair(netns, backend)
    client, server = pair(netns, backend)
    with client, server, other, accepted:
        sender = Sender(client)
        sender.wait_stuck()
        message = Message(b"behind it", 2, 3)
        sctp.send(other, message)
        accepted.settimeout(STALL_SECONDS + RTO_MAX_SECONDS + GUARD)
        assert sctp.receive(accepted) == message
        sender.stop()
        assert sctp.was_aborted(server)
        wait_for(lambda: sctp.gone(client), "the client's association to end")
    berthd.wait_log("holds the buffers that all of the listener's share")


def test_one_to_one_associations_over_the_limit_wait(world, netns, backend):
    """In the backlog, until another one ends."""
    berthd = world.berthd(forward(to(backend), options={"max_connections": 2},
                                  protocol="sctp"))
    # Each worker takes from the backlog; the limit is the listener's.
    pairs = [pair(netns, backend) for _ in range(2)]
    with sctp.connect(netns) as third:
        sctp.send(third, Message(b"patient"))
        backend.settimeout(0.5)
        with pytest.raises(TimeoutError):
            backend.accept()
        backend.settimeout(GUARD)
        # Once for each worker, however often it looked again meanwhile.
        assert berthd.ctl("stats")["total"]["limited"] in (1, 2)
        for sock in pairs[0]:
            sock.close()
        server, _ = backend.accept()
        with server:
            assert sctp.receive(server) == Message(b"patient")
        for sock in pairs[1]:
            sock.close()


def test_one_to_many_associations_over_the_limit_are_aborted(world, netns,
                                                             backend):
    """There is no backlog to wait in."""
    world.berthd(forward(to(backend), options={"max_connections": 2},
                         protocol="sctp-seqpacket"))
    pairs = [pair(netns, backend) for _ in range(2)]
    assert sctp.is_turned_away(netns)
    for client, server in pairs:
        assert works(client, server)
        client.close()
        server.close()


@BOTH
def test_idle_timeout(world, netns, backend, protocol):
    """Aborts what is silent, and only that."""
    berthd = world.berthd(forward(to(backend), protocol=protocol,
                                  options={"idle_timeout": "2s"}))
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend)
    with client, server:
        stays(lambda: works(client, server), "alive by its traffic", 4)
        assert sctp.was_aborted(client)
        assert sctp.was_aborted(server)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


@BOTH
def test_connect_timeout(world, netns, backend, protocol):
    """A backend that does not answer is given up for the next."""
    world.host.ip("link", "add", "silent", "type", "dummy")
    world.defer(world.host.ip, "link", "del", "silent")
    world.host.addr_add("192.0.2.1/24", "silent")
    world.host.up("silent")
    berthd = world.berthd(forward(["192.0.2.7:9", to(backend)],
                                  protocol=protocol,
                                  options={"connect_timeout": "500ms"}))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
    berthd.wait_log("cannot connect to '192.0.2.7:9': Connection timed out; "
                    "trying the next")


@BOTH
def test_many_that_come_and_go(world, netns, protocol):
    """Leave descriptors as before."""
    berthd = world.berthd(rules(rule(protocol=protocol, respond="echo")))
    idle = berthd.idle_relay_descriptors()
    for number in range(100):
        with sctp.connect(netns) as client:
            message = Message(b"%d" % number)
            sctp.send(client, message)
            assert sctp.receive(client) == message
            if number % 2:
                sctp.abort(client)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_a_relay_that_crashes_one_to_many(world, netns, backend):
    """What it served is aborted by its successor; who came meanwhile waits,
    and is served."""
    berthd = world.berthd(forward(to(backend), protocol="sctp-seqpacket"))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
        relay = berthd.relay_pid()
        with process.stopped(relay):
            early = sctp.connect(netns)
            berthd.kill_relay()
        sctp.send(early, Message(b"meanwhile"))
        berthd.relay_pid(other_than=relay)
        assert sctp.was_aborted(client)
        with early:
            accepted, _ = backend.accept()
            with accepted:
                assert sctp.receive(accepted).data == b"meanwhile"

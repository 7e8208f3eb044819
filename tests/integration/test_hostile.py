# SPDX-License-Identifier: Apache-2.0
"""test_hostile.py - bad input and peers that mean harm.

What a container, or whoever reaches into it, can do to the relay's TCP. Each
test says what must hold. Limits of time are guards.
"""

import errno
import random
import resource
import select
import socket
import statistics
import struct
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from harness import process
from harness.netns import read_all, read_exactly
from harness.rules import forward, rule, rules
from harness.traffic import (echo_backend, ended, pair, pattern, reset, stuff,
                             works)
from harness.wait import GUARD, SLOWNESS, stays, wait_equal, wait_for
from harness.witness import NsidMonitor

# The relay's own, whatever strangers do: a few threads' buffers and arenas.
GROWN_MAX_KIB = 32 << 10


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    return world.close_later(world.host.listen(backlog=1024))


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def accept(backend):
    server = backend.accept()[0]
    server.settimeout(GUARD)
    return server


def answers(netns, port=8080):
    """Does an echo backend answer through the relay, within the guard?"""
    with netns.connect("127.0.0.1", port) as client:
        client.sendall(b"hello")
        return read_exactly(client, 5) == b"hello"


def start_connecting(netns, number):
    """Sockets that connect, or try to for ever."""
    socks = []
    with netns.entered():
        for _ in range(number):
            sock = socket.socket()
            sock.setblocking(False)
            assert sock.connect_ex(("127.0.0.1", 8080)) in (
                0, errno.EINPROGRESS)
            socks.append(sock)
    return socks


@contextmanager
def in_background(*work):
    """Has each function called again and again by a thread of its own until
    the block ends; what one raises fails the test."""
    stop, problems = threading.Event(), []

    def repeat(function):
        try:
            while not stop.is_set():
                function()
        except BaseException as error:  # pylint: disable=broad-except
            problems.append(error)

    threads = [threading.Thread(target=repeat, args=(function,), daemon=True)
               for function in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(2 * GUARD)
    if problems:
        raise problems[0]


@contextmanager
def relay_survives(berthd, grown_max_kib=GROWN_MAX_KIB):
    """In the end the same relay runs with as many descriptors as before, and
    has not grown beyond bounds."""
    idle = berthd.idle_relay_descriptors()
    relay = berthd.relay_pid()
    growth = berthd.relay_growth()
    yield relay
    assert berthd.relay_pid() == relay, berthd.log()
    # A client that never acknowledges is waited for, half a minute.
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors",
               guard=30 + GUARD)
    grown = growth.kib()
    assert grown < grown_max_kib, f"the relay grew by {grown} KiB"


# Clients that are slow, or say nothing

def test_many_slow_readers(world, netns, backend):
    """200 clients ask for a MiB each and read none of it. The relay holds
    back the backend and keeps at most one buffer for each, other clients are
    answered, and in the end each slow one has all its bytes."""
    berthd = world.berthd(rules(
        rule(name="f", forward={"to": to(backend)}),
        rule(name="e", port=9000, respond="echo")))
    data = pattern(1 << 20, "slow")
    with relay_survives(berthd, 200 * 64 + GROWN_MAX_KIB), \
            ExitStack() as stack:
        growth = berthd.relay_growth()
        pairs = []
        for _ in range(200):
            client, server = pair(netns, backend)
            stack.enter_context(client)
            stack.enter_context(server)
            pairs.append((client, server))
        sent = []
        for _, server in pairs:
            server.setblocking(False)
            sent.append(server.send(data))
        assert answers(netns, 9000)
        assert growth.kib() < 200 * 64 + GROWN_MAX_KIB
        for (client, server), size in zip(pairs, sent):
            server.close()
            assert read_all(client) == data[:size]


def test_trickle(world, netns, backend):
    """A client that writes single bytes, and one that reads single bytes with
    the smallest window: everything arrives, and others are answered."""
    world.berthd(rules(
        rule(name="f", forward={"to": to(backend)}),
        rule(name="e", port=9000, respond="echo")))
    writer, writers_server = pair(netns, backend)
    reader = netns.new_socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    reader.connect(("127.0.0.1", 8080))
    with writer, writers_server, reader, accept(backend) as readers_server:
        writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        text = pattern(3000, "trickle")
        readers_server.sendall(text)
        for number in range(len(text)):
            writer.send(text[number:number + 1])
            assert reader.recv(1) == text[number:number + 1]
            if number % 1000 == 0:
                assert answers(netns, 9000)
        assert read_exactly(writers_server, len(text)) == text


def test_connected_and_silent(world, netns, backend):
    """Clients that connect and say nothing get no bytes and cost no CPU, and
    the idle timeout ends them on both sides."""
    berthd = world.berthd(forward(to(backend),
                                  options={"idle_timeout": "1s"}))
    with relay_survives(berthd) as relay:
        pairs = [pair(netns, backend) for _ in range(100)]
        cpu = process.cpu_seconds(relay)
        for client, server in pairs:
            assert ended(client) and ended(server)
            client.close()
            server.close()
        assert process.cpu_seconds(relay) - cpu < 0.5, "it spins"


def test_backend_accepts_and_says_nothing(world, netns, backend):
    """The client's request is not enough to keep a connection whose backend
    never answers: the idle timeout ends it, the listener stays."""
    berthd = world.berthd(forward(to(backend),
                                  options={"idle_timeout": "500ms"}))
    with relay_survives(berthd):
        for _ in range(3):
            client, server = pair(netns, backend)
            with client, server:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert read_exactly(server, 4) == b"GET "
                assert ended(client) and ended(server)


def test_backend_whose_backlog_is_full(world, netns):
    """connect_timeout ends clients whose backend never takes the connection;
    those of another rule are answered all the while."""
    full = world.close_later(world.host.listen(backlog=0))
    echo = echo_backend(world)
    for _ in range(4):
        sock = world.close_later(world.host.new_socket())
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    berthd = world.berthd(rules(
        rule(name="full", forward={"to": to(full),
                                   "connect_timeout": "400ms"}),
        rule(name="echo", port=9000,
             forward={"to": f"127.0.0.1:{echo.port}"})))
    with relay_survives(berthd):
        clients = [netns.connect("127.0.0.1", 8080) for _ in range(50)]
        assert answers(netns, 9000)
        for client in clients:
            assert ended(client)
            client.close()


# Clients that do not keep to the order of things

class Forged:
    """Segments in the name of a client, from a raw socket beside it."""

    def __init__(self, netns, client):
        self._raw = netns.new_socket(socket.AF_INET, socket.SOCK_RAW,
                                     socket.IPPROTO_TCP)
        self._local, self._remote = client.getsockname(), client.getpeername()
        self.seq = _sequence(client, TCP_SEND_QUEUE)
        self.ack = _sequence(client, TCP_RECV_QUEUE)

    def send(self, data, flags=0x18):
        head = struct.pack("!HHIIBBHHH", self._local[1], self._remote[1],
                           self.seq, self.ack, 5 << 4, flags, 1024, 0, 0)
        addresses = b"".join(map(socket.inet_aton, (self._local[0],
                                                    self._remote[0])))
        pseudo = addresses + struct.pack("!HH", socket.IPPROTO_TCP,
                                         len(head) + len(data))
        head = head[:16] + struct.pack("!H", _checksum(pseudo + head + data)) \
            + head[18:]
        self._raw.sendto(head + data, (self._remote[0], 0))
        self.seq = (self.seq + len(data)) & 0xffffffff

    def close(self):
        self._raw.close()


TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_RECV_QUEUE, TCP_SEND_QUEUE = 1, 2
TCP_REPAIR_OFF_NO_WP = -1


def _sequence(sock, queue):
    """The next sequence number of one direction."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    number = sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
    return number & 0xffffffff


def _checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H",
                              data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def test_forged_segments_are_what_they_should_be(netns):
    """The tests' own helper: without a FIN before them they arrive."""
    server = netns.listen()
    client = netns.connect(*server.getsockname())
    with server, client, accept(server) as conn:
        forged = Forged(netns, client)
        forged.send(b"forged")
        assert read_exactly(conn, 6) == b"forged"
        forged.close()


def test_sends_after_half_close(world, netns, backend):
    """Bytes behind a FIN belong to nothing: they never reach the backend, and
    the backend's answer still reaches the client."""
    berthd = world.berthd(forward(to(backend)))
    with relay_survives(berthd):
        for _ in range(10):
            client, server = pair(netns, backend)
            with client, server:
                client.sendall(b"before")
                client.shutdown(socket.SHUT_WR)
                assert read_all(server) == b"before"
                forged = Forged(netns, client)
                forged.send(b"after")
                forged.send(b"", 0x11)  # and a second FIN
                forged.close()
                server.sendall(b"answer")
                server.close()
                assert read_all(client) == b"answer"


def test_sends_to_a_backend_that_closed(world, netns, backend):
    """The backend is through, says goodbye and is gone; the client goes on
    sending. It reads the goodbye or a reset, and the connection ends."""
    # What a socket says of a reset that was there before the call.
    gone = errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN
    berthd = world.berthd(forward(to(backend)))
    with relay_survives(berthd):
        for _ in range(20):
            client, server = pair(netns, backend)
            with client:
                works(client, server)
                server.sendall(b"goodbye")
                server.close()
                try:
                    client.sendall(b"x" * (1 << 20))
                    client.shutdown(socket.SHUT_WR)
                except OSError as error:
                    assert error.errno in gone
                assert ended(client)


def test_connect_and_reset_in_a_loop(world, netns, backend):
    """Clients that reset at once, with and without data, as fast as they
    can: others are answered, nothing is left."""
    echo = echo_backend(world)
    other = world.netns("other")
    berthd = world.berthd(rules(
        rule(name="storm", namespace="n", forward={"to": to(backend)}),
        rule(name="other", namespace="other",
             forward={"to": f"127.0.0.1:{echo.port}"})))
    number = iter(range(1 << 62))

    def storm():
        client, = start_connecting(netns, 1)  # without waiting for the end
        if next(number) % 2 and select.select([], [client], [], 0)[1]:
            client.send(b"x" * 5000)
        reset(client)

    with relay_survives(berthd):
        with in_background(storm, storm):
            stays(lambda: answers(other), "answers", SLOWNESS)
            wait_for(lambda: answers(other) and next(number) > 100,
                     "more than a hundred of them")
    while select.select([backend], [], [], 0)[0]:
        backend.accept()[0].close()
    client, server = pair(netns, backend)
    with client, server:
        works(client, server)


def test_partial_writers_that_vanish(world, netns, backend):
    """Half a request and no end, again and again; some close, some reset,
    some half-close. The backend sees each end as it was."""
    berthd = world.berthd(forward(to(backend)))
    seeded = random.Random(7)
    with relay_survives(berthd):
        for _ in range(100):
            client, server = pair(netns, backend)
            with client, server:
                part = pattern(seeded.randrange(1, 100_000), "part")
                client.sendall(part)
                how = seeded.choice(["close", "reset", "half"])
                if how == "reset":
                    # What was passed on is there, unless the reset overtook.
                    reset(client)
                    assert ended(server)
                    continue
                if how == "close":
                    client.close()
                else:
                    client.shutdown(socket.SHUT_WR)
                assert read_all(server) == part


def test_port_scan(world, netns, backend):
    """All listeners of a namespace, TCP and UDP, are touched in all the ways
    that scanners have; each still answers afterwards."""
    world.close_later(backend)
    ports = range(9000, 9040)
    world.berthd(rules(
        rule(name="r", protocol=["tcp", "udp"], port="9000-9039")))
    wait_equal(lambda: len(netns.listeners()), 2 * len(ports), "listeners")
    with netns.new_socket(kind=socket.SOCK_DGRAM) as probe:
        for port in ports:
            for size in (0, 1, 60_000):
                probe.sendto(b"\0" * size, ("127.0.0.1", port))
            for how in (socket.socket.close, reset, shut_both):
                client = netns.connect("127.0.0.1", port)
                how(client)
                client.close()
            # A connection that was never asked for, and an odd segment.
            with netns.connect("127.0.0.1", port) as client:
                forged = Forged(netns, client)
                forged.seq = (forged.seq + (1 << 30)) & 0xffffffff
                for flags in (0x02, 0x00, 0x29, 0x3f):
                    forged.send(b"", flags)
                forged.close()
    for port in ports:
        assert netns.ask("127.0.0.1", port) == b"ack"


def shut_both(sock):
    sock.shutdown(socket.SHUT_RDWR)


# Floods against limits

LIMIT = 500
FLOOD = 10_000
LATENCY_MAX_S = 0.25  # on a machine that has much else to do


@contextmanager
def many_descriptors():
    """The tests' own table holds the flood's sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FLOOD + 2000:
        pytest.skip(f"the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def accept_all(backend):
    servers = []
    while select.select([backend], [], [], 0.5 * SLOWNESS)[0]:
        servers.append(accept(backend))
    return servers


def test_flood_against_the_limit(world, netns, backend):
    """10,000 connections from one namespace whose rule allows 500: exactly
    500 reach the backend, the relay has no more descriptors than for these,
    and another namespace is answered as if nothing were, on an old connection
    and on new ones, while all this goes on and while it ends."""
    other = world.netns("other")
    echo = echo_backend(world)
    berthd = world.berthd(rules(
        rule(name="flooded", namespace="n",
             forward={"to": to(backend), "max_connections": LIMIT}),
        rule(name="other", namespace="other",
             forward={"to": f"127.0.0.1:{echo.port}"})))

    def ping():
        begin = time.monotonic()
        quick.sendall(b"ping")
        assert read_exactly(quick, 4) == b"ping"
        assert answers(other)
        took.append(time.monotonic() - begin)

    took = []
    with relay_survives(berthd), many_descriptors(), ExitStack() as stack:
        idle = berthd.relay_descriptors()
        quick = stack.enter_context(other.connect("127.0.0.1", 8080))
        flood = start_connecting(netns, 1)
        with in_background(ping):
            flood += start_connecting(netns, FLOOD - 1)
            servers = accept_all(backend)
            assert len(servers) == LIMIT
            # Both sides of each, and what the pings have.
            assert berthd.relay_descriptors() <= idle + 2 * LIMIT + 8
            for sock in flood:
                reset(sock)
            for server in servers:
                server.close()
            for server in accept_all(backend):  # who had waited
                server.close()
        # Milliseconds; who stood behind the flood would wait for seconds.
        assert statistics.median(took) < LATENCY_MAX_S
        ping()


def test_flooded_listener_serves_the_next(world, netns, backend):
    """When those within the limit end, those that waited get their turn, and
    what they said meanwhile is not lost."""
    berthd = world.berthd(forward(to(backend),
                                  options={"max_connections": 5}))
    with relay_survives(berthd):
        clients = [netns.connect("127.0.0.1", 8080) for _ in range(50)]
        for number, client in enumerate(clients):
            client.sendall(b"%02d" % number)
        for _ in range(10):
            servers = [accept(backend) for _ in range(5)]
            assert not select.select([backend], [], [], 0.02)[0]
            for server in servers:
                clients[int(read_exactly(server, 2))].close()
                server.close()


# What a container does to its own network

def outside(world, netns):
    """An address of the namespace that the host reaches."""
    world.veth(netns, "eth0", world.host, "bt-h")
    netns.addr_add("10.67.0.1/24", "eth0")
    world.host.addr_add("10.67.0.2/24", "bt-h")
    wait_for(netns.listeners, "the listener")
    return "10.67.0.1"


def test_interface_down_and_up_amid_a_transfer(world, netns, backend):
    """The transfer stands still, costs nothing, and goes on."""
    berthd = world.berthd(forward(to(backend)))
    address = outside(world, netns)
    data = pattern(4 << 20, "down and up")
    with relay_survives(berthd) as relay:
        client = world.host.connect(address, 8080)
        with client, accept(backend) as server:
            sender = threading.Thread(target=client.sendall, args=(data,),
                                      daemon=True)
            sender.start()
            got = read_exactly(server, 1 << 20)
            netns.down("eth0")
            cpu = process.cpu_seconds(relay)
            time.sleep(0.3)
            assert process.cpu_seconds(relay) - cpu < 0.2, "it spins"
            netns.up("eth0")
            got += read_exactly(server, len(data) - len(got))
            assert got == data
            sender.join(GUARD)


@pytest.mark.parametrize("how", ["deleted", "down", "without address"])
def test_interface_goes_amid_a_transfer(world, netns, backend, how):
    """Nobody tells the relay that the peer is out of reach: the idle timeout
    ends the connection, with unread data in it, and the namespace is freed
    when it goes."""
    monitor = NsidMonitor(world)
    # It must not end before everything is stuffed and the interface is gone.
    idle_ms = round(SLOWNESS * 1000)
    berthd = world.berthd(forward(to(backend),
                                  options={"idle_timeout": f"{idle_ms}ms"}))
    address = outside(world, netns)
    tracked = monitor.track(netns)
    with relay_survives(berthd):
        client = world.host.connect(address, 8080)
        with client, accept(backend) as server:
            works(client, server)
            stuff(server, 1 << 20)
            if how == "deleted":
                netns.ip("link", "del", "eth0")
            elif how == "down":
                netns.down("eth0")
            else:
                netns.addr_del(address + "/24", "eth0")
            stuff(server, 64 << 20)
            assert ended(server)
    netns.delete()
    monitor.wait_freed(tracked)


def test_namespace_goes_amid_500_connections(world, netns, backend):
    """With unread and unacknowledged data in both directions of each: all
    are reset at once, the kernel frees the namespace, nothing is left."""
    monitor = NsidMonitor(world)
    other = world.netns("other")
    echo = echo_backend(world)
    berthd = world.berthd(rules(
        rule(name="n", namespace="n", forward={"to": to(backend)}),
        rule(name="other", namespace="other",
             forward={"to": f"127.0.0.1:{echo.port}"})))
    address = outside(world, netns)
    tracked = monitor.track(netns)
    block = b"\xa5" * (96 << 10)
    with ExitStack() as stack:
        descriptors = berthd.idle_relay_descriptors()
        pairs = []
        for _ in range(500):
            client = world.host.new_socket()
            stack.enter_context(client)
            # Most of what is meant for it stays with the relay.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((address, 8080))
            server = stack.enter_context(accept(backend))
            pairs.append((client, server))
            for sock in (client, server):
                sock.setblocking(False)
                sock.send(block)
                sock.settimeout(GUARD)
        netns.delete()
        assert answers(other)
        for client, server in pairs:
            assert ended(server)
        monitor.wait_freed(tracked)
        # One listener less.
        wait_equal(berthd.relay_descriptors, descriptors - 1,
                   "the relay's descriptors")
        assert berthd.status()["lingering"] == []

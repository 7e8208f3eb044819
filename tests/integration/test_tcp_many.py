# SPDX-License-Identifier: Apache-2.0
"""test_tcp_many.py - many connections: what they cost, and to whom."""

import resource
import select
import socket
import threading
import time

import pytest

from harness import process
from harness.berthd import SANITIZED
from harness.rules import forward, rule, rules
from harness.traffic import echo_backend, ended, pair, reset, works
from harness.wait import GUARD, wait_equal, wait_for

# Both ends of each are ours.
N_STALLED = 1000
N_SHORT = 3000


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * N_STALLED:
        pytest.skip(f"at most {hard} descriptors allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    return world.close_later(world.host.listen(backlog=1024))


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def fill(sock, size):
    """Sends so much, or what is taken of it."""
    sock.setblocking(False)
    try:
        while size > 0:
            size -= sock.send(b"\xa5" * min(size, 65536))
    except BlockingIOError:
        pass
    sock.settimeout(GUARD)


def slow_pair(netns, backend):
    """A client with little room, which is soon full when it does not read."""
    client = netns.new_socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", 8080))
    server = backend.accept()[0]
    server.settimeout(GUARD)
    return client, server


def test_stalled_connections_cost_no_cpu(world, netns, backend):
    """Data waits in the relay for each of them, in buffers and in pipes."""
    berthd = world.berthd(forward(to(backend)))
    relay = berthd.relay_pid()
    growth = berthd.relay_growth()
    pairs = [slow_pair(netns, backend) for _ in range(N_STALLED)]
    for client, server in pairs:
        client.sendall(b"question")
        fill(server, 256 << 10)
    # Until the kernel has told all it has to tell about them.
    process.steady(lambda: process.context_switches(relay), 1)
    cpu = process.cpu_seconds(relay)
    switches = process.context_switches(relay)
    time.sleep(3)
    assert process.cpu_seconds(relay) - cpu <= 0.02
    assert process.context_switches(relay) - switches <= 12
    if not SANITIZED:
        # One buffer each at most: what one read takes.
        grown = growth.kib()
        assert grown < N_STALLED * 72, f"the relay grew by {grown} KiB"
    # They were not forgotten.
    for client, server in pairs[:20]:
        assert client.recv(1 << 16)
        assert server.recv(8) == b"question"
    for client, server in pairs:
        client.close()
        server.close()


def test_idle_connections_are_small(world, netns):
    """Two descriptors each, and less than a KiB of memory."""
    backend = echo_backend(world)
    berthd = world.berthd(forward(f"127.0.0.1:{backend.port}"))
    relay = berthd.relay_pid()
    clients = [netns.connect("127.0.0.1", 8080) for _ in range(100)]

    def talk(some):
        for client in some:
            client.sendall(b"x")
        for client in some:
            assert client.recv(10) == b"x"

    talk(clients)
    before = process.private_kib(relay)
    descriptors = berthd.relay_descriptors()
    more = [netns.connect("127.0.0.1", 8080) for _ in range(N_STALLED)]
    talk(more)
    assert berthd.relay_descriptors() == descriptors + 2 * N_STALLED
    if not SANITIZED:
        grown = process.private_kib(relay) - before
        assert grown <= N_STALLED, f"{grown} KiB for {N_STALLED} connections"
    for client in clients + more:
        client.close()


def test_short_connections_leave_nothing(world, netns):
    backend = echo_backend(world)
    berthd = world.berthd(forward(f"127.0.0.1:{backend.port}"))
    relay = berthd.relay_pid()
    idle = berthd.idle_relay_descriptors()

    def short(number):
        for i in range(number):
            with netns.connect("127.0.0.1", 8080) as client:
                client.sendall(b"x")
                assert client.recv(10) == b"x"
                if i % 3 == 0:
                    reset(client)

    short(N_SHORT // 10)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    before = process.private_kib(relay)
    short(N_SHORT)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    if not SANITIZED:
        assert process.private_kib(relay) - before < 256


def served(clients):
    """Those of them that got an answer."""
    return [c for c in clients if select.select([c], [], [], 0)[0]]


def flood(world, netns, ports, number):
    """Clients of a namespace that all ask; connected or waiting."""
    clients = []
    for i in range(number):
        client = world.close_later(netns.new_socket())
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", ports[i % len(ports)]))
        clients.append(client)
    for client in clients:
        if select.select([], [client], [], 1)[1]:
            client.send(b"x")
    return clients


def test_limit_of_a_namespace(world):
    """One namespace, through whatever many listeners, never takes all that
    there is; another one is served at once."""
    backend = echo_backend(world)
    one, other = world.netns("one"), world.netns("other")
    options = {"to": f"127.0.0.1:{backend.port}", "max_connections": 1000}
    berthd = world.berthd(
        rules(*(rule(name=f"r{port}", port=port, forward=options)
                for port in (8080, 8081, 8082))),
        limits={resource.RLIMIT_NOFILE: (512, 512)})
    relay = berthd.relay_pid()
    # 512 less a quarter for listeners, 20 fixed and the listeners: half of
    # that in descriptors, a quarter in connections.
    greedy = flood(world, one, (8080, 8081, 8082), 250)
    wait_for(lambda: served(greedy), "some answers")
    count = process.steady(lambda: len(served(greedy)), 0.7)
    assert 40 <= count <= 100, count
    cpu = process.cpu_seconds(relay)
    for _ in range(20):
        with other.connect("127.0.0.1", 8080) as client:
            client.sendall(b"y")
            assert client.recv(10) == b"y"
    modest = [other.connect("127.0.0.1", 8080) for _ in range(40)]
    for client in modest:
        client.sendall(b"z")
        assert client.recv(10) == b"z"
        client.close()
    time.sleep(1)
    assert process.cpu_seconds(relay) - cpu < 0.7, "it spins"
    # When the greedy ones leave, those that waited get their turn.
    left = list(greedy)
    while left:
        ready = wait_for(lambda: served(left),
                         f"answers for the {len(left)} that wait")
        for client in ready:
            assert client.recv(10) == b"x", "cut off"
            left.remove(client)
            client.close()


def test_bulk_of_one_namespace_and_exchanges_of_another(world, backend):
    """With one worker, so that all share it."""
    one, other = world.netns("one"), world.netns("other")
    world.berthd(forward(to(backend)), args=["--workers", "1"])
    stop = threading.Event()
    threads, pairs = [], []

    def send(sock):
        try:
            while not stop.is_set():
                sock.sendall(b"\xa5" * 65536)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def read(sock):
        while sock.recv(1 << 18):
            pass

    for _ in range(12):
        client, server = pair(one, backend)
        pairs.append((client, server))
        threads += [threading.Thread(target=send, args=(client,)),
                    threading.Thread(target=read, args=(server,))]
    for thread in threads:
        thread.start()
    try:
        client, server = pair(other, backend)
        with client, server:
            for number in range(100):
                works(client, server, b"%d;" % number)
    finally:
        stop.set()
        for thread in threads:
            thread.join(GUARD)
        for sock in sum(pairs, ()):
            sock.close()


def test_listener_goes_while_connections_wait_for_its_namespace(world):
    """A listener that rests is withdrawn as any other."""
    backend = echo_backend(world)
    one = world.netns("one")
    options = {"to": f"127.0.0.1:{backend.port}", "max_connections": 2}
    berthd = world.berthd(rules(rule(forward=options)))
    idle = berthd.idle_relay_descriptors()
    clients = flood(world, one, (8080,), 10)
    wait_for(lambda: len(served(clients)) >= 2, "two answers")
    one.delete()
    for client in clients:
        client.settimeout(GUARD)
        assert ended(client)
    wait_equal(lambda: berthd.relay_descriptors() < idle, True,
               "the listener and the connections to be closed")

# SPDX-License-Identifier: Apache-2.0
"""test_tcp.py - TCP through the relay: forward and respond."""

import resource
import select
import socket
import time

import pytest

from harness import process
from harness.netns import read_all, read_exactly
from harness.rules import ack, forward
from harness.traffic import (Talk, echo_backend, ended, exchange, pair,
                             pattern, reset, stuff, was_reset, works)
from harness.wait import GUARD, SLOWNESS, stays, wait_equal, wait_for

# What one connection may hold back: the relay's buffers and those of four
# sockets, which the kernel lets grow to its tcp_rmem and tcp_wmem limits.
HELD_BACK_MAX = 40 << 20


@pytest.fixture
def netns(world):
    return world.netns("n")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def test_forward_to_address_and_port(world, netns, backend):
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)


def test_forward_with_a_scheme(world, netns, backend):
    world.berthd(forward("tcp://" + to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)


def test_forward_to_ipv6(world, netns):
    backend = world.close_later(world.host.listen("::1"))
    world.berthd(forward(f"[::1]:{backend.getsockname()[1]}"))
    client, server = pair(netns, backend, "::1")
    with client, server:
        assert works(client, server)


def test_forward_to_a_unix_socket(world, netns):
    backend, path = world.unix_listen("backend.sock")
    world.berthd(forward(f"unix:{path}"))
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b""
        server.sendall(b"after")
        server.close()
        assert read_all(client) == b"after"


def test_template_in_the_backend(world):
    """Each namespace has its own backend."""
    a, b = world.netns("a"), world.netns("b")
    back_a, path = world.unix_listen("a.sock")
    back_b, _ = world.unix_listen("b.sock")
    world.berthd(forward(f"unix:{path.parent}/${{namespace}}.sock"))
    for netns, backend in ((a, back_a), (b, back_b)):
        client, server = pair(netns, backend)
        with client, server:
            assert works(client, server)


def test_bulk_both_ways_at_once(world, netns, backend):
    world.berthd(forward(to(backend)))
    up, down = pattern(8 << 20, "up"), pattern(8 << 20, "down")
    client, server = pair(netns, backend)
    with client, server:
        client_got, server_got = exchange(client, up, server, down)
    assert len(server_got) == len(up) and server_got == up
    assert len(client_got) == len(down) and client_got == down


def test_many_small_exchanges(world, netns, backend):
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        for number in range(2000):
            works(client, server, b"%d;" % number)


def test_many_connections(world, netns):
    backend = echo_backend(world)
    berthd = world.berthd(forward(f"127.0.0.1:{backend.port}"))
    idle = berthd.idle_relay_descriptors()
    clients = [netns.connect("127.0.0.1", 8080) for _ in range(200)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"%d" % number
        client.close()
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_client_half_closes(world, netns, backend):
    """EOF goes through, and the other direction still works after it."""
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        client.sendall(b"request")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"request"
        answer = pattern(1 << 20, "answer")
        server.sendall(answer)
        server.close()
        assert read_all(client) == answer


def test_backend_half_closes(world, netns, backend):
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        server.sendall(b"greeting")
        server.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"greeting"
        request = pattern(1 << 20, "request")
        client.sendall(request)
        client.close()
        assert read_all(server) == request


def test_client_that_half_closes_before_the_backend_answers(world, netns,
                                                            backend):
    """Data and EOF wait in the relay until the connect is done."""
    world.berthd(forward(to(backend)))
    client = netns.connect("127.0.0.1", 8080)
    client.sendall(b"early")
    client.shutdown(socket.SHUT_WR)
    with client, backend.accept()[0] as server:
        assert read_all(server) == b"early"
        server.sendall(b"late")
        server.close()
        assert read_all(client) == b"late"


def test_half_closed_connection_costs_no_cpu(world, netns, backend):
    """EOF must not be reported again and again."""
    berthd = world.berthd(forward(to(backend)))
    relay = berthd.relay_pid()
    pairs = [pair(netns, backend) for _ in range(3)]
    pairs[0][0].shutdown(socket.SHUT_WR)
    pairs[1][1].shutdown(socket.SHUT_WR)
    assert read_all(pairs[0][1]) == b"" and read_all(pairs[1][0]) == b""
    before = process.cpu_seconds(relay)
    time.sleep(1)
    assert process.cpu_seconds(relay) - before < 0.2
    for client, server in pairs:
        client.close()
        server.close()


def test_client_resets(world, netns, backend):
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with server:
        works(client, server)
        reset(client)
        assert ended(server)


def test_backend_resets(world, netns, backend):
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client:
        works(client, server)
        reset(server)
        assert ended(client)


@pytest.mark.parametrize("writer", ["client", "backend"])
def test_back_pressure(world, netns, backend, writer):
    """A reader that stops stops the writer; memory stays bounded; then
    everything arrives, in order, and nobody burned CPU meanwhile."""
    berthd = world.berthd(forward(to(backend)))
    relay = berthd.relay_pid()
    client, server = pair(netns, backend)
    with client, server:
        sender, reader = (client, server) if writer == "client" \
            else (server, client)
        growth = berthd.relay_growth()
        sent = stuff(sender, HELD_BACK_MAX + 1)
        assert sent <= HELD_BACK_MAX, "it is taken without bound"
        grown = growth.kib()
        assert grown < 8192, f"the relay grew by {grown} KiB"
        cpu = process.cpu_seconds(relay)
        time.sleep(0.7)
        assert process.cpu_seconds(relay) - cpu < 0.15, "it spins"
        # The other direction is not held up.
        reader.sendall(b"hello")
        assert read_exactly(sender, 5) == b"hello"
        sender.shutdown(socket.SHUT_WR)
        received = read_exactly(reader, sent)
        assert received == b"\xa5" * sent
        assert reader.recv(1) == b""


def test_slow_reader_does_not_slow_others(world, netns, backend):
    world.berthd(forward(to(backend)), args=["--workers", "1"])
    slow, slow_server = pair(netns, backend)
    quick, quick_server = pair(netns, backend)
    with slow, slow_server, quick, quick_server:
        stuff(slow_server)
        for _ in range(100):
            works(quick, quick_server)


def turned_away(netns):
    """The relay ends the connection, maybe before connect() returns."""
    try:
        with netns.connect("127.0.0.1", 8080) as client:
            return ended(client)
    except ConnectionResetError:
        return True


def test_backend_refuses(world, netns):
    """The client's connection ends soon, and the listener stays."""
    gone = world.host.listen()
    address = to(gone)
    port = gone.getsockname()[1]
    gone.close()
    berthd = world.berthd(forward(address))
    idle = berthd.idle_relay_descriptors()
    for _ in range(20):
        started = time.monotonic()
        assert turned_away(netns)
        assert time.monotonic() - started < 3
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    # When the backend is there, it is used.
    back = world.close_later(world.host.listen(port=port))
    client, server = pair(netns, back)
    with client, server:
        assert works(client, server)


def test_unix_backend_missing_then_there(world, netns):
    path = world.base / "late.sock"
    world.berthd(forward(f"unix:{path}"))
    assert turned_away(netns)
    backend, _ = world.unix_listen("late.sock")
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)


def black_hole(world):
    """An address that answers no SYN: its queue of connections is full."""
    full = world.close_later(world.host.listen(backlog=0))
    address = full.getsockname()
    for _ in range(4):
        sock = world.close_later(world.host.new_socket())
        sock.setblocking(False)
        sock.connect_ex(address)
    time.sleep(0.05)
    return to(full)


def test_connect_timeout(world, netns):
    berthd = world.berthd(forward(black_hole(world),
                                  options={"connect_timeout": "300ms"}))
    idle = berthd.idle_relay_descriptors()
    with netns.connect("127.0.0.1", 8080) as client:
        started = time.monotonic()
        assert ended(client)
        took = time.monotonic() - started
    assert 0.2 < took < 3, took
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_several_backends_take_turns(world, netns):
    backends = [world.close_later(world.host.listen()) for _ in range(3)]
    world.berthd(forward([to(b) for b in backends]),
                 args=["--workers", "1"])
    clients = [netns.connect("127.0.0.1", 8080) for _ in range(9)]
    counts = [0, 0, 0]
    while sum(counts) < len(clients):
        ready = select.select(backends, [], [], GUARD)[0]
        assert ready, f"only {counts}"
        for backend in ready:
            world.close_later(backend.accept()[0])
            counts[backends.index(backend)] += 1
    for client in clients:
        client.close()
    assert counts == [3, 3, 3]


@pytest.mark.parametrize("why", ["refuses", "does not answer", "is no path"])
def test_next_backend_when_one_fails(world, netns, backend, why):
    if why == "refuses":
        gone = world.host.listen()
        bad = to(gone)
        gone.close()
    elif why == "does not answer":
        bad = black_hole(world)
    else:
        bad = f"unix:{world.base}/nothing.sock"
    world.berthd(forward([bad, to(backend)],
                         options={"connect_timeout": "200ms"}))
    for _ in range(4):
        client, server = pair(netns, backend)
        with client, server:
            assert works(client, server)


def test_idle_timeout(world, netns, backend):
    idle = 0.6 * SLOWNESS
    world.berthd(forward(
        to(backend), options={"idle_timeout": f"{idle * 1000:.0f}ms"}))
    client, server = pair(netns, backend)
    with client, server:
        for _ in range(4):
            time.sleep(idle / 2)
            works(client, server)
        started = time.monotonic()
        assert ended(client) and ended(server)
        assert idle / 2 < time.monotonic() - started < idle + 4


def test_max_connections(world, netns, backend):
    """Never more than so many at the backend; later ones when there is
    room."""
    world.berthd(forward(to(backend), options={"max_connections": 3}),
                 args=["--workers", "1"])
    pairs = [pair(netns, backend) for _ in range(3)]
    extra = netns.connect("127.0.0.1", 8080)
    assert not select.select([backend], [], [], 0.4)[0], "one too many"
    extra.close()
    for sock in pairs.pop():
        sock.close()

    def room():
        client = netns.connect("127.0.0.1", 8080)
        if not select.select([backend], [], [], 0.3)[0]:
            client.close()
            return None
        return client, backend.accept()[0]

    client, server = wait_for(room, "room for another one")
    with client, server:
        server.settimeout(GUARD)
        works(*pairs[0])
    for pair_left in pairs:
        for sock in pair_left:
            sock.close()


def test_respond_with_text(world, netns):
    world.berthd(ack(respond="It works, grüße\n"))
    for _ in range(20):
        assert netns.ask("127.0.0.1", 8080) \
            == "It works, grüße\n".encode()


def test_respond_to_a_client_that_talks_much(world, netns):
    """What it sends unasked must not turn the answer into a reset."""
    world.berthd(ack())
    for _ in range(20):
        with netns.connect("127.0.0.1", 8080) as client:
            try:
                client.sendall(b"GET / HTTP/1.1\r\n" + b"x" * 200000)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert client.recv(100) == b"ack"


def test_echo(world, netns):
    world.berthd(ack(respond="echo"))
    data = pattern(4 << 20, "echo")
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(b"one")
        assert read_exactly(client, 3) == b"one"
        assert Talk(client, data).receipt() == data


def test_echo_to_a_client_that_does_not_read(world, netns):
    berthd = world.berthd(ack(respond="echo"))
    with netns.connect("127.0.0.1", 8080) as client:
        growth = berthd.relay_growth()
        sent = stuff(client, HELD_BACK_MAX + 1)
        assert sent <= HELD_BACK_MAX
        assert growth.kib() < 8192
        client.shutdown(socket.SHUT_WR)
        assert read_exactly(client, sent) == b"\xa5" * sent
        assert client.recv(1) == b""


def test_discard(world, netns):
    world.berthd(ack(respond="discard"))
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(b"x" * (4 << 20))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""


def test_full_descriptor_table_pauses_accepting(world, netns):
    """EMFILE: the listener is neither closed nor spun on; who waited is
    served when there is room again."""
    backend = echo_backend(world)
    # The relay inherits the limit.
    berthd = world.berthd(forward(f"127.0.0.1:{backend.port}"),
                          args=["--workers", "2"],
                          limits={resource.RLIMIT_NOFILE: (64, 64)})
    relay = berthd.relay_pid()
    clients = [netns.connect("127.0.0.1", 8080) for _ in range(60)]
    for client in clients:
        client.sendall(b"x")

    def answered():
        return [c for c in clients if select.select([c], [], [], 0)[0]]

    wait_for(answered, "some answers")
    time.sleep(0.5)
    first = len(answered())
    assert first < 60
    before = process.cpu_seconds(relay)
    time.sleep(1.5)
    assert process.cpu_seconds(relay) - before < 0.5, "it spins"
    assert berthd.relay_pid() == relay
    # Those that were served go, and the others get their turn.
    for _ in range(60):
        ready = answered()
        for client in ready:
            assert client.recv(10) == b"x", "cut off"
            clients.remove(client)
            client.close()
        if not clients:
            break
        wait_for(answered, f"answers for the {len(clients)} that wait")
    assert clients == []
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(b"y")
        assert client.recv(10) == b"y"


def test_rules_change_and_connections_stay(world, netns):
    """Another backend: the socket stays, old connections stay with theirs,
    new ones go to the new."""
    one = world.close_later(world.host.listen())
    two = world.close_later(world.host.listen())
    berthd = world.berthd(forward(to(one)))
    before = netns.listener_inodes()
    client, server = pair(netns, one)
    with client, server:
        berthd.write_rules("50-test.yaml", forward(to(two)))

        def moved():
            probe = netns.connect("127.0.0.1", 8080)
            ready = select.select([one, two], [], [], GUARD)[0]
            ready[0].accept()[0].close()
            probe.close()
            return two in ready

        wait_for(moved, "new connections at the new backend")
        works(client, server)
        assert netns.listener_inodes() == before


def test_rule_goes_and_accepted_connections_finish(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        berthd.remove_rules("50-test.yaml")
        wait_equal(netns.listeners, set(), "the listener to close")
        assert netns.refuses("127.0.0.1", 8080)
        stays(lambda: works(client, server), "the connection", 0.3)
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b""
    wait_for(lambda: berthd.status()["consumers"][0]["withdrawn"] == 0,
             "the release to be confirmed")


def test_was_reset_tells_a_reset_from_an_end(netns):
    """The tests' own helper."""
    with netns.listen(port=1) as server:
        for how, expected in ((reset, True), (socket.socket.close, False)):
            client = netns.connect("127.0.0.1", 1)
            how(server.accept()[0])
            assert was_reset(client) is expected
            client.close()

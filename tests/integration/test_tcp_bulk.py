# SPDX-License-Identifier: Apache-2.0
"""test_tcp_bulk.py - long transfers through the relay, spliced or copied."""

import resource
import select
import socket
import threading

import pytest

from harness import process
from harness.netns import read_all, read_exactly
from harness.rules import ack, forward
from harness.traffic import (Talk, ended, exchange, pair, pattern, reset,
                             stuff, was_reset, works)
from harness.wait import GUARD, SLOWNESS, wait_equal, wait_for

BULK = 12 << 20
IPPROTO_MPTCP = 262


@pytest.fixture
def netns(world):
    return world.netns("n")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def pipes(berthd):
    """How many ends of pipes the relay has, but for its standard streams."""
    return sum(target.startswith("pipe:") for fd, target
               in process.descriptors(berthd.relay_pid()).items() if fd > 2)


def check_bulk_both_ways(client, server):
    up, down = pattern(BULK, "up"), pattern(BULK, "down")
    with client, server:
        client_got, server_got = exchange(client, up, server, down)
    assert len(server_got) == len(up) and server_got == up
    assert len(client_got) == len(down) and client_got == down


def test_both_ways_at_once(world, netns, backend):
    berthd = world.berthd(forward(to(backend)))
    check_bulk_both_ways(*pair(netns, backend))
    wait_equal(lambda: pipes(berthd), 0, "no pipe to be left")


def test_unix_backend(world, netns):
    backend, path = world.unix_listen("backend.sock")
    world.berthd(forward(f"unix:{path}"))
    check_bulk_both_ways(*pair(netns, backend))


def test_mptcp(world, netns, backend):
    """A socket that cannot be spliced from or to is copied."""
    world.berthd(forward(f"tcp://{to(backend)}", protocol="mptcp"))
    with netns.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM,
                               IPPROTO_MPTCP)
    client.settimeout(GUARD)
    client.connect(("127.0.0.1", 8080))
    server = backend.accept()[0]
    server.settimeout(GUARD)
    check_bulk_both_ways(client, server)


def test_echo_of_much(world, netns):
    world.berthd(ack(respond="echo"))
    data = pattern(BULK, "echo")
    with netns.connect("127.0.0.1", 8080) as client:
        assert Talk(client, data).receipt() == data


@pytest.mark.parametrize("first", ["client", "backend"])
def test_half_close_in_between(world, netns, backend, first):
    """One side's end goes through while the other sends on."""
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        one, other = (client, server) if first == "client" \
            else (server, client)
        data = pattern(BULK, "one")
        one_talk = Talk(one, data)
        assert read_all(other) == data
        late = pattern(BULK, "late")
        other.sendall(late)
        other.shutdown(socket.SHUT_WR)
        assert one_talk.receipt() == late


def test_small_exchanges_after_bulk_and_bulk_again(world, netns, backend):
    """A direction goes over to splicing and back, and nothing is out of
    order where it does."""
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        for turn in range(3):
            data = pattern(8 << 20, turn)
            sender = threading.Thread(target=client.sendall, args=(data,))
            sender.start()
            assert read_exactly(server, len(data)) == data
            sender.join(GUARD)
            for number in range(50):
                works(client, server, b"%d." % number)
        wait_equal(lambda: pipes(berthd), 0,
                   "an idle connection to have no pipe")


@pytest.mark.parametrize("size", [1, 4095, 4096, 16384, 65535, 65536, 65537,
                                  131072, 262144, 262145])
def test_sizes_around_the_thresholds(world, netns, backend, size):
    world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        for number in range(12):
            data = pattern(size, number)
            sender = threading.Thread(target=client.sendall, args=(data,))
            sender.start()
            assert read_exactly(server, size) == data
            sender.join(GUARD)


def sending(sock):
    """Has a thread send without end, until the connection breaks."""
    def send():
        try:
            while True:
                sock.sendall(b"\x5a" * 65536)
        except OSError:
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("who", ["client", "backend"])
@pytest.mark.parametrize("where", ["writer", "reader"])
def test_reset_during_bulk(world, netns, backend, who, where):
    """A reset is a reset at the other end, and nothing is left."""
    berthd = world.berthd(forward(to(backend)))
    idle = berthd.idle_relay_descriptors()
    for _ in range(3):
        client, server = pair(netns, backend)
        one, other = (client, server) if who == "client" \
            else (server, client)
        writer, reader = (one, other) if where == "writer" else (other, one)
        thread = sending(writer)
        read_exactly(reader, 4 << 20)
        if one is writer:
            # shutdown() ends the thread's sendall(); then RST.
            other.settimeout(GUARD)
            reset(one)
            assert was_reset(other)
            other.close()
        else:
            reset(one)
            thread.join(GUARD)
            assert not thread.is_alive(), "the writer was not told"
            other.close()
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_reset_with_data_pending(world, netns, backend, who):
    """The relay holds bytes for a reader that does not read; the writer's
    reset overtakes them."""
    berthd = world.berthd(forward(to(backend)))
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend)
    writer, reader = (client, server) if who == "client" \
        else (server, client)
    stuff(writer)
    assert pipes(berthd) > 0, "nothing is held in a pipe"
    reset(writer)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    assert was_reset(reader)
    reader.close()


def test_namespace_goes_during_bulk(world, netns, backend):
    """Withdrawing with abort gives pipes back, full ones too."""
    berthd = world.berthd(forward(to(backend)))
    pairs = [pair(netns, backend) for _ in range(4)]
    for number, (client, server) in enumerate(pairs):
        stuff(client if number % 2 else server)
    assert pipes(berthd) > 0
    netns.delete()
    for client, server in pairs:
        assert ended(server) and ended(client)
        client.close()
        server.close()
    wait_equal(lambda: pipes(berthd), 0, "the pipes to be closed")


def test_without_room_for_pipes(world, netns, backend):
    """Connections have taken all descriptors: long transfers are copied."""
    berthd = world.berthd(forward(to(backend)),
                          limits={resource.RLIMIT_NOFILE: (64, 64)})
    held = []
    while len(held) < 64:
        client = netns.connect("127.0.0.1", 8080)
        if not select.select([backend], [], [], 0.5 * SLOWNESS)[0]:
            client.close()
            break
        held.append((client, backend.accept()[0]))
    assert len(held) < 64
    client, server = held.pop()
    server.settimeout(GUARD)
    check_bulk_both_ways(client, server)
    assert wait_for(lambda: pipes(berthd) == 0, "no pipe")
    for pair_held in held:
        for sock in pair_held:
            sock.close()


def test_stalled_transfers_leave_pipes_to_others(world, backend):
    """What one namespace's slow readers hold in pipes is bounded."""
    namespaces = [world.netns(name) for name in ("a", "b")]
    berthd = world.berthd(forward(to(backend)))
    stalled = [pair(namespaces[0], backend) for _ in range(40)]
    for client, server in stalled:
        server.setblocking(False)
        try:
            while server.send(b"\xa5" * 65536):
                pass
        except BlockingIOError:
            pass
    held = process.steady(lambda: pipes(berthd))
    assert 0 < held <= 2 * 40, held
    check_bulk_both_ways(*pair(namespaces[1], backend))
    for pair_held in stalled:
        for sock in pair_held:
            sock.close()

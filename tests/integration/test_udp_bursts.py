# SPDX-License-Identifier: Apache-2.0
"""test_udp_bursts.py - datagrams that come together, and merged ones.

A program may give its kernel many datagrams at once, to be cut at one size
(UDP_SEGMENT), and take them so (UDP_GRO). The relay does the same, and nobody
may see a difference: each datagram arrives as it was sent, or not at all.
"""

import random
import socket

import pytest

from harness.rules import ack, forward
from harness.traffic import pattern

pytestmark = pytest.mark.kernel

DGRAM = socket.SOCK_DGRAM
UDP_SEGMENT = 103
LOOPBACKS = ["127.0.0.1", "::1"]


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    sock = world.close_later(world.host.listen(kind=DGRAM))
    roomy(sock)
    return sock


def roomy(sock):
    """With room for bursts: the kernel drops what it has no room for."""
    sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def client_of(world, netns, address="127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = world.close_later(netns.new_socket(family, DGRAM))
    sock.connect((address, 8080))
    roomy(sock)
    return sock


def send_cut(sock, data, size, address=None):
    """Sends data as datagrams of this size. Return: those datagrams."""
    control = [(socket.IPPROTO_UDP, UDP_SEGMENT,
                size.to_bytes(2, "little"))] if size < len(data) else []
    sock.sendmsg([data], control, 0, *([address] if address else []))
    return [data[at:at + size] for at in range(0, len(data), size)]


def receive(sock, n):
    return [sock.recv(1 << 17) for _ in range(n)]


# Sizes of datagrams, and bytes in all: whole, with a short last one, the
# longest, the smallest, and more than one Ethernet frame takes.
CUTS = [(1000, 20000), (1000, 20001), (1000, 20999), (1200, 64 * 1200 - 1199),
        (1472, 44 * 1472), (100, 6400), (100, 101), (1, 64), (7, 64 * 7),
        (9000, 5 * 9000 + 1), (32000, 64001), (65507, 65507)]


@pytest.mark.parametrize("address", LOOPBACKS)
def test_merged_by_the_client(world, netns, backend, address):
    world.berthd(forward(to(backend), protocol="udp"))
    client = client_of(world, netns, address)
    for number, (size, total) in enumerate(CUTS):
        sent = send_cut(client, pattern(min(total, 65507), number), size)
        assert receive(backend, len(sent)) == sent, (size, total)


@pytest.mark.parametrize("address", LOOPBACKS)
def test_merged_by_the_backend(world, netns, backend, address):
    """Answers, also once the session expects bursts."""
    world.berthd(forward(to(backend), protocol="udp"))
    client = client_of(world, netns, address)
    client.send(b"hello")
    session = backend.recvfrom(100)[1]
    for number, (size, total) in enumerate(CUTS + CUTS):
        sent = send_cut(backend, pattern(min(total, 65507), number), size,
                        session)
        assert receive(client, len(sent)) == sent, (size, total)


def test_echo_of_merged_ones(world, netns):
    world.berthd(ack(protocol="udp", respond="echo"))
    client = client_of(world, netns)
    for number, (size, total) in enumerate(CUTS):
        sent = send_cut(client, pattern(min(total, 65507), number), size)
        assert receive(client, len(sent)) == sent, (size, total)


def test_each_of_merged_ones_is_answered(world, netns):
    world.berthd(ack(protocol="udp"))
    client = client_of(world, netns)
    sent = send_cut(client, b"?" * 501, 10)
    assert receive(client, len(sent)) == [b"ack"] * 51
    client.settimeout(0.2)
    with pytest.raises(socket.timeout):
        client.recv(10)


def test_merged_ones_to_a_unix_socket(world, netns):
    """It knows nothing of merging, and must not get them as one."""
    path = world.base / "backend"
    backend = world.close_later(socket.socket(socket.AF_UNIX, DGRAM))
    backend.settimeout(15)
    backend.bind(str(path))
    path.chmod(0o666)
    world.berthd(forward(f"unix:{path}", protocol="udp"))
    client = client_of(world, netns)
    # Its queue takes ten, see net.unix.max_dgram_qlen.
    for size, total in [(1000, 7 * 1000 + 1), (9000, 27000), (1, 8)]:
        sent = send_cut(client, pattern(total, size), size)
        assert receive(backend, len(sent)) == sent


def mixed(count, seed):
    """Many sizes, runs of one size among them, and empty ones."""
    rng = random.Random(seed)
    datagrams = []
    while len(datagrams) < count:
        size = rng.choice([0, 1, 3, 64, 64, 500, 1200, 1200, 1472, 1473,
                           8000])
        for _ in range(rng.choice([1, 1, 2, 5, 40])):
            datagrams.append(pattern(size, len(datagrams)))
        if rng.random() < 0.5:
            datagrams.append(pattern(size // 2, len(datagrams)))
    return datagrams[:count]


def parts(datagrams, room=100 << 10):
    """Cuts a list so that each part finds room in a socket's buffer, for
    which the kernel counts more than twice the bytes."""
    part = []
    for data in datagrams:
        if sum(1000 + 2 * len(other) for other in part) > room:
            yield part
            part = []
        part.append(data)
    yield part


@pytest.mark.parametrize("seed", range(4))
def test_mixed_sizes_keep_order_and_bounds(world, netns, backend, seed):
    world.berthd(forward(to(backend), protocol="udp",
                         options={"idle_timeout": "1h"}))
    client = client_of(world, netns)
    client.send(b"hello")
    session = backend.recvfrom(100)[1]
    for part in parts(mixed(400, seed)):
        for data in part:
            client.send(data)
        assert receive(backend, len(part)) == part
        for data in part:
            backend.sendto(data, session)
        assert receive(client, len(part)) == part


def test_clients_that_speak_all_at_once(world, netns, backend):
    """Answers of many sessions leave together, each to its client."""
    world.berthd(forward(to(backend), protocol="udp"))
    clients = [client_of(world, netns, LOOPBACKS[i % 2]) for i in range(60)]
    for turn in range(5):
        for number, client in enumerate(clients):
            client.send(b"%d.%d" % (turn, number))
        asked = [backend.recvfrom(100) for _ in clients]
        for data, session in asked:
            backend.sendto(b"1:" + data, session)
            backend.sendto(b"2:" + data, session)
        for number, client in enumerate(clients):
            assert receive(client, 2) == [b"%d:%d.%d" % (i, turn, number)
                                          for i in (1, 2)]


@pytest.mark.parametrize("mtu", [1280, 1500])
def test_larger_than_a_frame(world, netns, mtu):
    """What has to be fragmented cannot be merged; it arrives all the same."""
    world.veth(netns, "eth0", world.host, "berth0")
    netns.addr_add("10.9.0.1/24", "eth0")
    world.host.addr_add("10.9.0.2/24", "berth0")
    netns.ip("link", "set", "eth0", "mtu", str(mtu))
    world.host.ip("link", "set", "berth0", "mtu", str(mtu))
    backend = world.close_later(world.host.listen("10.9.0.2", kind=DGRAM))
    remote = world.netns("remote")
    world.veth(remote, "eth0", netns, "eth1")
    remote.addr_add("10.8.0.2/24", "eth0")
    netns.addr_add("10.8.0.1/24", "eth1")
    netns.ip("link", "set", "eth1", "mtu", str(mtu))
    remote.ip("link", "set", "eth0", "mtu", str(mtu))
    roomy(backend)
    world.berthd(forward(f"10.9.0.2:{backend.getsockname()[1]}",
                         protocol="udp", namespace="n"))
    client = client_of(world, remote, "10.8.0.1")
    client.send(b"hello")
    session = backend.recvfrom(100)[1]
    for size in (1000, mtu - 28, mtu - 27, 4000, 20000):
        sent = [pattern(size, number) for number in range(4)]
        for data in sent:
            client.send(data)
        assert receive(backend, 4) == sent, size
        for data in sent:
            backend.sendto(data, session)
        assert receive(client, 4) == sent, size

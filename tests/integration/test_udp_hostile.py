# SPDX-License-Identifier: Apache-2.0
"""test_udp_hostile.py - datagrams from who is not there, and too many.

What a container can do with datagrams to the clients of its own listener, and
to those of others. Each test says what must hold.
"""

import ipaddress
import select
import socket
import struct
import threading

import pytest

from harness.rules import forward, rule, rules
from harness.wait import SLOWNESS, wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM
LIMIT = 200
FLOOD = 20000

# The relay's buffers for datagrams, and the sessions themselves.
GROWN_MAX_KIB = 16 << 10


class Echo:
    """A backend that answers all, and knows who asked what."""

    def __init__(self, sock):
        self.sock = sock
        self.sessions = {}
        self._stop, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def to(self):
        return f"127.0.0.1:{self.sock.getsockname()[1]}"

    def _run(self):
        while True:
            ready = select.select([self.sock, self._stop], [], [])[0]
            if self._stop in ready:
                return
            try:
                data, session = self.sock.recvfrom(1 << 17)
                self.sessions.setdefault(data, set()).add(session)
                self.sock.sendto(data, session)
            except OSError:
                pass  # the session may be gone already: ICMP

    def close(self):
        self._wake.send(b"x")
        self._thread.join()
        for sock in (self.sock, self._stop, self._wake):
            sock.close()


@pytest.fixture
def backend(world):
    return world.close_later(Echo(world.host.listen(kind=DGRAM)))


def client_of(world, netns, address="127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = world.close_later(netns.new_socket(family, DGRAM))
    sock.connect((address, 8080))
    return sock


def asks(client, data):
    """Asks until there is an answer: a flood may push the question out of
    the listening socket, as out of any."""
    client.settimeout(0.1)

    def answered():
        client.send(data)
        try:
            return client.recv(1 << 17) == data
        except socket.timeout:
            return False

    wait_for(answered, "an answer")


def forged(number, port=8080, data=b"forged"):
    """A datagram from one of many addresses and ports of nobody."""
    source = struct.pack(">BBH", 127, 1 + number % 250, number // 250 % 65536)
    udp = struct.pack(">HHHH", 1024 + number % 60000, port, 8 + len(data), 0)
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64,
                       socket.IPPROTO_UDP, 0, source,
                       bytes((127, 0, 0, 1))) + udp + data


def datagram(source, target, data, port=8080):
    """With the port at both ends, and the checksum that IPv6 demands."""
    udp = struct.pack(">HHHH", port, port, 8 + len(data), 0) + data
    pseudo = b"".join(ipaddress.ip_address(end).packed
                      for end in (source, target))
    pseudo += struct.pack(">LL", len(udp), socket.IPPROTO_UDP) + udp
    pseudo += b"\0" * (len(pseudo) % 2)
    total = sum(struct.unpack(f">{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return udp[:6] + struct.pack(">H", ~total & 0xffff or 0xffff) + udp[8:]


def forger(world, netns):
    return world.close_later(netns.new_socket(
        kind=socket.SOCK_RAW, proto=socket.IPPROTO_RAW))


def flood(sock, numbers, between):
    """Sends from all of these, with something to be done now and then: so
    seldom that all sessions of a full table might have been replaced."""
    for number in numbers:
        sock.sendto(forged(number), ("127.0.0.1", 0))
        if number % (2 * LIMIT + 100) == 0:
            between()


def test_forged_sources_against_the_table(world, backend):
    """20,000 sessions are asked for by as many sources, of which the rule
    allows 200. A client that was there before stays with its session, and is
    answered all the while. So is one of another namespace. New clients get in.
    The relay has no more descriptors than for the 200, and all are freed when
    the sessions have been idle."""
    flooded, other = world.netns("flooded"), world.netns("other")
    berthd = world.berthd(rules(
        *(rule(name=netns.name, namespace=netns.name, protocol="udp",
               forward={"to": backend.to, "max_connections": LIMIT,
                        "idle_timeout": f"{3 * SLOWNESS:.0f}s"})
          for netns in (flooded, other))))
    idle = berthd.idle_relay_descriptors()
    relay = berthd.relay_pid()
    growth = berthd.relay_growth()
    known, neighbour = client_of(world, flooded), client_of(world, other)
    most = 0

    def between():
        nonlocal most
        asks(known, b"known")
        asks(neighbour, b"neighbour")
        most = max(most, berthd.relay_descriptors())

    between()
    between()
    flood(forger(world, flooded), range(FLOOD), between)
    between()
    assert LIMIT / 2 < most - idle <= LIMIT + 2
    assert len(backend.sessions[b"known"]) == 1
    assert len(backend.sessions[b"neighbour"]) == 1
    assert len(backend.sessions[b"forged"]) > FLOOD / 100
    asks(client_of(world, flooded), b"new")
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    assert berthd.relay_pid() == relay
    assert growth.kib() < GROWN_MAX_KIB


def test_flood_of_one_listener_leaves_another_its_turn(world, backend):
    """As fast as one sender can, of the largest and of the smallest, for
    which nobody waits; the neighbour on the same worker is answered."""
    flooded, other = world.netns("flooded"), world.netns("other")
    berthd = world.berthd({
        "50.yaml": forward(backend.to, protocol="udp", namespace="other"),
        "60.yaml": rules(rule(name="sink", namespace="flooded",
                              protocol="udp", respond="discard"))},
        args=["--workers", "1"])
    berthd.wait_delivered()
    neighbour = client_of(world, other)
    stop = threading.Event()

    def send(size):
        sender = flooded.new_socket(kind=DGRAM)
        with sender:
            sender.connect(("127.0.0.1", 8080))
            while not stop.is_set():
                sender.send(b"x" * size)

    threads = [threading.Thread(target=send, args=(size,), daemon=True)
               for size in (10, 65507)]
    for thread in threads:
        thread.start()
    try:
        for number in range(200):
            asks(neighbour, b"%d" % number)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    # A question is asked again only when its answer took too long.
    assert all(len(backend.sessions[b"%d" % number]) == 1
               for number in range(200))


@pytest.mark.parametrize("listener,family", [
    ("any", 4), ("any4", 4), ("each", 4), ("any", 6), ("any6", 6),
    ("each", 6)])
def test_forged_from_the_listener_itself(world, backend, listener, family):
    """The backend's answer would be the next question, and so on for ever.
    A client elsewhere may have the same port, as many servers do."""
    addresses = {4: ("10.6.0.1", "10.6.0.2", "10.6.0.9"),
                 6: ("fd06::1", "fd06::2", "fd06::9")}[family]
    prefix = {4: "/24", 6: "/64"}[family]
    netns, remote = world.netns("n"), world.netns("remote")
    world.veth(netns, "eth0", remote, "eth0")
    for address in addresses[:2]:
        netns.addr_add(address + prefix, "eth0")
    remote.addr_add(addresses[2] + prefix, "eth0")
    match = {"address": ["10.6.0.0/24", "fd06::/64"]}
    berthd = world.berthd(forward(
        backend.to, protocol="udp", address=listener, namespace="n",
        match=match if listener == "each" else None))
    berthd.wait_delivered()
    kind = {4: socket.AF_INET, 6: socket.AF_INET6}[family]
    for source in addresses[:2]:
        sender = world.close_later(
            netns.new_socket(kind, socket.SOCK_RAW, socket.IPPROTO_UDP))
        sender.bind((source, 0))
        for target in addresses[:2]:
            data = f"{source} {target}".encode()
            sender.sendto(datagram(source, target, data), (target, 0))
    client = world.close_later(remote.new_socket(kind, DGRAM))
    client.bind((addresses[2], 8080))
    client.connect((addresses[0], 8080))
    asks(client, b"same port")
    asks(client_of(world, netns, address=addresses[0]), b"behind them")
    assert set(backend.sessions) == {b"same port", b"behind them"}


def test_answers_to_who_is_not_there(world, backend):
    """ICMP errors of clients that never asked end nobody's session."""
    netns = world.netns("n")
    berthd = world.berthd(forward(backend.to, protocol="udp"))
    berthd.wait_delivered()
    known = client_of(world, netns)
    asks(known, b"known")
    sock = forger(world, netns)
    # The namespace answers for these addresses: nobody listens there.
    flood(sock, range(2000), lambda: asks(known, b"known"))
    assert len(backend.sessions[b"known"]) == 1


def test_datagrams_that_lie_about_their_length(world, backend):
    """The kernel's own checks drop them; what is behind them arrives."""
    netns = world.netns("n")
    world.berthd(forward(backend.to, protocol="udp"))
    client = client_of(world, netns)
    asks(client, b"before")
    sock = forger(world, netns)
    for length in (0, 7, 8, 9, 500, 65535):
        datagram = bytearray(forged(1))
        datagram[24:26] = struct.pack(">H", length)
        sock.sendto(bytes(datagram), ("127.0.0.1", 0))
    asks(client, b"after")
    assert backend.sessions[b"before"] == backend.sessions[b"after"]

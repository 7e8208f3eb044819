# SPDX-License-Identifier: Apache-2.0
"""test_udp.py - UDP through the relay: sessions, and who answers."""

import socket
import struct
import time

import pytest

from harness import process
from harness.rules import ack, forward, rule, rules
from harness.wait import GUARD, SLOWNESS, wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def backend(world):
    return world.close_later(world.host.listen(kind=DGRAM))


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def udp(world, place, address, port=8080):
    """A connected client: it hears only from the address it speaks to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = world.close_later(place.new_socket(family, DGRAM))
    sock.connect((address, port))
    return sock


def test_session_of_each_client(world, netns, backend):
    world.berthd(forward(to(backend), protocol="udp"))
    one, two = udp(world, netns, "127.0.0.1"), udp(world, netns, "127.0.0.1")
    one.send(b"from one")
    data, one_session = backend.recvfrom(100)
    assert data == b"from one"
    two.send(b"from two")
    data, two_session = backend.recvfrom(100)
    assert data == b"from two"
    assert one_session != two_session
    # Answers in the other order, and several of them.
    backend.sendto(b"to two", two_session)
    backend.sendto(b"to one", one_session)
    backend.sendto(b"to one again", one_session)
    assert one.recv(100) == b"to one"
    assert one.recv(100) == b"to one again"
    assert two.recv(100) == b"to two"
    # The session stays.
    one.send(b"more")
    assert backend.recvfrom(100) == (b"more", one_session)


@pytest.mark.parametrize("listener", ["any", "any4"])
def test_reply_leaves_from_the_address_spoken_to(world, netns, backend,
                                                 listener):
    """Two addresses, one wildcard socket: the kernel would choose one."""
    other = world.netns("other")
    world.veth(netns, "eth0", other, "eth0")
    netns.addr_add("10.0.0.1/24", "eth0")
    netns.addr_add("10.0.0.2/24", "eth0")
    netns.addr_add("192.0.2.1/32", "lo")
    other.addr_add("10.0.0.9/24", "eth0")
    other.ip("route", "add", "192.0.2.1/32", "via", "10.0.0.1")
    world.berthd(forward(to(backend), protocol="udp", address=listener,
                         namespace="n"))
    for address in ("10.0.0.1", "10.0.0.2", "192.0.2.1"):
        client = udp(world, other, address)
        for number in range(3):
            client.send(b"%d" % number)
            data, session = backend.recvfrom(100)
            backend.sendto(data + b"!", session)
            assert client.recv(100) == b"%d!" % number


@pytest.mark.parametrize("listener", ["any", "any6"])
def test_reply_leaves_from_the_ipv6_address_spoken_to(world, netns, backend,
                                                      listener):
    other = world.netns("other")
    world.veth(netns, "eth0", other, "eth0")
    for address in ("fd00::1/64", "fd00::2/64"):
        netns.addr_add(address, "eth0")
    other.addr_add("fd00::9/64", "eth0")
    world.berthd(forward(to(backend), protocol="udp", address=listener,
                         namespace="n"))
    for address in ("fd00::1", "fd00::2"):
        client = udp(world, other, address)
        client.send(b"six")
        data, session = backend.recvfrom(100)
        backend.sendto(data + b"!", session)
        assert client.recv(100) == b"six!"


LINK_LOCAL = ("fe80::1", "fe80::2")


@pytest.fixture
def two_links(world, netns):
    """Neighbours behind eth0 and eth1 of the namespace, which are the same to
    all that look at addresses and ports only."""
    others = []
    for number in range(2):
        ifname = f"eth{number}"
        others.append(world.netns(f"other{number}"))
        world.veth(netns, ifname, others[number], "eth0")
        for address in LINK_LOCAL:
            netns.addr_add(f"{address}/64", ifname)
        others[number].addr_add("fe80::9/64", "eth0")
    return others


def link_local_client(world, place, address):
    """Connected: it hears from that address by that link only."""
    client = world.close_later(place.new_socket(socket.AF_INET6, DGRAM))
    with place.entered():
        index = socket.if_nametoindex("eth0")
    client.bind(("fe80::9", 9000 + LINK_LOCAL.index(address), 0, index))
    client.connect((address, 8080, 0, index))
    return client


@pytest.mark.parametrize("listener", ["any", "any6", "each"])
def test_link_local_clients(world, netns, backend, two_links, listener):
    """Each has a session of its own, and its answers come from the address it
    spoke to, by the link that it is on."""
    match = {"scope": "link", "address": "fe80::/64"}
    world.berthd(forward(to(backend), protocol="udp", address=listener,
                         match=match, namespace="n"))
    if listener == "each":
        wait_equal(lambda: len(netns.listeners()) >= 4, True,
                   "a listener on each address")
    clients = [link_local_client(world, place, address)
               for place in two_links for address in LINK_LOCAL]
    sessions = []
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        data, session = backend.recvfrom(100)
        assert data == b"%d" % number
        sessions.append(session)
    assert len(set(sessions)) == len(clients)
    for number, session in reversed(list(enumerate(sessions))):
        for part in range(2):
            backend.sendto(b"%d.%d" % (number, part), session)
    for number, client in enumerate(clients):
        for part in range(2):
            assert client.recv(100) == b"%d.%d" % (number, part)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(100)
    # Bulk, which is merged on its way.
    for client in clients[::3]:
        client.settimeout(GUARD)
        for _ in range(20):
            client.send(b"x" * 1000)
        got = [backend.recvfrom(2000) for _ in range(20)]
        assert {data for data, _ in got} == {b"x" * 1000}
        for _ in range(20):
            backend.sendto(b"y" * 1000, got[0][1])
        assert {client.recv(2000) for _ in range(20)} == {b"y" * 1000}


def test_link_local_client_of_an_answer_by_the_relay(world, netns, two_links):
    """`respond` answers as backends do."""
    world.berthd(ack(protocol="udp", namespace="n", respond="echo"))
    for place in two_links:
        for address in LINK_LOCAL:
            client = link_local_client(world, place, address)
            client.send(address.encode())
            assert client.recv(100) == address.encode()


def test_one_client_on_two_addresses(world, netns, backend):
    """The same source port to both: each gets its own answers."""
    netns.addr_add("10.0.0.1/32")
    netns.addr_add("10.0.0.2/32")
    world.berthd(forward(to(backend), protocol="udp"))
    client = world.close_later(netns.new_socket(kind=DGRAM))
    client.bind(("10.0.0.1", 0))
    for address in ("10.0.0.1", "10.0.0.2"):
        client.sendto(address.encode(), (address, 8080))
    for _ in range(2):
        data, session = backend.recvfrom(100)
        backend.sendto(data, session)
    for _ in range(2):
        data, source = client.recvfrom(100)
        assert source == (data.decode(), 8080)


def test_each_address(world, netns, backend):
    netns.addr_add("10.0.0.1/32")
    netns.addr_add("fd00::1/128")
    world.berthd(forward(to(backend), protocol="udp", address="each",
                         match={"address": ["10.0.0.0/8", "fd00::/8"]}))
    for address in ("10.0.0.1", "fd00::1"):
        client = udp(world, netns, address)
        client.send(b"hello")
        data, session = backend.recvfrom(100)
        backend.sendto(data, session)
        assert client.recv(100) == b"hello"


def test_backend_on_ipv6(world, netns):
    backend = world.close_later(world.host.listen("::1", kind=DGRAM))
    world.berthd(forward(f"udp://[::1]:{backend.getsockname()[1]}",
                         protocol="udp"))
    client = udp(world, netns, "127.0.0.1")
    client.send(b"hello")
    data, session = backend.recvfrom(100)
    backend.sendto(data, session)
    assert client.recv(100) == b"hello"


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 9000, 65507])
def test_sizes(world, netns, backend, size):
    """A datagram stays one datagram, also empty and the largest."""
    world.berthd(forward(to(backend), protocol="udp"))
    client = udp(world, netns, "127.0.0.1")
    data = bytes(i * 7 % 251 for i in range(size))
    client.send(data)
    got, session = backend.recvfrom(1 << 16)
    assert got == data
    backend.sendto(data[::-1], session)
    assert client.recv(1 << 16) == data[::-1]


def test_burst_keeps_order_and_boundaries(world, netns, backend):
    world.berthd(forward(to(backend), protocol="udp"))
    client = udp(world, netns, "127.0.0.1")
    sent = [b"%d:" % i + b"x" * (i * 13 % 900) for i in range(60)]
    for data in sent:
        client.send(data)
    assert [backend.recv(2000) for _ in sent] == sent
    client.send(b"last")
    session = backend.recvfrom(100)[1]
    for data in sent:
        backend.sendto(data, session)
    assert [client.recv(2000) for _ in sent] == sent


def test_many_clients(world, netns, backend):
    berthd = world.berthd(forward(to(backend), protocol="udp",
                                  options={"idle_timeout": "2s"}))
    idle = berthd.idle_relay_descriptors()
    clients = [udp(world, netns, "127.0.0.1") for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        data, session = backend.recvfrom(100)
        backend.sendto(b"re" + data, session)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"re%d" % number
    # Sessions end by themselves.
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_idle_session_ends_and_a_new_one_begins(world, netns, backend):
    idle = 0.4 * SLOWNESS
    world.berthd(forward(to(backend), protocol="udp",
                         options={"idle_timeout": f"{idle * 1000:.0f}ms"}))
    client = udp(world, netns, "127.0.0.1")
    client.send(b"1")
    first = backend.recvfrom(100)[1]
    # Replies keep a session alive as well.
    for _ in range(4):
        time.sleep(idle / 2)
        backend.sendto(b"tick", first)
        assert client.recv(100) == b"tick"

    def another():
        time.sleep(2 * idle)
        client.send(b"2")
        return backend.recvfrom(100)[1] != first

    assert wait_for(another, "another session after silence")


def test_backend_that_is_not_there(world, netns, backend):
    """Its ICMP errors end nothing; when it is back it gets what comes."""
    address = backend.getsockname()
    world.berthd(forward(to(backend), protocol="udp"))
    backend.close()
    client = udp(world, netns, "127.0.0.1")
    for _ in range(10):
        client.send(b"lost")
        time.sleep(0.01)
    back = world.close_later(world.host.listen(port=address[1], kind=DGRAM))

    def answered():
        client.send(b"hello")
        back.settimeout(0.2)
        try:
            data, session = back.recvfrom(100)
        except socket.timeout:
            return False
        back.sendto(data, session)
        return client.recv(100) == b"hello"

    wait_for(answered, "an answer")


def test_client_that_is_gone(world, netns, backend):
    """ICMP from a client's closed port does no harm to the others."""
    world.berthd(forward(to(backend), protocol="udp"))
    gone, other = (udp(world, netns, "127.0.0.1") for _ in range(2))
    gone.send(b"x")
    session = backend.recvfrom(100)[1]
    gone.close()
    for _ in range(5):
        backend.sendto(b"late", session)
    other.send(b"y")
    data, session = backend.recvfrom(100)
    backend.sendto(data, session)
    assert other.recv(100) == b"y"


def test_stranger_cannot_speak_into_a_session(world, netns, backend):
    """Only the backend's datagrams reach the client."""
    world.berthd(forward(to(backend), protocol="udp"))
    client = udp(world, netns, "127.0.0.1")
    client.send(b"x")
    session = backend.recvfrom(100)[1]
    stranger = world.close_later(world.host.new_socket(kind=DGRAM))
    stranger.sendto(b"evil", ("127.0.0.1", session[1]))
    backend.sendto(b"good", session)
    assert client.recv(100) == b"good"


def test_respond(world, netns):
    world.berthd(ack(protocol="udp"))
    for address in ("127.0.0.1", "::1"):
        client = udp(world, netns, address)
        for _ in range(3):
            client.send(b"?")
            assert client.recv(100) == b"ack"


def test_echo(world, netns):
    netns.addr_add("10.0.0.1/32")
    world.berthd(ack(protocol="udp", respond="echo"))
    client = udp(world, netns, "10.0.0.1")
    for size in (1, 1000, 0, 65507):
        client.send(b"e" * size)
        assert client.recv(1 << 16) == b"e" * size


def test_discard(world, netns):
    world.berthd({"50.yaml": ack(protocol="udp", respond="discard"),
                  "60.yaml": ack(name="tcp")})
    client = udp(world, netns, "127.0.0.1")
    for _ in range(300):
        client.send(b"x" * 1000)
    client.settimeout(0.3)
    with pytest.raises(socket.timeout):
        client.recv(10)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    # It is read, not left in the socket.
    wait_for(lambda: all(line.split()[1] == "0" for line in netns.run(
        "ss", "-Hlun").splitlines()), "an empty queue")


def test_listener_withdrawn_ends_its_sessions(world, netns, backend):
    berthd = world.berthd(forward(to(backend), protocol="udp"))
    idle = berthd.idle_relay_descriptors() - 1
    client = udp(world, netns, "127.0.0.1")
    client.send(b"x")
    backend.recvfrom(100)
    berthd.remove_rules("50-test.yaml")
    wait_equal(netns.listeners, set(), "the listener to close")
    wait_for(lambda: berthd.relay_descriptors() <= idle,
             "the relay's descriptors")
    client.send(b"x")
    client.settimeout(GUARD)
    with pytest.raises(ConnectionRefusedError):
        client.recv(10)


@pytest.mark.parametrize("action", [{"respond": "echo"}, {"respond": "text"}])
def test_forged_from_the_listener_itself(world, netns, action):
    """It would be answered to the listener itself, again and again."""
    berthd = world.berthd(rules(rule(protocol="udp", **action)))
    client = udp(world, netns, "127.0.0.1")
    answer = b"hello" if action["respond"] == "echo" else b"text"
    client.send(b"hello")
    assert client.recv(100) == answer
    forger = world.close_later(
        netns.new_socket(kind=socket.SOCK_RAW, proto=socket.IPPROTO_UDP))
    forger.sendto(struct.pack("!HHHH", 8080, 8080, 8 + 4, 0) + b"loop",
                  ("127.0.0.1", 0))
    relay = berthd.relay_pid()
    before = process.cpu_seconds(relay)
    time.sleep(1)
    assert process.cpu_seconds(relay) - before < 0.5
    client.send(b"hello")
    assert client.recv(100) == answer

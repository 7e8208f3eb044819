# SPDX-License-Identifier: Apache-2.0
"""test_udp_errors.py - what becomes of UDP sessions when the way to a backend,
or back to a client, says no: routers, neighbours, routes, addresses, a
firewall, and paths that take small packets only."""

import itertools
import select
import socket

import pytest

from harness import firewall, process
from harness.rules import forward
from harness.wait import SLOWNESS, wait_for

DGRAM = socket.SOCK_DGRAM
FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}
_questions = itertools.count()

# near --- router --- far, and what else there is beyond the router.
NEAR = {"IPv4": "10.1.0.1", "IPv6": "fd01::1"}
NEAR_OTHER = {"IPv4": "10.1.0.7", "IPv6": "fd01::7"}
ROUTER = {"IPv4": "10.1.0.2", "IPv6": "fd01::2"}
ROUTER_FAR = {"IPv4": "10.2.0.2", "IPv6": "fd02::2"}
FAR = {"IPv4": "10.2.0.9", "IPv6": "fd02::9"}
BITS = {"IPv4": 24, "IPv6": 64}
BEYOND = {"IPv4": "10.3.0.0/24", "IPv6": "fd03::/64"}
BEYOND_ONE = {"IPv4": "10.3.0.1", "IPv6": "fd03::1"}
NOBODY = {"IPv4": "10.1.0.77", "IPv6": "fd01::77"}
RARELY_MS = 1000000
SMALL_MTU = 1280  # the smallest that IPv6 allows

both = pytest.mark.parametrize("family", list(FAMILIES))
KERNEL = pytest.mark.kernel


@pytest.fixture
def front(world):
    """Where the clients and the listeners are."""
    return world.netns("front")


@pytest.fixture
def near(world):
    """Where the relay's sockets are, one router away from `far`."""
    return world.netns("near")


@pytest.fixture
def router(world, near):
    place = world.netns("router")
    world.veth(near, "eth0", place, "eth0")
    for family in FAMILIES:
        near.addr_add(f"{NEAR[family]}/{BITS[family]}", "eth0")
        place.addr_add(f"{ROUTER[family]}/{BITS[family]}", "eth0")
        near.ip("route", "add", "default", "via", ROUTER[family])
    place.sysctl("net.ipv4.ip_forward", 1)
    place.sysctl("net.ipv6.conf.all.forwarding", 1)
    return place


@pytest.fixture
def far(world, router):
    place = world.netns("far")
    world.veth(router, "eth1", place, "eth0")
    for family in FAMILIES:
        router.addr_add(f"{ROUTER_FAR[family]}/{BITS[family]}", "eth1")
        place.addr_add(f"{FAR[family]}/{BITS[family]}", "eth0")
        place.ip("route", "add", "default", "via", ROUTER_FAR[family])
    return place


def text(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def server(world, place, address):
    return world.close_later(place.listen(address, kind=DGRAM))


def to(backend):
    return text(*backend.getsockname()[:2])


def berthd_for(world, *backends):
    berthd = world.berthd(forward(list(backends), namespace="front",
                                  protocol="udp",
                                  options={"namespace": "near"}))
    berthd.wait_delivered()
    return berthd


def client_of(world, place, address="127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = world.close_later(place.new_socket(family, DGRAM))
    sock.connect((address, 8080))
    return sock


def soon(sock):
    """Has it something to read, within a moment?"""
    return bool(select.select([sock], [], [], 0.05 * SLOWNESS)[0])


def ask(client, backend, size=0):
    """One question of a size. Return: the session that it came by, once it is
    answered; None when it was not, for a moment."""
    question = b"%d?" % next(_questions)
    question += b"x" * (size - len(question))
    client.send(question)
    while soon(backend):
        got, session = backend.recvfrom(1 << 16)
        if got != question:
            continue
        backend.sendto(question, session)
        while soon(client):
            if client.recv(1 << 16) == question:
                return session
    return None


def asks(client, backend, size=0):
    """Asks until there is an answer. Return: the session."""
    return wait_for(lambda: ask(client, backend, size), "an answer")


def counters(berthd):
    return berthd.listeners()[0]["counters"]


def errors(berthd):
    return {row["error"] for row in counters(berthd)["errors"]}


def wait_error(berthd, *names):
    """One of those; nothing else is said to have failed."""
    wait_for(lambda: errors(berthd), "the error to be counted")
    assert errors(berthd) <= set(names)


# Of two backends, one is out of reach


@both
@pytest.mark.parametrize("why, names", [
    pytest.param("unreachable", ["EHOSTUNREACH", "ENETUNREACH"],
                 marks=KERNEL),
    ("throw", ["ENETUNREACH"]),
    ("prohibit", ["EHOSTUNREACH", "EACCES"])])
def test_router_refuses(world, front, near, router, far, family, why, names):
    """By ICMP, of which the kernel tells some only to those who ask for it.
    Those whose turn was that backend are answered by the other one."""
    router.ip("route", "add", why, BEYOND[family])
    there = server(world, far, FAR[family])
    berthd = berthd_for(world, text(BEYOND_ONE[family], 9), to(there))
    clients = [client_of(world, front) for _ in range(4)]
    for client in clients:
        asks(client, there)
    wait_error(berthd, *names)


def limit_icmp(place, milliseconds):
    """One to each address in that time; 0: no limit."""
    place.sysctl("net.ipv4.icmp_ratelimit", milliseconds)
    place.sysctl("net.ipv6.icmp.ratelimit", milliseconds)


@both
def test_router_that_rarely_says_so(world, front, near, router, far, family):
    """Some session is told; the others, which had no answer since, believe
    it. But one client may be there to see whether the backend is back."""
    router.ip("route", "add", "unreachable", BEYOND[family])
    limit_icmp(router, RARELY_MS)
    there = server(world, far, FAR[family])
    berthd = berthd_for(world, text(BEYOND_ONE[family], 9), to(there))
    clients = [client_of(world, front) for _ in range(20)]
    for client in clients:
        client.send(b"whose turn is it?")
    wait_for(lambda: counters(berthd)["accepted"] == 20, "the sessions")
    limit_icmp(router, 0)
    for client in clients[:2]:
        asks(client, there)
    limit_icmp(router, RARELY_MS)

    def unanswered():
        return [client for client in clients if not ask(client, there)]

    wait_for(lambda: len(unanswered()) <= 1, "the others to be answered")
    wait_error(berthd, "EHOSTUNREACH", "ENETUNREACH")


@KERNEL
@both
def test_nobody_answers_for_the_address(world, front, near, router, far,
                                        family):
    """Neither ARP nor neighbour discovery; the kernel gives up."""
    version = {"IPv4": "ipv4", "IPv6": "ipv6"}[family]
    near.sysctl(f"net.{version}.neigh.eth0.retrans_time_ms", 50)
    there = server(world, far, FAR[family])
    berthd = berthd_for(world, text(NOBODY[family], 9), to(there))
    for client in [client_of(world, front) for _ in range(4)]:
        asks(client, there)
    wait_error(berthd, "EHOSTUNREACH")


@KERNEL
@both
def test_port_is_closed(world, front, near, router, far, family):
    there = server(world, far, FAR[family])
    berthd = berthd_for(world, text(FAR[family], 9), to(there))
    for client in [client_of(world, front) for _ in range(4)]:
        asks(client, there)
    wait_error(berthd, "ECONNREFUSED")


def block(place, family):
    try:
        firewall.drop_output(place, FAMILIES[family])
    except firewall.NoFirewall as error:
        pytest.skip(f"no nftables in this kernel: {error}")


@KERNEL
@both
def test_firewall_forbids_one(world, front, near, router, far, family):
    """sendto(2) says EPERM."""
    other = {"IPv4": "IPv6", "IPv6": "IPv4"}[family]
    forbidden = server(world, far, FAR[family])
    there = server(world, far, FAR[other])
    block(near, family)
    berthd = berthd_for(world, to(forbidden), to(there))
    for client in [client_of(world, front) for _ in range(4)]:
        asks(client, there)
    wait_error(berthd, "EPERM")


# The only backend is out of reach for a while


def withdraw(router, near, family, why):
    """Return: what puts the way to the backend right again."""
    if why == "firewall":
        block(near, family)
        return lambda: firewall.allow_output(near, FAMILIES[family])
    prefix = f"{FAR[family]}/{ {'IPv4': 32, 'IPv6': 128}[family] }"
    place, kind = {"router": (router, "unreachable"),
                   "own route": (near, "unreachable"),
                   "own rule": (near, "prohibit")}[why]
    place.ip("route", "add", kind, prefix)
    version = {"IPv4": "-4", "IPv6": "-6"}[family]
    return lambda: place.ip(version, "route", "del", kind, prefix)


@both
@pytest.mark.parametrize("why", [pytest.param("router", marks=KERNEL),
                                 pytest.param("own route", marks=KERNEL),
                                 "own rule", "firewall"])
def test_only_backend_is_out_of_reach_for_a_while(world, front, near, router,
                                                  far, family, why):
    """There is nothing better than to wait: the session stays, and with it
    the port that the backend knows the client by."""
    backend = server(world, far, FAR[family])
    berthd = berthd_for(world, to(backend))
    client = client_of(world, front)
    session = asks(client, backend)
    restore = withdraw(router, near, family, why)

    def failed():
        assert ask(client, backend) is None
        return errors(berthd)

    wait_for(failed, "the failure to be counted")
    assert errors(berthd) <= {"EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"}
    # The error was read, and is not reported over and over.
    relay = berthd.relay_pid()
    before = process.cpu_seconds(relay)
    assert not select.select([client], [], [], 0.5)[0]
    assert process.cpu_seconds(relay) - before < 0.25
    restore()
    assert asks(client, backend) == session
    assert counters(berthd)["accepted"] == 1


@KERNEL
@both
def test_route_that_is_gone_for_a_while(world, front, near, router, far,
                                        family):
    """No route may also mean that the own address is gone: it is tried with
    a new socket."""
    backend = server(world, far, FAR[family])
    berthd = berthd_for(world, to(backend))
    client = client_of(world, front)
    asks(client, backend)
    near.ip("route", "del", "default", "via", ROUTER[family])
    assert ask(client, backend) is None
    wait_error(berthd, "ENETUNREACH")
    near.ip("route", "add", "default", "via", ROUTER[family])
    asks(client, backend)


# The own address


@KERNEL
@both
def test_own_address_is_gone(world, front, near, router, far, family):
    """The session gets a socket with the new address, and nobody is said to
    have failed. With IPv6 no error would ever tell."""
    backend = server(world, far, FAR[family])
    berthd = berthd_for(world, to(backend))
    client = client_of(world, front)
    assert asks(client, backend)[0] == NEAR[family]
    near.addr_del(f"{NEAR[family]}/{BITS[family]}", "eth0")
    near.addr_add(f"{NEAR_OTHER[family]}/{BITS[family]}", "eth0")
    # IPv4's default route went with its address.
    near.ip("route", "replace", "default", "via", ROUTER[family])
    assert asks(client, backend)[0] == NEAR_OTHER[family]
    assert errors(berthd) == set()


@both
def test_silent_backend_keeps_the_session(world, front, near, router, far,
                                          family):
    """Looking for the own address costs nobody the port that the backend
    knows the client by."""
    backend = server(world, far, FAR[family])
    berthd_for(world, to(backend))
    client = client_of(world, front)
    session = asks(client, backend)
    # Longer than it takes until it looks.
    assert not select.select([client], [], [], 2.2)[0]
    for _ in range(3):
        client.send(b"no answer")
        assert backend.recvfrom(100) == (b"no answer", session)


# Too large for the path


@both
@pytest.mark.parametrize("merged", [False,
                                    pytest.param(True, marks=KERNEL)])
def test_question_is_too_large_for_the_path(world, front, near, router, far,
                                            family, merged):
    """It goes in fragments: with IPv4 from the router on, so that none is
    lost, with IPv6 as soon as the router has said so. The session stays, and
    an answer that comes after the error arrives."""
    for place, ifname in ((router, "eth1"), (far, "eth0")):
        place.ip("link", "set", ifname, "mtu", str(SMALL_MTU))
    backend = server(world, far, FAR[family])
    berthd = berthd_for(world, to(backend))
    client = client_of(world, front)
    session = asks(client, backend)
    client.send(b"answered late")
    assert backend.recvfrom(100) == (b"answered late", session)
    if merged:
        with process.stopped(berthd.relay_pid()):
            for _ in range(8):
                client.send(b"m" * 1400)
        if family == "IPv4":
            for _ in range(8):
                assert backend.recvfrom(1 << 16) == (b"m" * 1400, session)
    if family == "IPv4":
        assert ask(client, backend, size=1400) == session
    # It may have to be told once.
    assert asks(client, backend, size=1400) == session
    backend.sendto(b"late", session)
    assert client.recv(100) == b"late"
    assert counters(berthd)["accepted"] == 1
    assert errors(berthd) == set()


@KERNEL
@both
def test_question_is_too_large_for_udp(world, front, near, router, far,
                                       family):
    """With the header before it. It alone is dropped."""
    backend = server(world, far, FAR[family])
    berthd = world.berthd(forward(
        to(backend), namespace="front", protocol="udp",
        options={"namespace": "near", "proxy_protocol": "v2"}))
    client = client_of(world, front)
    client.send(b"small")
    first, session = backend.recvfrom(1 << 16)
    assert first.endswith(b"small")
    client.send(b"x" * 65507)
    client.send(b"after")
    again, same = backend.recvfrom(1 << 16)
    assert (again, same) == (first[:-5] + b"after", session)
    wait_for(lambda: counters(berthd)["dropped"] == 1, "it to be counted")
    assert errors(berthd) == set()


# The way back to a client


@pytest.fixture
def outside(world, front):
    """A client behind a router, which is behind the listeners' namespace."""
    middle, place = world.netns("middle"), world.netns("outside")
    world.veth(front, "eth0", middle, "eth0")
    world.veth(middle, "eth1", place, "eth0")
    front.addr_add("10.5.0.1/24", "eth0")
    middle.addr_add("10.5.0.2/24", "eth0")
    middle.addr_add("10.6.0.2/24", "eth1")
    place.addr_add("10.6.0.9/24", "eth0")
    front.ip("route", "add", "default", "via", "10.5.0.2")
    place.ip("route", "add", "default", "via", "10.6.0.2")
    middle.sysctl("net.ipv4.ip_forward", 1)
    middle.ip("link", "set", "eth1", "mtu", str(SMALL_MTU))
    return place


@KERNEL
def test_answer_is_too_large_for_the_path(world, front, near, outside):
    """None is lost to find that out."""
    backend = server(world, near, "127.0.0.1")
    berthd = berthd_for(world, to(backend))
    client = client_of(world, outside, "10.5.0.1")
    client.send(b"?")
    session = backend.recvfrom(100)[1]
    for number in range(3):
        backend.sendto(b"%d" % number + b"x" * 1399, session)
        assert client.recv(1 << 16)[:1] == b"%d" % number
    assert errors(berthd) == set()


@KERNEL
@pytest.mark.parametrize("why", ["no route", "firewall"])
def test_answer_cannot_be_sent(world, front, near, outside, why):
    """The backend is not blamed, and the listener goes on."""
    backend = server(world, near, "127.0.0.1")
    berthd = berthd_for(world, to(backend))
    client = client_of(world, outside, "10.5.0.1")
    session = asks(client, backend)
    if why == "firewall":
        block(front, "IPv4")
    else:
        front.ip("route", "del", "default", "via", "10.5.0.2")
    client.send(b"unanswered")
    assert backend.recvfrom(100) == (b"unanswered", session)
    backend.sendto(b"dropped", session)
    wait_for(lambda: counters(berthd)["dropped"] == 1, "it to be dropped")
    if why == "firewall":
        firewall.allow_output(front, socket.AF_INET)
    else:
        front.ip("route", "add", "default", "via", "10.5.0.2")
    assert asks(client, backend) == session
    assert errors(berthd) == set()

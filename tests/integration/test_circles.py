# SPDX-License-Identifier: Apache-2.0
"""test_circles.py - rules that forward to berth's own listeners.

A chain of listeners works. A listener that is plainly its own backend is not
opened. Any other circle is cut: one client does not become more and more, it is
counted, and the log says so.
"""

import socket

import pytest

from harness.rules import rule, rules
from harness.traffic import works
from harness.wait import wait_equal, wait_for

STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM

# Of one client: one, and four that are taken for a chain.
FEW = 6

ADDRESSES = {4: ("10.71.0.1", "10.71.0.2"), 6: ("fd71::1", "fd71::2")}
ROUTED = {4: "10.72.0.1", 6: "fd72::1"}
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "mptcp", "udp"])
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def to(address, port=8080):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def forwards(name, protocol, target, port=8080, place=None, namespace=None):
    return rule(name=name, namespace=namespace or place, protocol=protocol,
                port=port, forward={"to": target, "namespace": place})


@pytest.fixture
def ends(world):
    """Two namespaces with a link between them."""
    near, far = world.netns("near"), world.netns("far")
    world.veth(near, "eth0", far, "eth0")
    for family, prefix in ((4, "/24"), (6, "/64")):
        for netns, address in zip((near, far), ADDRESSES[family]):
            netns.addr_add(address + prefix, "eth0")
    return near, far


@pytest.fixture(name="routed")
def fixture_routed(ends):
    """The near end takes what is for an address that no interface has: berth
    knows its addresses, not its routes."""
    for family, prefix in ((4, "/32"), (6, "/128")):
        ends[0].ip(f"-{family}", "route", "add", "local",
                   ROUTED[family] + prefix, "dev", "lo")
    return ends[0]


def total(berthd, name):
    return berthd.ctl("stats")["total"][name]


def one_client(world, netns, address, protocol):
    """Says one thing. It must not hear it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = DGRAM if protocol == "udp" else STREAM
    client = world.close_later(netns.new_socket(family, kind))
    try:
        client.connect((address, 8080))
        client.send(b"once")
        if kind == STREAM:
            assert client.recv(100) == b""
    except ConnectionResetError:
        pass
    return client


def is_cut(world, berthd, netns, address, protocol):
    berthd.wait_delivered()
    idle = berthd.idle_relay_descriptors()
    for number in range(3):
        one_client(world, netns, address, protocol)
        wait_for(lambda: total(berthd, "looped") > number, "the cut")
        assert total(berthd, "accepted") <= FEW * (number + 1)
    berthd.wait_log("in a circle")
    if protocol != "udp":
        wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
        assert total(berthd, "active") == 0
    # It is over: nothing goes round any more.
    before = total(berthd, "messages_in"), total(berthd, "accepted")
    berthd.ctl("stats")
    assert (total(berthd, "messages_in"), total(berthd, "accepted")) == before


@PROTOCOLS
@FAMILIES
def test_one_rule(world, routed, protocol, family):
    """Forwards to itself."""
    address = ROUTED[family]
    berthd = world.berthd(rules(
        forwards("self", protocol, to(address), place="near")))
    is_cut(world, berthd, routed, address, protocol)


@PROTOCOLS
def test_circle_in_one_namespace(world, routed, protocol):
    address = ROUTED[4]
    berthd = world.berthd(rules(
        forwards("a", protocol, to(address, 8081), place="near"),
        forwards("b", protocol, to(address, 8082), 8081, place="near"),
        forwards("c", protocol, to(address, 8080), 8082, place="near")))
    is_cut(world, berthd, routed, address, protocol)


@PROTOCOLS
@FAMILIES
def test_circle_across_namespaces(world, ends, protocol, family):
    """Each forwards to the other, over the link between them."""
    one, other = ADDRESSES[family]
    berthd = world.berthd(rules(
        forwards("a", protocol, to(other), place="near"),
        forwards("b", protocol, to(one), place="far")))
    is_cut(world, berthd, ends[0], one, protocol)


@PROTOCOLS
def test_circle_of_the_far_end(world, ends, protocol):
    """The socket is born in one namespace and comes to a listener of another,
    which is the one that it is for."""
    other = ADDRESSES[4][1]
    berthd = world.berthd(rules(
        forwards("a", protocol, to(other), place="near", namespace="far")))
    is_cut(world, berthd, ends[1], other, protocol)


@pytest.mark.parametrize("length", [1, 3])
def test_chain_of_streams(world, ends, length):
    """The last forwards to a real backend, with whatever many before it."""
    near, address = ends[0], ADDRESSES[4][0]
    backend = world.close_later(near.listen("127.0.0.1"))
    port = backend.getsockname()[1]
    hops = [to(address, 8080 + number) for number in range(1, length + 1)]
    berthd = world.berthd(rules(
        *(forwards(f"hop-{number}", "tcp", target, 8080 + number,
                   place="near")
          for number, target in enumerate(hops + [f"127.0.0.1:{port}"]))))
    berthd.wait_delivered()
    for _ in range(10):
        with near.connect(address, 8080) as client:
            with backend.accept()[0] as server:
                assert works(client, server)
    assert total(berthd, "looped") == 0


def test_chain_of_datagrams(world, ends):
    near, address = ends[0], ADDRESSES[4][0]
    backend = world.close_later(near.listen("127.0.0.1", kind=DGRAM))
    port = backend.getsockname()[1]
    berthd = world.berthd(rules(
        forwards("a", "udp", to(address, 8081), 8080, place="near"),
        forwards("b", "udp", f"127.0.0.1:{port}", 8081, place="near")))
    berthd.wait_delivered()
    client = world.close_later(near.new_socket(kind=DGRAM))
    client.connect((address, 8080))
    for number in range(10):
        client.send(b"%d" % number)
        data, session = backend.recvfrom(100)
        backend.sendto(data[::-1], session)
        assert client.recv(100) == data[::-1]
    assert total(berthd, "looped") == 0


@pytest.mark.parametrize("kind", [STREAM, DGRAM])
def test_the_same_loopback_address_elsewhere(world, kind):
    """A client of the namespace has the very ends that a socket to the backend
    has in another one: it is nobody's but its own."""
    front, back = world.netns("front"), world.netns("back")
    ports = range(40002, 40006)
    back.sysctl("net.ipv4.ip_local_port_range", f"{ports[0]} {ports[-1]}")
    backend = world.close_later(back.listen("127.0.0.1", 8080, kind=kind))
    berthd = world.berthd(rules(
        forwards("same", "tcp" if kind == STREAM else "udp",
                 "127.0.0.1:8080", place="back", namespace="front")))
    berthd.wait_delivered()
    taken = set()
    for port in (ports[0] - 1, *ports):
        client = world.close_later(front.new_socket(kind=kind))
        client.bind(("127.0.0.1", port))
        client.connect(("127.0.0.1", 8080))
        client.send(b"%d" % port)
        if kind == STREAM:
            server, session = backend.accept()
            assert world.close_later(server).recv(100) == b"%d" % port
        else:
            data, session = backend.recvfrom(100)
            assert data == b"%d" % port
        taken.add(session[1])
        if len(taken) == len(ports):
            break
    assert taken == set(ports)
    assert total(berthd, "looped") == 0


def is_refused(berthd, netns, address="*", port=8080, protocol="tcp"):
    row = berthd.wait_state(netns.cookie(), "refused", address=address,
                            port=port, protocol=protocol)
    assert "forward to itself" in row["reason"]
    assert not row["delivered"]


@PROTOCOLS
@pytest.mark.parametrize("target", ["127.0.0.1", "::1", *ADDRESSES[4][:1],
                                    *ADDRESSES[6][:1]])
def test_its_own_backend(world, ends, protocol, target):
    """It is not opened, so that the server that it is for can be. When the
    rule is right, it is opened."""
    near = ends[0]
    berthd = world.berthd(rules(
        forwards("self", protocol, to(target), place="near")))
    is_refused(berthd, near, protocol=protocol)
    berthd.wait_log("rule 'self': .* refused: it would forward to itself")
    assert berthd.log().count("forward to itself") == 1
    kind = DGRAM if protocol == "udp" else STREAM
    near.listen(target, 8080, kind=kind).close()
    berthd.write_rules("50-test.yaml", rules(
        forwards("self", protocol, to(target, 8081), place="near")))
    berthd.wait_state(near.cookie(), "listening", protocol=protocol)


def test_a_server_of_the_host_keeps_its_port(world):
    server = world.close_later(world.host.listen())
    port = server.getsockname()[1]
    name = f"host-{port}"

    def text(target):
        return rules(rule(name=name, namespace=None, match={"host": True},
                          port=port, forward={"to": target}))
    berthd = world.berthd(text(f"127.0.0.1:{port}"))
    is_refused(berthd, world.host, port=port)
    client = world.host.connect("127.0.0.1", port)
    with server.accept()[0] as accepted:
        assert works(client, accepted)
        client.close()  # first, or the port would be kept for a minute
    server.close()
    berthd.write_rules("50-test.yaml", text("127.0.0.1:1"))
    berthd.wait_state(world.host.cookie(), "listening", port=port)


def test_a_circle_of_rules_and_its_end(world):
    """All but one of them are opened; and this one, too, when it is none."""
    near = world.netns("near")
    backend = world.close_later(near.listen("127.0.0.1"))
    end = f"127.0.0.1:{backend.getsockname()[1]}"

    def circle(target):
        return rules(
            forwards("a", "tcp", "127.0.0.1:8081", 8080, place="near"),
            forwards("b", "tcp", "127.0.0.1:8082", 8081, place="near"),
            forwards("c", "tcp", target, 8082, place="near"))
    berthd = world.berthd(circle("127.0.0.1:8080"))
    is_refused(berthd, near, port=8082)
    assert near.listeners() - {f"tcp {end}"} == {"tcp *:8080", "tcp *:8081"}
    shown = berthd.ctl("explain", "near")["listeners"]
    assert ["itself" in (row["reason"] or "") for row in shown] \
        == [False, False, True]
    berthd.write_rules("50-test.yaml", circle(end))
    berthd.wait_state(near.cookie(), "listening", port=8082)
    with near.connect("127.0.0.1", 8080) as client:
        with backend.accept()[0] as server:
            assert works(client, server)


def test_an_address_that_comes_and_goes(world, ends):
    """The backend is the listener's own while the namespace has its address."""
    near, address = ends[0], "10.71.0.9"
    berthd = world.berthd(rules(
        forwards("self", "tcp", to(address), place="near")))
    for _ in range(2):
        berthd.wait_state(near.cookie(), "listening")
        near.addr_add(address + "/24", "eth0")
        is_refused(berthd, near)
        near.addr_del(address + "/24", "eth0")


def test_namespaces_of_one_name(world):
    """Of several directories the first one's is meant, and forwards to itself;
    the other's forwards to that one."""
    other = world.mkdir("other")
    first, second = world.netns("same"), world.netns("same", directory=other)
    berthd = world.berthd(rules(
        forwards("self", "tcp", "127.0.0.1:8080", place="same")),
        netns_dirs=[world.dir, other])
    is_refused(berthd, first)
    berthd.wait_state(second.cookie(), "listening")

# SPDX-License-Identifier: Apache-2.0
"""test_udp_circles.py - one forged datagram between two listeners that answer.

Each answer would be the next question, for ever. It is answered once, if at
all; and a client that only has such a port is served like any other.
"""

import select
import socket
import threading

import pytest

from harness.rules import rule, rules
from harness.wait import GUARD, wait_for
from test_udp_hostile import datagram

DGRAM = socket.SOCK_DGRAM
ADDRESSES = {4: ("10.73.0.1", "10.73.0.2", "10.73.0.9"),
             6: ("fd73::1", "fd73::2", "fd73::9")}
KINDS = {4: socket.AF_INET, 6: socket.AF_INET6}
ACTIONS = ["echo", "respond", "forward"]

# Of one forged datagram, at both ends; on one more after a multicast.
FEW = 3


class Answerer:
    """A backend that answers everything."""

    def __init__(self, sock):
        self.sock = sock
        self._stop, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def to(self):
        return f"127.0.0.1:{self.sock.getsockname()[1]}"

    def _run(self):
        while True:
            if self._stop in select.select([self.sock, self._stop], [], [])[0]:
                return
            try:
                self.sock.sendto(*self.sock.recvfrom(1 << 16))
            except OSError:
                pass  # the session is gone

    def close(self):
        self._wake.send(b"x")
        self._thread.join()
        for sock in (self.sock, self._stop, self._wake):
            sock.close()


@pytest.fixture
def answerer(world):
    return world.close_later(Answerer(world.host.listen(kind=DGRAM)))


@pytest.fixture
def ends(world):
    """Two namespaces that reach each other, and a client's."""
    near, far = world.netns("near"), world.netns("far")
    world.veth(near, "eth0", far, "eth0")
    for family, prefix in ((4, "/24"), (6, "/64")):
        for netns, address in zip((near, far), ADDRESSES[family]):
            netns.addr_add(address + prefix, "eth0")
    return near, far


def served(name, action, answerer, address="any", port=8080, namespace="*"):
    does = {"echo": {"respond": "echo"}, "respond": {"respond": "ack"},
            "forward": {"forward": {"to": answerer.to}}}[action]
    return rule(name=name, namespace=namespace, protocol="udp",
                address=address, port=port, **does)


def total(berthd, name):
    return berthd.ctl("stats")["total"][name]


def forge(world, netns, family, source, target, port=8080):
    """With that port at both ends; sent from `netns`, which has neither need
    be of."""
    sock = world.close_later(netns.new_socket(
        KINDS[family], socket.SOCK_RAW, socket.IPPROTO_UDP))
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, 75, 1)
    sock.bind((source, 0))
    sock.sendto(datagram(source, target, b"forged", port), (target, 0))


def asks(world, netns, target, source=None, port=0):
    client = world.close_later(netns.new_socket(
        KINDS[6 if ":" in target else 4], DGRAM))
    if source:
        client.bind((source, port))
    client.connect((target, 8080))
    client.settimeout(GUARD)
    client.send(b"question")
    return client.recv(100)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("other", ACTIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_across_namespaces(world, ends, answerer, action, other, family):
    near, far = ends
    one, two = ADDRESSES[family][:2]
    berthd = world.berthd(rules(
        served("near", action, answerer, namespace="near"),
        served("far", other, answerer, namespace="far")))
    berthd.wait_delivered()
    # As if from the far listener, to the near one, which answers it.
    forge(world, far, family, two, one)
    wait_for(lambda: total(berthd, "looped") > 0, "the cut")
    assert total(berthd, "messages_in") <= FEW
    berthd.wait_log("answer of another listener")
    # It is over, and both still answer others.
    assert asks(world, near, two) and asks(world, far, one)
    assert total(berthd, "messages_in") <= FEW + 2


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("action", ACTIONS)
def test_in_one_namespace(world, ends, answerer, action, family):
    """Two listeners of one rule, on one port of two addresses."""
    near = ends[0]
    one, two = ADDRESSES[family][0], ADDRESSES[family][2]
    near.addr_add(two + ("/24" if family == 4 else "/64"), "eth0")
    berthd = world.berthd(rules(
        served("one", action, answerer, address=one, namespace="near"),
        served("two", action, answerer, address=two, namespace="near")))
    berthd.wait_delivered()
    forge(world, near, family, two, one)
    wait_for(lambda: total(berthd, "messages_in") > 0, "the datagram")
    wait_for(lambda: total(berthd, "looped") + total(berthd, "dropped") > 0,
             "the cut")
    assert total(berthd, "messages_in") <= FEW
    assert asks(world, near, one) and asks(world, near, two)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_client_of_that_port(world, ends, answerer, action):
    """Servers ask each other from their own port; and each of many questions
    is answered."""
    near, far = ends
    one, two = ADDRESSES[4][:2]
    berthd = world.berthd(rules(
        served("near", action, answerer, namespace="near")))
    berthd.wait_delivered()
    client = world.close_later(far.new_socket(kind=DGRAM))
    client.bind((two, 8080))
    client.connect((one, 8080))
    for _ in range(20):
        client.send(b"question")
        assert client.recv(100) in (b"question", b"ack")
    assert total(berthd, "looped") == 0

# SPDX-License-Identifier: Apache-2.0
"""test_self_connect.py - backends that are down, with a port that the kernel
may choose for those who connect to them.

Where they live there is only that port to choose, so that each socket towards
them would be connected to itself.
"""

import socket

import pytest

from harness.rules import rule, rules
from harness.traffic import works
from harness.wait import wait_equal, wait_for

DOWN, OTHER = 40002, 700


def to(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def forwarding(*backends, protocol="tcp"):
    return rules(rule(namespace="front", protocol=protocol,
                      forward={"to": list(backends), "namespace": "back"}))


@pytest.fixture
def front(world):
    return world.netns("front")


@pytest.fixture
def back(world):
    netns = world.netns("back")
    netns.sysctl("net.ipv4.ip_local_port_range", f"{DOWN} {DOWN}")
    return netns


def refusals(berthd):
    """How often a backend refused, over all listeners."""
    return berthd.ctl("stats")["total"]["failed"]


@pytest.mark.parametrize("protocol", ["tcp", "mptcp"])
@pytest.mark.parametrize("address", [
    "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_the_client_is_reset(world, front, back, protocol, address):
    """As when refused, and hears nothing of what it said; the port is free as
    soon as the client knows."""
    berthd = world.berthd(forwarding(to(address, DOWN), protocol=protocol))
    berthd.wait_delivered()
    idle = berthd.idle_relay_descriptors()
    heard = b""
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            with front.connect("127.0.0.1", 8080) as client:
                client.sendall(b"GET / HTTP/1.0\r\n")
                heard = client.recv(100)
    assert heard == b""
    back.listen("127.0.0.1", DOWN).close()
    berthd.wait_log("Connection refused")
    assert refusals(berthd) == 3
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def test_the_next_backend_is_taken(world, front, back):
    other = world.close_later(back.listen("127.0.0.1", OTHER))
    berthd = world.berthd(forwarding(to("127.0.0.1", DOWN),
                                     to("127.0.0.2", DOWN),
                                     to("127.0.0.1", OTHER)))
    berthd.wait_delivered()
    for _ in range(3):
        with front.connect("127.0.0.1", 8080) as client:
            with other.accept()[0] as server:
                assert works(client, server)
    assert refusals(berthd) > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_datagrams_do_not_come_back(world, front, back, address):
    """They are dropped as for a backend that refuses, and counted; a backend
    that comes has its port, and is asked."""
    berthd = world.berthd(forwarding(to(address, DOWN), protocol="udp"))
    berthd.wait_delivered()
    idle = berthd.idle_relay_descriptors()
    client = world.close_later(front.new_socket(kind=socket.SOCK_DGRAM))
    client.connect(("127.0.0.1", 8080))
    client.send(b"echo?")
    wait_for(lambda: berthd.ctl("stats")["total"]["dropped"] == 1,
             "the datagram to be dropped")
    assert refusals(berthd) == 1
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    backend = world.close_later(
        back.listen(address, DOWN, kind=socket.SOCK_DGRAM))
    # It has the only port there is: now the sessions find none.
    back.sysctl("net.ipv4.ip_local_port_range", f"{DOWN} {DOWN + 1}")
    client.send(b"again")
    assert backend.recvfrom(100)[0] == b"again"

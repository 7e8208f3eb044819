# SPDX-License-Identifier: Apache-2.0
"""test_sctp_restart.py - a peer that lost its memory: it connects again from
the same port, while its earlier association is still there"""
import contextlib
import socket

import pytest

import sctp
from harness.rules import forward, rule, rules
from harness.wait import wait_equal, wait_for
from sctp import Message
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401

pytestmark = pytest.mark.kernel

SOURCE = ("127.0.0.1", 7777)


def forget(place, *socks):
    """Their associations are gone, and the other end does not hear of it."""
    place.down()
    for sock in socks:
        sctp.abort(sock)
    place.up()


@BOTH
def test_client_restarts(world, netns, backend, protocol):  # noqa: F811
    """Again and again: each life gets a connection of its own to the backend,
    and hears nothing of what was meant for an earlier one."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend, source=SOURCE)
    for _ in range(3):
        assert works(client, server)
        netns.down()
        sctp.send(server, Message(b"to one who forgot"))
        wait_for(lambda: sent(berthd, netns, protocol),
                 "the message to be on its way")
        sctp.abort(client)
        netns.up()
        client, again = pair(netns, backend, source=SOURCE)
        assert sctp.was_aborted(server)
        server.close()
        server = again
    assert works(client, server)
    counted = counters(berthd, netns, protocol)
    assert (counted["accepted"], counted["active"]) == (4, 1)
    client.close()
    assert sctp.receive(server) is None
    server.close()
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


def sent(berthd, netns, protocol):  # noqa: F811
    """Did the relay pass on what the backend said last?"""
    counted = counters(berthd, netns, protocol)
    return counted.get("messages_out") == 2 * counted["accepted"]


def counters(berthd, netns, protocol):  # noqa: F811
    return berthd.listener(netns.cookie(), protocol=protocol)["counters"]


@BOTH
def test_with_a_stream_backend(world, netns, protocol):  # noqa: F811
    backend = world.close_later(world.host.listen())  # noqa: F811
    world.berthd(forward(f"tcp://127.0.0.1:{backend.getsockname()[1]}",
                         protocol=protocol))
    client = sctp.connect(netns, source=SOURCE)
    first, _ = backend.accept()
    sctp.send(client, Message(b"one"))
    assert first.recv(100) == b"one"
    forget(netns, client)
    with sctp.connect(netns, source=SOURCE) as client:
        with pytest.raises(ConnectionResetError):
            first.recv(100)
        first.close()
        second, _ = backend.accept()
        with second:
            sctp.send(client, Message(b"two"))
            assert second.recv(100) == b"two"


@BOTH
def test_without_a_backend(world, netns, protocol):  # noqa: F811
    world.berthd(rules(rule(protocol=protocol, respond="echo")))
    for life in range(3):
        client = sctp.connect(netns, source=SOURCE)
        sctp.send(client, Message(b"%d" % life, 3, 4))
        assert sctp.receive(client) == Message(b"%d" % life, 3, 4)
        forget(netns, client)


def test_the_rule_is_gone(world, netns, backend):  # noqa: F811
    """Who restarts is a new client, which nobody serves any more."""
    berthd = world.berthd(forward(to(backend), protocol="sctp"))
    client, server = pair(netns, backend, source=SOURCE)
    with server:
        assert works(client, server)
        berthd.remove_rules("50-test.yaml")
        wait_for(lambda: not berthd.wanted_listeners(), "no listener")
        assert works(client, server)
        forget(netns, client)
        assert sctp.is_turned_away(netns, source=SOURCE)
        assert sctp.was_aborted(server)


@BOTH
def test_backend_restarts(world, front, protocol):
    """Its client is aborted, since nobody else can say again what was
    forgotten; and so is what the backend began."""
    place = world.netns("server")
    world.veth(place, "eth0", world.host, "bk")
    world.host.addr_add("10.67.7.1/24", "bk")
    place.addr_add("10.67.7.2/24", "eth0")
    listening = sctp.listen(place, "10.67.7.2", 5000)
    world.berthd(forward("sctp://10.67.7.2:5000", namespace="front",
                         protocol=protocol))
    client = sctp.connect(front)
    server, peer = listening.accept()
    with client:
        assert works(client, server)
        listening.close()
        place.down("eth0")
        sctp.abort(server)
        place.up("eth0")
        sock = sctp.make(place, socket.AF_INET)
        with sock:
            sock.bind(("10.67.7.2", 5000))
            with contextlib.suppress(ConnectionResetError):
                sock.connect(peer)
                assert sctp.was_aborted(sock)
        assert sctp.was_aborted(client)

# SPDX-License-Identifier: Apache-2.0
"""test_sctp_hand_back.py - SCTP listeners that a program has, over restarts
of berthd and of the relay"""
import socket

import pytest

import sctp
from harness import kernel
from harness.consumer import Consumer
from harness.rules import forward, rule, rules
from harness.wait import wait_equal, wait_for
from sctp import Message
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401
from test_sctp_addresses import endpoints


def begin(world, protocol, **kwargs):
    berthd = world.berthd(rules(rule(handoff="front", protocol=protocol,
                                     **kwargs)))
    berthd.relay_pid()
    consumer = world.close_later(Consumer(berthd, "front").welcome())
    consumer.until_listening()
    return berthd, consumer


def only(consumer):
    """Return: the id and the socket of its only listener."""
    (number, (_, sock)), = consumer.listeners.items()
    return number, sock


def answered(netns, listener, address="127.0.0.1"):  # noqa: F811
    """A client is served by this very socket."""
    listener.settimeout(60)
    with sctp.connect(netns, address) as client:
        sctp.send(client, Message(b"ask"))
        if listener.type == socket.SOCK_SEQPACKET:
            data, _, _, _ = listener.recvmsg(100, 256)
            return data == b"ask"
        server, _ = listener.accept()
        with server:
            return server.recv(100) == b"ask"


@pytest.mark.kernel
@BOTH
def test_adopted(world, netns, protocol):  # noqa: F811
    """berthd is killed: the same endpoint, and an association that waited in
    it all the time."""
    berthd, consumer = begin(world, protocol)
    number, listener = only(consumer)
    cookie = kernel.socket_cookie(listener)
    client = sctp.connect(netns)
    berthd.kill9()
    sctp.send(client, Message(b"meanwhile"))
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    assert consumer.expect("listener")["id"] == number
    berthd.wait_ready()
    assert kernel.socket_cookie(only(consumer)[1]) == cookie
    listener.settimeout(60)
    with client:
        if protocol == "sctp":
            server, _ = listener.accept()
            with server:
                assert server.recv(100) == b"meanwhile"
        else:
            assert listener.recvmsg(100, 256)[0] == b"meanwhile"
    assert answered(netns, listener)


@pytest.mark.kernel
@BOTH
def test_addresses_changed_meanwhile(world, netns, protocol):  # noqa: F811
    """The adopted endpoint gets those that are there now."""
    netns.addr_add("10.9.0.1/32")
    netns.addr_add("10.9.0.2/32")
    berthd, consumer = begin(world, protocol, address="all",
                             match={"address": "10.9.0.0/24"})
    number, listener = only(consumer)
    wait_equal(lambda: endpoints(netns), [["10.9.0.1", "10.9.0.2"]],
               "the endpoint")
    berthd.kill9()
    netns.addr_add("10.9.0.3/32")
    netns.addr_del("10.9.0.1/32")
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    assert consumer.expect("listener")["id"] == number
    berthd.wait_ready()
    wait_equal(lambda: endpoints(netns), [["10.9.0.2", "10.9.0.3"]],
               "the endpoint's addresses")
    for address in ("10.9.0.2", "10.9.0.3"):
        assert answered(netns, listener, address)


@BOTH
def test_not_the_protocol(world, netns, protocol):  # noqa: F811
    """An endpoint of the other style is withdrawn."""
    berthd, consumer = begin(world, protocol)
    number, _ = only(consumer)
    berthd.kill9()
    other = "sctp-seqpacket" if protocol == "sctp" else "sctp"
    berthd.write_rules("50-test.yaml", rules(rule(handoff="front",
                                                  protocol=other)))
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    assert consumer.until_withdrawn() == [number]
    consumer.release(number)
    consumer.until_listening()
    berthd.wait_ready()
    assert answered(netns, only(consumer)[1])


@BOTH
def test_taken_over(world, netns, protocol):  # noqa: F811
    """Both have the endpoint for a moment, then the second alone."""
    berthd, first = begin(world, protocol)
    second = world.close_later(
        Consumer(berthd, "front", takeover=True).welcome())
    second.until_listening()
    assert first.expect("taken_over")
    number, = first.until_withdrawn()
    first.release(number)
    assert answered(netns, only(second)[1])


@BOTH
def test_relay_restarts(world, netns, backend, protocol):  # noqa: F811
    """What the earlier one has goes on, what is new goes to the next."""
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    relay = berthd.relay_pid()
    client, server = pair(netns, backend)
    berthd.ctl("restart-relay")
    new = berthd.relay_pid(other_than=relay)
    wait_equal(lambda: berthd.status()["consumers"][0]["pid"], new,
               "the new relay's connection")
    berthd.wait_delivered()
    if protocol == "sctp":
        assert works(client, server)
    other, other_server = pair(netns, backend)
    assert works(other, other_server)
    for sock in (client, server, other, other_server):
        sock.close()


@BOTH
def test_connections_drain(world, netns, backend, protocol):  # noqa: F811
    """Associations of a rule that has gone end in its time."""
    berthd = world.berthd(forward(
        to(backend), protocol=protocol, options={"drain_timeout": "4s"}))
    client, server = pair(netns, backend)
    berthd.remove_rules("50-test.yaml")
    wait_for(lambda: not berthd.wanted_listeners(), "no listener")
    if protocol == "sctp":  # the others share the socket of their listener
        assert works(client, server)
    for sock in (client, server):
        with sock:
            sock.settimeout(60)
            assert sctp.was_aborted(sock)
    wait_equal(lambda: berthd.status()["consumers"][0]["withdrawn"], 0,
               "nothing to be left of it")

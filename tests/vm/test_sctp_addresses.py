# SPDX-License-Identifier: Apache-2.0
"""test_sctp_addresses.py - one endpoint on the addresses of its namespace"""
import socket

import pytest

import sctp
from harness.rules import forward, rule, rules
from harness.wait import wait_equal, wait_for
from sctp import Message
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401

pytestmark = pytest.mark.kernel


def endpoints(netns, port=8080):
    """The addresses of each SCTP endpoint on a port, as the kernel has them;
    IPv4 without ::ffff:."""
    found = []
    for line in netns.run("cat", "/proc/net/sctp/eps").splitlines()[1:]:
        words = line.split()
        if int(words[5]) == port and words[2] in ("2", "0"):
            found.append(sorted(str(sctp.plain(word)) for word in words[8:]))
    return found


@BOTH
def test_one_endpoint_follows_the_addresses(world, netns, protocol):
    """Also the last one going, and the first one coming back."""
    netns.addr_add("10.9.0.1/24")
    world.berthd(rules(rule(protocol=protocol, address="all", respond="echo",
                            match={"address": ["10.9.0.0/24", "fd09::/64"]})))

    def wait_endpoints(*expected):
        wait_equal(lambda: endpoints(netns), [list(e) for e in expected],
                   "the endpoint's addresses")

    wait_endpoints(["10.9.0.1"])
    with sctp.connect(netns, "10.9.0.1") as client:
        netns.addr_add("fd09::1/64")
        netns.addr_add("10.9.0.2/24")
        netns.addr_add("10.8.0.2/24")
        wait_endpoints(["10.9.0.1", "10.9.0.2", "fd09::1"])
        for address in ("10.9.0.1", "10.9.0.2", "fd09::1"):
            answers(netns, address)
        netns.addr_del("10.9.0.2/24")
        wait_endpoints(["10.9.0.1", "fd09::1"])
        # An association outlives changes of its listener.
        sctp.send(client, Message(b"still", 1, 1))
        assert sctp.receive(client) == Message(b"still", 1, 1)
    netns.addr_del("10.9.0.1/24")
    wait_endpoints(["fd09::1"])
    answers(netns, "fd09::1")
    netns.addr_del("fd09::1/64")
    wait_endpoints()
    netns.addr_add("10.9.0.3/24")
    wait_endpoints(["10.9.0.3"])
    answers(netns, "10.9.0.3")
    # All of them replaced in one moment.
    netns.ip_batch(["addr del 10.9.0.3/24 dev lo",
                    "addr add 10.9.0.4/24 dev lo",
                    "addr add 10.9.0.5/24 dev lo"])
    wait_endpoints(["10.9.0.4", "10.9.0.5"])
    answers(netns, "10.9.0.5")


def answers(netns, address):
    with sctp.connect(netns, address) as client:
        sctp.send(client, Message(b"hello", 2, 2))
        assert sctp.receive(client) == Message(b"hello", 2, 2)


def test_many_changes_leave_what_is_there(world, netns):
    """The listener is never closed meanwhile: its number stays."""
    netns.addr_add("10.9.0.1/16")
    berthd = world.berthd(rules(rule(
        protocol="sctp", address="all", respond="echo",
        match={"address": "10.9.0.0/16"})))
    number = berthd.wait_state(netns.cookie(), "listening", protocol="sctp",
                               address="all")["id"]
    lines = []
    for i in range(2, 60):
        lines.append(f"addr add 10.9.0.{i}/16 dev lo")
        if i % 3:
            lines.append(f"addr del 10.9.0.{i}/16 dev lo")
    netns.ip_batch(lines)
    wait_equal(lambda: endpoints(netns),
               [sorted(["10.9.0.1", *(f"10.9.0.{i}"
                                      for i in range(3, 60, 3))])],
               "the addresses that are left")
    row = berthd.listener(netns.cookie(), protocol="sctp", address="all")
    assert row["id"] == number


def test_an_association_survives_a_path(world, netns, backend):
    """The client learns both addresses from one of them; with that path cut,
    the rest of the conversation takes the other."""
    client_netns = world.netns("c")
    for i in (1, 2):
        world.veth(netns, f"in{i}", client_netns, f"out{i}")
        netns.addr_add(f"10.{i}.0.1/24", f"in{i}")
        client_netns.addr_add(f"10.{i}.0.2/24", f"out{i}")
    world.berthd(forward(to(backend), protocol="sctp", address="all",
                         match={"interface": "in*"}))
    wait_equal(lambda: endpoints(netns), [["10.1.0.1", "10.2.0.1"]],
               "both addresses")
    client, server = pair(client_netns, backend, "10.1.0.1")
    with client, server:
        assert works(client, server)
        client_netns.down("out1")
        assert works(client, server)


ASCONF = {"addip_enable": 1, "addip_noauth_enable": 1}


@BOTH
def test_an_association_follows_the_addresses(world, netns, backend,
                                              protocol):
    """Where ASCONF is allowed: its client learns of an address that came
    later, and the conversation outlives the one that it began with."""
    client_netns = world.netns("c")
    for place in (netns, client_netns):
        for key, value in ASCONF.items():
            place.sysctl(f"net.sctp.{key}", value)
    for i in (1, 2):
        world.veth(netns, f"in{i}", client_netns, f"out{i}")
        client_netns.addr_add(f"10.{i}.0.2/24", f"out{i}")
    netns.addr_add("10.1.0.1/24", "in1")
    world.berthd(forward(to(backend), protocol=protocol, address="all",
                         match={"interface": "in*"}))
    wait_equal(lambda: endpoints(netns), [["10.1.0.1"]], "the address")
    pairs = [pair(client_netns, backend, "10.1.0.1") for _ in range(3)]
    for client, server in pairs:
        assert works(client, server)
    netns.addr_add("10.2.0.1/24", "in2")
    for client, _ in pairs:
        wait_equal(lambda sock=client: sctp.peer_addresses(sock),
                   {"10.1.0.1", "10.2.0.1"}, "both addresses")
    netns.addr_del("10.1.0.1/24", "in1")
    for client, server in pairs:
        wait_equal(lambda sock=client: sctp.peer_addresses(sock),
                   {"10.2.0.1"}, "the address that is left")
        assert works(client, server)
        client.close()
        server.close()
    for sock in pair(client_netns, backend, "10.2.0.1"):
        sock.close()


def test_each_address_is_an_endpoint(world, netns):
    netns.addr_add("10.9.0.1/24")
    netns.addr_add("10.9.0.2/24")
    world.berthd(rules(rule(protocol="sctp", address="each", respond="echo",
                            match={"address": "10.9.0.0/24"})))
    wait_equal(lambda: sorted(endpoints(netns)),
               [["10.9.0.1"], ["10.9.0.2"]], "two endpoints")
    answers(netns, "10.9.0.2")


def test_a_rule_that_comes_back(world, netns, backend):
    """One-to-one: what was accepted goes on without the rule, and does not
    keep the port from the listener that comes back."""
    text = forward(to(backend), protocol="sctp")
    berthd = world.berthd(text)
    client, server = pair(netns, backend)
    with client, server:
        berthd.remove_rules("50-test.yaml")
        wait_for(lambda: not berthd.wanted_listeners(), "no listener")
        with pytest.raises(ConnectionRefusedError):
            sctp.connect(netns)
        assert works(client, server)
        berthd.write_rules("50-test.yaml", text)
        berthd.wait_state(netns.cookie(), "listening", protocol="sctp")
        again, accepted = pair(netns, backend)
        with again, accepted:
            assert works(again, accepted)
        assert works(client, server)


def test_a_one_to_many_rule_that_goes(world, netns, backend):
    """Takes its associations with it, as they are in its socket."""
    text = forward(to(backend), protocol="sctp-seqpacket")
    berthd = world.berthd(text)
    client, server = pair(netns, backend)
    with client, server:
        berthd.remove_rules("50-test.yaml")
        assert sctp.was_aborted(client)
        assert sctp.was_aborted(server)
    berthd.write_rules("50-test.yaml", text)
    berthd.wait_state(netns.cookie(), "listening", protocol="sctp-seqpacket")
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)


def test_a_port_that_is_taken(world, netns):
    """By a program that lets go of it later."""
    taken = netns.new_socket(socket.AF_INET6, socket.SOCK_STREAM,
                             socket.IPPROTO_SCTP)
    with taken:
        taken.bind(("::", 8080))
        taken.listen(1)
        berthd = world.berthd(rules(rule(protocol="sctp", respond="echo")))
        row = berthd.wait_state(netns.cookie(), "waiting", protocol="sctp")
        assert row["error"] == "EADDRINUSE"
    berthd.wait_state(netns.cookie(), "listening", protocol="sctp")
    answers(netns, "127.0.0.1")

# SPDX-License-Identifier: Apache-2.0
"""test_clients.py - whom a listener serves at all."""

import json
import socket

import pytest

from harness.rules import forward, rule, rules
from harness.traffic import echo_backend, was_reset, works
from harness.wait import wait_equal, wait_for
from test_endings import wait_ended
from test_metrics import scrape

DGRAM = socket.SOCK_DGRAM
GOOD, BAD, ELSE = "10.9.0.1", "10.9.1.1", "10.8.0.1"
GOOD6, BAD6 = "fd99::1", "fd99:1::1"
CLIENTS = ["10.9.0.0/16", "!10.9.1.0/24", "fd99::/16", "!fd99:1::/32"]


@pytest.fixture
def netns(world):
    """Whoever connects to an address comes from it."""
    made = world.netns("n").up()
    for address in (GOOD, BAD, ELSE):
        made.addr_add(f"{address}/32")
    for address in (GOOD6, BAD6):
        made.addr_add(f"{address}/128", "lo", "nodad")
    return made


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def entry(protocol="tcp", clients=None):
    made = {"protocol": protocol, "port": 8080}
    return [dict(made, clients=clients)] if clients else [made]


def only(where, clients=None, **more):
    """Forwards for those clients."""
    protocol = more.pop("protocol", "tcp")
    return forward(where, listen=entry(protocol, clients or CLIENTS), **more)


def turned_away(netns, address):
    """Is a connection from there reset?"""
    try:
        with netns.connect(address, 8080) as client:
            return was_reset(client)
    except ConnectionResetError:
        return True


def served(netns, backend, address):
    with netns.connect(address, 8080) as client:
        server, _ = backend.accept()
        with server:
            return works(client, server)


def speaker(world, netns, address):
    """A UDP client at that address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = world.close_later(netns.new_socket(family, DGRAM))
    sock.bind((address, 0))
    sock.connect((address, 8080))
    return sock


def total(berthd, name="not_admitted"):
    return berthd.ctl("stats")["total"][name]


@pytest.mark.parametrize("protocol", ["tcp", "mptcp"])
def test_connections(world, netns, backend, protocol):
    berthd = world.berthd(only(to(backend), protocol=protocol))
    assert served(netns, backend, GOOD)
    assert served(netns, backend, GOOD6)
    for number, address in enumerate((BAD, ELSE, BAD6, "127.0.0.1"), 1):
        assert turned_away(netns, address)
        wait_equal(lambda: total(berthd), number, "its count")
    assert served(netns, backend, GOOD)
    # No backend was connected to for them.
    backend.setblocking(False)
    with pytest.raises(BlockingIOError):
        backend.accept()
    wait_for(lambda: total(berthd, "active") == 0, "their ends")
    assert total(berthd, "accepted") == 7
    # Those that were served ended, too.
    rows = berthd.ctl("stats")["total"]["ended"]
    assert {"reason": "not-admitted", "count": 4} in rows
    assert "is none of its clients; resetting the client" in berthd.log()
    assert scrape(berthd).get("berth_not_admitted_total", rule="web",
                              protocol=protocol) == 4


def test_answers_of_the_relays_own(world, netns):
    """The key is of the listener, whatever serves it."""
    berthd = world.berthd(rules(rule(listen=entry(clients=f"!{BAD}"))))
    assert netns.ask(GOOD, 8080) == b"ack"
    assert netns.ask(GOOD6, 8080) == b"ack"
    assert turned_away(netns, BAD)
    wait_ended(berthd, answered=2, not_admitted=1)


def test_access_log(world, netns, backend):
    text = only(to(backend)).replace("\n  forward:",
                                     "\n  log: failures\n  forward:", 1)
    berthd = world.berthd({"a.yaml": text}, args=["--log-format", "json"])

    def lines():
        found = [json.loads(line) for line in berthd.log().splitlines()]
        return [line for line in found if "ending" in line]

    assert served(netns, backend, GOOD)
    assert turned_away(netns, BAD)
    wait_equal(lambda: len(lines()), 1, "the line")
    line, = lines()
    assert line["ending"] == "not-admitted"
    assert line["client"].startswith(f"{BAD}:")
    assert line["local"] == f"{BAD}:8080"
    assert "backend" not in line


def test_sessions(world, netns, datagrams):
    berthd = world.berthd(only(to(datagrams), protocol="udp"))
    good, bad, bad6 = (speaker(world, netns, address)
                       for address in (GOOD, BAD, BAD6))
    for sock in (bad, bad6, bad):
        sock.send(b"bad")
    good.send(b"good")
    data, address = datagrams.recvfrom(64)
    assert data == b"good"
    datagrams.sendto(b"answer", address)
    assert good.recv(64) == b"answer"
    wait_equal(lambda: total(berthd), 3, "the datagrams that were dropped")
    assert (total(berthd, "accepted"), total(berthd, "dropped")) == (1, 3)
    assert "is none of its clients; dropping datagrams" in berthd.log()


def test_datagrams_that_the_relay_answers(world, netns):
    berthd = world.berthd(rules(rule(
        listen=entry("udp", [GOOD]), respond="echo")))
    bad, good = (speaker(world, netns, address) for address in (BAD, GOOD))
    bad.send(b"bad")
    good.send(b"good")
    assert good.recv(64) == b"good"
    wait_equal(lambda: total(berthd), 1, "the datagram that was dropped")
    assert total(berthd, "messages_out") == 1
    bad.setblocking(False)
    with pytest.raises(BlockingIOError):
        bad.recv(64)


def echoes(netns, address):
    """Is a connection from there served? The backend sends back what comes."""
    try:
        with netns.connect(address, 8080) as client:
            client.sendall(b"x")
            return client.recv(1) == b"x"
    except ConnectionError:
        return False


def test_reload(world, netns):
    """Another list holds for new clients, on the same socket."""
    where = f"127.0.0.1:{echo_backend(world).port}"
    berthd = world.berthd(only(where, [GOOD]))
    inodes = netns.listener_inodes()
    assert echoes(netns, GOOD) and not echoes(netns, BAD)
    with netns.connect(GOOD, 8080) as old:
        old.sendall(b"1")
        assert old.recv(1) == b"1"
        berthd.write_rules("50-test.yaml", only(where, [BAD]))
        wait_for(lambda: not echoes(netns, GOOD), "the other list")
        assert echoes(netns, BAD)
        old.sendall(b"2")
        assert old.recv(1) == b"2"
    berthd.write_rules("50-test.yaml", forward(where))
    wait_for(lambda: echoes(netns, GOOD), "no list any more")
    assert netns.listener_inodes() == inodes


def test_reload_with_a_session(world, netns, datagrams):
    """A session that there is goes on."""
    berthd = world.berthd(only(to(datagrams), [GOOD, BAD], protocol="udp"))
    old, other = (speaker(world, netns, address) for address in (GOOD, BAD))
    old.send(b"1")
    assert datagrams.recvfrom(64)[0] == b"1"
    berthd.write_rules("50-test.yaml",
                       only(to(datagrams), [BAD], protocol="udp"))

    def refused():
        speaker(world, netns, GOOD).send(b"new")
        return total(berthd) > 0

    wait_for(refused, "the other list")
    other.send(b"2")
    while (data := datagrams.recvfrom(64)[0]) != b"2":
        assert data == b"new"
    old.send(b"3")
    assert datagrams.recvfrom(64)[0] == b"3"


def test_shown(world, netns):
    berthd = world.berthd(rules(rule(listen=entry(clients=CLIENTS))))
    shown, = berthd.ctl("rules")["rules"]
    assert "clients 10.9.0.0/16, !10.9.1.0/24, fd99::/16, !fd99:1::/32" in \
        str(shown)

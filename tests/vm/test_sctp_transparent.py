# SPDX-License-Identifier: Apache-2.0
"""test_sctp_transparent.py - the backend sees the address of an SCTP client.

Linux sends SCTP over IPv4 only from addresses that are local to the namespace:
there a local route for the clients' network makes it possible.
"""
import socket

import pytest

import sctp
from harness import process
from harness.rules import forward
from harness.wait import wait_for
from sctp import Message
from test_sctp import BOTH
from test_sctp_backend_netns import SCHEMES, Backend, idle_counts, said

CLIENTS = {"10.1.0.2": "10.2.0.2", "fd01::2": "fd02::2"}  # and their servers


def to_local(address):
    return f"route add local {address} dev lo"


class Setup:
    """A client's namespace; host -veth- server, with answers to the clients
    led to the host and local there, but for IPv4."""

    def __init__(self, world):
        self.client = world.netns("client")
        self.server = world.netns("server")
        world.veth(self.server, "eth0", world.host, "tp-s")
        self.client.ip_batch(f"addr add {client} dev lo"
                             for client in CLIENTS)
        self.server.ip_batch(["addr add 10.2.0.2/24 dev eth0",
                              "addr add fd02::2/64 dev eth0 nodad",
                              "route add default via 10.2.0.1",
                              "route add default via fd02::1"])
        world.host.ip_batch(["addr add 10.2.0.1/24 dev tp-s",
                             "addr add fd02::1/64 dev tp-s nodad",
                             to_local("fd01::2")])
        world.defer(world.host.ip, "-6", "route", "del", "local", "fd01::2",
                    "dev", "lo")

    def connect(self, backend, address):
        """A client, its backend connection, and whom that one sees."""
        client = sctp.connect(self.client, address)
        server, seen = backend.accept()
        return client, server, seen


@pytest.fixture
def setup(world):
    return Setup(world)


def rule_to(to, protocol, **options):
    """Listeners in `client` only."""
    return forward(to, namespace="client", protocol=protocol,
                   options=dict({"transparent": True}, **options))


def local_ipv4(world):
    """What IPv4 needs."""
    world.host.ip_batch([to_local("10.1.0.2")])
    world.defer(world.host.ip, "route", "del", "local", "10.1.0.2", "dev",
                "lo")


@BOTH
@SCHEMES
def test_backend_sees_the_client(world, setup, protocol, scheme):
    local_ipv4(world)
    for number, (address, host) in enumerate(CLIENTS.items()):
        backend = Backend(world, setup.server, scheme, host)
        text = rule_to(backend.to, protocol)
        if number == 0:
            berthd = world.berthd(text)
            idle = idle_counts(berthd)
        else:
            berthd.write_rules("50-test.yaml", text)
            wait_for(lambda: backend.serves(setup.client, address),
                     "the new rule")
        for _ in range(2):
            client, server, seen = setup.connect(backend, address)
            with client, server:
                assert seen == address
                assert backend.works(client, server)
    berthd.wait_descriptors(idle)


@BOTH
@SCHEMES
@pytest.mark.parametrize("address", CLIENTS)
def test_in_another_namespace(  # pylint: disable=too-many-arguments
        world, monitor, protocol, scheme, address):  # noqa: F811
    """The backend's own kernel sees the client's address as one of its own
    host's, when it is told to; and the socket goes with its namespace."""
    netns, server_netns = world.netns("client"), world.netns("server")
    netns.ip_batch([f"addr add {address} dev lo"])
    server_netns.ip_batch([f"addr add {CLIENTS[address]} dev lo",
                           to_local(address)])
    backend = Backend(world, server_netns, scheme, CLIENTS[address])
    world.berthd(rule_to(backend.to, protocol, namespace="server"))
    client = sctp.connect(netns, address)
    server, seen = backend.accept()
    with client, server:
        assert seen == address
        assert backend.works(client, server)
        tracked = monitor.track(server_netns)
        server_netns.delete()
        assert sctp.was_aborted(client)
    backend.socket.close()
    monitor.wait_freed(tracked)


@BOTH
def test_ipv4_needs_a_local_address(world, setup, protocol):
    """Else the client is turned away at once, with the reason; that is not
    held against the backend."""
    backend = Backend(world, setup.server, "sctp", "10.2.0.2")
    berthd = world.berthd(rule_to(backend.to, protocol))
    berthd.wait_delivered()
    assert sctp.is_turned_away(setup.client, "10.1.0.2")
    berthd.wait_log("Cannot assign requested address; aborting")
    local_ipv4(world)
    client, server, seen = setup.connect(backend, "10.1.0.2")
    with client, server:
        assert seen == "10.1.0.2"
        assert backend.works(client, server)


@BOTH
def test_client_of_the_other_family(world, setup, protocol):
    """The next backend of its family gets it."""
    local_ipv4(world)
    four = Backend(world, setup.server, "tcp", "10.2.0.2")
    six = Backend(world, setup.server, "tcp", "fd02::2")
    berthd = world.berthd(rule_to([four.to, six.to], protocol))
    berthd.wait_delivered()
    for backend, address in ((six, "fd01::2"), (four, "10.1.0.2")) * 2:
        client, server, seen = setup.connect(backend, address)
        with client, server:
            assert seen == address
            assert backend.works(client, server)


@BOTH
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_nobody_is_the_host_itself(world, protocol, address):
    """A client on its own loopback interface does not get to be one on the
    backend's."""
    netns = world.netns("client")
    backend = Backend(world, world.host, "tcp", address)
    berthd = world.berthd(rule_to(backend.to, protocol))
    berthd.wait_delivered()
    assert sctp.is_turned_away(netns, address)
    berthd.wait_log("Cannot assign requested address; aborting")


@BOTH
@SCHEMES
def test_client_that_is_gone_already(world, setup, protocol, scheme):
    """Said and left before anybody listened: it is known who it was."""
    backend = Backend(world, setup.server, scheme, "fd02::2")
    berthd = world.berthd(rule_to(backend.to, protocol))
    idle_counts(berthd)
    with process.stopped(berthd.relay_pid()):
        client = sctp.connect(setup.client, "fd01::2")
        sctp.send(client, Message(b"goodbye"))
        client.shutdown(socket.SHUT_WR)
        wait_for(lambda: sctp.gone(client), "its end")
        client.close()
    server, seen = backend.accept()
    with server:
        assert seen == "fd01::2"
        assert (said(server) if scheme == "sctp" else server.recv(100)) \
            == b"goodbye"


def test_client_and_listener_of_several_addresses(world, setup):
    """The backend's association has the address that the client came from,
    and no other."""
    setup.client.ip_batch(["addr add fd01::3 dev lo"])
    backend = Backend(world, setup.server, "sctp", "fd02::2")
    berthd = world.berthd(forward(
        backend.to, namespace="client", protocol="sctp", address="all",
        match={"address": "fd01::/64"}, options={"transparent": True}))
    berthd.wait_state(setup.client.cookie(), "listening", protocol="sctp",
                      address="all")
    client, server, seen = setup.connect(backend, "fd01::2")
    with client, server:
        assert seen in ("fd01::2", "fd01::3")
        assert backend.works(client, server)
        lines = setup.server.run("cat", "/proc/net/sctp/assocs")
        assert lines.count("fd01:") == 1

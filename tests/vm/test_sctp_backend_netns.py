# SPDX-License-Identifier: Apache-2.0
"""test_sctp_backend_netns.py - SCTP clients whose backend is in another
namespace; the backend's own protocol is SCTP or TCP."""
import select
import socket
import time

import pytest

import sctp
from harness import process
from harness.rules import forward, rule, rules
from harness.traffic import ended
from harness.wait import wait_for
from sctp import Message
from test_sctp import BOTH, FAMILIES, MESSAGES

SCHEMES = pytest.mark.parametrize("scheme", ["sctp", "tcp"])


class Backend:
    """A server of either protocol, and what is said to it."""

    def __init__(self, world, place, scheme, address="127.0.0.1", port=0):
        self.scheme = scheme
        listen = sctp.listen if scheme == "sctp" else type(place).listen
        self.socket = world.close_later(listen(place, address, port))
        host, port = self.socket.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        self.to = f"{scheme}://{host}:{port}"

    def accept(self):
        server, peer = self.socket.accept()
        server.settimeout(15)
        return server, peer[0]

    def pair(self, netns, address="127.0.0.1", **kwargs):
        client = sctp.connect(netns, address, **kwargs)
        return client, self.accept()[0]

    def works(self, client, server):
        sctp.send(client, Message(b"ping", 0, 7))
        if self.scheme == "sctp":
            assert sctp.receive(server) == Message(b"ping", 0, 7)
            sctp.send(server, Message(b"pong", 0, 8))
            assert sctp.receive(client) == Message(b"pong", 0, 8)
        else:
            assert server.recv(100) == b"ping"
            server.sendall(b"pong")
            assert sctp.receive(client) == Message(b"pong")
        return True

    def serves(self, netns, address="127.0.0.1"):
        """Does a connection of now work?"""
        try:
            client = sctp.connect(netns, address)
        except ConnectionError:
            return False
        with client:
            # One or the other; else it would be the next client's.
            ready, _, _ = select.select([self.socket, client], [], [], 15)
            if self.socket not in ready:
                return False
            server, _ = self.accept()
            with server:
                return self.works(client, server)


def idle_counts(berthd):
    """Once the relay has the listener's socket, as berthd does."""
    wait_for(lambda: process.socket_inodes(berthd.pid)
             & process.socket_inodes(berthd.relay_pid()),
             "the relay to have the listener")
    return process.steady(berthd.descriptors)


def outside_backend(world, netns, scheme):
    """On the host, and reached from inside, so that only berth has sockets in
    there."""
    world.veth(netns, "eth0", world.host, "bk")
    netns.addr_add("10.67.7.1/24", "eth0")
    world.host.addr_add("10.67.7.2/24", "bk")
    return Backend(world, world.host, scheme, "10.67.7.2")


def to_back(to, protocol, **options):
    """Listeners in `front` only."""
    return forward(to, namespace="front", protocol=protocol,
                   options=dict({"namespace": "back"}, **options))


def said(server):
    """The first message, or None."""
    try:
        message = sctp.receive(server)
    except ConnectionResetError:
        return None
    return message and message.data


def turned_away(netns):
    try:
        with sctp.connect(netns) as client:
            return ended(client)
    except ConnectionError:
        return True


@BOTH
@SCHEMES
@FAMILIES
def test_connects_in_there(world, front, back, protocol, scheme, address):
    backend = Backend(world, back, scheme, address)
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    for _ in range(5):
        client, server = backend.pair(front)
        with client, server:
            assert backend.works(client, server)
    berthd.wait_descriptors(idle)


@BOTH
def test_messages_arrive_as_they_were_sent(world, front, back, protocol):
    backend = world.close_later(sctp.listen(back, streams=(500, 500)))
    to = f"127.0.0.1:{backend.getsockname()[1]}"  # the listener's protocol
    world.berthd(to_back(to, protocol))
    client = sctp.connect(front, streams=(17, 12))
    server, _ = backend.accept()
    with client, server:
        assert sctp.streams(server)[0] == 17
        for sender, receiver in ((client, server), (server, client)):
            for message in MESSAGES:
                sctp.send(sender, message)
                assert sctp.receive(receiver) == message


@BOTH
def test_many_at_once(world, front, back, protocol):
    """More than may be asked for at a time; what they say first waits."""
    backend = Backend(world, back, "tcp")
    backend.socket.listen(512)
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    clients = []
    with process.stopped(berthd.pid):
        for number in range(150):
            clients.append(sctp.connect(front))
            sctp.send(clients[-1], Message(b"%d\n" % number))
    heard = set()
    for _ in clients:
        server, _ = backend.accept()
        with server:
            heard.add(server.recv(100))
            server.sendall(b"ok")
    assert heard == {b"%d\n" % number for number in range(150)}
    for client in clients:
        assert sctp.receive(client) == Message(b"ok")
        client.close()
    berthd.wait_descriptors(idle)


@BOTH
def test_clients_that_leave_while_it_is_asked_for(world, front, back,
                                                  protocol):
    backend = Backend(world, back, "sctp")
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    with process.stopped(berthd.pid):
        for _ in range(30):
            sctp.abort(sctp.connect(front))
        client = sctp.connect(front)
        sctp.send(client, Message(b"still here"))
    with client:
        served = False
        while not served:
            server, _ = backend.accept()
            with server:
                served = said(server) == b"still here"
    backend.socket.close()
    berthd.wait_descriptors(idle)


@BOTH
@SCHEMES
def test_no_such_namespace_yet(world, front, protocol, scheme):
    """Clients are turned away until it is there."""
    berthd = world.berthd(to_back(f"{scheme}://127.0.0.1:9000", protocol))
    berthd.wait_delivered()
    assert turned_away(front)
    berthd.wait_log(r"cannot connect to '\w+://127.0.0.1:9000' in 'back': "
                    "No such")
    back = world.netns("back")
    backend = Backend(world, back, scheme, port=9000)
    wait_for(lambda: backend.serves(front), "a connection")


@BOTH
def test_next_backend(world, front, back, protocol):
    """One of the list refuses; the other gets a socket of its own, and what
    the client said first."""
    backend = Backend(world, back, "sctp")
    berthd = world.berthd(to_back(["127.0.0.1:9", backend.to], protocol))
    idle = idle_counts(berthd)
    for _ in range(2):
        client = sctp.connect(front)
        sctp.send(client, Message(b"early", 4, 4))
        server, _ = backend.accept()
        with client, server:
            assert sctp.receive(server) == Message(b"early", 4, 4)
            assert backend.works(client, server)
    berthd.wait_descriptors(idle)


@BOTH
def test_path_is_the_same_everywhere(world, front, back, protocol):
    """A UNIX socket has no namespace."""
    del back
    backend, path = world.unix_listen("back.sock")
    world.berthd(to_back(f"unix:{path}", protocol))
    with sctp.connect(front) as client, backend.accept()[0] as server:
        sctp.send(client, Message(b"ping"))
        assert server.recv(100) == b"ping"


@pytest.mark.kernel
@BOTH
@SCHEMES
@pytest.mark.parametrize("unread", [False, True])
def test_namespace_of_the_backend_goes(  # pylint: disable=too-many-arguments
        world, monitor, front, back, protocol, scheme, unread):
    """Both ends see it at once, the kernel frees it, and the next one of that
    name serves."""
    backend = outside_backend(world, back, scheme)
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    tracked = monitor.track(back)
    pairs = [backend.pair(front) for _ in range(4)]
    for client, server in pairs:
        assert backend.works(client, server)
    if unread:
        sctp.stuff(pairs[0][0])
    removed = time.monotonic()
    back.delete()
    monitor.wait_freed(tracked)
    assert time.monotonic() - removed < 10
    for client, server in pairs:
        assert sctp.was_aborted(client)
        client.close()
        server.close()
    berthd.wait_descriptors(idle)
    backend.socket.close()
    assert turned_away(front)
    again = outside_backend(world, world.netns("back"), scheme)
    berthd.write_rules("50-test.yaml", to_back(again.to, protocol))
    wait_for(lambda: again.serves(front), "the new one to serve")


@pytest.mark.kernel
@BOTH
@SCHEMES
def test_polite_end_holds_nothing(  # pylint: disable=too-many-arguments
        world, monitor, front, back, protocol, scheme):
    """The client is through, and what was said to the backend is not
    acknowledged: what is left goes with the namespace."""
    backend = outside_backend(world, back, scheme)
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    tracked = monitor.track(back)
    client, server = backend.pair(front)
    assert backend.works(client, server)
    with server:
        # What the server says arrives, but no answer gets to it.
        back.ip("route", "add", "blackhole", "10.67.7.2/32")
        server.shutdown(socket.SHUT_WR)
        assert sctp.receive(client) is None
        wait_for(lambda: sctp.gone(client), "the client's end")
        client.close()
        back.delete()
        monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)


@pytest.mark.kernel
@BOTH
@SCHEMES
def test_unacknowledged_end_holds_nothing(  # pylint: disable=too-many-arguments
        world, monitor, front, back, protocol, scheme):
    """The client ends first, on a path that is cut."""
    backend = outside_backend(world, back, scheme)
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    tracked = monitor.track(back)
    client, server = backend.pair(front)
    assert backend.works(client, server)
    with server:
        world.host.down("bk")
        sctp.send(client, Message(b"last words"))
        client.shutdown(socket.SHUT_WR)
        back.delete()
        monitor.wait_freed(tracked)
        client.close()
    berthd.wait_descriptors(idle)


@pytest.mark.kernel
@BOTH
@SCHEMES
@pytest.mark.parametrize("first", ["client", "server"])
def test_ended_by_both_is_let_go(  # pylint: disable=too-many-arguments
        world, monitor, front, back, protocol, scheme, first):
    """Nothing remembers connections that ended well."""
    backend = outside_backend(world, back, scheme)
    berthd = world.berthd(to_back(backend.to, protocol))
    idle = idle_counts(berthd)
    for _ in range(3):
        client, server = backend.pair(front)
        assert backend.works(client, server)
        for sock in (client, server) if first == "client" \
                else (server, client):
            sock.close()
    berthd.wait_descriptors(idle)
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)


@pytest.mark.kernel
@BOTH
def test_namespace_of_the_client_goes(world, monitor, front, back, protocol):
    backend = outside_backend(world, back, "sctp")
    world.berthd(to_back(backend.to, protocol))
    pairs = [backend.pair(front) for _ in range(3)]
    for client, server in pairs:
        assert backend.works(client, server)
        client.close()
    tracked = monitor.track(front)
    front.delete()
    monitor.wait_freed(tracked)
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)
    for _, server in pairs:
        assert ended(server)
        server.close()


@BOTH
def test_relay_that_starts_again(world, monitor, front, back, protocol):
    backend = outside_backend(world, back, "sctp")
    berthd = world.berthd(to_back(backend.to, protocol))
    client, server = backend.pair(front)
    assert backend.works(client, server)
    old = berthd.kill_relay()
    assert ended(server)
    berthd.relay_pid(other_than=old)
    assert ended(client)
    client.close()
    server.close()
    client, server = backend.pair(front)
    with client, server:
        assert backend.works(client, server)
        tracked = monitor.track(back)
        back.delete()
        monitor.wait_freed(tracked)


@BOTH
def test_berthd_that_does_not_answer(world, front, back, protocol):
    """The connect timeout holds, and it goes on when berthd does."""
    backend = Backend(world, back, "sctp")
    berthd = world.berthd(to_back(backend.to, protocol,
                                  connect_timeout="300ms"))
    idle = idle_counts(berthd)
    with process.stopped(berthd.pid):
        assert turned_away(front)
    client, server = backend.pair(front)
    with client, server:
        assert backend.works(client, server)
    berthd.wait_descriptors(idle)


@BOTH
def test_only_what_the_rule_names(world, front, back, protocol):
    """Rules side by side: one gets nothing of the other's."""
    inside = Backend(world, back, "sctp")
    outside = Backend(world, world.host, "sctp")
    world.berthd(rules(
        rule("inside", "front", protocol=protocol, port=8080,
             forward={"to": inside.to, "namespace": "back"}),
        rule("outside", "front", protocol=protocol, port=8081,
             forward={"to": outside.to})))
    for backend, port in ((inside, 8080), (outside, 8081)):
        client, server = backend.pair(front, port=port)
        with client, server:
            assert backend.works(client, server)

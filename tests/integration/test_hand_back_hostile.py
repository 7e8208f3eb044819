# SPDX-License-Identifier: Apache-2.0
"""test_hand_back_hostile.py - a consumer that hands back what it should not:
it gains nothing, and nobody else is hurt."""

import os
import select
import signal
import socket
import struct
import time

import pytest

from harness import kernel
from harness.consumer import Consumer
from harness.rules import rule, rules

RULES = rules(rule(name="web", handoff="front"),
              rule(name="other", handoff="other", port=9001),
              rule(name="ack", port=9002))

# A berthd that waits for what it closes does so for a minute.
LINGER_SECONDS = 60
BLOCKED = 30


@pytest.fixture
def netns(world):
    return world.netns("n")


class Victims:
    """What others have of the same berthd, and its descriptors."""

    def __init__(self, world, netns, berthd):
        self.netns, self.berthd = netns, berthd
        self.other = world.close_later(Consumer(berthd, "other").welcome())
        self.listener, = self.other.until_listening()
        self.listener.setblocking(True)
        self.descriptors = berthd.idle_descriptors()

    def are_well(self):
        """Are others answered, and is berthd?"""
        assert self.netns.ask("127.0.0.1", 9002) == b"ack"
        with self.netns.connect("127.0.0.1", 9001) as client:
            server, _ = self.listener.accept()
            with server:
                server.sendall(b"other")
            assert client.recv(16) == b"other"
        began = time.monotonic()
        assert self.berthd.status()["consumers"]
        assert time.monotonic() - began < BLOCKED
        return True


@pytest.fixture
def berthd(world, netns):
    return world.berthd(RULES)


@pytest.fixture
def victims(world, netns, berthd):
    return Victims(world, netns, berthd)


def consumer_with(world, berthd, n_held):
    """A consumer that had a listener, and says that it hands back so many."""
    consumer = world.close_later(Consumer(berthd, "front").welcome())
    consumer.until_listening()
    return consumer.again(n_held, takeover=True).welcome()


# What a consumer may attach. Each is (descriptor, what to close after it).

class Descriptor:
    """Of anything, a directory too."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def close(self):
        os.close(self.fd)


def _connected(world, netns):
    server = netns.listen()
    client = netns.connect("127.0.0.1", server.getsockname()[1])
    return client, [server]


def _in_another():
    """The same address, in a namespace that berthd knows nothing of."""
    kernel.unshare(kernel.CLONE_NEWNET)
    try:
        kernel.set_link_up("lo")
        sock = socket.create_server(("127.0.0.1", 8080))
    finally:
        kernel.setns(kernel.Host.fd)
    return sock


def _udp(world, netns):
    return netns.listen(port=8080, kind=socket.SOCK_DGRAM), []


def _bound(world, netns):
    sock = netns.new_socket()
    sock.bind(("127.0.0.1", 0))
    return sock, []


def _unix(world, netns):
    one, other = socket.socketpair()
    return one, [other]


def _file(path, flags=os.O_RDONLY):
    return lambda world, netns: (Descriptor(os.open(path, flags)), [])


def _pipe(world, netns):
    one, other = os.pipe()
    return Descriptor(one), [Descriptor(other)]


def _memory_file(world, netns):
    return Descriptor(os.memfd_create("x")), []


FOREIGN = {
    "connected": _connected,
    "of the host": lambda world, netns: (world.host.listen(), []),
    "of another namespace": lambda world, netns: (_in_another(), []),
    "another port": lambda world, netns: (netns.listen(), []),
    "udp": _udp,
    "not listening": _bound,
    "unbound": lambda world, netns: (netns.new_socket(), []),
    "unix": _unix,
    "netlink": lambda world, netns: (socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, 0), []),
    "packet": lambda world, netns: (netns.new_socket(
        socket.AF_PACKET, socket.SOCK_RAW), []),
    "pipe": _pipe,
    "file": _memory_file,
    "zero": _file("/dev/zero"),
    "path": _file("/", os.O_PATH),
    "directory": _file("/"),
    "namespace": _file("/proc/self/ns/net"),
    "epoll": lambda world, netns: (select.epoll(), []),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_descriptor(world, netns, berthd, victims, kind):
    """It is withdrawn, and berthd keeps nothing of it."""
    consumer = consumer_with(world, berthd, 1)
    number, = consumer.listeners
    thing, others = FOREIGN[kind](world, netns)
    consumer.hand_back(number, [thing.fileno()])
    for one in (thing, *others):
        one.close()
    assert victims.are_well()
    with Consumer(berthd, "front", takeover=True).welcome() as fresh:
        listener, = fresh.until_listening()
        listener.setblocking(True)
        with netns.connect("127.0.0.1", 8080), listener.accept()[0]:
            pass
    consumer.close()
    berthd.wait_descriptors(victims.descriptors)


def never_closes(netns):
    """Whoever closes its last descriptor waits for as long as it lingers: its
    peer does not take what it sends."""
    server = netns.listen()
    client = netns.connect("127.0.0.1", server.getsockname()[1])
    peer, _ = server.accept()
    server.close()
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(65536))
    except BlockingIOError:
        pass
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, LINGER_SECONDS))
    return client, peer


def give_away(netns, send):
    """Sends a descriptor whose close never returns, and forgets it itself.
    Return: the peer, to be kept."""
    client, peer = never_closes(netns)
    send(client.fileno())
    # Not the last one: the close of this one does not wait.
    client.close()
    return peer


def nested(fd):
    """A socket that holds a descriptor in its queue."""
    one, other = socket.socketpair()
    socket.send_fds(other, [b"x"], [fd])
    other.close()
    return one


def _as_held(berthd, consumer, fd):
    consumer.hand_back(next(iter(consumer.listeners)), [fd])


def _in_a_queue(berthd, consumer, fd):
    with nested(fd) as outer:
        consumer.hand_back(next(iter(consumer.listeners)), [outer.fileno()])


def _with_another(berthd, consumer, fd):
    consumer.hand_back(next(iter(consumer.listeners)), [0, fd])


def _with_a_word(berthd, consumer, fd):
    consumer.say_with([fd], type="released", id=1)


def _with_none(berthd, consumer, fd):
    socket.send_fds(consumer.socket, [b"\0"], [fd])


def _unread(berthd, consumer, fd):
    """In the queue of a connection that berthd ends."""
    berthd.send_signal(signal.SIGSTOP)
    consumer.say(type=1)
    for _ in range(3):
        consumer.say_with([fd], type="released", id=1)
    berthd.send_signal(signal.SIGCONT)


def _before_hello(berthd, consumer, fd):
    consumer.connect_again()
    consumer.say_with([fd], type="hello", version=1)


def _with_garbage(berthd, consumer, fd):
    consumer.connect_again()
    consumer.say_with([fd], type=1)
    try:
        consumer.say_with([fd], type=1)
    except OSError:
        pass


WAYS = [_as_held, _in_a_queue, _with_another, _with_a_word, _with_none,
        _unread, _before_hello, _with_garbage]


@pytest.mark.parametrize("way", WAYS)
def test_close_that_waits(world, netns, berthd, victims, way):
    """A descriptor that takes its time to be closed takes nobody else's."""
    consumer = consumer_with(world, berthd, 1)
    with give_away(netns, lambda fd: way(berthd, consumer, fd)):
        assert victims.are_well()
        consumer.close()
        assert victims.are_well()
        berthd.wait_descriptors(victims.descriptors)


# As many as `hello` may announce, and more than berthd has descriptors left.
MANY = 10000


def test_ten_thousand(world, netns, berthd, victims):
    """Each is looked at and closed: berthd keeps no descriptor of them."""
    consumer = consumer_with(world, berthd, MANY)
    told, _ = next(iter(consumer.listeners.values()))
    members = {key: told[key] for key in (
        "protocol", "address", "port", "interface", "rule")}
    members["netns"] = told["netns"]["id"]
    with netns.listen() as foreign:
        for number in range(1, MANY + 1):
            consumer.hand_back(number, [foreign.fileno()], **members)
    assert victims.are_well()
    consumer.until(lambda: len(consumer.closed) >= MANY)
    assert victims.are_well()
    consumer.close()
    berthd.wait_descriptors(victims.descriptors)


WORDS = {
    "no json": b"{",
    "not utf-8": b'{"type":"held","rule":"\xff\xfe"}',
    "no members": b'{"type":"held"}',
    "port": b'{"type":"held","id":1,"netns":1,"port":65536}',
    "nested": b"[" * 60000,
    "long": b'{"type":"held","rule":"' + b"x" * 65000 + b'"}',
}


@pytest.mark.parametrize("word", WORDS)
def test_garbage_instead_of_held(world, berthd, victims, word):
    """It ends the connection, and the listener is another one's."""
    consumer = consumer_with(world, berthd, 2)
    consumer.hand_back(next(iter(consumer.listeners)))
    consumer.socket.send(WORDS[word])
    assert consumer.was_ended()
    assert victims.are_well()
    with Consumer(berthd, "front").welcome() as fresh:
        fresh.until_listening()
    consumer.close()
    berthd.wait_descriptors(victims.descriptors)


def test_held_before_hello(world, berthd, victims):
    """Nobody is believed who did not say hello."""
    consumer = world.close_later(Consumer(berthd, "front").welcome())
    consumer.until_listening()
    number, = consumer.listeners
    consumer.connect_again()
    consumer.hand_back(number, [])
    assert consumer.expect("denied")["reason"] == "protocol"
    assert consumer.ended()
    assert victims.are_well()

# SPDX-License-Identifier: Apache-2.0
"""test_udp_backends.py - where the relay's UDP sessions lead."""

import itertools
import os
import select
import socket

import pytest

from harness import process
from harness.rules import forward
from harness.wait import SLOWNESS, wait_for

DGRAM = socket.SOCK_DGRAM
SO_SNDBUFFORCE = 32
_questions = itertools.count()


@pytest.fixture
def netns(world):
    return world.netns("n")


def udp_backend(world, port=0):
    return world.close_later(world.host.listen(port=port, kind=DGRAM))


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def client_of(world, netns, address="127.0.0.1"):
    sock = world.close_later(netns.new_socket(kind=DGRAM))
    sock.connect((address, 8080))
    return sock


def unix_backend(world, name="backend"):
    """A UNIX datagram socket that the relay's user may send to."""
    path = os.fspath(world.base / name)
    if os.path.exists(path):
        os.unlink(path)
    sock = world.close_later(socket.socket(socket.AF_UNIX, DGRAM))
    sock.bind(path)
    os.chmod(path, 0o666)
    return sock, f"unix:{path}"


def asks(client, backend, data=b"ping", before=()):
    """One question and its answer. Return: the session, as the backend
    knows it.

    before: what the backend may find ahead of it, beside what served_by()
    has left there.
    """
    client.send(data)
    got, session = backend.recvfrom(1 << 16)
    while got in before or got.startswith(b"who is"):
        got, session = backend.recvfrom(1 << 16)
    assert got == data
    backend.sendto(data[::-1], session)
    assert client.recv(1 << 16) == data[::-1]
    return session


def served_by(client, backends):
    """Asks until one of the backends has the question, which it answers.

    Return: that backend. What was asked in vain, or once more than needed,
    is left behind and told apart by its number.
    """
    question = b"who is %d?" % next(_questions)

    def once():
        client.send(question)
        for backend in select.select(backends, [], [], 0.05 * SLOWNESS)[0]:
            data, session = backend.recvfrom(100)
            if data != question:
                continue
            backend.sendto(question, session)
            if client.recv(100) == question:
                return backend
        return None

    return wait_for(once, "an answer")


# Several


def test_sessions_take_turns(world, netns):
    backends = [udp_backend(world) for _ in range(3)]
    world.berthd(forward([to(b) for b in backends], protocol="udp"))
    clients = [client_of(world, netns) for _ in range(6)]
    served = [served_by(client, backends) for client in clients]
    assert all(served.count(backend) == 2 for backend in backends)
    # And each stays where it is.
    assert [served_by(client, backends) for client in clients] == served


def test_one_that_refuses_is_passed_over(world, netns):
    gone, there = udp_backend(world), udp_backend(world)
    world.berthd(forward([to(gone), to(there)], protocol="udp"))
    gone.close()
    for _ in range(4):
        assert served_by(client_of(world, netns), [there]) is there
    # The others do not even try it, while it is held.
    held = [client_of(world, netns) for _ in range(4)]
    for client in held:
        asks(client, there)


def test_one_without_a_way_to_it_is_passed_over(world, netns):
    """connect(2) itself fails: there is no route in the host's namespace."""
    there = udp_backend(world)
    berthd = world.berthd(forward(["192.0.2.1:1", to(there)],
                                  protocol="udp"))
    for _ in range(4):
        asks(client_of(world, netns), there)
    berthd.check_log()


def test_one_that_is_back_is_used_again(world, netns):
    backends = [udp_backend(world) for _ in range(2)]
    address = backends[0].getsockname()
    world.berthd(forward([to(b) for b in backends], protocol="udp"))
    backends[0].close()
    assert served_by(client_of(world, netns), backends[1:])
    backends[0] = udp_backend(world, address[1])

    def returned():
        return served_by(client_of(world, netns), backends) is backends[0]

    wait_for(returned, "the first backend to be asked again")


def test_restarted_backend_misses_nothing(world, netns):
    """The error of an old datagram does not cost the new one."""
    backend = udp_backend(world)
    address = backend.getsockname()
    world.berthd(forward(to(backend), protocol="udp"))
    client = client_of(world, netns)
    asks(client, backend)
    for number in range(20):
        backend.close()
        client.send(b"lost")
        backend = udp_backend(world, address[1])
        # On a busy machine "lost" is passed on only now.
        asks(client, backend, b"kept %d" % number, before=[b"lost"])


# UNIX sockets


def test_unix_datagrams(world, netns):
    backend, where = unix_backend(world)
    world.berthd(forward(where, protocol="udp"))
    one, two = client_of(world, netns), client_of(world, netns)
    sessions = {asks(one, backend, b"one"), asks(two, backend, b"two")}
    assert len(sessions) == 2
    assert asks(one, backend, b"again") in sessions
    for size in (0, 1, 1500, 9000, 65507):
        asks(one, backend, b"u" * size)


@pytest.mark.parametrize("before", [0, 6])
def test_unix_backend_says_more_than_a_datagram_holds(world, netns, before):
    """It is dropped whole and counted, received alone or among others."""
    backend, where = unix_backend(world)
    berthd = world.berthd(forward(where, protocol="udp"))
    client = client_of(world, netns)
    session = asks(client, backend)
    backend.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20)
    answers = [b"%d" % number for number in range(before)]
    with process.stopped(berthd.relay_pid()):
        for data in [*answers, b"x" * 100000, b"after"]:
            backend.sendto(data, session)
    assert [client.recv(1 << 17) for _ in range(before + 1)] \
        == [*answers, b"after"]
    wait_for(lambda: berthd.listener(netns.cookie(), protocol="udp")
             ["counters"]["dropped"] == 1, "the large one to be counted")


def test_unix_backend_is_answered_by_nobody_else(world, netns):
    """The sessions have names that others could find out."""
    backend, where = unix_backend(world)
    world.berthd(forward(where, protocol="udp"))
    session = asks(client_of(world, netns), backend)
    stranger = world.close_later(socket.socket(socket.AF_UNIX, DGRAM))
    with pytest.raises(PermissionError):
        stranger.sendto(b"evil", session)


def test_unix_backend_that_comes_late_and_restarts(world, netns):
    backend, where = unix_backend(world)
    path = where[len("unix:"):]
    world.berthd(forward(where, protocol="udp"))
    client = client_of(world, netns)
    for _ in range(5):
        backend.close()
        client.send(b"dead")
        os.unlink(path)
        client.send(b"gone")
        backend, _ = unix_backend(world)
        asks(client, backend, before=[b"dead", b"gone"])


def test_unix_backend_that_is_not_there_is_passed_over(world, netns):
    backend, where = unix_backend(world)
    world.berthd(forward([f"unix:{world.base}/nothing", where],
                         protocol="udp"))
    for _ in range(4):
        asks(client_of(world, netns), backend)


def test_unix_backend_that_does_not_read(world, netns):
    """Its queue is short; what it has no room for is dropped, no more."""
    backend, where = unix_backend(world)
    world.berthd(forward(where, protocol="udp"))
    client = client_of(world, netns)
    for number in range(200):
        client.send(b"%d" % number)
    # In order, whole, and then new ones again.
    backend.settimeout(0.5 * SLOWNESS)
    numbers = []
    try:
        while True:
            numbers.append(int(backend.recv(100)))
    except socket.timeout:
        pass
    assert numbers and numbers == sorted(set(numbers))
    backend.settimeout(15)
    asks(client, backend)

# SPDX-License-Identifier: Apache-2.0
"""test_balance.py - which of several backends a client gets.

Each client has had an answer before the next one comes, so that what it got is
known to all workers by then.
"""

import itertools
import socket
import threading

import pytest

from harness.netns import read_exactly
from harness.rules import forward
from harness.wait import wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM
CLIENTS = [f"10.9.0.{i}" for i in range(1, 17)]
BOTH = [{"protocol": ["tcp", "udp"], "port": 8080},
        {"protocol": "tcp", "port": 8081}]


class Backend:
    """Answers all that comes with its name, by TCP and by UDP."""

    def __init__(self, world, name):
        self.name = name
        self._host = world.host
        self._udp = self._host.listen(kind=DGRAM)
        self._udp.settimeout(None)
        self.port = self._udp.getsockname()[1]
        self._listener = None
        self.come()
        threading.Thread(target=self._answer_udp, daemon=True).start()

    @property
    def text(self):
        return f"127.0.0.1:{self.port}"

    def come(self):
        self._listener = self._host.listen(port=self.port)
        self._listener.settimeout(None)
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    def go(self):
        """New clients are refused from here on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self):
        self.go()
        self._udp.close()

    def _answer_udp(self):
        while True:
            try:
                _, client = self._udp.recvfrom(64)
                if client is None:
                    return  # it is being closed
                self._udp.sendto(self.name.encode(), client)
            except OSError:
                return

    def _accept(self, listener):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(conn,),
                             daemon=True).start()

    def _answer(self, conn):
        with conn:
            try:
                while conn.recv(1):
                    conn.sendall(self.name.encode())
            except OSError:
                pass


@pytest.fixture
def netns(world):
    """Whoever connects to an address comes from it."""
    made = world.netns("n").up()
    for address in CLIENTS:
        made.addr_add(f"{address}/32")
    return made


@pytest.fixture
def backends(world):
    return [world.close_later(Backend(world, name)) for name in "ABC"]


def to(backends):
    return [backend.text for backend in backends]


def begin(world, place, address="127.0.0.1", port=8080, kind=None):
    """Return: a client's socket, and the name of its backend."""
    if kind == DGRAM:
        sock = place.new_socket(kind=DGRAM)
        sock.connect((address, port))
    else:
        sock = place.connect(address, port)
    world.close_later(sock)
    sock.send(b"?")
    return sock, read_exactly(sock, 1).decode()


def chosen(world, place, *args, **kwargs):
    """The name only: the client leaves at once."""
    sock, name = begin(world, place, *args, **kwargs)
    sock.close()
    return name


def connections(berthd):
    return [row["connections"] for row in berthd.ctl("backends")["backends"]]


def wait_left(berthd, n):
    wait_equal(lambda: len(berthd.ctl("connections")["connections"]), n,
               "the clients that are left")


def test_weights(world, netns, backends):
    """All namespaces and workers take turns together, and smoothly."""
    other = world.netns("m").up()
    world.berthd(forward([{"backend": backends[0].text, "weight": 3},
                          backends[1].text,
                          {"backend": backends[2].text, "weight": 0}]),
                 args=["--workers", "4"])
    places = itertools.cycle([netns, other, other])
    names = [chosen(world, next(places)) for _ in range(12)]
    assert "".join(names) == "AABA" * 3


def test_least_connections(world, netns, backends):
    other = world.netns("m").up()
    berthd = world.berthd(forward(
        to(backends[:2]), protocol=["tcp", "udp"],
        options={"balance": "least-connections"}), args=["--workers", "4"])
    assert "balance least-connections" in berthd.ctl_text("rules")
    held = [begin(world, place) for place in [netns, other] * 3]
    names = [name for _, name in held]
    assert sorted(names) == ["A"] * 3 + ["B"] * 3
    for sock, name in held:
        if name == "A":
            sock.close()
    wait_left(berthd, 3)
    # In turn would give each of them some.
    names = [begin(world, place)[1] for place in [other, netns, other]]
    assert names == ["A"] * 3
    assert connections(berthd) == [3, 3]
    # Sessions of UDP are counted likewise, apart from connections.
    names = [begin(world, netns, kind=DGRAM)[1] for _ in range(4)]
    assert sorted(names) == ["A", "A", "B", "B"]
    for row in berthd.ctl("connections")["connections"]:
        if row["protocol"] == "udp" and row["backend"] == backends[1].text:
            berthd.ctl("close", row["id"])
    wait_left(berthd, 8)
    assert [begin(world, netns, kind=DGRAM)[1] for _ in range(2)] \
        == ["B", "B"]


def test_counts_outlive_a_reload(world, netns, backends):
    """What runs by the old rule counts for the new one."""
    options = {"balance": "least-connections"}
    berthd = world.berthd(forward(to(backends[:2]), options=options),
                          args=["--workers", "1"])
    for _ in range(6):
        begin(world, netns)
    berthd.write_rules("50-test.yaml", forward(to(backends), options=options))
    berthd.ctl_text("reload")

    def finds_the_new_one():
        sock, name = begin(world, netns)
        if name != "C":
            sock.close()
            wait_left(berthd, 6)
        return name == "C"

    wait_for(finds_the_new_one, "the new rule")
    # It has one now, and the others would have none.
    assert [begin(world, netns)[1] for _ in range(2)] == ["C", "C"]


def all_chosen(world, netns, **kwargs):
    return {address: chosen(world, netns, address, **kwargs)
            for address in CLIENTS}


def test_hash(world, netns, backends):
    berthd = world.berthd(forward(to(backends), listen=BOTH,
                                  options={"balance": "hash"}),
                          args=["--workers", "4"])
    first = all_chosen(world, netns)
    assert len(set(first.values())) > 1
    assert all_chosen(world, netns, port=8081) == first
    assert all_chosen(world, netns, kind=DGRAM) == first
    berthd.kill_relay()
    assert all_chosen(world, netns) == first
    gone = next(b for b in backends if b.name == first[CLIENTS[0]])
    gone.go()
    now = all_chosen(world, netns)
    assert gone.name not in now.values()
    moved = [a for a in CLIENTS if now[a] != first[a]]
    assert moved == [a for a in CLIENTS if first[a] == gone.name]
    gone.come()
    wait_for(lambda: all_chosen(world, netns) == first, "all to be back")

# SPDX-License-Identifier: Apache-2.0
"""test_backends.py - which backend serves a connection."""

import time

import pytest

from harness.netns import read_exactly
from harness.rules import forward
from harness.traffic import pair, works
from harness.wait import wait_for


@pytest.fixture
def netns(world):
    return world.netns("n")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def refusing(world):
    """A port on the host that nobody listens on."""
    sock = world.host.listen()
    port = sock.getsockname()[1]
    sock.close()
    return port


def failed_connects(place):
    """How many connects of the relay were refused: the kernel counts."""
    with place.entered():
        with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = (line.split() for line in file
                             if line.startswith("Tcp:"))
    return int(values[names.index("AttemptFails")])


def test_failed_backend_rests(world, netns):
    """Half of the clients would find out by themselves."""
    good = world.close_later(world.host.listen())
    bad = refusing(world)
    world.berthd(forward([f"127.0.0.1:{bad}", to(good)]))
    before, started = failed_connects(world.host), time.monotonic()
    for _ in range(40):
        client, server = pair(netns, good)
        with client, server:
            assert works(client, server)
    tries = failed_connects(world.host) - before
    # One to find out, and one for each second that passed.
    assert 1 <= tries <= 2 + (time.monotonic() - started)


def test_backend_that_is_back_is_used(world, netns):
    good = world.close_later(world.host.listen())
    bad = refusing(world)
    world.berthd(forward([f"127.0.0.1:{bad}", to(good)]),
                 args=["--workers", "1"])
    for _ in range(2):
        for sock in pair(netns, good):
            sock.close()
    back = world.close_later(world.host.listen(port=bad))
    good.settimeout(0.05)
    back.settimeout(0.05)

    def serves(backend):
        with netns.connect("127.0.0.1", 8080):
            try:
                backend.accept()[0].close()
                return True
            except TimeoutError:
                return False

    wait_for(lambda: serves(back), "the backend that is back")
    # From then on they take turns again.
    turns = [serves(back) for _ in range(6)]
    assert turns.count(True) >= 2, turns


def test_all_backends_rest(world, netns):
    """Then they are asked all the same, or nobody would be served."""
    bad = [refusing(world) for _ in range(2)]
    world.berthd(forward([f"127.0.0.1:{port}" for port in bad]),
                 args=["--workers", "1"])
    before = failed_connects(world.host)
    for _ in range(3):
        try:
            with netns.connect("127.0.0.1", 8080) as client:
                assert client.recv(1) == b""
        except ConnectionResetError:
            pass
    assert failed_connects(world.host) - before == 6
    back = world.close_later(world.host.listen(port=bad[1]))
    client, server = pair(netns, back)
    with client, server:
        assert works(client, server)


@pytest.mark.parametrize("name", ["n..x", "..n"])
def test_name_that_could_climb(world, name):
    """A namespace whose name leads out of the path gets no listener."""
    netns = world.netns(name)
    berthd = world.berthd(forward(f"unix:{world.base}/${{namespace}}/sock"))
    row = berthd.wait_state(netns.cookie(), "refused")
    assert "holds" in row["reason"]
    assert netns.listeners() == set()


def test_path_too_long(world):
    netns = world.netns("n" * 200)
    berthd = world.berthd(forward(f"unix:{world.base}/${{namespace}}"))
    row = berthd.wait_state(netns.cookie(), "refused")
    assert "too long" in row["reason"]


def test_interface_and_address_in_a_path(world, netns):
    """Each address has a backend of its own; it comes and goes with it."""
    netns.addr_add("10.1.0.1/32")
    netns.addr_add("10.1.0.2/32")
    backends = {}
    for address in ("10.1.0.1", "10.1.0.2"):
        backends[address], path = world.unix_listen(f"lo-{address}:8080")
    berthd = world.berthd(forward(
        f"unix:{path.parent}/${{interface}}-${{address}}:${{port}}",
        address="each", match={"address": "10.1.0.0/16"}))
    for address, backend in backends.items():
        # A probe's connection could reach the backend after the real one.
        berthd.wait_state(netns.cookie(), "listening", address=address)
        client = netns.connect(address, 8080)
        with client, backend.accept()[0] as server:
            server.sendall(address.encode())
            assert read_exactly(client, len(address)) == address.encode()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_address_and_port_templates(world, netns, address):
    """"The same port and address on the host"."""
    backend = world.close_later(world.host.listen(address))
    port = backend.getsockname()[1]
    world.berthd(forward("${address}:${port}", address=address, port=port))
    client, server = pair(netns, backend, address, port)
    with client, server:
        assert works(client, server)


def test_name_is_not_resolved(world, netns):
    """The error says that it never will be."""
    berthd = world.berthd(forward("localhost:80"))
    assert netns.listeners() == set()
    assert "names are not resolved" in berthd.log()

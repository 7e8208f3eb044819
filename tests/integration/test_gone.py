# SPDX-License-Identifier: Apache-2.0
"""test_gone.py - a namespace goes, and nothing of berth keeps it alive.

The witness is `ip monitor nsid`: RTM_DELNSID comes when the kernel really
freed a namespace, not when its name went.
"""

import os
import socket
import time

import pytest

from harness import process
from harness.rules import ack, forward, rule, rules
from harness.traffic import echo_backend, ended, pair, stuff, works
from harness.wait import stays, wait_equal, wait_for


IPPROTO_MPTCP = 262


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


@pytest.mark.kernel
def test_idle_namespace_is_freed(world, monitor):
    berthd = world.berthd(ack(protocol=["tcp", "udp"]))
    idle = berthd.idle_descriptors()
    for _ in range(5):
        netns = world.netns("n")
        wait_equal(lambda n=netns: len(n.listeners()), 2, "listeners")
        tracked = monitor.track(netns)
        netns.delete()
        monitor.wait_freed(tracked)
        berthd.wait_descriptors(idle)


@pytest.mark.kernel
def test_connections_are_reset(world, monitor, backend):
    """Clients inside hold their own ends, which are in the namespace too:
    close them and nothing is left."""
    berthd = world.berthd(forward(to(backend)))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    tracked = monitor.track(netns)
    pairs = [pair(netns, backend) for _ in range(20)]
    for client, server in pairs:
        works(client, server)
    netns.delete()
    # The connections end although both programs at the ends do nothing.
    for client, server in pairs:
        assert ended(server)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        server.close()
    berthd.wait_descriptors(idle)
    assert not monitor.freed(tracked), "the test's own clients are in it"
    for client, _ in pairs:
        client.close()
    monitor.wait_freed(tracked)


def test_connections_of_all_workers(world, monitor):
    """So many that they are dealt out; some may be on their way."""
    berthd = world.berthd(ack(respond="echo"), args=["--workers", "3"])
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    clients = [netns.connect("127.0.0.1", 8080) for _ in range(400)]
    netns.delete()
    for client in clients:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        client.close()
    berthd.wait_descriptors(idle)
    monitor.wait_freed(tracked)


def outside_clients(world, netns, number):
    """Clients on the host, so that only berth has sockets in the namespace.
    """
    world.veth(netns, "eth0", world.host, f"bt-{number}")
    netns.addr_add(f"10.66.{number}.1/24", "eth0")
    world.host.addr_add(f"10.66.{number}.2/24", f"bt-{number}")
    return f"10.66.{number}.1"


@pytest.mark.parametrize("unread", [
    pytest.param("none", marks=pytest.mark.kernel), "at the client",
    "at the backend", pytest.param("both", marks=pytest.mark.kernel)])
def test_connections_with_unread_data(world, monitor, backend, unread):
    """Data that nobody acknowledges must not pin the namespace."""
    berthd = world.berthd(forward(to(backend)))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    address = outside_clients(world, netns, 1)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    pairs = []
    for _ in range(3):
        client = world.host.connect(address, 8080)
        server, _ = backend.accept()
        server.settimeout(15)
        works(client, server)
        pairs.append((client, server))
    for client, server in pairs:
        if unread in ("at the client", "both"):
            stuff(server, 1 << 30)
        if unread in ("at the backend", "both"):
            stuff(client, 1 << 30)
    removed = time.monotonic()
    netns.delete()
    monitor.wait_freed(tracked)
    took = time.monotonic() - removed
    assert took < 5, f"freed after {took:.1f} s"
    berthd.wait_descriptors(idle)
    for client, server in pairs:
        assert ended(server)
        client.close()
        server.close()


@pytest.mark.kernel
def test_half_closed_connections(world, monitor, backend):
    """FIN-WAIT and CLOSE-WAIT are connections as well."""
    berthd = world.berthd(forward(to(backend)))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    address = outside_clients(world, netns, 2)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    pairs = []
    for number in range(4):
        client = world.host.connect(address, 8080)
        server = backend.accept()[0]
        server.settimeout(15)
        works(client, server)
        (client, server)[number % 2].shutdown(socket.SHUT_WR)
        if number > 1:
            stuff((server, client)[number % 2], 1 << 30)
        pairs.append((client, server))
    netns.delete()
    monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)
    for client, server in pairs:
        client.close()
        server.close()


def test_connections_whose_rule_went_before(world, monitor, backend):
    """A listener withdrawn, its connections finishing: they go too."""
    berthd = world.berthd(forward(to(backend)))
    netns = world.netns("n")
    address = outside_clients(world, netns, 3)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    client = world.host.connect(address, 8080)
    server = backend.accept()[0]
    server.settimeout(15)
    works(client, server)
    berthd.remove_rules("50-test.yaml")
    wait_equal(netns.listeners, set(), "the listener to close")
    works(client, server)
    netns.delete()
    monitor.wait_freed(tracked)
    assert ended(server)
    client.close()
    server.close()


@pytest.mark.kernel
def test_connects_under_way(world, monitor):
    """Connections whose backend has not answered yet, and those still in
    the backlog."""
    full = world.close_later(world.host.listen(backlog=0))
    for _ in range(4):
        sock = world.close_later(world.host.new_socket())
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    berthd = world.berthd(forward(to(full),
                                  options={"connect_timeout": "1h"}))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    address = outside_clients(world, netns, 4)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    clients = [world.host.connect(address, 8080) for _ in range(3)]
    wait_for(lambda: berthd.relay_descriptors() > idle[1] + 3,
             "accepted connections")
    with process.stopped(berthd.relay_pid()):
        clients += [world.host.connect(address, 8080) for _ in range(3)]
        netns.delete()
        wait_equal(berthd.names, [], "no namespace")
    monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)
    for client in clients:
        client.close()


@pytest.mark.kernel
@pytest.mark.parametrize("plain", [False, True], ids=["mptcp", "fallback"])
def test_mptcp_connections(world, monitor, backend, plain):
    """MPTCP's close(2) heeds no SO_LINGER, and its connections are sockets
    within sockets: they are reset all the same, with unread data too, and so
    are plain TCP clients of the same listener."""
    if not os.path.exists("/proc/sys/net/mptcp/enabled"):
        pytest.skip("this kernel has no MPTCP")
    berthd = world.berthd(forward(to(backend), protocol="mptcp"))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    address = outside_clients(world, netns, 7)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    pairs = []
    for number in range(6):
        client = world.host.new_socket(proto=0 if plain else IPPROTO_MPTCP)
        client.connect((address, 8080))
        server = backend.accept()[0]
        server.settimeout(15)
        works(client, server)
        if number % 3 == 1:
            stuff(server, 1 << 30)
        elif number % 3 == 2:
            client.shutdown(socket.SHUT_WR)
        pairs.append((client, server))
    netns.delete()
    monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)
    for client, server in pairs:
        assert ended(server)
        client.close()
        server.close()


@pytest.mark.kernel
def test_udp_sessions(world, monitor):
    backend = world.close_later(world.host.listen(kind=socket.SOCK_DGRAM))
    berthd = world.berthd(forward(to(backend), protocol="udp"))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    address = outside_clients(world, netns, 5)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    for _ in range(10):
        client = world.close_later(
            world.host.new_socket(kind=socket.SOCK_DGRAM))
        client.connect((address, 8080))
        client.send(b"x")
        session = backend.recvfrom(10)[1]
        backend.sendto(b"y", session)
        assert client.recv(10) == b"y"
    netns.delete()
    monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)


@pytest.mark.kernel
@pytest.mark.parametrize("respond", ["echo", "discard"])
def test_own_answers_too(world, monitor, respond):
    berthd = world.berthd(ack(respond=respond))
    idle = berthd.idle_descriptors()
    netns = world.netns("n")
    address = outside_clients(world, netns, 6)
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    clients = [world.host.connect(address, 8080) for _ in range(5)]
    for client in clients[:2]:
        stuff(client, 16 << 20)
    netns.delete()
    monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)
    for client in clients:
        client.close()


@pytest.mark.kernel
def test_observed_namespace_without_a_listener(world, monitor):
    """Watching addresses pins nothing."""
    world.berthd(ack(address="each", match={"address": "203.0.113.0/24"}))
    netns = world.netns("n")
    netns.addr_add("10.0.0.1/32")
    tracked = monitor.track(netns)
    netns.delete()
    monitor.wait_freed(tracked)


def test_waiting_listener_holds_nothing(world, monitor):
    """Not while the port is taken, nor by its retries."""
    netns = world.netns("n")
    own = netns.listen("127.0.0.1", 8080)
    berthd = world.berthd(ack())
    berthd.wait_state(netns.cookie(), "waiting")
    tracked = monitor.track(netns)
    netns.delete()
    own.close()
    monitor.wait_freed(tracked)
    wait_equal(berthd.listeners, [], "no listener, waiting or not")


@pytest.mark.kernel
def test_berth_reports_when_the_kernel_freed_it(world, monitor):
    berthd = world.berthd(ack())
    before = berthd.status()["freed"]["count"]
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    tracked = monitor.track(netns)
    netns.delete()
    monitor.wait_freed(tracked)
    freed = wait_for(
        lambda: (f := berthd.status()["freed"])["count"] == before + 1 and f,
        "berthd to count it")
    assert 0 < freed["last_us"] <= freed["max_us"] < 60_000_000


@pytest.mark.kernel
def test_namespace_that_somebody_else_pins(world, monitor):
    """It is listed after a second, and berth holds nothing in it."""
    berthd = world.berthd(ack(protocol=["tcp", "udp"]))
    idle = berthd.idle_descriptors()
    netns = world.netns("pinned")
    wait_equal(lambda: len(netns.listeners()), 2, "listeners")
    tracked, cookie = monitor.track(netns), netns.cookie()
    fd = netns.open_fd()
    try:
        netns.delete()
        removed = time.monotonic()
        assert berthd.status()["lingering"] == []
        names = berthd.ctl("namespaces")
        assert names["lingering"] == [] and names["lingering_total"] == 0
        lingering = wait_for(lambda: berthd.status()["lingering"],
                             "the namespace to be listed")
        assert time.monotonic() - removed >= 0.9
        assert len(lingering) == 1
        entry = lingering[0]
        assert (entry["id"], entry["name"]) == (cookie, "pinned")
        assert entry["since_us"] >= 1_000_000
        assert entry["open_listeners"] == 0
        assert entry["withdrawn_listeners"] == 0
        assert "pinned" in berthd.ctl_text("status")
        assert berthd.ctl("namespaces")["lingering_total"] == 1
        assert berthd.ctl("explain", "pinned", code=1)["state"] == "lingering"
        berthd.wait_descriptors(idle)
        assert not monitor.freed(tracked)
    finally:
        os.close(fd)
    monitor.wait_freed(tracked)
    wait_equal(lambda: berthd.status()["lingering"], [], "nothing listed")


@pytest.mark.kernel
def test_pinned_namespace_gets_a_name_again(world, monitor):
    """The same namespace is back: its listeners are, too."""
    berthd = world.berthd(ack())
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    cookie = netns.cookie()
    hidden = world.name("hidden", world.mkdir("hidden")).bind(netns)
    netns.delete()
    wait_equal(hidden.listeners, set(), "the listener to close")
    back = world.name("back").bind(hidden)
    wait_for(back.listeners, "the listener")
    assert back.cookie() == cookie
    hidden.delete()
    tracked = monitor.track(back)
    stays(back.listeners, "the listener", 0.2)
    assert berthd.status()["lingering"] == []
    back.delete()
    monitor.wait_freed(tracked)


def test_relay_that_is_stuck_is_not_waited_for(world, monitor):
    """A stopped relay cannot release; berthd must get the namespace freed
    nevertheless."""
    berthd = world.berthd(ack())
    netns = world.netns("n")
    other = world.netns("other")
    wait_for(lambda: netns.listeners() and other.listeners(), "listeners")
    tracked = monitor.track(netns)
    relay = berthd.relay_pid()
    with process.stopped(relay):
        netns.delete()
        wait_for(lambda: monitor.freed(tracked)
                 or berthd.relay_now() not in (0, relay),
                 "another relay", guard=60)
    monitor.wait_freed(tracked)
    assert other.ask("127.0.0.1", 8080) == b"ack"


@pytest.mark.kernel
def test_many_at_once(world, monitor):
    """With connections in each; afterwards no descriptor is left."""
    backend = echo_backend(world)
    berthd = world.berthd(rules(
        rule(name="f", forward={"to": f"127.0.0.1:{backend.port}"}),
        rule(name="a", port=9000, protocol=["tcp", "udp"])))
    idle = berthd.idle_descriptors()
    made = [world.netns(f"n{i}") for i in range(25)]
    wait_for(lambda: all(len(n.listeners()) == 3 for n in made), "listeners")
    clients = []
    for netns in made:
        for _ in range(3):
            client = netns.connect("127.0.0.1", 8080)
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            clients.append(client)
    tracked = [monitor.track(n) for n in made]
    for netns in made:
        netns.delete()
    for client in clients:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        client.close()
    for one in tracked:
        monitor.wait_freed(one)
    berthd.wait_descriptors(idle)
    wait_equal(berthd.listeners, [], "an empty table")

# SPDX-License-Identifier: Apache-2.0
"""test_backend_netns.py - backends that are in another namespace."""

import os
import signal
import socket
import time

import pytest

from harness import kernel, process
from harness.netns import read_all
from harness.rules import forward, rule, rules
from harness.traffic import ended, exchange, pair, pattern, stuff, works
from harness.wait import wait_equal, wait_for


def to_netns(to, name="back", **options):
    """Listeners in `front` only."""
    return forward(to, namespace="front",
                   options=dict({"namespace": name}, **options))


def to(backend):
    host, port = backend.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def outside_backend(world, netns, number=7):
    """A server on the host that is reached from inside, so that only berth
    has sockets in there."""
    world.veth(netns, "eth0", world.host, f"bk-{number}")
    netns.addr_add(f"10.67.{number}.1/24", "eth0")
    world.host.addr_add(f"10.67.{number}.2/24", f"bk-{number}")
    return world.close_later(world.host.listen(f"10.67.{number}.2"))


def turned_away(netns):
    try:
        with netns.connect("127.0.0.1", 8080) as client:
            return ended(client)
    except ConnectionError:
        return True


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_connects_in_there(world, front, back, address):
    backend = world.close_later(back.listen(address))
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    for _ in range(20):
        client, server = pair(front, backend)
        with client, server:
            assert works(client, server)
    berthd.wait_descriptors(idle)


def test_bulk_and_half_close(world, front, back):
    backend = world.close_later(back.listen())
    world.berthd(to_netns(to(backend)))
    up, down = pattern(4 << 20, "up"), pattern(4 << 20, "down")
    client, server = pair(front, backend)
    with client, server:
        assert exchange(client, up, server, down) == (down, up)


def test_many_at_once(world, front, back):
    """More than may be asked for at a time."""
    backend = world.close_later(back.listen(backlog=512))
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    clients = [front.connect("127.0.0.1", 8080) for _ in range(400)]
    for number, client in enumerate(clients):
        client.sendall(b"%d\n" % number)
    heard = set()
    for _ in clients:
        with backend.accept()[0] as server:
            heard.add(server.recv(100))
            server.sendall(b"ok")
    assert heard == {b"%d\n" % number for number in range(400)}
    for client in clients:
        assert client.recv(10) == b"ok"
        client.close()
    berthd.wait_descriptors(idle)


def test_clients_that_leave_while_it_is_asked_for(world, front, back):
    backend = world.close_later(back.listen(backlog=512))
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    with process.stopped(berthd.pid):
        for _ in range(200):
            front.connect("127.0.0.1", 8080).close()
        clients = [front.connect("127.0.0.1", 8080) for _ in range(5)]
    for client in clients:
        client.sendall(b"still here")
    served = 0
    while served < len(clients):
        with backend.accept()[0] as server:
            served += server.recv(100) == b"still here"
    for client in clients:
        client.close()
    backend.close()  # with what nobody accepted
    berthd.wait_descriptors(idle)


def test_proxy_header_names_the_clients_namespace(world, front, back):
    backend = world.close_later(back.listen())
    world.berthd(to_netns(to(backend), proxy_protocol="v2"))
    client, server = pair(front, backend)
    with client, server:
        client.shutdown(socket.SHUT_WR)
        assert read_all(server).endswith(b"\x30\x00\x05front")


def test_no_such_namespace_yet(world, front):
    """Clients are turned away until it is there."""
    berthd = world.berthd(to_netns("127.0.0.1:9000"))
    wait_for(front.listeners, "the listener")
    assert turned_away(front)
    berthd.wait_log(r"cannot connect to '127.0.0.1:9000' in 'back': No such")
    back = world.netns("back")
    backend = world.close_later(back.listen(port=9000))
    wait_for(lambda: not turned_away_or_serve(front, backend), "a connection")


def turned_away_or_serve(front, backend):
    """False when the connection works."""
    backend.settimeout(0.5)
    try:
        client, server = pair(front, backend)
    except (TimeoutError, ConnectionError):
        return True
    with client, server:
        return not works(client, server)


def test_next_backend(world, front, back):
    """One of the list refuses; the other one gets a socket of its own."""
    backend = world.close_later(back.listen())
    gone = back.listen()
    bad = to(gone)
    gone.close()
    berthd = world.berthd(to_netns([bad, to(backend)]))
    idle = berthd.idle_descriptors()
    for _ in range(6):
        client, server = pair(front, backend)
        with client, server:
            assert works(client, server)
    berthd.wait_descriptors(idle)


def test_path_is_the_same_everywhere(world, front, back):
    """A UNIX socket has no namespace; addresses of the same list have."""
    del back
    backend, path = world.unix_listen("back.sock")
    world.berthd(to_netns(f"unix:{path}"))
    client, server = pair(front, backend)
    with client, server:
        assert works(client, server)


@pytest.mark.parametrize("unread", [False, True])
def test_namespace_of_the_backend_goes(world, monitor, front, back, unread):
    """Both ends see it at once, and the kernel frees it."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    tracked = monitor.track(back)
    pairs = [pair(front, backend) for _ in range(20)]
    for client, server in pairs:
        works(client, server)
        if unread:
            stuff(client, 4 << 20)
    removed = time.monotonic()
    back.delete()
    monitor.wait_freed(tracked)
    took = time.monotonic() - removed
    assert took < 5, f"freed after {took:.1f} s"
    for client, server in pairs:
        assert ended(client)
        client.close()
        server.close()
    berthd.wait_descriptors(idle)
    wait_equal(lambda: len(front.listeners()), 1, "the listener stays")


def test_polite_end_holds_nothing(world, monitor, front, back):
    """The client is through, and the backend's program reads nothing: what is
    left of the connection goes with the namespace."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    tracked = monitor.track(back)
    client, server = pair(front, backend)
    with server:
        server.sendall(b"answer")
        stuff(client, 8 << 20)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"answer"
        server.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
        client.close()
        back.delete()
        monitor.wait_freed(tracked)
    berthd.wait_descriptors(idle)


def test_closed_by_both_is_let_go(world, monitor, front, back):
    """Nothing remembers connections that ended well."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    for _ in range(10):
        client, server = pair(front, backend)
        with client, server:
            works(client, server)
    berthd.wait_descriptors(idle)
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)


def test_namespace_of_the_client_goes(world, monitor, front, back):
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    pairs = [pair(front, backend) for _ in range(5)]
    for client, server in pairs:
        works(client, server)
        client.close()
    tracked = monitor.track(front)
    front.delete()
    monitor.wait_freed(tracked)
    for _, server in pairs:
        assert ended(server)
        server.close()
    wait_equal(berthd.relay_descriptors, idle[1] - 1, "only the listener's")
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)


def test_same_name_again(world, monitor, front, back):
    """A name is no identity: the next connection goes to the new one."""
    backend = outside_backend(world, back)
    world.berthd(to_netns("127.0.0.1:9000"))
    first = world.close_later(back.listen(port=9000))
    client, server = pair(front, first)
    assert works(client, server)
    del backend
    tracked = monitor.track(back)
    first.close()
    server.close()
    back.delete()
    assert ended(client)
    monitor.wait_freed(tracked)
    again = world.netns("back")
    second = world.close_later(again.listen(port=9000))
    wait_for(lambda: not turned_away_or_serve(front, second), "a connection")


def test_both_in_one(world, monitor):
    """Listener and backend in the same namespace."""
    netns = world.netns("front")
    backend = world.close_later(netns.listen())
    world.berthd(to_netns(to(backend), "front"))
    client, server = pair(netns, backend)
    assert works(client, server)
    tracked = monitor.track(netns)
    netns.delete()
    assert ended(client) and ended(server)
    for sock in (client, server, backend):
        sock.close()
    monitor.wait_freed(tracked)


def test_name_of_the_hosts_own(world, front):
    """A name may lead to where berthd lives."""
    host = world.name("back")
    host.create_file()
    kernel.mount("/proc/thread-self/ns/net", host.path, flags=kernel.MS_BIND)
    backend = world.close_later(world.host.listen())
    world.berthd(to_netns(to(backend)))
    client, server = pair(front, backend)
    with client, server:
        assert works(client, server)


def test_relay_that_starts_again(world, monitor, front, back):
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    client, server = pair(front, backend)
    assert works(client, server)
    old = berthd.kill_relay()
    assert ended(client) and ended(server)
    berthd.relay_pid(other_than=old)
    client, server = pair(front, backend)
    with client, server:
        assert works(client, server)
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)


def test_berthd_that_does_not_answer(world, front, back):
    """The connect timeout holds, and it goes on when berthd does."""
    backend = world.close_later(back.listen())
    berthd = world.berthd(to_netns(to(backend), connect_timeout="300ms"))
    idle = berthd.idle_descriptors()
    with process.stopped(berthd.pid):
        for _ in range(3):
            assert turned_away(front)
    client, server = pair(front, backend)
    with client, server:
        assert works(client, server)
    berthd.wait_descriptors(idle)


def test_relay_that_hangs_does_not_hold_it(world, monitor, front, back):
    """berthd ends it after ten seconds, as it does for listeners."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    client, server = pair(front, backend)
    assert works(client, server)
    relay = berthd.relay_pid()
    tracked = monitor.track(back)
    os.kill(relay, signal.SIGSTOP)
    back.delete()
    wait_for(lambda: monitor.freed(tracked), "it to be freed", guard=30)
    assert berthd.relay_pid(other_than=relay)
    assert ended(client)
    client.close()
    server.close()


def test_rule_that_is_taken_back(world, front, back):
    """Open connections may finish; new ones go where the new rule says."""
    backend = world.close_later(back.listen())
    host_backend = world.close_later(world.host.listen())
    berthd = world.berthd(to_netns(to(backend)))
    client, server = pair(front, backend)
    assert works(client, server)
    berthd.write_rules("50-test.yaml", forward(to(host_backend),
                                               namespace="front"))
    wait_for(lambda: not turned_away_or_serve(front, host_backend),
             "the host's backend")
    with client, server:
        assert works(client, server)


def test_only_what_the_rule_names(world, front, back):
    """Rules side by side: one is refused nothing by the other."""
    backend = world.close_later(back.listen())
    plain = world.close_later(world.host.listen())
    world.berthd(rules(
        rule("inside", "front", port=8080,
             forward={"to": to(backend), "namespace": "back"}),
        rule("outside", "front", port=8081, forward={"to": to(plain)})))
    for where, port in ((backend, 8080), (plain, 8081)):
        client, server = pair(front, where, port=port)
        with client, server:
            assert works(client, server)

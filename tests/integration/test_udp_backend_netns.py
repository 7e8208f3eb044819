# SPDX-License-Identifier: Apache-2.0
"""test_udp_backend_netns.py - UDP backends that are in another namespace."""

import os
import signal
import socket
import struct
import threading

import pytest

from harness import process
from harness.rules import forward, rule, rules
from harness.wait import GUARD, wait_equal, wait_for

DGRAM = socket.SOCK_DGRAM
FLOOD = 20000
LIMIT = 200

# What a worker may hold for sessions without a socket, its buffers, and those
# sessions themselves.
GROWN_MAX_KIB = 24 << 10


def to_netns(to, name="back", **options):
    """Listeners in `front` only."""
    return forward(to, namespace="front", protocol="udp",
                   options=dict({"namespace": name}, **options))


def to(backend):
    host, port = backend.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def backend_in(world, netns, address="127.0.0.1", port=0):
    return world.close_later(netns.listen(address, port=port, kind=DGRAM))


def outside_backend(world, netns):
    """A server on the host that is reached from inside, so that only berth
    has sockets in there."""
    world.veth(netns, "eth0", world.host, "ub-0")
    netns.addr_add("10.68.0.1/24", "eth0")
    world.host.addr_add("10.68.0.2/24", "ub-0")
    return backend_in(world, world.host, "10.68.0.2")


def client_of(world, netns, port=8080):
    sock = world.close_later(netns.new_socket(kind=DGRAM))
    sock.settimeout(GUARD)
    sock.connect(("127.0.0.1", port))
    return sock


def asks(client, backend, data=b"ping"):
    """One question, asked once, and its answer. Return: the session."""
    client.send(data)
    got, session = backend.recvfrom(1 << 16)
    assert got == data
    backend.sendto(data[::-1], session)
    assert client.recv(1 << 16) == data[::-1]
    return session


def answered(client, backend, data=b"ask"):
    """Is there an answer soon? What the backend has is thrown away."""
    client.send(data)
    client.settimeout(0.2)
    backend.settimeout(0.2)
    try:
        while True:
            got, session = backend.recvfrom(1 << 16)
            if got == data:
                break
        backend.sendto(b"yes", session)
        return client.recv(100) == b"yes"
    except (socket.timeout, ConnectionRefusedError):
        return False
    finally:
        client.settimeout(GUARD)
        backend.settimeout(GUARD)


def udp_queue(netns):
    """Bytes that nobody read from listening sockets yet."""
    rows = [row.split() for row in netns.run("ss", "-Huan").splitlines()]
    return sum(int(row[1]) for row in rows if row[0] == "UNCONN")


def counters(berthd):
    return berthd.ctl("stats")["rules"][0]["counters"]


def wait_counters(berthd, **expected):
    wait_equal(lambda: {key: counters(berthd)[key] for key in expected},
               expected, "the counters")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_answers_from_there(world, front, back, address):
    """Each client has a session of its own, kept, and freed when idle."""
    backend = backend_in(world, back, address)
    berthd = world.berthd(to_netns(to(backend), idle_timeout="2s"))
    idle = berthd.idle_descriptors()
    clients = [client_of(world, front) for _ in range(20)]
    sessions = [asks(client, backend) for client in clients]
    assert len(set(sessions)) == len(clients)
    assert [asks(client, backend, b"again") for client in clients] == sessions
    wait_counters(berthd, accepted=20, dropped=0, failed=0)
    berthd.wait_descriptors(idle)
    wait_counters(berthd, active=0)


def test_what_is_said_meanwhile_is_kept_in_order(world, front, back):
    """berthd answers late; a few datagrams of every size there is wait."""
    backend = backend_in(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    berthd.wait_delivered()
    one, two = client_of(world, front), client_of(world, front)
    said = [b"x" * 65507, b"", b"small", b"y" * 1200]
    with process.stopped(berthd.pid):
        for data in said:
            two.send(data)
        for number in range(5):
            one.send(b"%d" % number)
        wait_equal(lambda: udp_queue(front), 0, "all to be read")
    heard = {}
    for _ in range(6):
        data, session = backend.recvfrom(1 << 16)
        heard.setdefault(session, []).append(data)
    # Behind one of the largest there is no room.
    assert sorted(heard.values(), key=len) == [
        said[:1], [b"%d" % number for number in range(5)]]
    wait_counters(berthd, accepted=2, messages_in=9, dropped=3)
    asks(one, backend)
    asks(two, backend)


def test_what_is_too_much_is_dropped_and_counted(world, front, back):
    backend = backend_in(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    berthd.wait_delivered()
    client = client_of(world, front)
    with process.stopped(berthd.pid):
        for number in range(100):
            client.send(b"%d" % number)
        # Not too many for the listening socket.
        wait_equal(lambda: udp_queue(front), 0, "all to be read")
    kept = [backend.recv(100) for _ in range(8)]
    assert kept == [b"%d" % number for number in range(8)]
    wait_counters(berthd, accepted=1, messages_in=100, dropped=92)
    asks(client, backend)


def test_burst_of_new_clients(world, front, back):
    """Many more than may be asked for at a time: each is served at once."""
    backend = backend_in(world, back)
    backend.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    clients = [client_of(world, front) for _ in range(200)]
    with process.stopped(berthd.relay_pid()):
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
    heard = set()
    for _ in clients:
        data, session = backend.recvfrom(100)
        heard.add(data)
        backend.sendto(data, session)
    assert len(heard) == len(clients)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"%d" % number
    wait_counters(berthd, accepted=200, active=200, limited=0, dropped=0)
    berthd.remove_rules("50-test.yaml")
    berthd.wait_descriptors((idle[0] - 1, idle[1] - 1))


def test_proxy_header_in_each(world, front, back):
    """Also of those that waited."""
    backend = backend_in(world, back)
    berthd = world.berthd(to_netns(to(backend), proxy_protocol="v2"))
    berthd.wait_delivered()
    client = client_of(world, front)
    port = struct.pack(">H", client.getsockname()[1])
    with process.stopped(berthd.pid):
        client.send(b"one")
        client.send(b"two")
        wait_equal(lambda: udp_queue(front), 0, "all to be read")
    client.send(b"three")
    for data in (b"one", b"two", b"three"):
        got = backend.recv(1000)
        assert got.startswith(b"\r\n\r\n\0\r\nQUIT\n")
        assert got[24:26] == port
        assert got.endswith(b"\x30\x00\x05front" + data)


def test_no_such_namespace_yet(world, front):
    """Datagrams are dropped and counted until it is there."""
    berthd = world.berthd(to_netns("127.0.0.1:9000"))
    berthd.wait_delivered()
    client = client_of(world, front)
    client.send(b"lost")
    berthd.wait_log(r"cannot connect to '127.0.0.1:9000' in 'back': No such "
                    r"file or directory; dropping datagrams")
    wait_counters(berthd, accepted=1, active=0, dropped=1, failed=1)
    # Not each one asks berthd.
    for _ in range(50):
        client.send(b"lost")
    wait_equal(lambda: counters(berthd)["dropped"], 51, "all to be counted")
    assert counters(berthd)["accepted"] < 20
    back = world.netns("back")
    backend = backend_in(world, back, port=9000)
    wait_for(lambda: answered(client, backend), "an answer")


def test_next_backend(world, front, back):
    """One refuses, one cannot be reached from there; one is a path."""
    del back
    gone, other = "127.0.0.1:9", "192.0.2.1:1"
    path = os.fspath(world.base / "dgram")
    backend = world.close_later(socket.socket(socket.AF_UNIX, DGRAM))
    backend.bind(path)
    backend.settimeout(GUARD)
    os.chmod(path, 0o666)
    berthd = world.berthd(to_netns([other, gone, f"unix:{path}"]))
    idle = berthd.idle_descriptors()
    for _ in range(6):
        client = client_of(world, front)
        wait_for(lambda: answered(client, backend), "an answer")
    berthd.remove_rules("50-test.yaml")
    berthd.wait_descriptors((idle[0] - 1, idle[1] - 1))


def test_backend_without_a_server(world, front, back):
    """ICMP says so; the session ends, and the next datagram tries again."""
    gone = back.listen(kind=DGRAM)
    address, port = gone.getsockname()
    gone.close()
    berthd = world.berthd(to_netns(f"{address}:{port}"))
    idle = berthd.idle_descriptors()
    client = client_of(world, front)
    client.send(b"lost")
    wait_counters(berthd, accepted=1, active=0, failed=1)
    berthd.wait_descriptors(idle)
    backend = backend_in(world, back, port=port)
    asks(client, backend)


@pytest.mark.parametrize("chatty", [False, True])
def test_namespace_of_the_backend_goes(world, monitor, front, back, chatty):
    """The kernel frees it at once, and a later one of that name serves."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    tracked = monitor.track(back)
    clients = [client_of(world, front) for _ in range(20)]
    for client in clients:
        asks(client, backend)
    stop = threading.Event()
    talker = threading.Thread(target=talk, args=(front, stop), daemon=True)
    if chatty:
        talker.start()
    try:
        back.delete()
        monitor.wait_freed(tracked)
    finally:
        stop.set()
        if chatty:
            talker.join()
    berthd.wait_descriptors(idle)
    wait_counters(berthd, active=0)
    again = world.netns("back")
    outside = backend_in(world, again, port=9000)
    berthd.write_rules("50-test.yaml", to_netns("127.0.0.1:9000"))
    wait_for(lambda: answered(clients[0], outside), "the new one's answer")


def talk(netns, stop):
    """New sessions all the time, until it is told to stop."""
    while not stop.is_set():
        with netns.new_socket(kind=DGRAM) as sock:
            sock.connect(("127.0.0.1", 8080))
            sock.send(b"hello")


def test_namespace_goes_while_it_is_asked_for(world, monitor, front, back):
    """No socket arrives behind the news that it goes."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    tracked = monitor.track(back)
    clients = [client_of(world, front) for _ in range(40)]
    asks(clients[0], backend)
    with process.stopped(berthd.pid):
        for client in clients:
            client.send(b"late")
        wait_equal(lambda: udp_queue(front), 0, "all to be read")
        back.delete()
    monitor.wait_freed(tracked)
    wait_counters(berthd, active=0)
    berthd.wait_descriptors(idle)


def test_namespace_of_the_client_goes(world, monitor, front, back):
    """Also with sessions that wait for a socket."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    berthd.wait_delivered()
    clients = [client_of(world, front) for _ in range(40)]
    asks(clients[0], backend)
    first, second = monitor.track(front), monitor.track(back)
    with process.stopped(berthd.pid):
        for client in clients:
            client.send(b"late")
        wait_equal(lambda: udp_queue(front), 0, "all to be read")
        front.delete()
    for client in clients:
        client.close()
    monitor.wait_freed(first)
    back.delete()
    monitor.wait_freed(second)


def test_rule_that_changes(world, front, back):
    """Sessions follow: to another namespace, and to berthd's own."""
    there, here = backend_in(world, back, port=9000), backend_in(
        world, world.host, port=0)
    other = world.netns("other")
    elsewhere = backend_in(world, other, port=9000)
    berthd = world.berthd(to_netns("127.0.0.1:9000"))
    client = client_of(world, front)
    wait_for(lambda: answered(client, there), "an answer")
    berthd.write_rules("50-test.yaml", to_netns("127.0.0.1:9000", "other"))
    wait_for(lambda: answered(client, elsewhere), "another's answer")
    berthd.write_rules("50-test.yaml", forward(
        to(here), namespace="front", protocol="udp"))
    wait_for(lambda: answered(client, here), "the host's answer")


def test_only_what_the_rule_names(world, front, back):
    """Rules side by side: the same address here and there."""
    there = backend_in(world, back, port=0)
    port = there.getsockname()[1]
    here = backend_in(world, world.host, port=port)
    world.berthd(rules(
        rule("inside", "front", port=8080, protocol="udp",
             forward={"to": to(there), "namespace": "back"}),
        rule("outside", "front", port=8081, protocol="udp",
             forward={"to": to(here)})))
    for number, where in ((8080, there), (8081, here)):
        asks(client_of(world, front, port=number), where, b"%d" % number)


def test_relay_that_starts_again(world, monitor, front, back):
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    client = client_of(world, front)
    asks(client, backend)
    old = berthd.kill_relay()
    berthd.relay_pid(other_than=old)
    asks(client, backend)
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)


def test_relay_that_hangs_does_not_hold_it(world, monitor, front, back):
    """berthd ends it after ten seconds, as it does for listeners."""
    backend = outside_backend(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    asks(client_of(world, front), backend)
    relay = berthd.relay_pid()
    tracked = monitor.track(back)
    os.kill(relay, signal.SIGSTOP)
    back.delete()
    wait_for(lambda: monitor.freed(tracked), "it to be freed", guard=30)
    assert berthd.relay_pid(other_than=relay)


def forged(number, data=b"forged"):
    """A datagram from one of many addresses and ports of nobody."""
    source = struct.pack(">BBH", 127, 1 + number % 250, number // 250 % 65536)
    udp = struct.pack(">HHHH", 1024 + number % 60000, 8080, 8 + len(data), 0)
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64,
                       socket.IPPROTO_UDP, 0, source,
                       bytes((127, 0, 0, 1))) + udp + data


def flood(netns, numbers, data=b"forged", between=lambda number: None):
    with netns.new_socket(kind=socket.SOCK_RAW,
                          proto=socket.IPPROTO_RAW) as sock:
        for number in numbers:
            sock.sendto(forged(number, data), ("127.0.0.1", 0))
            between(number)


def echo(backend, stop):
    """Answers all but what is forged."""
    backend.settimeout(0.1)
    while not stop.is_set():
        try:
            data, session = backend.recvfrom(1 << 17)
            if not data.startswith(b"forged"):
                backend.sendto(data, session)
        except OSError:
            pass


def test_flood_of_forged_sources(world, front, back):
    """A client that was there keeps its session, new ones get in, a TCP rule
    that needs berthd's sockets too goes on, and there are never more
    descriptors than the rule allows, with what is on its way."""
    backend = backend_in(world, back)
    served = world.close_later(back.listen())
    berthd = world.berthd(rules(
        rule("datagrams", "front", protocol="udp",
             forward={"to": to(backend), "namespace": "back",
                      "max_connections": LIMIT, "idle_timeout": "3s"}),
        rule("streams", "front",
             forward={"to": to(served), "namespace": "back"})))
    idle = berthd.idle_descriptors()
    relay = berthd.relay_pid()
    growth = berthd.relay_growth()
    known = client_of(world, front)
    most = 0
    stop = threading.Event()
    thread = threading.Thread(target=echo, args=(backend, stop), daemon=True)
    thread.start()

    def echoed(client, data):
        client.settimeout(0.2)

        def once():
            client.send(data)
            try:
                return client.recv(100) == data
            except socket.timeout:
                return False

        wait_for(once, "an echo")

    def between(number):
        nonlocal most
        if number % 500 == 0:
            echoed(known, b"known")
            most = max(most, berthd.relay_descriptors())
        if number % 4000 == 0:
            echoed(client_of(world, front), b"new")
            with front.connect("127.0.0.1", 8080) as client:
                server, _ = served.accept()
                server.close()
                assert client.recv(1) == b""

    try:
        echoed(known, b"known")
        flood(front, range(FLOOD), between=between)
        assert most - idle[1] <= LIMIT + 20
        berthd.wait_descriptors(idle)
    finally:
        stop.set()
        thread.join()
    assert berthd.relay_pid() == relay
    assert growth.kib() < GROWN_MAX_KIB


def test_flood_while_berthd_does_not_answer(world, front, back):
    """Nothing grows: neither questions, nor sessions, nor what they hold."""
    backend = backend_in(world, back)
    berthd = world.berthd(to_netns(to(backend)))
    idle = berthd.idle_descriptors()
    growth = berthd.relay_growth()
    client = client_of(world, front)
    with process.stopped(berthd.pid):
        flood(front, range(5000), b"forged" + b"x" * 900)
        # The kernel tells with a datagram how many it dropped before that.
        wait_equal(lambda: udp_queue(front), 0, "the flood to be read")
        client.send(b"too many before it")
        wait_equal(lambda: udp_queue(front), 0, "all to be read")
        assert growth.kib() < GROWN_MAX_KIB
        assert berthd.relay_descriptors() == idle[1]
    wait_for(lambda: counters(berthd)["active"] == 512, "those that waited")
    # Of those that the kernel had no room for, too, nothing is forgotten.
    wait_counters(berthd, accepted=512, dropped=5001 - 512)
    asks_until(client, backend)


def asks_until(client, backend):
    wait_for(lambda: answered(client, backend), "an answer")

# SPDX-License-Identifier: Apache-2.0
"""test_tcp_ends.py - connections end hard when their process dies, and
gracefully when they are through."""

import os
import select
import signal
import socket

import pytest

from harness import process
from harness.netns import read_all, read_exactly
from harness.rules import ack, forward
from harness.traffic import pair, pattern, stuff, was_reset, works
from harness.wait import GUARD, wait_equal, wait_exit, wait_for

IPPROTO_MPTCP = 262
MUCH = 1 << 20  # more than the kernel takes in for one who does not read


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


@pytest.fixture(params=["tcp", "mptcp", "fallback"])
def kind(request):
    """The client's protocol; "fallback" is TCP to an MPTCP listener."""
    if request.param != "tcp" and not os.path.exists(
            "/proc/sys/net/mptcp/enabled"):
        pytest.skip("this kernel has no MPTCP")
    return request.param


def protocol_of(kind):
    return "tcp" if kind == "tcp" else "mptcp"


def connect(place, kind, address="127.0.0.1"):
    proto = IPPROTO_MPTCP if kind == "mptcp" else 0
    client = place.new_socket(proto=proto)
    client.connect((address, 8080))
    return client


def accepted(backend):
    server = backend.accept()[0]
    server.settimeout(GUARD)
    return server


@pytest.mark.parametrize("hangs", [
    pytest.param(False, marks=pytest.mark.kernel, id="crashes"),
    pytest.param(True, id="hangs")])
def test_no_orphan_of_a_dead_relay_holds_a_namespace(world, monitor, backend,
                                                     kind, hangs):
    """The client is outside and reads nothing, so that nothing but the
    relay's socket is in the namespace."""
    berthd = world.berthd(forward(to(backend), protocol=protocol_of(kind)))
    netns = world.netns("n")
    world.veth(netns, "eth0", world.host, "tcp-ends")
    netns.addr_add("10.67.1.1/24", "eth0")
    world.host.addr_add("10.67.1.2/24", "tcp-ends")
    tracked = monitor.track(netns)
    wait_for(netns.listeners, "the listener")
    client = world.close_later(connect(world.host, kind, "10.67.1.1"))
    server = world.close_later(accepted(backend))
    works(client, server)
    stuff(server)
    relay = berthd.relay_pid()
    pidfd = os.pidfd_open(relay)
    os.kill(relay, signal.SIGSTOP if hangs else signal.SIGKILL)
    if hangs:
        netns.delete()
        os.kill(relay, signal.SIGKILL)
    assert wait_exit(pidfd)
    os.close(pidfd)
    if not hangs:
        netns.delete()
    monitor.wait_freed(tracked)


@pytest.mark.parametrize("who", [
    pytest.param("relay", marks=pytest.mark.kernel), "berthd"])
def test_cut_answer_does_not_end_cleanly(world, backend, kind, who):
    """Half of an answer, and then the process is gone."""
    berthd = world.berthd(forward(to(backend), protocol=protocol_of(kind)))
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    client = world.close_later(connect(netns, kind))
    server = world.close_later(accepted(backend))
    client.sendall(b"question")
    assert read_exactly(server, 8) == b"question"
    server.sendall(b"half of an ans")
    assert read_exactly(client, 14) == b"half of an ans"
    if who == "relay":
        berthd.kill_relay()
    else:
        berthd.kill9()
    assert was_reset(client)
    assert was_reset(server)


@pytest.mark.kernel
def test_backend_elsewhere_learns_of_a_dead_relay(world):
    """berthd made the relay's socket, in the backend's namespace."""
    place = world.netns("back")
    backend = world.close_later(place.listen())
    netns = world.netns("n")
    berthd = world.berthd(forward(to(backend), namespace="n",
                                  options={"namespace": "back"}))
    wait_for(netns.listeners, "the listener")
    client, server = pair(netns, backend)
    with client, server:
        assert works(client, server)
        berthd.kill_relay()
        assert was_reset(server)


@pytest.mark.kernel
def test_client_reads_the_answer_late(world, backend, kind):
    """Both are through before the client reads: its socket is closed only
    when it has all."""
    berthd = world.berthd(forward(to(backend), protocol=protocol_of(kind)))
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    idle = berthd.idle_relay_descriptors()
    data = pattern(MUCH, "answer")
    client = world.close_later(connect(netns, kind))
    server = accepted(backend)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.sendall(data)
    server.close()
    assert read_all(client) == data
    wait_equal(berthd.relay_descriptors, idle, "the connection to end")


def test_respond_is_read_late(world, kind):
    world.berthd(ack(protocol=protocol_of(kind)))
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    client = world.close_later(connect(netns, kind))
    client.sendall(b"x" * 10000)
    client.shutdown(socket.SHUT_WR)
    assert read_all(client) == b"ack"


@pytest.mark.kernel
@pytest.mark.parametrize("path", ["tcp", "unix"])
def test_backend_reads_late(world, backend, path):
    """The relay has closed its socket before the backend reads."""
    if path == "unix":
        backend, name = world.unix_listen("backend.sock")
        target = f"unix:{name}"
    else:
        target = to(backend)
    berthd = world.berthd(forward(target))
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    idle = berthd.idle_relay_descriptors()
    client, server = pair(netns, backend)
    server.shutdown(socket.SHUT_WR)
    data = pattern(MUCH if path == "tcp" else 65536, "question")
    client.sendall(data)
    assert client.recv(1) == b""
    client.close()
    wait_equal(berthd.relay_descriptors, idle, "the relay to be through")
    assert read_all(server) == data
    server.close()


@pytest.mark.kernel
def test_rule_goes_and_the_rest_is_delivered(world, backend):
    berthd = world.berthd(forward(to(backend)))
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    client = world.close_later(connect(netns, "tcp"))
    server = accepted(backend)
    data = pattern(MUCH, "answer")
    client.shutdown(socket.SHUT_WR)
    server.sendall(data)
    server.close()
    berthd.remove_rules("50-test.yaml")
    wait_equal(netns.listeners, set(), "the listener to close")
    assert read_all(client) == data


@pytest.mark.kernel
def test_backlog_of_a_listener_that_goes_is_reset(world):
    """Nobody accepted these; they get no clean end of nothing."""
    berthd = world.berthd(ack())
    netns = world.netns("n")
    wait_for(netns.listeners, "the listener")
    relay = berthd.relay_pid()
    with process.stopped(relay):
        clients = [world.close_later(netns.connect("127.0.0.1", 8080))
                   for _ in range(3)]
        netns.delete()
        os.kill(relay, signal.SIGKILL)
    for client in clients:
        assert select.select([client], [], [], GUARD)[0]
        assert was_reset(client)

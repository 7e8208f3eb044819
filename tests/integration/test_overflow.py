# SPDX-License-Identifier: Apache-2.0
"""test_overflow.py - the kernel's queues overflow for real."""

import socket
import struct
import time
from contextlib import contextmanager

import pytest

from harness.process import stopped
from harness.rules import ack
from harness.wait import wait_equal, wait_for
from harness.witness import NsidMonitor

pytestmark = pytest.mark.alone

QUEUED = "/proc/sys/fs/inotify/max_queued_events"


@contextmanager
def inotify_queue(length):
    """The limit is taken when an instance is made."""
    with open(QUEUED, encoding="ascii") as file:
        before = file.read()
    with open(QUEUED, "w", encoding="ascii") as file:
        file.write(str(length))
    try:
        yield
    finally:
        with open(QUEUED, "w", encoding="ascii") as file:
            file.write(before)


@pytest.mark.kernel
def test_names_overflow(world):
    """Creations and deletions are lost; the directory is read again."""
    monitor = NsidMonitor(world)
    stays = world.netns("stays")
    goes = [world.netns(f"goes{i}") for i in range(20)]
    again = world.netns("again")
    with inotify_queue(16):
        berthd = world.berthd(ack())
    assert all(n.listeners() for n in goes)
    before = stays.listener_inodes()
    tracked = [monitor.track(n) for n in [*goes, again]]
    with stopped(berthd.pid):
        for netns in goes:
            netns.delete()
        comes = [world.name(f"comes{i}").create() for i in range(20)]
        again.delete()
        again.create()
    for netns in comes + [again]:
        wait_equal(netns.listeners, {"tcp *:8080"}, netns.name)
    for one in tracked:
        monitor.wait_freed(one)
    expected = sorted(n.name for n in [stays, again, *comes])
    wait_equal(berthd.names, expected, "the names")
    assert {r["namespace_id"] for r in berthd.listeners()} \
        == {n.cookie() for n in [stays, again, *comes]}
    assert berthd.status()["events"]["names_overflows"] >= 1
    assert stays.listener_inodes() == before, "it was touched"


def test_names_overflow_again_and_again(world):
    with inotify_queue(4):
        berthd = world.berthd(ack())
    for round_number in range(5):
        with stopped(berthd.pid):
            made = [world.name(f"r{round_number}n{i}").create()
                    for i in range(10)]
        for netns in made:
            wait_equal(netns.listeners, {"tcp *:8080"}, netns.name)
        with stopped(berthd.pid):
            for netns in made:
                netns.delete()
        wait_equal(berthd.names, [], "no namespace")
    assert berthd.status()["events"]["names_overflows"] >= 5


@pytest.mark.kernel
def test_rules_overflow(world):
    netns = world.netns("n")
    with inotify_queue(4):
        berthd = world.berthd(ack(port=1000))
    with stopped(berthd.pid):
        for number in range(30):
            berthd.write_rules(f"r{number}.yaml",
                               ack(name=f"r{number}", port=2000 + number))
        for number in range(10):
            berthd.remove_rules(f"r{number}.yaml")
        berthd.write_rules("50-test.yaml", ack(port=1001))
    wait_equal(netns.listeners,
               {"tcp *:1001"} | {f"tcp *:{2000 + n}" for n in range(10, 30)},
               "the rules that are there")


@pytest.mark.kernel
def test_netlink_overflow(world):
    """Address events of all namespaces are lost; all are read again."""
    monitor = NsidMonitor(world)
    quiet, busy = world.netns("quiet"), world.netns("busy")
    gone = world.netns("gone")
    for netns in (quiet, busy, gone):
        netns.addr_add("10.0.0.1/32")
    berthd = world.berthd(
        ack(address="each", match={"address": "10.0.0.0/8"}),
        args=["--netlink-buffer", "4096"])
    assert busy.listeners() == {"tcp 10.0.0.1:8080"}
    before = quiet.listener_inodes()
    tracked = monitor.track(gone)
    with stopped(berthd.pid):
        # First the flood, so that what follows is what is lost.
        busy.ip_batch([f"addr add 10.1.{i // 250}.{i % 250 + 1}/32 dev lo"
                       for i in range(400)])
        busy.ip("addr", "flush", "dev", "lo", "to", "10.1.0.0/16")
        busy.addr_del("10.0.0.1/32")
        busy.addr_add("10.0.0.2/32")
        quiet.addr_add("10.0.0.3/32")
        gone.delete()
    wait_equal(busy.listeners, {"tcp 10.0.0.2:8080"}, "the busy one")
    wait_equal(quiet.listeners, {"tcp 10.0.0.1:8080", "tcp 10.0.0.3:8080"},
               "the quiet one")
    monitor.wait_freed(tracked)
    events = berthd.status()["events"]
    assert events["netlink_overflows"] >= 1
    assert quiet.listener_inodes()["tcp 10.0.0.1:8080"] \
        == before["tcp 10.0.0.1:8080"], "it was touched"
    # The loss included RTM_DELNSID: it is not thought to linger for ever.
    wait_equal(lambda: berthd.status()["lingering"], [], "nothing lingers")


RTM_NEWADDR, RTM_DELADDR = 20, 21
NLM_F_REQUEST, NLM_F_CREATE_EXCL = 1, 0x600


def change_address(sock, kind, address):
    """Adds it to lo, or removes it; much faster than a program that does."""
    packed = socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 1)
    for attribute in (2, 1):  # IFA_LOCAL, IFA_ADDRESS
        body += struct.pack("=HH", 8, attribute) + packed
    flags = NLM_F_REQUEST
    if kind == RTM_NEWADDR:
        flags |= NLM_F_CREATE_EXCL
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)


@pytest.mark.kernel
def test_netlink_events_right_after_an_overflow(world):
    """The kernel drops them, and says nothing, until its queue is empty."""
    flood = world.netns("flood")
    others = [world.netns(f"n{i:02}") for i in range(60)]
    berthd = world.berthd(
        ack(address="each", match={"address": "10.0.0.0/8"}),
        args=["--netlink-buffer", "1048576"])
    flood_sock, *socks = [
        world.close_later(n.new_socket(socket.AF_NETLINK, socket.SOCK_RAW))
        for n in [flood, *others]]
    with stopped(berthd.pid):
        for _ in range(3000):
            change_address(flood_sock, RTM_NEWADDR, "192.0.2.1")
            change_address(flood_sock, RTM_DELADDR, "192.0.2.1")
    for number, sock in enumerate(socks):
        change_address(sock, RTM_NEWADDR, f"10.0.0.{number + 1}")
        time.sleep(0.0008)  # spread over all that berthd does then
    for number, netns in enumerate(others):
        wait_equal(netns.listeners, {f"tcp 10.0.0.{number + 1}:8080"},
                   netns.name)
    assert berthd.status()["events"]["netlink_overflows"] >= 1


@pytest.mark.kernel
def test_netlink_overflow_under_an_unending_flood(world):
    """The others are served although one namespace floods without end."""
    flood, other = world.netns("flood"), world.netns("other")
    berthd = world.berthd(
        ack(address="each", match={"address": "192.0.2.0/24"}),
        args=["--netlink-buffer", "4096"])
    lines = []
    for _ in range(40000):
        lines += ["addr add 10.0.0.1/32 dev lo", "addr del 10.0.0.1/32 dev lo"]
    batch = world.base / "batch"
    batch.write_text("\n".join(lines) + "\n")
    with flood.entered():
        program = world.popen("ip", "-batch", str(batch))
    for number in range(10):
        other.addr_add(f"192.0.2.{number + 1}/32")
        wait_equal(lambda: len(other.listeners()), number + 1,
                   "the listener of the other namespace")
    assert program.poll() is None, "the flood was over too early to count"
    new = world.netns("new")
    new.addr_add("192.0.2.99/32")
    wait_equal(new.listeners, {"tcp 192.0.2.99:8080"}, "a new namespace")
    assert program.poll() is None, "the flood was over too early to count"
    program.kill()
    wait_for(lambda: berthd.status()["events"]["netlink_overflows"] >= 0,
             "an answer of berthd")


def test_watches_used_up(world):
    """No inotify instance left at the start: a clear refusal."""
    limit = "/proc/sys/fs/inotify/max_user_instances"
    with open(limit, encoding="ascii") as file:
        before = file.read()
    with open(limit, "w", encoding="ascii") as file:
        file.write("0")
    try:
        berthd = world.berthd(ack(), start=False)
        berthd.spawn()
        assert "inotify" in berthd.wait_failure()
    finally:
        with open(limit, "w", encoding="ascii") as file:
            file.write(before)

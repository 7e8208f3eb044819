# SPDX-License-Identifier: Apache-2.0
"""test_names.py - names of namespaces: how they come, change and go."""

import os
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import pytest

from harness import kernel, process
from harness.netns import Netns
from harness.rules import ack, rule, rules
from harness.wait import SLOWNESS, stays, wait_equal, wait_for
from harness.witness import InotifyWait, NsidMonitor

WEB = {"tcp *:8080"}


def wait_open(netns, expected=frozenset(WEB)):
    wait_equal(netns.listeners, set(expected), f"listeners of {netns.name}")


@pytest.mark.kernel
def test_listener_answers_in_what_exists_and_in_what_comes(world):
    before = world.netns("before")
    berthd = world.berthd(ack())
    # READY=1 means that the first pass is done: no waiting here.
    assert before.ask("127.0.0.1", 8080) == b"ack"
    after = world.netns("after")
    wait_open(after)
    assert after.ask("127.0.0.1", 8080) == b"ack"
    assert after.ask("::1", 8080) == b"ack"
    assert berthd.names() == ["after", "before"]


def test_ready_means_that_everything_was_looked_at(world):
    made = [world.netns(f"n{i}") for i in range(100)]
    world.berthd(ack())
    assert [n.name for n in made if n.listeners() != WEB] == []


@pytest.mark.kernel
def test_appearing_needs_no_timer(world):
    """The median is far below every timer that could be at work here."""
    world.berthd(ack())
    took = []
    for i in range(21):
        netns = world.name(f"n{i}").create_file()
        netns.mount()
        mounted = time.monotonic()
        wait_for(lambda n=netns: not n.refuses("127.0.0.1", 8080)
                 if n.up() else False, "an answer")
        took.append(time.monotonic() - mounted)
    assert statistics.median(took) < 0.03 * SLOWNESS, took


def test_directory_missing_at_start(world):
    parent = world.base / "late"
    directory = parent / "deeper" / "netns"
    berthd = world.berthd(ack(), netns_dirs=[world.dir, directory])
    assert [d["exists"] for d in berthd.status()["directories"]] \
        == [True, False]
    parent.mkdir()
    (parent / "deeper").mkdir()
    directory.mkdir()
    wait_open(world.netns("a", directory))


@pytest.mark.kernel
def test_directory_vanishes_and_comes_back(world):
    berthd = world.berthd(ack())
    for _ in range(3):
        netns = world.netns("a")
        wait_open(netns)
        netns.delete()
        world.dir.rmdir()
        wait_equal(berthd.names, [], "no namespace")
        wait_for(lambda: not berthd.status()["directories"][0]["exists"],
                 "the directory to be reported as missing")
        world.dir.mkdir()
    netns = world.netns("b")
    wait_open(netns)


@pytest.mark.kernel
def test_directory_and_its_parent_vanish_and_come_back(world):
    parent = world.mkdir("p")
    directory = parent / "netns"
    directory.mkdir()
    berthd = world.berthd(ack(), netns_dirs=[directory])
    for _ in range(3):
        netns = world.netns("a", directory)
        wait_open(netns)
        netns.delete()
        directory.rmdir()
        parent.rmdir()
        wait_equal(berthd.names, [], "no namespace")
        parent.mkdir()
        directory.mkdir()
    wait_open(world.netns("a", directory))


@pytest.mark.kernel
def test_directory_renamed_away_and_back(world):
    """Its entries keep their mounts, but no longer have the watched path."""
    berthd = world.berthd(ack())
    netns = world.netns("a")
    wait_open(netns)
    fd = netns.open_fd()
    away = world.base / "away"
    world.dir.rename(away)
    try:
        wait_equal(berthd.names, [], "no namespace")
        moved = Netns(away / "a")
        wait_open(moved, set())
    finally:
        away.rename(world.dir)
        os.close(fd)
    wait_open(netns)


def test_directory_replaced_by_another(world):
    """Renaming another directory over the path is a new set of names."""
    berthd = world.berthd(ack())
    other = world.mkdir("other")
    old = world.netns("old")
    world.netns("new", other)
    wait_open(old)
    fd = old.open_fd()
    world.dir.rename(world.base / "away")
    other.rename(world.dir)
    moved_old, moved_new = Netns(world.base / "away/old"), \
        Netns(world.dir / "new")
    world.defer(moved_old.destroy)
    world.defer(moved_new.destroy)
    wait_equal(berthd.names, ["new"], "only the new directory's names")
    wait_open(moved_new)
    wait_open(moved_old, set())
    os.close(fd)


@pytest.mark.kernel
def test_pending_until_the_mount(world):
    berthd = world.berthd(ack())
    netns = world.name("slow").create_file()
    wait_for(lambda: "slow" in berthd.pending(), "the pending name")
    assert "not a namespace" in berthd.pending()["slow"]
    netns.mount().up()
    wait_open(netns)
    assert berthd.pending() == {}
    assert berthd.names() == ["slow"]


@pytest.mark.kernel
def test_mount_over_a_name_that_waited_is_noticed_at_once(world):
    """By then the timers that stand behind the event are slow."""
    world.berthd(ack())
    took = []
    for i in range(5):
        netns = world.name(f"n{i}").create_file()
        time.sleep(0.7 * SLOWNESS)
        netns.mount().up()
        mounted = time.monotonic()
        wait_for(lambda n=netns: not n.refuses("127.0.0.1", 8080),
                 "an answer")
        took.append(time.monotonic() - mounted)
    assert statistics.median(took) < 0.1 * SLOWNESS, took


def test_pending_name_goes_without_ever_being_mounted(world):
    berthd = world.berthd(ack())
    netns = world.name("never").create_file()
    wait_for(lambda: "never" in berthd.pending(), "the pending name")
    netns.unlink()
    wait_equal(berthd.pending, {}, "nothing pending")


def test_plain_file_is_never_a_namespace(world):
    (world.dir / "file").write_text("hello")
    (world.dir / "folder").mkdir()
    os.mkfifo(world.dir / "fifo")
    berthd = world.berthd(ack())
    (world.dir / "file2").write_text("hello")
    wait_for(lambda: "file2" in berthd.pending(), "the plain file")
    wait_open(world.netns("real"))
    assert berthd.names() == ["real"]
    assert {"file", "file2"} <= set(berthd.pending())
    # A plain file may still become one.
    late = Netns(world.dir / "file")
    world.defer(late.destroy)
    late.mount()
    wait_open(late)
    # And the fifo with no writer blocked nobody.
    wait_open(world.netns("real2"))


@pytest.mark.kernel
def test_namespace_of_another_kind(world):
    """nsfs, but not a network namespace."""
    other = world.name("uts").create_file()
    berthd = world.berthd(ack())
    kernel.mount("/proc/self/ns/uts", other.path, flags=kernel.MS_BIND)
    wait_open(world.netns("net"))
    assert berthd.names() == ["net"]
    assert "uts" in berthd.pending()


@pytest.mark.kernel
def test_symlink_to_a_namespace(world):
    elsewhere = world.mkdir("elsewhere")
    target = world.netns("target", elsewhere)
    berthd = world.berthd(ack())
    link = world.symlink("../elsewhere/target", "link")
    wait_open(target)
    assert berthd.names() == ["link"]
    link.unlink()
    wait_open(target, set())
    assert berthd.names() == []


def test_dangling_symlink_and_its_target(world):
    elsewhere = world.mkdir("elsewhere")
    berthd = world.berthd(ack())
    world.symlink(elsewhere / "late", "link")
    wait_for(lambda: "link" in berthd.pending(), "the dangling link")
    target = world.netns("late", elsewhere)
    wait_open(target)
    assert berthd.pending() == {}


def test_symlink_loop(world):
    berthd = world.berthd(ack())
    world.symlink("loop2", "loop1")
    world.symlink("loop1", "loop2")
    wait_open(world.netns("net"))
    wait_for(lambda: {"loop1", "loop2"} <= set(berthd.pending()), "the loop")


def test_symlinks_renamed(world):
    """A mounted name cannot be renamed, a link can, also over another."""
    elsewhere = world.mkdir("elsewhere")
    one, two = world.netns("one", elsewhere), world.netns("two", elsewhere)
    berthd = world.berthd(rules(
        rule(name="a", namespace="a-*", port=1000),
        rule(name="b", namespace="b-*", port=2000)))
    link = world.symlink(one.path, "a-x")
    wait_open(one, {"tcp *:1000"})
    os.rename(link.path, world.dir / "b-x")
    wait_open(one, {"tcp *:2000"})
    assert berthd.names() == ["b-x"]
    # Rename over: the name now means the other namespace.
    world.symlink(two.path, "a-y")
    wait_open(two, {"tcp *:1000"})
    os.rename(world.dir / "a-y", world.dir / "b-x")
    wait_open(two, {"tcp *:2000"})
    wait_open(one, set())
    assert berthd.names() == ["b-x"]
    os.unlink(world.dir / "b-x")
    wait_open(two, set())


def test_symlink_moved_in_and_out_of_the_directory(world):
    elsewhere = world.mkdir("elsewhere")
    one = world.netns("one", elsewhere)
    berthd = world.berthd(ack())
    os.symlink(one.path, elsewhere / "link")
    os.rename(elsewhere / "link", world.dir / "link")
    wait_open(one)
    os.rename(world.dir / "link", elsewhere / "link")
    wait_open(one, set())
    assert berthd.names() == []


@pytest.mark.kernel
def test_symlink_into_proc_lives_as_long_as_the_process(world):
    monitor = NsidMonitor(world)
    berthd = world.berthd(ack())
    process = subprocess.Popen(
        ["sleep", "600"],
        preexec_fn=lambda: (kernel.die_with_parent(),
                            kernel.unshare(kernel.CLONE_NEWNET)))
    try:
        link = world.symlink(f"/proc/{process.pid}/ns/net", "proc")
        link.up()
        wait_open(link)
        assert link.ask("127.0.0.1", 8080) == b"ack"
        assert berthd.names() == ["proc"]
        tracked = monitor.track(link)
    finally:
        process.kill()
        process.wait()
    # No event of any directory tells that the process is gone.
    monitor.wait_freed(tracked)
    wait_equal(berthd.names, [], "no namespace")
    assert os.path.islink(link.path)
    wait_for(lambda: "proc" in berthd.pending(), "the dangling link")


def test_two_names_of_one_namespace(world):
    one = world.netns("one")
    berthd = world.berthd(rules(
        rule(name="one", namespace="one", port=1000),
        rule(name="two", namespace="two", port=2000)))
    wait_open(one, {"tcp *:1000"})
    two = world.name("two").bind(one)
    wait_open(one, {"tcp *:1000", "tcp *:2000"})
    namespaces = [n for n in berthd.namespaces() if not n["host"]]
    assert len(namespaces) == 1
    assert {n["name"] for n in namespaces[0]["names"]} == {"one", "two"}
    before = two.listener_inodes()["tcp *:2000"]
    one.delete()
    wait_open(two, {"tcp *:2000"})
    assert two.listener_inodes()["tcp *:2000"] == before
    two.delete()
    wait_equal(berthd.names, [], "no namespace")


def test_directory_condition(world):
    other = world.mkdir("other")
    here, there = world.netns("n"), world.netns("n", other)
    berthd = world.berthd(
        ack(match={"directory": str(other)}), netns_dirs=[world.dir, other])
    wait_open(there)
    assert here.listeners() == set()
    assert berthd.names() == ["n", "n"]


@pytest.mark.kernel
def test_same_name_recreated_in_one_batch(world):
    """A name is not an identity: the next one is another namespace."""
    monitor = NsidMonitor(world)
    berthd = world.berthd(ack())
    netns = world.netns("again")
    wait_open(netns)
    for _ in range(10):
        cookie, tracked = netns.cookie(), monitor.track(netns)
        with process.stopped(berthd.pid):
            netns.delete()
            netns.create().up()
            assert netns.cookie() != cookie
        wait_open(netns)
        monitor.wait_freed(tracked)
        assert netns.ask("127.0.0.1", 8080) == b"ack"
        assert [n["id"] for n in berthd.namespaces() if not n["host"]] \
            == [netns.cookie()]


@pytest.mark.kernel
def test_same_name_recreated_as_fast_as_can_be(world):
    berthd = world.berthd(ack())
    netns = world.netns("again")
    for _ in range(100):
        netns.delete()
        netns.create()
    wait_open(netns)
    wait_equal(lambda: {row["namespace_id"] for row in berthd.listeners()},
               {netns.cookie()}, "listeners of the last one only")


@pytest.mark.kernel
def test_unmounted_but_not_unlinked(world):
    """No directory event says so; the name is pending again."""
    monitor = NsidMonitor(world)
    berthd = world.berthd(ack())
    netns = world.netns("n")
    wait_open(netns)
    tracked = monitor.track(netns)
    netns.unmount()
    monitor.wait_freed(tracked)
    wait_for(lambda: "n" in berthd.pending(), "the name to be pending")
    assert berthd.names() == []
    netns.mount()
    wait_open(netns)


@pytest.mark.kernel
def test_mounted_over_with_another_namespace(world):
    """A second mount over the name: it means the new one."""
    world.berthd(ack())
    netns = world.netns("n")
    wait_open(netns)
    first = netns.cookie()
    netns.mount()
    assert netns.cookie() != first
    wait_open(netns)
    netns.unmount()
    assert netns.cookie() == first
    wait_open(netns)


@pytest.mark.kernel
def test_remounted_onto_a_namespace_that_is_known(world):
    """No event of a directory, and nothing new to look at in the other."""
    monitor = NsidMonitor(world)
    berthd = world.berthd(ack())
    first, second = world.netns("a"), world.netns("b")
    wait_open(first)
    wait_open(second)
    tracked, before = monitor.track(first), second.listener_inodes()
    with process.stopped(berthd.pid):
        first.unmount()
        kernel.mount(second.path, first.path, flags=kernel.MS_BIND)
    # No berthctl until then: each call wakes the loop, which hides a bug.
    monitor.wait_freed(tracked)
    assert berthd.names() == ["a", "b"]
    assert {row["namespace_id"] for row in berthd.listeners()} \
        == {second.cookie()}
    assert second.listener_inodes() == before, "it was touched"


@pytest.mark.parametrize("name", [
    "with space", "quote\"'`", "back\\slash", "grün", "new\nline",
    "tab\tx", "%s%n%d", "-n", "..x", ".hidden", "x" * 255,
    "ovnmeta-0f2b4b2e-7d8d-4f4c-9a55-1c2d3e4f5a6b",
    os.fsdecode(b"bad\xff\xfeutf8")])
def test_strange_names(world, name):
    berthd = world.berthd(ack())
    netns = world.netns(name)
    wait_open(netns)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    listed = [n for n in berthd.namespaces() if not n["host"]]
    assert [n["id"] for n in listed] == [netns.cookie()]
    # A table's row stays one line whatever the name has in it.
    rows = berthd.ctl_text("listeners").splitlines()
    assert len(rows) == 2, rows
    netns.delete()
    wait_equal(berthd.names, [], "no namespace")
    for line in berthd.log().splitlines():
        assert re.match(r"\S+ berth", line), \
            f"a name broke the line: {line!r}"


@pytest.mark.kernel
def test_inotifywait_saw_the_same(world):
    """Names come and go fast; an independent witness keeps count."""
    berthd = world.berthd(ack())
    witness = InotifyWait(world, world.dir)
    names = [world.name(f"n{i}") for i in range(12)]
    present = set()
    for step in range(200):
        netns = names[(step * 7 + step // 5) % len(names)]
        if netns in present:
            netns.delete()
            present.remove(netns)
        else:
            netns.create()
            present.add(netns)
    expected = sorted(netns.name for netns in present)
    wait_equal(lambda: sorted(witness.names()), expected, "inotifywait")
    wait_equal(berthd.names, expected, "berthd's names")
    for netns in present:
        wait_open(netns)


@pytest.mark.kernel
def test_ip_netns_itself_and_the_default_places(world):
    """berthd with no option at all, and iproute2 as the creator."""
    subprocess.run(["ip", "netns", "add", "bt-before"], check=True)
    world.defer(subprocess.run, ["ip", "netns", "del", "bt-before"])
    os.makedirs("/run/berth/rules.d")
    with open("/run/berth/rules.d/web.yaml", "w", encoding="ascii") as file:
        file.write(ack(namespace="bt-*"))
    world.defer(shutil.rmtree, "/run/berth")
    berthd = world.berthd(start=False)
    berthd.runtime = Path("/run/berth")
    berthd.start([berthd.command()[0]])
    before = Netns("/run/netns/bt-before").up()
    assert before.ask("127.0.0.1", 8080) == b"ack"
    subprocess.run(["ip", "netns", "add", "bt-after"], check=True)
    after = Netns("/run/netns/bt-after")
    try:
        wait_open(after.up())
        assert after.ask("127.0.0.1", 8080) == b"ack"
        monitor = NsidMonitor(world)
        tracked = monitor.track(after)
    finally:
        subprocess.run(["ip", "netns", "del", "bt-after"], check=True)
    monitor.wait_freed(tracked)
    wait_equal(berthd.names, ["bt-before"], "the deleted name to go")
    assert "/run/docker/netns" in [
        d["path"] for d in berthd.status()["directories"]]


def test_ip_netns_makes_the_directory(world):
    """Its first `add` makes it and mounts it over itself."""
    directory = "/run/netns"
    subprocess.run(["umount", "-q", directory], check=False)
    if os.path.isdir(directory):
        os.rmdir(directory)
    world.berthd(ack(), netns_dirs=[directory])
    netns = Netns(f"{directory}/bt-first")
    subprocess.run(["ip", "netns", "add", netns.name], check=True)
    try:
        wait_open(netns)
        with_mount = Netns(f"{directory}/bt-second")
        subprocess.run(["ip", "netns", "add", with_mount.name], check=True)
        wait_open(with_mount)
        subprocess.run(["ip", "netns", "del", with_mount.name], check=True)
    finally:
        subprocess.run(["ip", "netns", "del", netns.name], check=True)


def test_host_namespace_only_when_asked(world):
    netns = world.netns("n")
    berthd = world.berthd(ack())
    wait_open(netns)
    assert world.host.listeners() == set()
    berthd.write_rules("60-host.yaml", rules(
        rule(name="host", namespace=None, match={"host": True}, port=9090)))
    wait_open_host(world, {"tcp *:9090"})
    assert netns.listeners() == WEB
    assert world.host.ask("127.0.0.1", 9090) == b"ack"
    berthd.remove_rules("60-host.yaml")
    wait_open_host(world, set())


def wait_open_host(world, expected):
    wait_equal(world.host.listeners, expected, "listeners of the host")


def test_host_and_named_namespaces_in_one_rule(world):
    netns = world.netns("ns-1")
    other = world.netns("other")
    world.berthd(ack(namespace="ns-*", match={"host": True}))
    wait_open(netns)
    wait_open_host(world, WEB)
    assert other.listeners() == set()


def test_host_namespace_with_a_name(world):
    """A name that leads to the host's own namespace makes no second one."""
    berthd = world.berthd(ack(namespace="me"))
    name = world.name("me").create_file()
    kernel.mount("/proc/self/ns/net", name.path, flags=kernel.MS_BIND)
    wait_equal(lambda: [n["host"] for n in berthd.namespaces()
                        if n["names"]], [True], "the host with a name")
    stays(lambda: world.host.listeners() == set(),
          "no listener, for no rule asks for the host", 0.3)
    name.delete()
    wait_equal(lambda: [n for n in berthd.namespaces() if n["names"]], [],
               "the name to go")
    berthd.write_rules("60-host.yaml", rules(
        rule(name="host", namespace=None, match={"host": True}, port=9090)))
    wait_open_host(world, {"tcp *:9090"})


@pytest.mark.kernel
def test_symlink_whose_target_goes(world):
    """The link is still there; what it leads to is not."""
    monitor = NsidMonitor(world)
    elsewhere = world.mkdir("elsewhere")
    target = world.netns("target", elsewhere)
    berthd = world.berthd(ack())
    world.symlink(target.path, "link")
    wait_open(target)
    tracked = monitor.track(target)
    target.delete()
    monitor.wait_freed(tracked)
    wait_equal(berthd.names, [], "no namespace")
    wait_for(lambda: "link" in berthd.pending(), "the dangling link")
    target.create()
    wait_open(target)


def test_symlink_looked_at_again_without_a_descriptor_left(world):
    """That it cannot be opened now says nothing about what it leads to."""
    monitor = NsidMonitor(world)
    elsewhere = world.mkdir("elsewhere")
    scratch = world.mkdir("scratch")
    target = world.netns("target", elsewhere)
    world.symlink(target.path, "link")
    berthd = world.berthd(ack())
    berthd.wait_delivered()
    before, tracked = target.listener_inodes(), monitor.track(target)
    process.steady(lambda: process.context_switches(berthd.pid))
    limit = process.limit_descriptors(berthd.pid, 3)
    # A change of the mounts is why the links are looked at again.
    kernel.mount("none", scratch, "tmpfs")
    kernel.umount(scratch)
    stays(lambda: target.listener_inodes() == before, "the listener", 0.5)
    process.limit_descriptors(berthd.pid, limit)
    stays(lambda: target.listener_inodes() == before, "the listener", 0.3)
    assert berthd.names() == ["link"]
    target.delete()
    monitor.wait_freed(tracked)
    wait_equal(berthd.names, [], "no namespace")


@pytest.mark.kernel
@pytest.mark.parametrize("linked", [False, True], ids=["mount", "link"])
def test_remounted_during_a_shortage(world, monitor, linked):
    """It cannot be looked at then, and is when there is room again."""
    target = world.netns("target", world.mkdir("elsewhere") if linked
                         else world.dir)
    if linked:
        world.symlink(target.path, "link")
    berthd = world.berthd(ack())
    wait_open(target)
    berthd.wait_delivered()
    tracked = monitor.track(target)
    limit = process.limit_descriptors(berthd.pid, 3)
    with process.stopped(berthd.pid):
        target.unmount()
        target.mount()
    # Every look that the change of the mounts causes is over by then.
    stays(lambda: not monitor.freed(tracked), "the namespace", 1.5)
    process.limit_descriptors(berthd.pid, limit)
    monitor.wait_freed(tracked)
    wait_open(target)

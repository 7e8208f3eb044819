# SPDX-License-Identifier: Apache-2.0
"""test_mounts.py - mounts over names, over directories and over rules."""

import os
import statistics
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import kernel, process
from harness.rules import ack
from harness.wait import SLOWNESS, wait_equal, wait_for

pytestmark = pytest.mark.kernel

WEB = {"tcp *:8080"}
QUEUED = Path("/proc/sys/fs/fanotify/max_queued_events")


def wait_open(netns, expected=frozenset(WEB)):
    wait_equal(netns.listeners, set(expected), f"listeners of {netns.name}")


def needs_mount_events():
    release = tuple(int(n) for n in os.uname().release.split(".")[:2])
    if release < (6, 15):
        pytest.skip("before Linux 6.15 it is not told which mount went")


@contextmanager
def fanotify_queue(length):
    """The limit is taken when a group is made."""
    before = QUEUED.read_text(encoding="ascii")
    QUEUED.write_text(str(length), encoding="ascii")
    try:
        yield
    finally:
        QUEUED.write_text(before, encoding="ascii")


def tmpfs(world, path):
    kernel.mount("tmpfs", path, "tmpfs", data="mode=755")
    world.defer(_umount_quiet, path)


def bind(world, source, path):
    kernel.mount(source, path, flags=kernel.MS_BIND)
    world.defer(_umount_quiet, path)


def _umount_quiet(path):
    try:
        kernel.umount(path)
    except OSError:
        pass  # it is gone already


def test_unmounted_name_is_seen_at_once(world, monitor):
    """The median is far below the pause of a sweep."""
    needs_mount_events()
    world.berthd(ack())
    took = []
    for i in range(5):
        netns = world.netns(f"n{i}")
        wait_open(netns)
        tracked = monitor.track(netns)
        netns.unmount()
        unmounted = time.monotonic()
        monitor.wait_freed(tracked)
        took.append(time.monotonic() - unmounted)
    assert statistics.median(took) < 0.3 * SLOWNESS, took


@pytest.mark.alone
def test_mount_events_are_lost(world, monitor):
    needs_mount_events()
    names = [world.netns(f"n{i}") for i in range(20)]
    with fanotify_queue(4):
        berthd = world.berthd(ack())
    tracked = [monitor.track(netns) for netns in names]
    with process.stopped(berthd.pid):
        for netns in names:
            netns.unmount()
        names[0].mount()
    for one in tracked:
        monitor.wait_freed(one)
    wait_open(names[0])
    wait_equal(berthd.names, ["n0"], "the names")


def test_old_name_is_mounted_over_after_all(world):
    """Other mounts come and go meanwhile, and more names are pending."""
    berthd = world.berthd(ack())
    old = world.name("old").create_file()
    others = [world.name(f"n{i}").create_file() for i in range(300)]
    wait_equal(lambda: len(berthd.pending()), 301, "the pending names")
    other = world.mkdir("other")
    for _ in range(20):
        tmpfs(world, other)
        kernel.umount(other)
    old.mount()
    wait_open(old)
    for netns in others:
        netns.unlink()


@pytest.mark.parametrize("which", ["directory", "parent"])
def test_directory_of_names_is_covered(world, monitor, which):
    """By another file system, with a name in it, and it is taken away."""
    parent = world.mkdir("parent")
    directory = parent / "netns"
    directory.mkdir()
    berthd = world.berthd(ack(), netns_dirs=[directory])
    below = world.netns("below", directory)
    wait_open(below)
    tracked = monitor.track(below)
    covered = directory if which == "directory" else parent
    fd = below.open_fd()
    tmpfs(world, covered)
    directory.mkdir(exist_ok=True)
    above = world.netns("above", directory)
    wait_open(above)
    wait_equal(berthd.names, ["above"], "the names")
    gone = monitor.track(above)
    kernel.umount(covered)
    monitor.wait_freed(gone)
    os.close(fd)
    assert not monitor.freed(tracked), "it still has a name"
    wait_open(below)
    wait_equal(berthd.names, ["below"], "the names")


def test_directory_is_mounted_over_itself(world):
    """The same directory, but its entries show no mount any more."""
    berthd = world.berthd(ack())
    netns = world.netns("n")
    wait_open(netns)
    fd = netns.open_fd()
    bind(world, world.dir, world.dir)
    wait_equal(berthd.names, [], "no namespace")
    wait_for(lambda: "n" in berthd.pending(), "the covered name")
    kernel.umount(world.dir)
    wait_open(netns)
    os.close(fd)


def test_missing_directory_comes_by_a_mount(world):
    """Its parent is covered by a file system that has it."""
    parent = world.mkdir("parent")
    berthd = world.berthd(ack(), netns_dirs=[parent / "netns"])
    tmpfs(world, parent)
    (parent / "netns").mkdir()
    netns = world.netns("n", parent / "netns")
    wait_open(netns)
    kernel.umount(parent)
    wait_equal(berthd.names, [], "no namespace")


def test_link_on_the_way_is_covered(world):
    """What the link led to is where it was, but the path leads there no more,
    or elsewhere."""
    directory = world.mkdir("real")
    way, image = world.mkdir("way"), world.mkdir("image")
    (way / "link").symlink_to(directory)
    berthd = world.berthd(ack(), netns_dirs=[way / "link"])
    netns = world.netns("n", directory)
    other = world.netns("other", world.mkdir("elsewhere"))
    wait_open(netns)
    tmpfs(world, way)
    wait_equal(berthd.names, [], "no namespace")
    kernel.umount(way)
    wait_open(netns)
    (image / "link").symlink_to(world.base / "elsewhere")
    bind(world, image, way)
    wait_equal(berthd.names, ["other"], "the namespaces")
    wait_open(other)
    kernel.umount(way)
    wait_equal(berthd.names, ["n"], "the namespaces")


def ports(*numbers):
    return {f"tcp *:{number}" for number in numbers}


@pytest.mark.parametrize("which", ["directory", "parent"])
def test_rules_directory_is_covered(world, which):
    parent = world.mkdir("parent")
    directory = parent / "rules"
    directory.mkdir()
    (directory / "50-a.yaml").write_text(ack(port=1000))
    berthd = world.berthd(rules_dirs=[directory])
    netns = world.netns("n")
    wait_open(netns, ports(1000))
    covered = directory if which == "directory" else parent
    image = world.mkdir("image")
    (image / "rules").mkdir()
    at = image if which == "parent" else image / "rules"
    (image / "rules/50-b.yaml").write_text(ack(port=2000))
    bind(world, at, covered)
    wait_open(netns, ports(2000))
    # It is this directory that is watched now.
    (directory / "60-c.yaml").write_text(ack(name="c", port=3000))
    wait_open(netns, ports(2000, 3000))
    kernel.umount(covered)
    wait_open(netns, ports(1000))
    (directory / "60-d.yaml").write_text(ack(name="d", port=4000))
    wait_open(netns, ports(1000, 4000))
    assert berthd.names() == ["n"]


def test_missing_rules_directory_comes_by_a_mount(world):
    """As with a system extension: its parent is covered."""
    parent, image = world.mkdir("parent"), world.mkdir("image")
    world.berthd(rules_dirs=[parent / "rules"])
    netns = world.netns("n")
    (image / "rules").mkdir()
    (image / "rules/50-a.yaml").write_text(ack(port=1000))
    bind(world, image, parent)
    wait_open(netns, ports(1000))
    (image / "rules/60-b.yaml").write_text(ack(name="b", port=2000))
    wait_open(netns, ports(1000, 2000))
    kernel.umount(parent)
    wait_open(netns, set())


@pytest.mark.parametrize("linked", [False, True], ids=["file", "link"])
def test_rule_file_is_covered(world, linked):
    directory, other = world.mkdir("rules"), world.mkdir("other")
    (other / "above").write_text(ack(port=2000))
    below = other / "below" if linked else directory / "50-a.yaml"
    below.write_text(ack(port=1000))
    if linked:
        os.symlink(below, directory / "50-a.yaml")
    world.berthd(rules_dirs=[directory])
    netns = world.netns("n")
    wait_open(netns, ports(1000))
    for _ in range(2):
        bind(world, other / "above", below)
        wait_open(netns, ports(2000))
        kernel.umount(below)
        wait_open(netns, ports(1000))
    # Masked, as a file is that is mounted over by /dev/null.
    bind(world, "/dev/null", below)
    wait_open(netns, set())
    kernel.umount(below)
    wait_open(netns, ports(1000))


def test_link_to_a_name_that_is_another_namespace_now(world):
    """Of two names with one mount, both are looked at when it goes."""
    other = world.netns("other")
    blue = world.name("blue").bind(other)
    world.symlink("blue", "green")
    berthd = world.berthd(ack())

    def names():
        return {n["id"]: sorted(name["name"] for name in n["names"])
                for n in berthd.namespaces() if not n["host"]}

    wait_equal(names, {other.cookie(): ["blue", "green", "other"]}, "all")
    with process.stopped(berthd.pid):
        blue.delete()
        blue.create()
    wait_equal(names, {other.cookie(): ["other"],
                       blue.cookie(): ["blue", "green"]}, "two namespaces")

# SPDX-License-Identifier: Apache-2.0
"""test_links.py - names that are links through a process, /proc/PID/ns/net."""

import os

import pytest

from harness import process
from harness.netns import Netns
from harness.rules import ack
from harness.tenant import Tenant
from harness.wait import stays, wait_equal, wait_for

pytestmark = pytest.mark.kernel

WEB = {"tcp *:8080"}
UP = "../" * 12  # to the root, from wherever a test's directory is


def of(pid):
    return Netns(f"/proc/{pid}/ns/net")


def wait_open(netns, expected=frozenset(WEB)):
    wait_equal(netns.listeners, set(expected), f"listeners of {netns.path}")


def remount(world):
    """Somewhere something is mounted and unmounted."""
    other = world.name("other", world.base).create()
    other.delete()


def absolute(world, tenant):
    del world
    return f"/proc/{tenant.pid}/ns/net"


def relative(world, tenant):
    return UP + absolute(world, tenant)[1:]


def of_main_thread(world, tenant):
    del world
    return f"/proc/{tenant.pid}/task/{tenant.pid}/ns/net"


def descriptor(world, tenant):
    del world
    return f"/proc/{tenant.pid}/fd/{tenant.open()}"


def chain(world, tenant):
    os.symlink(relative(world, tenant), world.base / "last")
    os.symlink("last", world.base / "first")
    return "../first"


def through_directory(world, tenant):
    os.symlink(f"/proc/{tenant.pid}", world.base / "process")
    return world.base / "process/ns/net"


@pytest.mark.parametrize("target", [
    absolute, relative, of_main_thread, descriptor, chain, through_directory])
def test_end_of_the_process_frees_its_namespace(world, monitor, target):
    """Nothing else happens; no mount, no event of a directory."""
    tenant = Tenant(world)
    berthd = world.berthd(ack())
    link = world.symlink(target(world, tenant), "link")
    wait_open(link)
    tracked = monitor.track(link)
    tenant.kill()
    monitor.wait_freed(tracked)
    wait_for(lambda: "dangling" in berthd.pending().get("link", ""),
             "the dangling link")
    assert berthd.names() == []


def test_thread_of_a_process(world, monitor):
    """It has a namespace of its own, and ends before the others."""
    tenant = Tenant(world)
    tid = tenant.start_thread()
    berthd = world.berthd(ack())
    link = world.symlink(f"/proc/{tenant.pid}/task/{tid}/ns/net", "link")
    wait_open(link)
    assert of(tenant.pid).listeners() == set()
    tracked = monitor.track(link)
    tenant.end_thread()
    monitor.wait_freed(tracked)
    wait_equal(berthd.names, [], "no namespace")


@pytest.mark.parametrize("target", [
    absolute, relative, chain, through_directory])
def test_number_is_given_to_a_stranger(world, target):
    """The link is dead then, whatever else happens, until it is made anew."""
    tenant = Tenant(world)
    pid = tenant.pid
    berthd = world.berthd(ack())
    link = world.symlink(target(world, tenant), "link")
    wait_open(link)
    tenant.kill()
    wait_equal(berthd.names, [], "no namespace")
    Tenant(world, number=pid)
    wait_for(lambda: "another has the number" in berthd.pending()["link"],
             "the number to be seen at another")
    remount(world)
    # Its directory is renamed, and so is the link itself.
    world.dir.rename(world.base / "away")
    wait_equal(berthd.pending, {}, "no directory")
    (world.base / "away").rename(world.dir)
    os.rename(link.path, world.dir / "renamed")
    wait_for(lambda: "another has" in berthd.pending().get("renamed", ""),
             "the renamed link")
    remount(world)
    stays(lambda: of(pid).listeners() == set(), "a stranger's namespace", 0.3)
    world.symlink(f"/proc/{pid}/ns/net", "new")
    os.rename(world.dir / "new", world.dir / "renamed")
    wait_open(of(pid))
    assert berthd.names() == ["renamed"]


def test_number_is_given_to_a_stranger_before_it_is_seen(world):
    """Both happen while berthd sees nothing."""
    tenant = Tenant(world)
    pid = tenant.pid
    berthd = world.berthd(ack())
    world.symlink(f"/proc/{pid}/ns/net", "link")
    wait_open(of(pid))
    with process.stopped(berthd.pid):
        tenant.kill()
        Tenant(world, number=pid)
    wait_for(lambda: "another has" in berthd.pending().get("link", ""),
             "the number to be seen at another")
    assert of(pid).listeners() == set()


def test_link_to_a_link_whose_number_is_a_strangers(world):
    """Made later, it means what the other one means: nothing any more."""
    tenant = Tenant(world)
    pid = tenant.pid
    berthd = world.berthd(ack())
    wait_open(world.symlink(f"/proc/{pid}/ns/net", "link"))
    tenant.kill()
    wait_equal(berthd.names, [], "no namespace")
    Tenant(world, number=pid)
    world.symlink("link", "later")
    for name in ("link", "later"):
        wait_for(lambda: "another has the number"
                 in berthd.pending().get(name, ""), name)
    stays(lambda: of(pid).listeners() == set(), "a stranger's namespace", 0.3)


def test_directory_that_is_a_link_names_the_process(world):
    """Who leads through it means its process, until it is made anew."""
    tenant = Tenant(world)
    pid = tenant.pid
    berthd = world.berthd(ack())
    target = through_directory(world, tenant)
    wait_open(world.symlink(target, "link"))
    tenant.kill()
    wait_equal(berthd.names, [], "no namespace")
    Tenant(world, number=pid)
    world.symlink(target, "new")
    os.rename(world.dir / "new", world.dir / "link")
    world.symlink("link", "later")
    for name in ("link", "later"):
        wait_for(lambda: "another has the number"
                 in berthd.pending().get(name, ""), name)
    stays(lambda: of(pid).listeners() == set(), "a stranger's namespace", 0.3)
    os.symlink(f"/proc/{pid}", world.base / "new")
    os.rename(world.base / "new", world.base / "process")
    remount(world)
    wait_open(of(pid))
    assert sorted(berthd.names()) == ["later", "link"]


def test_many_processes_through_a_directory_that_is_a_link(world):
    """It names none of them: each link has the number of its own."""
    tenants = [Tenant(world) for _ in range(2)]
    os.symlink("/proc", world.base / "proc")
    berthd = world.berthd(ack())
    for i, tenant in enumerate(tenants):
        world.symlink(world.base / f"proc/{tenant.pid}/ns/net", f"n{i}")
        wait_open(of(tenant.pid))
    pid = tenants[0].pid
    tenants[0].kill()
    wait_equal(berthd.names, ["n1"], "the other name")
    Tenant(world, number=pid)
    remount(world)
    wait_for(lambda: "another has the number" in berthd.pending()["n0"],
             "the number to be seen at another")
    assert of(pid).listeners() == set()
    assert berthd.names() == ["n1"]


@pytest.mark.parametrize("target", [
    absolute, relative, of_main_thread, chain, through_directory])
def test_number_of_a_process_that_had_ended_before(world, target):
    """The link is left over from one that berthd never saw."""
    tenant = Tenant(world)
    pid = tenant.pid
    world.symlink(target(world, tenant), "link")
    tenant.kill()
    berthd = world.berthd(ack())
    wait_for(lambda: "dangling" in berthd.pending().get("link", ""),
             "the dangling link")
    stranger = Tenant(world, number=pid)
    remount(world)
    wait_for(lambda: "another has the number" in berthd.pending()["link"],
             "the number to be seen at another")
    assert of(stranger.pid).listeners() == set()


def test_process_goes_to_another_namespace(world, monitor):
    """The link leads there; nothing of berth's stays in the old one."""
    tenant = Tenant(world)
    berthd = world.berthd(ack())
    link = world.symlink(f"/proc/{tenant.pid}/ns/net", "link")
    wait_open(link)
    for _ in range(2):
        tracked = monitor.track(link)
        tenant.move()
        monitor.wait_freed(tracked)
        wait_open(link)
    assert berthd.names() == ["link"]


def test_link_is_replaced(world):
    one, two = Tenant(world), Tenant(world)
    berthd = world.berthd(ack())
    link = world.symlink(f"/proc/{one.pid}/ns/net", "link")
    wait_open(of(one.pid))
    world.symlink(f"/proc/{two.pid}/ns/net", ".new")
    os.rename(world.dir / ".new", link.path)
    wait_open(of(two.pid))
    wait_open(of(one.pid), set())
    assert berthd.names() == ["link"]


def test_link_through_the_root_of_a_process(world):
    """Who has the number later could put anything there."""
    tenant = Tenant(world)
    elsewhere = world.mkdir("elsewhere")
    target = world.netns("target", elsewhere)
    berthd = world.berthd(ack())
    world.symlink(f"/proc/{tenant.pid}/root{target.path}", "link")
    wait_for(lambda: "link" in berthd.pending(), "the refused link")
    assert "opened" in berthd.pending()["link"]
    assert target.listeners() == set()


def test_many_links_to_one_process(world, monitor):
    """One descriptor is enough for them."""
    tenant = Tenant(world)
    berthd = world.berthd(ack())
    world.symlink(f"/proc/{tenant.pid}/ns/net", "n0")
    wait_open(of(tenant.pid))
    before = berthd.idle_descriptors()
    for i in range(1, 100):
        world.symlink(f"/proc/{tenant.pid}/ns/net", f"n{i}")
    wait_equal(lambda: len(berthd.names()), 100, "the names")
    assert berthd.idle_descriptors() == before
    tracked = monitor.track(of(tenant.pid))
    tenant.kill()
    monitor.wait_freed(tracked)
    wait_equal(berthd.names, [], "no namespace")


def pid_of(pid, fd):
    """Of which process is this descriptor, if it is a pidfd?"""
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return int(fields.get("Pid", 0))


def test_more_processes_than_can_be_watched(world, monitor):
    """They take a small part of the descriptors; the end of each is seen."""
    berthd = world.berthd(ack())
    process.limit_descriptors(berthd.pid, 80)
    tenants = [Tenant(world) for _ in range(15)]
    for i, tenant in enumerate(tenants):
        world.symlink(f"/proc/{tenant.pid}/ns/net", f"n{i}")
    for tenant in tenants:
        wait_open(of(tenant.pid))
    pids = {tenant.pid for tenant in tenants}
    watched = sum(pid_of(berthd.pid, fd) in pids
                  for fd in os.listdir(f"/proc/{berthd.pid}/fd"))
    assert 0 < watched <= 10, "an eighth of the descriptors"
    tracked = [monitor.track(of(tenant.pid)) for tenant in tenants]
    for tenant in tenants:
        tenant.kill()
    for one in tracked:
        monitor.wait_freed(one)
    wait_equal(berthd.names, [], "no namespace")


def test_process_ends_during_a_shortage(world, monitor):
    """Its end is seen without a descriptor, and gives back some."""
    tenant = Tenant(world)
    berthd = world.berthd(ack())
    link = world.symlink(f"/proc/{tenant.pid}/ns/net", "link")
    wait_open(link)
    berthd.wait_delivered()
    tracked = monitor.track(link)
    limit = process.limit_descriptors(berthd.pid, 3)
    tenant.kill()
    monitor.wait_freed(tracked)
    process.limit_descriptors(berthd.pid, limit)

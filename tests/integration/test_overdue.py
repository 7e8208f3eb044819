# SPDX-License-Identifier: Apache-2.0
"""test_overdue.py - consumers that do not let go of a namespace that is gone."""

import os
import pwd

import pytest

from harness.consumer import Consumer
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for


def start(world, text="release_timeout: 1s\n"):
    path = world.base / "berthd.yaml"
    path.write_text(text)
    return world.berthd(
        rules(rule(name="web", handoff="front"),
              rule(name="more", handoff="front",
                   listen=[{"protocol": "udp", "address": "any", "port": port}
                         for port in (53, 67, 69, 123)])),
        args=["--config", path])


def user():
    return pwd.getpwuid(os.getuid()).pw_name


def lingering(berthd):
    return wait_for(lambda: berthd.status()["lingering"],
                    "the namespace to be listed")


def connection_of(berthd):
    consumer, = [c for c in berthd.ctl("consumers")["consumers"]
                 if c["name"] == "front"]
    return consumer["connections"]


@pytest.mark.kernel
def test_named_and_disconnected(world, monitor):
    """Who does not let go in time is named, with what it pins, until the
    kernel has freed the namespace."""
    netns = world.netns("pinned")
    berthd = start(world)
    tracked = monitor.track(netns)
    cookie = netns.cookie()
    consumer = Consumer(berthd, "front").welcome()
    listeners = consumer.until_listening(5)
    netns.delete()
    wait_equal(lambda: [(c["withdrawn"], c["overdue"])
                        for c in connection_of(berthd)], [(5, 5)],
               "it to be asked")
    while consumer.receive():
        pass  # asked again and again, it does nothing
    pid = os.getpid()
    berthd.wait_log(rf"consumer 'front' \(pid {pid}, uid {os.getuid()}\) was "
                    rf"told \d+ s ago to let go of netns 'pinned' \(id "
                    rf"{cookie}\), and still has listeners: .*udp \*:53.* and "
                    "1 more")
    assert connection_of(berthd) == []
    entry, = lingering(berthd)
    assert entry["withdrawn_listeners"] == 0
    pin, = entry["pinned_by"]
    assert (pin["consumer"], pin["pid"], pin["uid"], pin["program"]) == \
        ("front", pid, os.getuid(), "harness")
    assert pin["alive"] and pin["listeners"] == 5
    assert not pin["backend_sockets"]
    assert len(pin["endpoints"]) == 4
    assert pin["told_us"] >= 1_000_000 and pin["disconnected_us"] >= 0
    text = berthd.ctl_text("status")
    assert "namespace 'pinned' (deleted " in text
    assert f"consumer 'front' (pid {pid}, user {user()}) did not let go of " \
           "5 listeners (" in text
    assert "did not let go of" in berthd.ctl_text("explain", "pinned", code=1)
    assert not monitor.freed(tracked)
    for listener in listeners:
        listener.close()
    monitor.wait_freed(tracked)
    wait_equal(lambda: berthd.status()["lingering"], [], "nothing listed")
    # It may be a consumer again.
    consumer.socket.close()
    with Consumer(berthd, "front").welcome():
        pass


@pytest.mark.kernel
def test_lives_on_without_its_connection(world, monitor):
    """A program that ended its connection cannot be asked; what it had is
    known."""
    netns = world.netns("left")
    other = world.netns("other")
    berthd = start(world)
    tracked = monitor.track(netns)
    consumer = Consumer(berthd, "front").welcome()
    consumer.until_listening(10)
    consumer.socket.close()
    wait_equal(lambda: connection_of(berthd), [], "it to be gone")
    netns.delete()
    entry, = lingering(berthd)
    pin, = entry["pinned_by"]
    assert (pin["consumer"], pin["pid"], pin["told_us"]) == \
        ("front", os.getpid(), None)
    assert pin["listeners"] == 5 and pin["alive"]
    text = berthd.ctl_text("status")
    assert "had 5 listeners (" in text and ", and lives on" in text
    consumer.close()
    monitor.wait_freed(tracked)
    wait_equal(lambda: berthd.status()["lingering"], [], "nothing listed")
    wait_for(other.listeners, "the others stay")


@pytest.mark.kernel
def test_not_named_once_it_is_back(world, monitor):
    """A program that connects again can be asked again: what it had before is
    not held against it."""
    netns = world.netns("n")
    berthd = start(world)
    consumer = Consumer(berthd, "front").welcome()
    consumer.until_listening(5)
    consumer.close()
    tracked = monitor.track(netns)
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening(5)
        fd = os.open(netns.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            netns.delete()
            for number in consumer.until_withdrawn(5):
                consumer.release(number)
            entry, = lingering(berthd)
            assert entry["pinned_by"] == []
        finally:
            os.close(fd)
        monitor.wait_freed(tracked)


def test_the_time_can_be_changed(world):
    """A shorter time holds at once, also for what is overdue already."""
    netns = world.netns("n")
    berthd = start(world, "release_timeout: 1h\n")
    consumer = Consumer(berthd, "front").welcome()
    consumer.until_listening(5)
    netns.delete()
    wait_equal(lambda: [c["overdue"] for c in connection_of(berthd)], [5],
               "it to be asked")
    (world.base / "berthd.yaml").write_text("release_timeout: 1s\n")
    assert berthd.ctl("reload")["changed"] == ["release_timeout"]
    while consumer.receive():
        pass
    consumer.close()

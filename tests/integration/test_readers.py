# SPDX-License-Identifier: Apache-2.0
"""test_readers.py - a group that may see everything, and change nothing."""

import pytest

from harness.rules import ack
from harness.user import GROUP, USER, Caller, let_in
from harness.wait import wait_for

CHANGES = [
    ("Reload", {}), ("Drain", {"target": "web"}), ("Close", {"target": "web"}),
    ("Undrain", {}), ("RestartRelay", {}), ("SetLogLevel", {})]
READS = [
    ("GetStatus", {}), ("ListNamespaces", {}), ("ListConsumers", {}),
    ("ListListeners", {}), ("ListConnections", {}), ("GetStats", {}),
    ("ListRules", {}), ("Explain", {"namespace": "blue"}),
    ("Wait", {"name": "blue"})]


@pytest.fixture
def berthd(world):
    world.netns("blue")
    path = world.base / "berthd.yaml"
    path.write_text(f"control: {{ readers: {GROUP} }}\n")
    let_in(world)
    return world.berthd(ack(), args=["--config", path])


def test_readers_see_what_root_sees(berthd, world):
    world.name("slow").create_file()
    wait_for(lambda: "slow" in berthd.pending(), "the pending name")
    reader, root = Caller(berthd), Caller(berthd, 0)
    for method, parameters in READS:
        seen = reader.call(method, **parameters)
        whole = root.call(method, **parameters)
        assert seen.keys() == whole.keys()
        for key, value in whole.items():
            if isinstance(value, list):
                assert len(seen[key]) == len(value), (method, key)
    names = [netns["names"][0]["name"]
             for netns in reader.call("ListNamespaces")["namespaces"]
             if netns["names"]]
    assert names == ["blue"]
    assert reader.call("ListRules")["rules"][0]["name"] == "web"
    # What opens files as root is root's.
    error, parameters = reader.fails("Explain", namespace="/etc/shadow")
    assert error == "NoSuchNamespace"
    assert parameters == reader.fails(
        "Explain", namespace="/etc/shadow")[1]
    assert "no network namespace '/etc/shadow' in" in parameters["message"]
    reader.close()
    root.close()


def test_readers_change_nothing(berthd):
    reader = Caller(berthd)
    for method, parameters in CHANGES:
        assert reader.fails(method, **parameters) == (
            "NotPermitted", {"reason": "only root may call this"}), method
    assert reader.fails("Register", name="x",
                        path=f"/proc/{berthd.pid}/ns/net")[0] == "NotPermitted"
    reader.close()
    assert {row["state"] for row in berthd.listeners()} == {"listening"}


def test_monitor(berthd, world):
    """Also bounded, and over when the group is another one."""
    readers = [Caller(berthd) for _ in range(9)]
    for reader in readers:
        reader.send("Monitor", {"kinds": ["namespace"]}, more=True)
    replies = [reader.receive() for reader in readers]
    assert replies[:8] == 8 * [{"parameters": {"events": []},
                                "continues": True}]
    assert replies[8]["error"] == "io.berth.LimitReached"
    world.netns("red")
    for reader in readers[:8]:
        event, = reader.receive()["parameters"]["events"]
        assert (event["event"], event["namespace"]) == \
            ("namespace.appeared", "red")
    path = world.base / "berthd.yaml"
    path.write_text(f"control: {{ group: {GROUP} }}\n")
    berthd.ctl("reload")
    for reader in readers[:8]:
        assert reader.receive()["error"] == "io.berth.NotPermitted"
        assert reader.fails("GetStatus") == (
            "NotPermitted", {"reason": "only root and the group of readers "
                                       "may call this"})
        assert not any(reader.call("ListNamespaces").values())
        reader.close()
    readers[8].close()


def test_other_groups(berthd):
    """They do not even come in."""
    with pytest.raises(PermissionError):
        Caller(berthd, USER, GROUP + 1)

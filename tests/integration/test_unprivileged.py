# SPDX-License-Identifier: Apache-2.0
"""test_unprivileged.py - callers of the control socket that are not root."""

import os
import shutil
import stat
import subprocess

import pytest

from harness.berthd import BERTHCTL
from harness.rules import ack, rule, rules
from harness.user import GROUP, OTHER, USER, Caller, let_in
from harness.wait import wait_for

FOR_READERS = [
    ("GetStatus", {}), ("ListConsumers", {}), ("ListConnections", {}),
    ("GetStats", {}), ("ListRules", {}), ("ListMetrics", {}), ("Monitor", {})]
FOR_ROOT = [
    ("Reload", {}),
    ("Drain", {"target": "web"}), ("Close", {"target": "web"}),
    ("Undrain", {}), ("RestartRelay", {}), ("SetLogLevel", {})]


def start(world, text, configuration, **kwargs):
    path = world.base / "berthd.yaml"
    path.write_text(configuration)
    let_in(world)
    return world.berthd(text, args=["--config", path], **kwargs)


@pytest.fixture
def berthd(world):
    world.netns("n")
    return start(world, {"a.yaml": ack(), "b.yaml": rules(
        {**rule(name="all", port=9000), "unprivileged": True})},
        f"control: {{ group: {GROUP} }}\n")


def test_methods_of_root(berthd):
    caller = Caller(berthd)
    for method, parameters in FOR_ROOT:
        assert caller.fails(method, **parameters) == (
            "NotPermitted", {"reason": "only root may call this"}), method
    for method, parameters in FOR_READERS:
        assert caller.fails(method, **parameters) == (
            "NotPermitted", {"reason": "only root and the group of readers "
                                       "may call this"}), method
    # Whatever else is wrong with the call.
    assert caller.fails("Reload", nonsense=1)[0] == "NotPermitted"
    caller.close()
    assert not berthd.status()["config"]["problems"]
    assert {row["state"] for row in berthd.listeners()} == {"listening"}


def test_what_others_have_does_not_exist(berthd, world):
    """The same words for what is there and for what is not."""
    caller = Caller(berthd)
    world.name("slow").create_file()
    wait_for(lambda: "slow" in berthd.pending(), "the pending name")
    reply = caller.call("ListNamespaces")
    assert not any(reply.values()), reply
    assert caller.call("ListListeners")["listeners"] == []
    n = berthd.namespaces()[0]
    for text in ("n", str(n["id"]), "host", "slow", f"{world.dir}/n",
                 f"/proc/{os.getpid()}/ns/net", "/proc/1/root/etc", "nosuch"):
        for method in ("Explain", "ListListeners"):
            assert caller.fails(method, namespace=text) == (
                "NoSuchNamespace", {
                    "namespace": text,
                    "message": "you registered no network namespace "
                               f"'{text}'"})
    caller.close()


def test_who_may_connect(berthd):
    path = berthd.runtime / "control.sock"
    found = path.stat()
    assert (found.st_uid, found.st_gid) == (0, GROUP)
    assert stat.S_IMODE(found.st_mode) == 0o660
    with pytest.raises(PermissionError):
        Caller(berthd, gid=GROUP + 1)
    # Whoever can, but may not, is not heard: somebody changed the mode.
    path.chmod(0o666)
    stranger = Caller(berthd, gid=GROUP + 1)
    with pytest.raises((AssertionError, ConnectionError)):
        stranger.message("ListNamespaces")
    stranger.close()


def test_reload_changes_who_may_connect(berthd, world):
    callers = [Caller(berthd), Caller(berthd, OTHER)]
    for caller in callers:
        caller.call("ListNamespaces")
    path = world.base / "berthd.yaml"
    path.write_text(f"control: {{ user: {OTHER}, mode: 0600 }}\n")
    assert berthd.ctl("reload")["changed"] == ["control"]
    with pytest.raises((AssertionError, ConnectionError)):
        callers[0].message("ListNamespaces")
    callers[1].call("ListNamespaces")
    with pytest.raises(PermissionError):
        Caller(berthd)
    Caller(berthd, OTHER).close()
    # A mistake changes nothing; without the key it is root's alone again.
    path.write_text("control: { group: nosuchgroup }\n")
    berthd.ctl_process("reload")
    callers[1].call("ListNamespaces")
    path.write_text("")
    berthd.ctl("reload")
    with pytest.raises((AssertionError, ConnectionError)):
        callers[1].message("ListNamespaces")
    for caller in callers:
        caller.close()
    Caller(berthd, 0).call("GetStatus")


def test_berthctl_says_what_is_not_permitted(berthd, world):
    program = world.base / "berthctl"
    shutil.copy(BERTHCTL, program)

    def run(*words):
        return subprocess.run(
            [program, "--runtime-dir", berthd.runtime, *words], text=True,
            capture_output=True, check=False, timeout=60, user=USER,
            group=GROUP, extra_groups=[])

    done = run("reload")
    assert done.returncode == 5
    assert done.stderr == "berthctl: berthd refuses: only root may call " \
                          "this\n"
    done = run("explain", "n")
    assert done.returncode == 1
    assert done.stderr == "berthctl: you registered no network namespace " \
                          "'n'\n"
    done = run("namespaces")
    assert done.returncode == 0, done.stderr

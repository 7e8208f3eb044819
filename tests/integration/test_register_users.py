# SPDX-License-Identifier: Apache-2.0
"""test_register_users.py - users who register namespaces of theirs: what rules
make of it, and what others see."""

import os
import shutil

import pytest

from harness.rules import rule, rules
from harness.user import (GROUP, OTHER, USER, Caller, UserSandbox,
                          let_in)
from harness.wait import wait_equal, wait_for

NOT_THEIRS = ("NotPermitted",
              {"reason": "there is no such network namespace of yours"})


@pytest.fixture
def berthd(world):
    let_in(world)
    path = world.base / "berthd.yaml"
    path.write_text(f"control: {{ group: {GROUP}, mode: 0660 }}\n")
    return world.berthd(rules(
        rule("roots", port=8080),
        rule("roots-labels", namespace=None, port=8081,
             match={"labels": "app=web"}),
        {**rule("users", namespace=None, port=9000,
                match={"labels": "app=web"}), "unprivileged": True}),
        args=["--config", path])


def web(caller, sandbox, name="web", **more):
    return caller.call("Register", pid=sandbox.pid, name=name,
                       labels={"app": "web"}, wait_ms=30000, **more)


def test_rules_that_say_so(berthd, world):
    sandbox, caller = UserSandbox(world), Caller(berthd)
    reply = web(caller, sandbox)
    assert reply["ready"], reply
    assert reply["namespace"] == f"web@{USER}"
    assert sandbox.listeners() == {"tcp *:9000"}
    assert sandbox.ask("127.0.0.1", 9000) == b"ack"
    # Root hears of it, and why its own rules do not apply.
    found = berthd.ctl("explain", "web")
    assert found["namespace"]["names"][0]["uid"] == USER
    verdicts = {row["name"]: row for row in found["rules"]}
    assert verdicts["users"]["matches"]
    assert verdicts["roots"]["reason"] == \
        f"unprivileged: only uid {USER} gave it a name, and the rule does " \
        "not say \"unprivileged: true\""
    assert f"told by uid {USER}" in berthd.ctl_text("explain", "web")
    # What root says of the same namespace counts for all rules.
    root = Caller(berthd, 0)
    web(root, sandbox, "roots")
    wait_equal(sandbox.listeners,
               {"tcp *:8080", "tcp *:8081", "tcp *:9000"}, "all listeners")
    assert root.call("Unregister", name="roots") == {"ended": 1}
    wait_equal(sandbox.listeners, {"tcp *:9000"}, "the user's listener")
    assert caller.call("Unregister", name="web") == {"ended": 1}
    wait_equal(sandbox.listeners, set(), "no listener")
    for connection in (caller, root):
        connection.close()


def test_by_descriptor(berthd, world):
    sandbox, caller = UserSandbox(world), Caller(berthd)
    for name, fd in (("netns", os.open(sandbox.path, os.O_RDONLY)),
                     ("pidfd", os.pidfd_open(sandbox.pid))):
        reply = caller.call("Register", [fd], fd=0, name=name,
                            labels={"app": "web"}, wait_ms=30000)
        os.close(fd)
        assert reply["ready"], reply
    caller.close()


@pytest.mark.skipif(not shutil.which("bwrap"), reason="no bubblewrap here")
def test_bubblewrap(berthd, world):
    sandbox = UserSandbox(world, argv=(
        "bwrap", "--unshare-user", "--unshare-net", "--dev-bind", "/", "/",
        "--die-with-parent"))
    caller = Caller(berthd)
    assert web(caller, sandbox)["ready"]
    assert sandbox.ask("127.0.0.1", 9000) == b"ack"
    before = berthd.status()["freed"]["count"]
    sandbox.end()
    wait_for(lambda: berthd.status()["freed"]["count"] > before,
             "the kernel to free it")
    caller.close()


def test_only_their_own(berthd, world):
    """What is somebody else's is as what does not exist."""
    mine, theirs = UserSandbox(world), UserSandbox(world, OTHER)
    roots = world.netns("n")
    caller, other = Caller(berthd), Caller(berthd, OTHER)
    gone = UserSandbox(world)
    gone.end()
    assert web(caller, mine)["ready"]
    registration = web(other, theirs)["registration"]
    for pid in (theirs.pid, gone.pid, os.getpid(), 2**22 - 1):
        assert caller.fails("Register", pid=pid, name="x") == NOT_THEIRS
    for path in (theirs.path, roots.path, "/proc/self/ns/net", "/"):
        fd = os.open(path, os.O_RDONLY)
        assert caller.fails("Register", [fd], fd=0, name="x") == NOT_THEIRS
        os.close(fd)
    answers = {repr(caller.fails("Register", path=str(path), name="x"))
               for path in (theirs.path, roots.path, "/nonexistent",
                            "/etc/shadow", world.base)}
    assert len(answers) == 1 and "NotPermitted" in answers.pop()
    for found, who in ((caller, mine), (other, theirs)):
        listed, = found.call("ListNamespaces")["namespaces"]
        assert listed["id"] == who.cookie()
        row, = found.call("ListListeners")["listeners"]
        assert row["namespace_id"] == who.cookie()
        explained = found.call("Explain", namespace="web")
        assert [verdict["name"] for verdict in explained["rules"]] == \
            ["users"]
    for text in (f"web@{OTHER}", str(theirs.cookie()), "n"):
        assert caller.fails("Explain", namespace=text)[0] == \
            "NoSuchNamespace"
    assert caller.call("Unregister", registration=registration) == \
        {"ended": 0}
    assert theirs.listeners() == {"tcp *:9000"}
    for connection in (caller, other):
        connection.close()


def test_wait_for_their_own(berthd, world):
    mine, theirs = UserSandbox(world), UserSandbox(world, OTHER)
    caller, other = Caller(berthd), Caller(berthd, OTHER)
    web(other, theirs)
    web(caller, mine)
    assert caller.call("Wait", name="web", timeout_ms=30000)["ready"]
    answers = {repr(caller.message("Wait", name=name, timeout_ms=1))
               .replace(name, "NAME")
               for name in (f"web@{OTHER}", str(theirs.cookie()), "nosuch")}
    assert len(answers) == 1, answers
    for connection in (caller, other):
        connection.close()


def test_registrars_word_is_roots(berthd, world):
    blue = world.netns("blue")
    (world.base / "berthd.yaml").write_text(
        f"control: {{ group: {GROUP}, registrars: [{USER}] }}\n")
    berthd.ctl("reload")
    caller = Caller(berthd)
    reply = caller.call("Register", path=str(blue.path), name="web",
                        labels={"app": "web"}, wait_ms=30000)
    assert reply["ready"], reply
    assert blue.listeners() == {"tcp *:8080", "tcp *:8081", "tcp *:9000"}
    container, = berthd.ctl("explain", "web")["namespace"]["containers"]
    assert container["uid"] == 0
    assert caller.fails("Reload")[0] == "NotPermitted"
    assert caller.call("Unregister", name="web") == {"ended": 1}
    wait_equal(blue.listeners, {"tcp *:8080"}, "root's listener")
    caller.close()

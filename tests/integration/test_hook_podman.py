# SPDX-License-Identifier: Apache-2.0
"""test_hook_podman.py - containers of podman find their listeners by their
first instruction, and start whatever becomes of berthd."""

import itertools
import os
import shutil
import tempfile

import pytest

from harness import podman, stand_in
from harness.berthd import BUILD
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for

HOOK = BUILD / "berth-hook"
PORT = 8080
CLIENT = ("nc", "127.0.0.1", str(PORT))
WEB = {"io.berth.labels.app": "web"}


@pytest.fixture
def pod(world):
    """podman; its paths must be short, sockets stand in them."""
    del world  # it ends first, whatever the test left
    if reason := podman.problem():
        pytest.skip(reason)
    base = tempfile.mkdtemp(prefix="berth-pod-")
    os.chmod(base, 0o755)  # for the users of the containers
    made = podman.Podman(base)
    yield made
    made.close()
    shutil.rmtree(base, ignore_errors=True)


def by_label(app="web", **more):
    return rule(name=f"for-{app}", namespace=None, port=PORT,
                match={"labels": f"app={app}"}, **more)


def lingering(berthd):
    return [one["name"] for one in berthd.status()["lingering"]]


def told(berthd):
    """The containers that berthd knows, by name."""
    return {container["name"]
            for netns in berthd.namespaces()
            for container in netns["containers"]}


@pytest.mark.parametrize("network, options", (
    ("none", ()), ("bridge", ()), ("bridge", ("--uidmap=0:100000:1000",))))
def test_the_first_instruction_is_answered(world, pod, network, options):
    """In a namespace without a name, in one that netavark made, and in one
    that belongs to the container's user namespace: that has no name either,
    and its network comes only after the hook."""
    berthd = world.berthd(rules(by_label()))
    pod.hook(HOOK, "--runtime-dir", berthd.runtime)
    process = pod.run(*CLIENT, network=network, annotations=WEB,
                      options=options)
    assert (process.stdout, process.stderr) == ("ack", "")
    wait_equal(lambda: told(berthd), set(), "the container to be gone")
    other = pod.run(*CLIENT, network=network, check=False, options=options,
                    annotations={"io.berth.labels.app": "db"})
    assert other.stdout == "" and "refused" in other.stderr
    wait_for(lambda: berthd.status()["freed"]["count"] >= 2,
             "both to be freed")
    assert lingering(berthd) == []


def test_twenty_churn(world, pod):
    """Each by a label of its own, several at a time; nothing lingers."""
    names = [f"c{i}" for i in range(20)]
    berthd = world.berthd(rules(
        dict(rule(namespace=None, port=PORT, match={
            "labels": "app in (web,db)"}), name="all")))
    pod.hook(HOOK, "--runtime-dir", berthd.runtime)
    networks = itertools.cycle(["none"] * 4 + ["bridge"])

    def start(name):
        return pod.popen(*CLIENT, network=next(networks), annotations={
            "io.berth.name": name,
            "io.berth.labels.app": "web" if int(name[1:]) % 2 else "db"})

    running = [start(name) for name in names[:4]]
    for name in names[4:] + [None] * 4:
        process = running.pop(0)
        out, err = process.communicate()
        assert (process.returncode, out, err) == (0, "ack", "")
        if name:
            running.append(start(name))
    wait_equal(lambda: told(berthd), set(), "all containers to be gone")
    wait_for(lambda: berthd.status()["freed"]["count"] >= 20,
             "all to be freed")
    assert lingering(berthd) == []
    assert pod.containers() == []


def test_it_is_said_to_be_there(world, pod):
    """A container that stays is listed by its name, until it ends."""
    berthd = world.berthd(rules(by_label()))
    pod.hook(HOOK, "--runtime-dir", berthd.runtime)
    process = pod.popen("sh", "-c", "busybox nc 127.0.0.1 8080; "
                        "exec busybox sleep 1000",
                        annotations={**WEB, "io.berth.name": "web-1"})
    assert process.stdout.read(3) == "ack"  # it runs
    assert told(berthd) == {"web-1"}
    pod.close()
    process.communicate()
    wait_equal(lambda: told(berthd), set(), "its end")


def test_no_berthd_keeps_no_container(world, pod):
    base = world.mkdir("nobody")
    pod.hook(HOOK, "--runtime-dir", base, "--timeout-ms", "100")
    assert pod.run("echo", "ran").stdout == "ran\n"
    with stand_in.StandIn(base, stand_in.hangs) as berthd:
        assert pod.run("echo", "ran").stdout == "ran\n"
        assert [call["method"] for call in berthd.calls] == [
            "io.berth.Register", "io.berth.Unregister"]
    assert pod.containers() == []

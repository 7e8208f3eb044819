# SPDX-License-Identifier: Apache-2.0
"""test_follow.py - berth-follow tells berthd of an engine's containers: with
stand-ins on both sides."""

import os
import threading

import pytest

from harness.berthd import BUILD
from harness.engine import Engine
from harness.process import anonymous_kib, sanitizer_reports
from harness.rules import rule, rules
from harness.varlink_server import VarlinkServer
from harness.wait import GUARD, stays, wait_equal, wait_for

FOLLOW = BUILD / "berth-follow"


class Follow:
    """berth-follow, beside its stand-ins."""

    def __init__(self, world, berthd=True, **paths):
        self.world, self.paths = world, paths
        self.log_path = world.base / "follow.log"
        if berthd:
            self.berthd = VarlinkServer(world.base / "control.sock")
            world.defer(self.berthd.stop)
        self.process = None

    def start(self, *args):
        argv = [str(FOLLOW), "--runtime-dir", str(self.world.base),
                "--log-level", "debug", *args]
        for name, path in self.paths.items():
            argv += [f"--{name}", str(path)]
        with open(self.log_path, "ab") as log:
            self.process = self.world.popen(*argv, stdout=log, stderr=log)
        return self

    def log(self):
        return self.log_path.read_text()

    def check(self):
        assert self.process.poll() is None, self.log()
        assert not sanitizer_reports(self.log()), self.log()

    def wait_registered(self, *keys):
        wait_equal(lambda: set(self.berthd.registered), set(keys),
                   "the registrations")
        self.check()

    def wait_log(self, text):
        wait_for(lambda: text in self.log(), f"'{text}' in the log")


@pytest.fixture
def docker(world):
    engine = Engine(world.base / "docker.sock")
    world.defer(engine.stop)
    return engine


@pytest.fixture
def follow(world, docker):
    return Follow(world, docker=docker.path)


@pytest.fixture
def blue(world):
    return world.netns("blue")


@pytest.fixture
def pid(world, blue):
    """A process in a namespace of its own."""
    return process_in(world, blue)


def process_in(world, netns):
    program = netns.popen("sleep", "1000")
    world.defer(program.kill)
    host = os.stat("/proc/self/ns/net").st_ino
    wait_for(lambda: os.stat(f"/proc/{program.pid}/ns/net").st_ino != host,
             "the process to be there")
    return program.pid


def test_what_exists_and_what_comes(follow, docker, pid):
    first = docker.add("a1", pid, path="/run/docker/netns/1", name="web-1",
                       labels={"app": "web", "": "x",
                               "io.kubernetes.pod.namespace": "shop"},
                       quiet=True)
    follow.start().wait_registered(first)
    assert follow.berthd.registered[first] == {
        "id": first, "name": "web-1", "pid": pid, "runtime": "docker",
        "path": "/run/docker/netns/1", "pod_namespace": "shop",
        "labels": {"app": "web", "io.kubernetes.pod.namespace": "shop"},
        "source": "runtime"}
    second = docker.add("a2", pid, mode=f"container:{first}")
    follow.wait_registered(first, second)
    assert "path" not in follow.berthd.registered[second]
    docker.end(first)
    follow.wait_registered(second)
    docker.containers[second]["Name"] = "/renamed"
    docker.event("rename", second)
    wait_for(lambda: follow.berthd.registered[second]["name"] == "renamed",
             "the new name")
    # Nothing of this is worth a word.
    before = len(docker.requests)
    for action in "pause", "unpause", "exec_start: sh", "health_status: healthy":
        docker.event(action, second)
    docker.remove(second)
    follow.wait_registered()
    assert len(docker.requests) == before + 1
    follow.wait_log("docker is followed by")


@pytest.mark.kernel
def test_the_hosts_network_is_left_out(follow, docker, pid):
    host = docker.add("a1", os.getpid(), mode="host",
                      path="/var/run/docker/netns/default")
    docker.add("a2", os.getpid(), mode=f"container:{host}")
    own = docker.add("a3", pid)
    follow.start().wait_registered(own)
    # A process that is gone, and of which nothing else is known.
    docker.add("a4", 2 ** 22 + 1)
    last = docker.add("a5", pid)
    follow.wait_registered(own, last)


def test_engine_restarts(follow, docker, pid):
    gone, stays_on = docker.add("a1", pid), docker.add("a2", pid)
    follow.start().wait_registered(gone, stays_on)
    docker.stop()
    follow.wait_log("trying again")
    docker.remove(gone, quiet=True)
    new = docker.add("a3", pid, quiet=True)
    assert set(follow.berthd.registered) == {gone, stays_on}
    docker.start()
    follow.wait_registered(stays_on, new)


def test_berthd_restarts(follow, docker, pid):
    first = docker.add("a1", pid)
    follow.start().wait_registered(first)
    follow.berthd.stop()
    follow.wait_log("berthd is told nothing")
    second = docker.add("a2", pid)
    docker.remove(first)
    follow.berthd.start()
    follow.wait_registered(second)
    follow.wait_log("berthd is told again")


def test_waits_for_both(world, docker, pid):
    docker.stop()
    follow = Follow(world, docker=docker.path)
    follow.berthd.stop()
    follow.start()
    follow.wait_log("is not followed")
    first = docker.add("a1", pid, quiet=True)
    docker.start()
    follow.wait_log("berthd is told nothing")
    follow.berthd.start()
    follow.wait_registered(first)


def test_is_killed_and_started_again(follow, docker, pid):
    first = docker.add("a1", pid)
    follow.start().wait_registered(first)
    follow.process.kill()
    follow.process.wait()
    second = docker.add("a2", pid, quiet=True)
    follow.start().wait_registered(first, second)


def test_lost_events(follow, docker, pid):
    first = docker.add("a1", pid)
    follow.start("--resync", "1").wait_registered(first)
    docker.remove(first, quiet=True)
    second = docker.add("a2", pid, quiet=True)
    follow.wait_registered(second)


def test_podman_that_calls_itself_docker(world, docker, pid):
    """Debian's podman-docker: /run/docker.sock is a link."""
    link = world.base / "link.sock"
    link.symlink_to(docker.path)
    follow = Follow(world, docker=link, podman=docker.path)
    first = docker.add("a1", pid)
    follow.start().wait_registered(first)
    follow.wait_log("the same socket as")
    assert follow.berthd.registered[first]["runtime"] == "podman"
    assert docker.streams == 1


def test_berthd_refuses_one(follow, docker, pid):
    bad, good = docker.add("a1", pid, path="/x"), docker.add("a2", pid)
    follow.berthd.refuses = lambda method, parameters: (
        ("io.berth.LimitReached", {"reason": "too many labels"})
        if parameters["id"] == bad else None)
    follow.start().wait_registered(good)
    follow.wait_log("too many labels")
    follow.berthd.refuses = lambda method, parameters: None
    docker.event("rename", bad)
    follow.wait_registered(good, bad)


def test_path_that_berthd_does_not_see(follow, docker, pid):
    """As that of a user's own podman: the process leads there, too."""
    first = docker.add("a1", pid, path="/run/user/1000/netns/x")
    follow.berthd.refuses = lambda method, parameters: (
        ("io.berth.NoSuchNamespace", {"name": "x", "reason": "no such file"})
        if "path" in parameters else None)
    follow.start().wait_registered(first)
    assert follow.berthd.registered[first]["pid"] == pid


def test_berthd_of_before_who_tells_was_said(follow, docker, pid):
    """It refuses the parameter, once; the next berthd is told again."""
    asked = []
    follow.berthd.refuses = lambda method, parameters: (
        asked.append("source" in parameters) or
        (("org.varlink.service.InvalidParameter", {"parameter": "source"})
         if "source" in parameters else None))
    first, second = docker.add("a1", pid), docker.add("a2", pid)
    follow.start().wait_registered(first, second)
    assert asked == [True, False, False]
    assert "source" not in follow.berthd.registered[first]


def test_berthd_does_not_permit(follow, docker, pid):
    """All is told as soon as berthd.yaml names the user."""
    first = docker.add("a1", pid)
    follow.berthd.refuses = lambda method, parameters: (
        "io.berth.NotPermitted", {"reason": "not a registrar"})
    follow.start()
    follow.wait_log("not a registrar")
    follow.berthd.refuses = lambda method, parameters: None
    follow.wait_registered(first)


# With berthd itself

USER = 4243


def as_user(world, docker, berthd):
    """berth-follow as its unit runs it. Return: its log's path."""
    path = world.base / "follow.log"
    with open(path, "wb") as log:
        world.popen(str(FOLLOW), "--docker", str(docker.path),
                    "--runtime-dir", str(berthd.runtime), stdout=log,
                    stderr=log, user=USER, group=USER, extra_groups=[])
    return path


def berthd_that_admits(world, registrars):
    config = world.base / "berthd.yaml"
    config.write_text("control:\n"
                      f"  group: {USER}\n"
                      "  mode: 0660\n" + registrars)
    return world.berthd(
        rules(rule(namespace=None, match={"labels": "app=web"})),
        args=["--config", str(config)])


def test_as_a_user_of_its_own(world, docker, blue, pid):
    """What a registrar tells counts as root's word."""
    berthd = berthd_that_admits(world, f"  registrars: [{USER}]\n")
    key = docker.add("a1", pid, path=blue.path, labels={"app": "web"},
                     quiet=True)
    log = as_user(world, docker, berthd)
    wait_equal(blue.listeners, {"tcp *:8080"}, "the listeners")
    red = world.netns("red")
    docker.add("a2", process_in(world, red), labels={"app": "web"})
    wait_equal(red.listeners, {"tcp *:8080"}, "the listeners")
    docker.end(key)
    wait_equal(blue.listeners, set(), "the listeners")
    assert not sanitizer_reports(log.read_text())


def test_user_that_is_no_registrar(world, docker, blue, pid):
    berthd = berthd_that_admits(world, "")
    docker.add("a1", pid, path=blue.path, labels={"app": "web"})
    log = as_user(world, docker, berthd)
    wait_for(lambda: "NotPermitted" in log.read_text(), "the reason")
    assert blue.listeners() == set()


# Engines that lie, or are slow

def _garbage(handler):
    handler.wfile.write(b"\x00\xff" * 5000 + b"\n")
    handler.close_connection = True


def _closes(handler):
    handler.close_connection = True


def _endless_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100000):
        handler.wfile.write(b"X-A: " + b"b" * 1000 + b"\r\n")


def _fails(handler):
    handler.answer({"message": "database is locked"}, 500)


def _half(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"[{")
    handler.close_connection = True


def _endless_body(handler):
    handler.begin()
    for _ in range(100000):
        handler.chunk(b"[" * 65536)


def _no_list(handler):
    handler.answer({"a": "list"})


HOSTILE = [_garbage, _closes, _endless_headers, _fails, _half, _no_list]


@pytest.mark.parametrize("answer", HOSTILE + [_endless_body])
def test_list_is_bad(follow, docker, pid, answer):
    first = docker.add("a1", pid)
    docker.instead["/containers/json"] = answer
    follow.start()
    follow.wait_log("list of containers")
    docker.instead.clear()
    follow.wait_registered(first)


@pytest.mark.parametrize("answer", HOSTILE)
def test_events_are_bad(follow, docker, pid, answer):
    first = docker.add("a1", pid)
    docker.instead["/events"] = answer
    follow.start()
    follow.wait_log("docker is not followed")
    docker.instead.clear()
    follow.wait_registered(first)


@pytest.mark.parametrize("answer", HOSTILE + [_endless_body])
def test_one_container_is_bad(follow, docker, pid, answer):
    """Its answer costs only itself."""
    bad = docker.add("a1", pid)
    docker.instead[f"/containers/{bad}/json"] = answer
    good = docker.add("a2", pid)
    follow.start().wait_registered(good)
    follow.wait_log("no answer of use")
    later = docker.add("a3", pid)
    follow.wait_registered(good, later)
    docker.instead.clear()
    docker.event("start", bad)
    follow.wait_registered(bad, good, later)
    assert docker.streams == 1


@pytest.mark.parametrize("line", [
    b"\xff\xfe\n", b"[]\n", b"{\"Type\":\"container\"}\n", b"{" * 5000 + b"\n",
    b"x" * (2 * 1024 * 1024) + b"\n"], ids=[
        "bytes", "list", "without-action", "deep", "long"])
def test_an_event_is_bad(follow, docker, pid, line):
    """Nobody knows whom it was about: all are looked at again."""
    first = docker.add("a1", pid)
    follow.start().wait_registered(first)
    second = docker.add("a2", pid, quiet=True)
    docker.line(line)
    follow.wait_registered(first, second)
    assert docker.streams == 1


def test_line_without_end(follow, docker, pid):
    first = docker.add("a1", pid)

    def endless(handler):
        handler.begin()
        for _ in range(2000):
            handler.chunk(b"x" * 65536)

    docker.instead["/events"] = endless
    follow.start()
    follow.wait_log("Message too long")
    assert anonymous_kib(follow.process.pid) < 200 * 1024
    docker.instead.clear()
    follow.wait_registered(first)


def test_silent_engine_holds_up_nobody(world, docker, pid):
    """The other one is followed, and one that hangs is left."""
    podman = Engine(world.base / "podman.sock")
    world.defer(podman.stop)
    release = threading.Event()
    world.defer(release.set)
    docker.instead["/events"] = lambda handler: release.wait(GUARD)
    follow = Follow(world, docker=docker.path, podman=podman.path)
    first = podman.add("b1", pid)
    follow.start().wait_registered(first)
    assert follow.berthd.registered[first]["runtime"] == "podman"
    second = podman.add("b2", pid)
    follow.wait_registered(first, second)
    assert not docker.streams


def test_a_slow_answer_holds_up_nobody(follow, docker, pid):
    release = threading.Event()
    slow = docker.add("a1", pid)
    docker.instead[f"/containers/{slow}/json"] = (
        lambda handler: (release.wait(GUARD),
                         handler.answer(docker.containers[slow])))
    good = docker.add("a2", pid)
    follow.start().wait_registered(good)
    release.set()
    follow.wait_registered(slow, good)


def test_many(follow, docker, pid):
    keys = [docker.add(f"a{n}x", pid, quiet=True) for n in range(300)]
    follow.start().wait_registered(*keys)
    for key in keys[:150]:
        docker.remove(key)
    follow.wait_registered(*keys[150:])
    calls = len(follow.berthd.calls)
    stays(lambda: len(follow.berthd.calls) == calls, "the calls", 0.1)

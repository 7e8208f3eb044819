# SPDX-License-Identifier: Apache-2.0
"""test_follow_podman.py - berth-follow between podman and berthd, both real:
rules choose containers by label that nobody told but podman, afterwards."""

import os
import subprocess
from contextlib import suppress

import pytest

from harness.berthd import BUILD
from harness.netns import Place
from harness.podman import Podman, problem
from harness.process import sanitizer_reports
from harness.rules import rule, rules
from harness.wait import GUARD, wait_equal, wait_for

FOLLOW = BUILD / "berth-follow"
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


@pytest.fixture(autouse=True)
def needs_podman():
    reason = problem()
    if reason:
        pytest.skip(reason)


class OfProcess(Place):
    """The network namespace of a container, by its process."""

    def __init__(self, pid):
        self.pid = pid

    def open_fd(self):
        return os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)


class Followed(Podman):
    """Containers that go on, podman's service, and its events in a file."""

    def __init__(self, base):
        super().__init__(base)
        self.socket = self.base / "podman.sock"
        self.server = None

    def command(self, *words):
        argv = [str(word) for word in super().command(*words)]
        argv[argv.index("--events-backend") + 1] = "file"
        return argv

    def start_service(self):
        self.server = subprocess.Popen(
            self.command("system", "service", "--time=0",
                         f"unix://{self.socket}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_for(self.socket.exists, "podman's socket")

    def stop_service(self):
        self.server.terminate()
        self.server.wait(GUARD)
        with suppress(FileNotFoundError):
            self.socket.unlink()

    def do(self, *words):
        done = subprocess.run(self.command(*words), text=True, check=False,
                              capture_output=True, timeout=4 * GUARD,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def begin(self, name, *labels, network="none"):
        """A container that runs on. Return: its namespace."""
        self.do("run", "--detach", "--name", name, "--network", network,
                "--log-driver", "none", *_LIMITS,
                *(f"--label={label}" for label in labels),
                "--rootfs", self.rootfs, "/bin/busybox", "sleep", "1000")
        return self.place(name)

    def place(self, name):
        return OfProcess(int(self.do("inspect", "--format", "{{.State.Pid}}",
                                     name)))

    def close(self):
        if self.server:
            self.stop_service()
        super().close()


@pytest.fixture
def podman(world):
    made = Followed(world.mkdir("podman"))
    world.close_later(made)
    made.start_service()
    return made


@pytest.fixture
def berthd(world):
    return world.berthd(rules(rule("web", namespace=None, port=8080,
                                   match={"labels": "app=web"})))


class Follow:
    def __init__(self, world, podman, berthd):
        self.world, self.log_path = world, world.base / "follow.log"
        self.argv = [str(FOLLOW), "--podman", str(podman.socket),
                     "--runtime-dir", str(berthd.runtime),
                     "--log-level", "debug"]
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = self.world.popen(*self.argv, stdout=log,
                                            stderr=log)

    def check(self):
        log = self.log_path.read_text()
        assert self.process.poll() is None and not sanitizer_reports(log), log

    def kill(self):
        self.process.kill()
        self.process.wait()


def containers(berthd):
    """By name: the runtime and the labels that berthd knows."""
    return {container["name"]: (container["runtime"], container["labels"])
            for netns in berthd.namespaces()
            for container in netns["containers"]}


def wait_open(place, *ports):
    wait_equal(place.listeners, {f"tcp *:{port}" for port in ports},
               "the listeners")


def test_what_runs_what_starts_what_ends(world, podman, berthd):
    before = podman.begin("before", "app=web")
    other = podman.begin("other", "app=db")
    follow = Follow(world, podman, berthd)
    wait_open(before, 8080)
    after = podman.begin("after", "app=web", "tier=front")
    wait_open(after, 8080)
    assert other.listeners() == set()
    assert containers(berthd) == {
        "before": ("podman", {"app": "web"}),
        "other": ("podman", {"app": "db"}),
        "after": ("podman", {"app": "web", "tier": "front"})}
    podman.do("rename", "after", "later")
    wait_for(lambda: "later" in containers(berthd), "the new name")
    podman.do("stop", "--time", "0", "before")
    wait_equal(lambda: set(containers(berthd)), {"other", "later"},
               "the containers")
    # Started again, it has another process, and another namespace.
    podman.do("start", "before")
    wait_open(podman.place("before"), 8080)
    follow.check()


def test_shared_namespaces(world, podman, berthd):
    """As a pod has: each is told of by itself; the host's is left out."""
    follow = Follow(world, podman, berthd)
    first = podman.begin("first", "app=db")
    podman.begin("host", "app=web", network="host")
    assert not first.listeners()
    podman.begin("second", "app=web", network="container:first")
    podman.begin("hosts-guest", "app=web", network="container:host")
    wait_open(first, 8080)
    assert set(containers(berthd)) == {"first", "second"}
    podman.do("rm", "--force", "--time", "0", "second")
    wait_open(first)
    wait_equal(lambda: set(containers(berthd)), {"first"}, "the containers")
    assert follow.process.poll() is None


def test_podman_is_restarted(world, podman, berthd):
    gone = podman.begin("gone", "app=web")
    stays_on = podman.begin("stays", "app=web")
    follow = Follow(world, podman, berthd)
    wait_open(gone, 8080)
    wait_open(stays_on, 8080)
    podman.stop_service()
    podman.do("rm", "--force", "--time", "0", "gone")
    new = podman.begin("new", "app=web")
    podman.start_service()
    wait_open(new, 8080)
    assert set(containers(berthd)) == {"stays", "new"}
    follow.check()


def test_is_killed(world, podman, berthd):
    """What it told ends with the containers; what it missed is found."""
    first = podman.begin("first", "app=web")
    follow = Follow(world, podman, berthd)
    wait_open(first, 8080)
    follow.kill()
    podman.do("rm", "--force", "--time", "0", "first")
    wait_equal(lambda: containers(berthd), {}, "the containers")
    second = podman.begin("second", "app=web")
    follow.start()
    wait_open(second, 8080)
    follow.check()


def test_berthd_is_restarted(world, podman, berthd):
    first = podman.begin("first", "app=web")
    follow = Follow(world, podman, berthd)
    wait_open(first, 8080)
    berthd.crash()
    second = podman.begin("second", "app=web")
    berthd.start()
    wait_open(first, 8080)
    wait_open(second, 8080)
    follow.check()

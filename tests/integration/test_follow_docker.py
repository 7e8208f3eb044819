# SPDX-License-Identifier: Apache-2.0
"""test_follow_docker.py - berth-follow between Debian's Docker and berthd,
both real. What Docker answers otherwise is in test_follow, by a stand-in."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from contextlib import suppress

import pytest

from harness import kernel
from harness.berthd import BUILD
from harness.netns import Place
from harness.process import sanitizer_reports
from harness.rules import rule, rules
from harness.wait import GUARD, wait_equal, wait_for

FOLLOW = BUILD / "berth-follow"
CLI = "/usr/bin/docker"


class OfProcess(Place):
    """The network namespace of a container, by its process."""

    def __init__(self, pid):
        self.pid = pid

    def open_fd(self):
        return os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)


class Docker:
    """A dockerd that keeps everything in a directory of the test's, and leaves
    the network alone."""

    def __init__(self, base):
        self.base = base
        self.socket = base / "d.sock"
        # Docker's key is in /etc otherwise.
        (base / "daemon.json").write_text(json.dumps(
            {"deprecated-key-path": str(base / "key.json")}))
        with open(base / "dockerd.log", "wb") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--config-file", base / "daemon.json",
                 "--data-root", base / "data", "--exec-root", base / "exec",
                 "--pidfile", base / "pid", "--host", f"unix://{self.socket}",
                 "--iptables=false", "--ip6tables=false", "--bridge=none",
                 "--storage-driver=vfs"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=kernel.die_with_parent)

    def problem(self):
        """Waits until it answers. Return: why it does not, or None."""
        deadline = time.monotonic() + 2 * GUARD
        while self.command("version").returncode:
            if (self.process.poll() is not None or
                    time.monotonic() > deadline):
                return (self.base / "dockerd.log").read_text()[-400:]
            time.sleep(0.05)
        return None

    def command(self, *words, **kwargs):
        return subprocess.run(
            [CLI, "--host", f"unix://{self.socket}", *map(str, words)],
            capture_output=True, check=False, timeout=4 * GUARD,
            env=dict(os.environ, HOME=str(self.base)), **kwargs)

    def do(self, *words, **kwargs):
        done = self.command(*words, **kwargs)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def load(self):
        """The image, of one file."""
        text = io.BytesIO()
        with tarfile.open(fileobj=text, mode="w") as archive:
            archive.add(shutil.which("busybox"), "bin/busybox")
        self.do("import", "-", "busybox:berth", input=text.getvalue())

    def begin(self, name, *labels, network="none"):
        """A container that runs on. Return: its namespace."""
        self.do("run", "--detach", "--name", name, "--network", network,
                *(f"--label={label}" for label in labels), "busybox:berth",
                "/bin/busybox", "sleep", "1000")
        return self.place(name)

    def place(self, name):
        return OfProcess(int(self.do("inspect", "--format", "{{.State.Pid}}",
                                     name)))

    def close(self):
        with suppress(subprocess.TimeoutExpired):
            ids = self.command("ps", "--all", "--quiet").stdout.split()
            if ids:
                self.command("rm", "--force", *(i.decode() for i in ids))
        self.process.terminate()
        self.process.wait(2 * GUARD)


@pytest.fixture
def docker(world):
    missing = [name for name in ("dockerd", "containerd", CLI, "busybox")
               if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install docker.io")
    made = Docker(world.mkdir("docker"))
    world.close_later(made)
    problem = made.problem()
    if problem:
        pytest.skip(f"dockerd does not run here: {problem}")
    made.load()
    return made


def containers(berthd):
    return {container["name"]: (container["runtime"], container["labels"])
            for netns in berthd.namespaces()
            for container in netns["containers"]}


def wait_open(place, *ports):
    wait_equal(place.listeners, {f"tcp *:{port}" for port in ports},
               "the listeners")


def test_docker(world, docker):
    berthd = world.berthd(rules(rule("web", namespace=None, port=8080,
                                     match={"labels": "app=web"})))
    before = docker.begin("before", "app=web")
    log_path = world.base / "follow.log"
    with open(log_path, "wb") as log:
        follow = world.popen(
            str(FOLLOW), "--docker", str(docker.socket), "--runtime-dir",
            str(berthd.runtime), "--log-level", "debug", stdout=log,
            stderr=log)
    wait_open(before, 8080)
    after = docker.begin("after", "app=db")
    docker.begin("guest", "app=web", network="container:after")
    wait_open(after, 8080)
    assert containers(berthd) == {
        "before": ("docker", {"app": "web"}),
        "after": ("docker", {"app": "db"}),
        "guest": ("docker", {"app": "web"})}
    docker.do("rename", "before", "renamed")
    wait_for(lambda: "renamed" in containers(berthd), "the new name")
    docker.do("rm", "--force", "guest")
    wait_open(after)
    assert before.listeners() == {"tcp *:8080"}
    docker.do("rm", "--force", "renamed")
    wait_equal(lambda: set(containers(berthd)), {"after"}, "the containers")
    assert follow.poll() is None
    assert not sanitizer_reports(log_path.read_text())

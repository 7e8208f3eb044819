# SPDX-License-Identifier: Apache-2.0
"""test_registrations.py - namespaces without a name live as long as what was
registered, and no longer."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from harness.podman import Podman, problem
from harness.rules import forward, rule, rules
from harness.sandbox import Sandbox, register, wait_freed
from harness.traffic import ended
from harness.wait import wait_equal, wait_for

# A client inside, who says when it is answered, and reads no more.
CLIENT = """
import socket, sys
client = socket.create_connection(("127.0.0.1", 8080))
client.sendall(b"ping")
print(client.recv(4).decode(), flush=True)
sys.stdin.read()
"""


def web():
    return rule(namespace=None, match={"labels": "app=web"})


def register_web(berthd, sandbox, name="web-1", **more):
    return register(berthd, pid=sandbox.pid, name=name, label="app=web",
                    wait="10s", **more)


def held(berthd):
    return berthd.status()["registrations"]["held"]


def to_backend(backend):
    return forward(f"127.0.0.1:{backend.getsockname()[1]}", namespace=None,
                   match={"labels": "app=web"})


@pytest.mark.kernel
def test_killed_with_relayed_connections(world, backend):
    """Nothing of berth keeps the namespace: not the listener, and not the
    connection, whose data the client never took."""
    berthd = world.berthd(to_backend(backend))
    idle = berthd.idle_descriptors()
    sandbox = Sandbox(world)
    assert register_web(berthd, sandbox)["ready"]
    client = sandbox.popen("python3", "-c", CLIENT, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
    server, _ = backend.accept()
    assert server.recv(4) == b"ping"
    server.sendall(b"pong")
    assert client.stdout.readline() == b"pong\n"
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            server.send(bytes(1 << 16))
    server.setblocking(True)
    assert held(berthd) == 0
    client.kill()
    client.communicate()
    sandbox.end()
    wait_freed(berthd)
    assert berthd.status()["lingering"] == []
    assert ended(server)
    server.close()
    berthd.wait_descriptors(idle)


@pytest.mark.kernel
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_restart(world, number):
    """The next berthd knows what was registered, but not what ended."""
    berthd = world.berthd(rules(web()))
    stays, goes = Sandbox(world), Sandbox(world)
    before = register_web(berthd, stays)
    register_web(berthd, goes, name="web-2")
    assert stays.ask("127.0.0.1", 8080) == b"ack"
    berthd.leave(number)
    goes.end()
    berthd.start()
    assert stays.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.status()["registrations"] == {"count": 1, "held": 0}
    after = register_web(berthd, stays)
    assert after["registration"] == before["registration"]
    assert after["namespace"] == "web-1"
    stays.end()
    wait_freed(berthd)


def test_restart_without_a_name_any_more(world):
    """The name in the directory went while there was no berthd."""
    netns = world.netns("blue")
    berthd = world.berthd(rules(web()))
    inside = netns.popen("sleep", "inf")
    register(berthd, netns=netns.path, pid=inside.pid, name="web-1",
             label="app=web", wait="10s")
    berthd.leave(signal.SIGKILL)
    netns.delete()
    berthd.start()
    assert [row["name"] for row in berthd.namespaces()[-1]["names"]] == [
        "web-1"]
    inside.kill()
    inside.wait()
    wait_freed(berthd)


def test_file_that_lies(world):
    berthd = world.berthd(rules(web()))
    sandbox = Sandbox(world)
    register_web(berthd, sandbox)
    path = berthd.runtime / "registrations.json"
    wait_for(path.exists, "the file")
    kept = json.loads(path.read_text())
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    kept["registrations"][0]["process"] = "1"
    berthd.leave(signal.SIGKILL)
    path.write_text(json.dumps(kept))
    berthd.start()
    berthd.wait_log(r"registration of container 'web-1' is forgotten")
    assert berthd.status()["registrations"]["count"] == 0
    assert sandbox.listeners() == set()


def test_storm_of_registrations(world):
    """Each is written sooner or later, in few files."""
    berthd = world.berthd(rules(web()))
    sandbox = Sandbox(world)
    path = berthd.runtime / "registrations.json"
    for number in range(40):
        register(berthd, pid=sandbox.pid, name="a", id=str(number))
    wait_equal(lambda: len(json.loads(path.read_text())["registrations"]), 40,
               "registrations in the file")
    sandbox.end()
    wait_equal(lambda: len(json.loads(path.read_text())["registrations"]), 0,
               "registrations in the file")


def test_host_is_refused(world):
    berthd = world.berthd(rules(web()))
    done = berthd.ctl_process("register", "--pid", str(os.getpid()), "--name",
                              "a")
    assert done.returncode != 0
    assert "the host's own namespace" in done.stderr


def test_podman_without_network(world):
    """Its namespace has no name anywhere, and goes with the container."""
    reason = problem()
    if reason:
        pytest.skip(reason)
    berthd = world.berthd(rules(web()))
    podman = Podman(world.mkdir("podman"))
    world.defer(podman.close)
    process = podman.popen("sleep", "1000", options=["--name", "berth-none"])
    shown = podman.command("inspect", "--format", "{{.State.Pid}}",
                           "berth-none")

    def pid():
        done = subprocess.run(shown, capture_output=True, text=True,
                              check=False)
        return done.returncode == 0 and int(done.stdout)

    reply = register(berthd, pid=wait_for(pid, "the container"), name="none",
                     label="app=web", wait="10s")
    assert reply["ready"] and reply["namespace"] == "none"
    subprocess.run(podman.command("kill", "berth-none"), check=True,
                   capture_output=True)
    process.communicate()
    wait_freed(berthd)
    assert berthd.status()["lingering"] == []


def test_bubblewrap(world):
    """A sandbox that a user made, without any process of berth's inside."""
    if not shutil.which("bwrap"):
        pytest.skip("no bubblewrap")
    berthd = world.berthd(rules(web()))
    read, write = os.pipe()
    process = subprocess.Popen(
        ["bwrap", "--unshare-user", "--unshare-net", "--ro-bind", "/", "/",
         "--dev", "/dev", "--die-with-parent", "--info-fd", str(write),
         "sleep", "inf"], pass_fds=[write],
        preexec_fn=lambda: os.setresuid(65534, 65534, 65534))
    world.defer(lambda: (process.kill(), process.wait()))
    os.close(write)
    with os.fdopen(read) as info:
        pid = json.load(info)["child-pid"]
    own = os.stat("/proc/self/ns/net").st_ino
    wait_for(lambda: os.stat(f"/proc/{pid}/ns/net").st_ino != own,
             "its namespace")
    assert register(berthd, pid=pid, name="box", label="app=web",
                    wait="10s")["ready"]
    os.kill(pid, signal.SIGKILL)
    wait_freed(berthd)
    assert berthd.status()["lingering"] == []

# SPDX-License-Identifier: Apache-2.0
"""test_relay_unit.py - berth-relay as a unit of its own, as systemd runs it."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

from harness import process
from harness.berthd import RELAY
from harness.rules import ack, forward
from harness.traffic import ended, pair, works
from harness.wait import GUARD, stays, wait_equal, wait_exit, wait_for

UNIT = ["--relay", "unit"]
# The unit's user, who may do nothing.
USER = 65534


class Unit:
    """What systemd does with berth-relay.service."""

    def __init__(self, world, berthd):
        self._world = world
        self._socket = berthd.runtime / "consumers" / "relay.sock"
        self._program = world.base / "berth-relay"
        shutil.copy(RELAY, self._program)
        self._program.chmod(0o755)
        path = world.base / "notify-relay"
        self._notify = world.close_later(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._notify.bind(str(path))
        path.chmod(0o777)
        self._notify.settimeout(GUARD)
        self._env = dict(os.environ, NOTIFY_SOCKET=str(path), LC_ALL="C")

    def _command(self, *options):
        return [str(self._program), "--socket", str(self._socket),
                "--takeover", *options]

    def start(self):
        program = self._world.popen(
            *self._command(), user=USER, group=USER, extra_groups=[],
            env=self._env)
        assert self._notify.recv(4096) == b"READY=1"
        return program

    def reload(self):
        """Return: the new main process, which is the session's child."""
        done = subprocess.run(
            self._command("--background"), user=USER, group=USER,
            extra_groups=[], env=self._env, timeout=GUARD, check=False)
        assert done.returncode == 0
        pid, ready = self._notify.recv(4096).split(b"\n")
        assert ready == b"READY=1" and pid.startswith(b"MAINPID=")
        pid = int(pid[len(b"MAINPID="):])
        self._world.defer(_end, pid)
        return pid


def _end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.fixture
def netns(world):
    return world.netns("n")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def connected(berthd):
    return berthd.status()["consumers"][0].get("pid")


def test_started_before_berthd(world, netns):
    """It waits, and has no privilege but its user's. berthd has none to start
    one, and its directories are for everybody, whatever the umask."""
    berthd = world.berthd(ack(), start=False, args=UNIT)
    program = Unit(world, berthd).start()
    stays(lambda: program.poll() is None, "waiting", 0.05)
    berthd.start(["sh", "-c", 'umask 077; exec "$@"', "sh",
                  *berthd.command()])
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert connected(berthd) == program.pid
    assert berthd.relays() == []
    assert int(process.status(program.pid, "CapPrm"), 16) == 0
    permitted = int(process.status(berthd.pid, "CapPrm"), 16)
    for bit in (5, 6, 7, 8):  # KILL, SETGID, SETUID, SETPCAP
        assert not permitted & 1 << bit
    for path in (berthd.runtime, berthd.runtime / "consumers"):
        assert path.stat().st_mode & 0o777 == 0o755, path


def test_reload(world, netns, backend):
    """A new one takes over, and tells systemd that it is the main process."""
    berthd = world.berthd(forward(to(backend)), args=UNIT)
    unit = Unit(world, berthd)
    program = unit.start()
    one = pair(netns, backend)
    new = unit.reload()
    assert connected(berthd) == new
    other = pair(netns, backend)
    works(*one)
    works(*other)
    for sock in one:
        sock.close()
    assert program.wait(GUARD) == 0
    works(*other)
    for sock in other:
        sock.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_berthd_restarts(world, netns, backend, number):
    berthd = world.berthd(forward(to(backend)), args=UNIT)
    program = Unit(world, berthd).start()
    one = pair(netns, backend)
    berthd.leave(number)
    works(*one)
    berthd.start()
    wait_equal(lambda: connected(berthd), program.pid, "the relay")
    works(*one)
    for sock in one:
        sock.close()


def test_it_crashes(world, netns):
    """berthd starts none, and clients wait for the one that systemd starts."""
    berthd = world.berthd(ack(), args=UNIT)
    unit = Unit(world, berthd)
    program = unit.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    before = netns.listener_inodes()
    program.kill()
    program.wait()
    wait_for(lambda: not berthd.status()["consumers"][0]["connected"],
             "berthd to hear of it")
    with netns.connect("127.0.0.1", 8080) as client:
        unit.start()
        assert client.recv(10) == b"ack"
    assert netns.listener_inodes() == before
    assert berthd.relays() == []


def test_restart_relay_says_what_to_do(world, netns):
    berthd = world.berthd(ack(), args=UNIT)
    done = berthd.ctl_process("restart-relay")
    assert done.returncode == 1
    assert "systemctl reload berth-relay" in done.stderr
    assert netns.listeners() == {"tcp *:8080"}


def test_takes_the_place_of_berthds_own(world, netns, backend):
    """The configuration changed from own to unit."""
    berthd = world.berthd(forward(to(backend)))
    one = pair(netns, backend)
    own = os.pidfd_open(berthd.relay_pid())
    berthd.leave()
    berthd.args = UNIT
    berthd.start()
    program = Unit(world, berthd).start()
    wait_equal(lambda: connected(berthd), program.pid, "the unit's relay")
    works(*one)
    other = pair(netns, backend)
    works(*other)
    for sock in (*one, *other):
        sock.close()
    try:
        assert wait_exit(own), "berthd's own one runs on"
    finally:
        os.close(own)


def test_not_taken(world, netns):
    """berthd starts its own one: it says so, and goes on with that."""
    berthd = world.berthd(ack())
    relay = berthd.relay_pid()
    berthd.wait_delivered()
    program = Unit(world, berthd).start()
    assert program.wait(GUARD) == 3
    assert connected(berthd) == relay
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_berthd_is_interrupted(world, netns, backend):
    """Its connections end, and it waits for the next berthd."""
    berthd = world.berthd(forward(to(backend)), args=UNIT)
    program = Unit(world, berthd).start()
    one = pair(netns, backend)
    berthd.stop()
    for sock in one:
        assert ended(sock)
        sock.close()
    assert netns.listeners() == set()
    berthd.start()
    wait_equal(lambda: connected(berthd), program.pid, "the relay")
    one = pair(netns, backend)
    works(*one)
    for sock in one:
        sock.close()

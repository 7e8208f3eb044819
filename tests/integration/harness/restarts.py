# SPDX-License-Identifier: Apache-2.0
"""restarts.py - kills berthd and its relay at random moments, under load.

What is killed is started again at once: berthd by this file, as a service
manager would, the relay by berthd. Both at once is promised by nobody, so the
relay is killed while berthd is there and berthd while the relay is; but
berthd may be killed again while it starts.
"""

import os
import signal
import subprocess
import time

from . import process, sock_diag
from .berthd import BERTHCTL, BUILD
from .load import CONSUMER
from .wait import GUARD, wait_exit, wait_for

EXAMPLE = BUILD / "contrib/consumers/c/http_name"
_LATER = 0.25  # the share of starts of berthd that come late, with other rules
_RESTARTING = 0.25  # the share of its ends while a relay takes over
_MOMENT = 0.1  # how long a relay needs for that, at most
_AGAIN = 0.25  # the share of them that are not finished


class Restarts:
    """A berthd with its relay and a consumer, under a load."""

    def __init__(self, world, load, pause=0.4):
        """pause: seconds between two restarts, at most."""
        self._random, self._load, self._pause = load.random, load, pause
        self.berthd = world.berthd(load.rules(), args=["--log-level", "info"])
        self.ready_seconds = []  # from the end of a berthd to READY=1
        self.history = []  # of what was done, with times like the load's
        self.restarted = 0  # relays
        self.unfinished = 0  # starts of berthd that ended before READY=1
        world.defer(self._end_relays)
        self._world = world
        self._start_consumer()

    def _start_consumer(self):
        self._consumer = self._world.popen(
            EXAMPLE, self.berthd.runtime / f"consumers/{CONSUMER}.sock")

    def _note(self, what):
        self.history.append(
            f"{time.monotonic() - self._load.began:.3f} s: {what}")

    def consumer(self, name):
        """The pid of the consumer of that name that has all listeners."""
        return wait_for(lambda: self._with_all(name),
                        f"consumer '{name}' to have all listeners")

    def _with_all(self, name):
        """Return: None until every consumer has them."""
        consumers = self.berthd.status()["consumers"]
        return all(one["connected"] and not one["undelivered"]
                   for one in consumers) and next(
                       one["pid"] for one in consumers if one["name"] == name)

    def pause(self):
        """What comes next may come at any moment."""
        time.sleep(self._random.uniform(0, self._pause))

    def kill_berthd(self):
        """Return: the monotonic time at which it was started again."""
        self.consumer("relay")
        self.pause()
        restarting = self._restart_relay_beside()
        self._note("killing berthd")
        self.berthd.crash()
        if restarting:
            restarting.wait()
        if self._random.random() < _LATER:
            self.pause()
            self._note("changing the rules")
            self._load.more = not self._load.more
            self.berthd.write_rules("50-test.yaml", self._load.rules())
        while self._random.random() < _AGAIN:
            self.unfinished += 1
            self.berthd.spawn()
            self._note(f"started berthd, pid {self.berthd.pid}")
            time.sleep(self._random.uniform(
                0, max(self.ready_seconds, default=0.1)))
            self._note("killing berthd, which is not ready")
            self.berthd.crash()
        begun = time.monotonic()
        self.berthd.spawn()
        self._note(f"started berthd, pid {self.berthd.pid}")
        self.berthd.wait_ready()
        self._note("berthd is ready")
        self.ready_seconds.append(time.monotonic() - begun)
        return begun

    def _restart_relay_beside(self):
        """Now and then. Return: the program that asks for it."""
        if self._random.random() >= _RESTARTING:
            return None
        self._note("restarting the relay")
        asks = self._world.popen(
            BERTHCTL, "--runtime-dir", self.berthd.runtime, "restart-relay",
            stderr=subprocess.DEVNULL)
        time.sleep(self._random.uniform(0, _MOMENT))
        return asks

    def kill_relay(self):
        """Its clients may be cut, and only they. Return: when it was."""
        return self._kill(self.consumer("relay"))

    def kill_consumer(self):
        """The same with the program that rules hand off to."""
        gone = self._kill(self.consumer(CONSUMER))
        self._consumer.wait()
        self._start_consumer()
        return gone

    def _kill(self, pid):
        self.pause()
        pidfd = os.pidfd_open(pid)
        with process.stopped(pid):
            self._load.excuse(sock_diag.peers(pid))
            os.kill(pid, signal.SIGKILL)
        gone = time.monotonic()
        self._note(f"killed process {pid}")
        assert wait_exit(pidfd)
        os.close(pidfd)
        return gone

    def restart_relay(self):
        """Return: when another one had taken over; or now, if too many let
        clients finish that do not end."""
        relay = self.consumer("relay")
        self.pause()
        done = self.berthd.ctl_process("restart-relay")
        if "too many" in done.stderr:
            return time.monotonic()
        assert done.returncode == 0, done.stderr
        self.restarted += 1
        wait_for(lambda: self.consumer("relay") != relay, "another relay")
        self._note(f"another relay took over from process {relay}")
        return time.monotonic()

    @staticmethod
    def _end_relays():
        """Those that outlived their berthd are the session's children."""
        for pid in process.children(os.getpid()):
            if os.path.basename(process.command(pid)) == "berth-relay":
                pidfd = os.pidfd_open(pid)
                os.kill(pid, signal.SIGKILL)
                wait_exit(pidfd, GUARD)
                os.close(pidfd)
                os.waitpid(pid, 0)

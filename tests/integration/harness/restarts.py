# SPDX-License-Identifier: Apache-2.0
"""restarts.py - kills berthd and its relay at random moments, under load.

What is killed is started again at once: berthd by this file, as a service
manager would, the relay by berthd. Both at once is promised by nobody, so the
relay is killed while berthd is there and berthd while the relay is; but
berthd may be killed again while it starts.
"""

import os
import signal
import time

from . import process, sock_diag
from .berthd import BUILD
from .load import CONSUMER
from .wait import GUARD, wait_exit, wait_for

EXAMPLE = BUILD / "contrib/consumers/c/http_name"
_AGAIN = 0.25  # the share of berthd's starts that are not finished


class Restarts:
    """A berthd with its relay and a consumer, under a load."""

    def __init__(self, world, load, pause=0.4):
        """pause: seconds between two restarts, at most."""
        self._random, self._load, self._pause = load.random, load, pause
        self.berthd = world.berthd(load.rules(), args=["--log-level", "info"])
        self.ready_seconds = []  # from the end of a berthd to READY=1
        self.unfinished = 0  # starts of berthd that ended before READY=1
        world.defer(self._end_relays)
        self._consumer = world.popen(
            EXAMPLE, self.berthd.runtime / f"consumers/{CONSUMER}.sock")

    def relay(self):
        """The pid of the relay that has all listeners."""
        return wait_for(self._relay_with_all, "a relay with all listeners")

    def _relay_with_all(self):
        relay = next(one for one in self.berthd.status()["consumers"]
                     if one["name"] == "relay")
        return relay["connected"] and not relay["undelivered"] and \
            relay["pid"]

    def pause(self):
        """What comes next may come at any moment."""
        time.sleep(self._random.uniform(0, self._pause))

    def kill_berthd(self):
        """Return: the monotonic time at which it was gone."""
        self.relay()
        self.pause()
        self.berthd.crash()
        gone = time.monotonic()
        while self._random.random() < _AGAIN:
            self.unfinished += 1
            self.berthd.spawn()
            time.sleep(self._random.uniform(
                0, max(self.ready_seconds, default=0.1)))
            self.berthd.crash()
        begun = time.monotonic()
        self.berthd.start()
        self.ready_seconds.append(time.monotonic() - begun)
        return gone

    def kill_relay(self):
        """Its clients may be cut, and only they. Return: as above."""
        relay = self.relay()
        self.pause()
        with process.stopped(relay):
            self._load.excuse(sock_diag.peers(relay))
            pidfd = os.pidfd_open(relay)
            os.kill(relay, signal.SIGKILL)
        gone = time.monotonic()
        assert wait_exit(pidfd)
        os.close(pidfd)
        return gone

    def restart_relay(self):
        """Return: when another one had taken over."""
        relay = self.relay()
        self.pause()
        self.berthd.ctl("restart-relay")
        wait_for(lambda: self.relay() != relay, "another relay")
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

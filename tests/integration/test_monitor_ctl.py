# SPDX-License-Identifier: Apache-2.0
"""test_monitor_ctl.py - berthctl monitor: a line for each event."""

import json
import os
import signal
import subprocess

import pytest

from harness import process
from harness.berthd import BERTHCTL
from harness.rules import ack
from harness.wait import GUARD

BAD, USAGE, UNREACHABLE = 1, 2, 3


class Ctl:
    """A berthctl that monitors, and said that it is ready."""

    def __init__(self, world, berthd, *args):
        self.process = subprocess.Popen(
            [BERTHCTL, "--runtime-dir", berthd.runtime, "monitor", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, TZ="UTC"))
        world.defer(self.process.kill)
        assert "ready" in self.process.stdout.readline()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self, code):
        assert self.process.wait(GUARD) == code
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert not process.sanitizer_reports(errors), errors
        return errors


def test_lines(world):
    berthd = world.berthd(ack())
    ctl = Ctl(world, berthd, "--kind", "namespace", "--kind",
              "listener.opened")
    blue = world.netns("ns\x1bblue")
    time, kind, name = ctl.line().split()
    assert len(time) == len("12:00:00.000") and time[8] == "."
    assert (kind, name) == ("namespace.appeared", "ns\\x1bblue")
    assert ctl.line().split()[1:] == ["listener.opened", "ns\\x1bblue", "tcp",
                                      "*:8080", "rule", "web"]
    blue.delete()
    assert ctl.line().split()[1:] == ["namespace.gone", "ns\\x1bblue"]
    ctl.process.send_signal(signal.SIGINT)
    assert ctl.end(0) == ""


def test_json_and_filters(world):
    berthd = world.berthd(ack())
    ctl = Ctl(world, berthd, "red", "--rule", "web", "--json")
    world.netns("blue")
    red = world.netns("red")
    event = json.loads(ctl.line())
    assert (event["event"], event["namespace_id"], event["port"]) == \
        ("listener.opened", red.cookie(), 8080)
    ctl.process.terminate()
    assert ctl.end(0) == ""


def test_reader_closes(world):
    """Nobody reads any more: it notices without an event."""
    berthd = world.berthd()
    ctl = Ctl(world, berthd)
    ctl.process.stdout.close()
    assert ctl.process.wait(GUARD) == 0
    ctl.process.stderr.close()


def test_berthd_ends(world):
    berthd = world.berthd()
    ctl = Ctl(world, berthd)
    berthd.stop()
    assert "berthd ended the connection" in ctl.end(UNREACHABLE)


@pytest.mark.parametrize("args, code, expected", [
    (["monitor", "--kind", "listener.oponed"], USAGE, "kinds"),
    (["status", "--kind", "rule"], USAGE, "have no meaning for 'status'"),
    (["check", "/dev/null", "--rule", "web"], USAGE, "no meaning for 'check'"),
    (["status", "--sort", "name"], USAGE, "have no meaning for 'status'"),
    (["monitor", "a", "b"], USAGE, "unexpected argument 'b'"),
])
def test_usage(world, args, code, expected):
    berthd = world.berthd()
    done = berthd.ctl_process(*args)
    assert done.returncode == code and expected in done.stderr, done

# SPDX-License-Identifier: Apache-2.0
"""test_output.py - colours, widths, JSON, help and exit status of berthctl."""

import errno
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from harness.berthd import BERTHCTL, BUILD
from harness.rules import ack, forward, rule, rules
from harness.wait import GUARD

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
PROGRAMS = ["berthd", "berth-relay", "berthctl", "berth-hook", "berth-follow"]
# Commands, and the exit status that each has here.
COMMANDS = [
    (["status"], 0), (["namespaces"], 0), (["listeners"], 0),
    (["listeners", "n"], 0), (["connections"], 0), (["consumers"], 0),
    (["backends"], 0), (["backends", "web"], 0),
    (["stats"], 0), (["metrics"], 0), (["rules"], 0), (["check"], 0),
    (["reload"], 0), (["explain", "n"], 0), (["wait", "n"], 0),
    (["drain", "web"], 0), (["undrain"], 0), (["close", "web"], 0),
    (["restart-relay"], 0), (["log-level"], 0), (["check", "/dev/null"], 0),
    (["unregister", "nobody"], 0),
]


@pytest.fixture
def berthd(world):
    world.netns("n")
    return world.berthd(rules(rule(name="web"),
                              rule(name="other", namespace="m", port=81)))


def on_terminal(argv, columns=80, **env):
    """What a terminal of this width gets. The program's exit status is 0."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ,
                struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=subprocess.PIPE,
        env=dict({key: os.environ[key] for key in os.environ
                  if key != "NO_COLOR"}, TERM="xterm", **env))
    os.close(slave)
    output = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError as error:  # the last writer has closed it
            assert error.errno == errno.EIO
            break
        output += more
    os.close(master)
    assert child.wait() == 0, child.stderr.read()
    child.stderr.close()
    return output.decode().replace("\r\n", "\n")


def ctl(berthd, *words):
    return [str(BERTHCTL), "--runtime-dir", str(berthd.runtime), *words]


def test_colours_on_a_terminal_only(berthd):
    berthd.wait_delivered()
    plain = berthd.ctl_text("listeners")
    assert "\x1b" not in plain
    shown = on_terminal(ctl(berthd, "listeners"))
    assert "\x1b[32mlistening\x1b[0m" in shown
    assert "\x1b[1mNAMESPACE\x1b[0m" in shown
    assert ESCAPE.sub("", shown) == plain


@pytest.mark.parametrize("env,words,coloured", [
    ({"NO_COLOR": "1"}, [], False),
    ({"NO_COLOR": ""}, [], True),
    ({"TERM": "dumb"}, [], False),
    ({"TERM": ""}, [], False),
    ({}, ["--color", "never"], False),
    ({}, ["--color", "auto"], True),
    ({"NO_COLOR": "1"}, ["--color", "always"], True),
    ({}, ["--json"], False),
    ({}, ["--json", "--color", "always"], False),
])
def test_who_decides_on_colours(berthd, env, words, coloured):
    shown = on_terminal(["env", *(f"{key}={env[key]}" for key in env),
                         *ctl(berthd, "listeners", *words)])
    assert bool(ESCAPE.search(shown)) is coloured, shown


def test_colours_without_a_terminal(berthd):
    assert ESCAPE.search(berthd.ctl_text("rules", "--color", "always"))
    done = berthd.ctl_process("--color", "green", "rules")
    assert (done.returncode, done.stdout) == (2, "")
    assert "auto" in done.stderr and "green" in done.stderr


def test_nothing_is_cut(world):
    """Neither in a pipe nor on a terminal that is narrower than the table."""
    name = "n" * 200
    world.netns(name)
    berthd = world.berthd(ack(namespace=None))
    berthd.wait_delivered()
    plain = berthd.ctl_text("listeners")
    assert name in plain
    shown = on_terminal(ctl(berthd, "listeners"), columns=40)
    assert ESCAPE.sub("", shown) == plain


def test_long_paths_come_last(world):
    """They do not push other columns out of sight."""
    world.netns("n")
    berthd = world.berthd(forward("127.0.0.1:9"))
    for words, last in (["rules"], "FILE"), (["explain", "n"], "FILE"):
        lines = berthd.ctl_text(*words).splitlines()
        heading = next(line for line in lines if line.startswith("RULE "))
        assert heading.split()[-1] == last


@pytest.mark.parametrize("words,code", COMMANDS,
                         ids=[" ".join(words) for words, _ in COMMANDS])
def test_json_of_every_command(berthd, words, code):
    """One object and nothing else, and the exit status of the table."""
    berthd.wait_delivered()
    done = berthd.ctl_process(*words, "--json")
    assert done.returncode == code, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert berthd.ctl_process(*words).returncode == code


def commands_of_help():
    text = subprocess.run([BERTHCTL, "--help"], text=True, check=True,
                          capture_output=True).stdout
    part = text.split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([a-z][a-z-]*)", part, re.M)


def test_no_command_is_left_out_above():
    """Those below have tests of their own."""
    elsewhere = {"register", "top", "monitor"}
    assert set(commands_of_help()) - elsewhere \
        == {words[0] for words, _ in COMMANDS} - elsewhere


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_by_both_names(program):
    shown = [subprocess.run([BUILD / program, option], text=True, check=True,
                            capture_output=True)
             for option in ("-h", "--help")]
    assert shown[0].stdout == shown[1].stdout != ""
    assert shown[0].stderr == shown[1].stderr == ""
    assert "-h, --help" in shown[0].stdout


def test_help_of_a_command():
    """Where somebody who has typed half a line asks for it."""
    done = subprocess.run([BERTHCTL, "listeners", "-h"], text=True, check=True,
                          capture_output=True)
    assert done.stdout.startswith("Usage: berthctl")


def test_exit_status(world, berthd):
    """As berthctl(1) has them; register and wait have tests of their own."""
    for words, code in (
            (["explain", "n"], 0),
            (["explain", "nowhere"], 1),
            (["listeners", "nowhere"], 1),
            (["connections", "nowhere"], 1),
            (["drain", "nowhere"], 1),
            (["close", "nowhere"], 1),
            (["close", "relay/1/1"], 1),
            ([], 2),
            (["bogus"], 2),
            (["explain"], 2),
            (["status", "n"], 2),
            (["--bogus", "status"], 2),
            (["wait", "nowhere", "--timeout", "1x"], 2),
            (["wait", "nowhere", "--timeout", "0"], 1)):
        for option in ([], ["--json"]):
            done = berthd.ctl_process(*words, *option)
            assert done.returncode == code, (words, option, done.stderr)
            assert bool(done.stderr) == (code != 0), (words, done)
            assert (done.stdout == "") == (code != 0), (words, done)
    done = subprocess.run([BERTHCTL, "--runtime-dir", world.base, "status"],
                          text=True, check=False, capture_output=True)
    assert done.returncode == 3 and done.stdout == ""
    assert "is berthd running" in done.stderr


def test_output_that_cannot_be_written(berthd):
    """A full disk is not success."""
    for words in (["listeners"], ["listeners", "--json"], ["monitor"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(ctl(berthd, *words), text=True, check=False,
                                  stdout=full, stderr=subprocess.PIPE,
                                  timeout=GUARD)
        assert done.returncode == 1 and "cannot write" in done.stderr

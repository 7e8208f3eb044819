# SPDX-License-Identifier: Apache-2.0
"""test_config.py - berthd.yaml: at the start, and with --check."""

import re
import subprocess

import pytest

from harness.berthd import BERTHD
from harness.rules import ack

RULES = {"a.yaml": ack()}


def run(*args):
    return subprocess.run([str(BERTHD), *map(str, args)], text=True,
                          capture_output=True, check=False, timeout=30,
                          stdin=subprocess.DEVNULL)


def config(world, text, name="berthd.yaml"):
    path = world.base / name
    path.write_text(text)
    return path


def relay_option(berthd, name):
    with open(f"/proc/{berthd.relay_pid()}/cmdline", "rb") as file:
        words = file.read().decode().split("\0")
    return words[words.index(name) + 1]


def test_everything_from_the_file(world):
    """No other option is needed."""
    rules = world.mkdir("rules.d")
    (rules / "a.yaml").write_text(ack())
    netns = world.netns("n")
    berthd = world.berthd(start=False)
    path = config(world, f"netns_dir: {world.dir}\nrules: [ {rules} ]\n"
                         f"runtime_dir: {berthd.runtime}\nworkers: 2\n"
                         "log_level: debug\nmax_listeners: 1\n")
    berthd.start([str(BERTHD), "--config", str(path)])
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert [row["path"] for row in berthd.status()["directories"]] == \
        [str(world.dir)]
    assert relay_option(berthd, "--workers") == "2"
    assert relay_option(berthd, "--log-level") == "debug"
    other = world.netns("m")
    row = berthd.wait_state(other.cookie(), "waiting")
    assert "limit of 1 " in row["reason"], row


def test_the_command_line_wins(world):
    netns = world.netns("n")
    other = world.mkdir("other")
    path = config(world, f"netns_dir: {other}\nrules: {other}\n"
                         f"runtime_dir: {other}\nworkers: 2\n")
    berthd = world.berthd(RULES, args=["--config", path, "--workers", "3"])
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert relay_option(berthd, "--workers") == "3"


@pytest.mark.parametrize("text,problem", [
    ("workers: 0\n", "1:10: workers is \"0\", expected a number from 1 to 256"),
    ("rules: here\n", "1:8: rules is \"here\", expected an absolute path"),
    ("\nwokers: 2\n", "2:1: unknown key \"wokers\" in the file; did you mean "
                      "\"workers\"?"),
    ("relay_user: no-such-user-here\n", "1:13: relay_user is "
     "\"no-such-user-here\": there is no such user"),
    ("consumers: {a: {mode: 660}}", "1:23: mode is \"660\", expected octal"),
    ("workers: [\n", "2:1: not valid YAML"),
])
def test_a_bad_file_at_the_start(world, text, problem):
    """As a bad option: where and what is said, and nothing is started."""
    berthd = world.berthd(RULES, args=["--config", config(world, text)],
                          start=False)
    berthd.spawn()
    log = berthd.wait_failure()
    assert f"{world.base}/berthd.yaml:{problem}" in log
    assert berthd.exit_code == 2
    assert not berthd.runtime.exists()


def test_a_file_that_is_named_and_missing(world):
    path = world.base / "missing.yaml"
    for args in ([], ["--check"]):
        done = run("--config", path, "--runtime-dir", world.base / "run", *args)
        assert done.returncode == (1 if args else 2)
        assert f"{path}: does not exist" in done.stderr


def test_check(world):
    """The file, and the rules in the directories that it names."""
    rules = world.mkdir("rules.d")
    (rules / "a.yaml").write_text(ack())
    good = config(world, f"rules: {rules}\n")
    done = run("--config", good, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{good}: no problems\n1 rule, no problems\n"
    (rules / "b.yaml").write_text("rulse: []\n")
    good.write_text(f"rules: {rules}\nworkers: many\n")
    done = run("--config", good, "--check")
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(rf"^{good}:2:10: workers is \"many\"", done.stderr, re.M)
    assert re.search(r"b\.yaml:1:1: .*did you mean \"rules\"", done.stderr)


def test_check_knows_a_configuration_by_its_name(world):
    path = config(world, "workers: many\n")
    rules = world.base / "rules.yaml"
    rules.write_text(ack())
    done = run("--check", path, rules)
    assert done.returncode == 1
    assert done.stderr == f"{path}:1:10: workers is \"many\", expected a " \
                          "number from 1 to 256\n"
    assert done.stdout == "1 rule, no problems\n"
    path.write_text("workers: 7\n")
    done = run("--check", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: no problems\n"

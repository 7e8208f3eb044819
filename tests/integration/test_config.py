# SPDX-License-Identifier: Apache-2.0
"""test_config.py - berthd.yaml: at the start, with --check, at a reload."""

import re
import signal
import subprocess

import pytest

from harness import process
from harness.berthd import BERTHD, QUARANTINE_MIB, SANITIZED
from harness.rules import ack
from harness.wait import wait_equal, wait_for

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


# Reload

THREE = """\
rules:
  - name: three
    match: {namespace: "n*"}
    listen: {protocol: tcp, port: ["8080-8082"]}
    respond: ack
"""


def running(world, text, rules=None):
    """A berthd, and the function that writes its file anew and reloads."""
    path = config(world, text)
    berthd = world.berthd(rules or RULES, args=["--config", path])

    def reload(new, code=0):
        path.write_text(new)
        return berthd.ctl("reload", code=code)

    return berthd, reload


def states(berthd, cookie):
    return sorted(row["state"] for row in berthd.listeners(cookie))


def test_reload_without_a_change(world):
    berthd, reload = running(world, "workers: 2\n")
    done = reload("workers: 2\n")
    assert (done["changed"], done["problems"]) == ([], 0)
    assert done["config"] == {"path": str(world.base / "berthd.yaml"),
                              "exists": True, "problems": [], "restart": []}
    assert berthd.status()["config"] == done["config"]
    assert berthd.ctl_text("reload") == "1 rule in force, no problems\n"


def test_reload_of_max_listeners(world):
    """More at once; with fewer, what is open stays."""
    netns = world.netns("n")
    berthd, reload = running(world, "max_listeners: 1\n", {"a.yaml": THREE})
    cookie = netns.cookie()
    assert states(berthd, cookie) == ["listening", "waiting", "waiting"]
    assert reload("max_listeners: 2\n")["changed"] == ["max_listeners"]
    wait_equal(lambda: states(berthd, cookie),
               ["listening", "listening", "waiting"], "one more listener")
    reload("# as many as descriptors let be\n")
    wait_equal(lambda: states(berthd, cookie), ["listening"] * 3, "all")
    reload("max_listeners: 1\n")
    other = world.netns("n2")
    wait_equal(lambda: states(berthd, other.cookie()), ["waiting"] * 3,
               "no listener above the limit")
    assert states(berthd, cookie) == ["listening"] * 3


def test_reload_of_max_listeners_per_netns(world):
    netns = world.netns("n")
    berthd, reload = running(world, "max_listeners_per_netns: 1\n",
                             {"a.yaml": THREE})
    cookie = netns.cookie()
    assert states(berthd, cookie) == ["listening"]
    assert reload("")["changed"] == ["max_listeners_per_netns"]
    wait_equal(lambda: states(berthd, cookie), ["listening"] * 3, "all")
    reload("max_listeners_per_netns: 2\n")
    wait_equal(lambda: states(berthd, cookie), ["listening"] * 2, "two")


def test_reload_of_max_addresses(world):
    netns = world.netns("n")
    for i in range(1, 6):
        netns.addr_add(f"10.9.0.{i}/32")
    berthd, reload = running(
        world, "max_addresses: 3\n",
        {"a.yaml": ack(address="each", match={"address": "10.9.0.0/16"})})
    cookie = netns.cookie()

    def omitted():
        return next(row["addresses_omitted"] for row in berthd.namespaces()
                    if row["id"] == cookie)

    assert omitted() > 0
    assert len(berthd.listeners(cookie)) < 5
    assert reload("max_addresses: 50\n")["changed"] == ["max_addresses"]
    wait_equal(lambda: states(berthd, cookie), ["listening"] * 5, "all")
    assert omitted() == 0
    reload("max_addresses: 3\n")
    wait_for(lambda: len(berthd.listeners(cookie)) < 5 and omitted(),
             "fewer addresses")


def test_reload_of_the_log_level(world):
    """berthd's at once, berth-relay's when it starts the next time."""
    berthd, reload = running(world, "log_level: error\n")
    first = berthd.relay_pid()
    before = len(berthd.log())
    world.netns("n")
    done = reload("log_level: info\nworkers: 2\n")
    assert done["changed"] == ["workers", "log_level"]
    berthd.wait_log("settings that changed: log_level$", before)
    berthd.wait_log("settings that hold for the next berth-relay: workers$",
                    before)
    berthd.kill_relay()
    berthd.relay_pid(other_than=first)
    assert relay_option(berthd, "--log-level") == "info"
    assert relay_option(berthd, "--workers") == "2"
    reload("log_level: error\nworkers: 2\n")
    before = len(berthd.log())
    berthd.ctl("reload")
    assert "reload" not in berthd.log()[before:]


def test_reload_names_what_needs_a_restart(world):
    berthd, reload = running(world, "netlink_buffer: 1MiB\n")
    other = world.mkdir("other")
    done = reload(f"netlink_buffer: 2MiB\nrelay_user: root\n"
                  f"relay_program: /bin/false\nrules: {other}\n")
    # the rules' directories are given on the command line, which wins
    assert done["changed"] == []
    assert done["config"]["restart"] == ["relay_user", "relay_program",
                                         "netlink_buffer"]
    assert berthd.status()["config"] == done["config"]
    words = "berthd must be started again for: relay_user, relay_program, " \
            "netlink_buffer\n"
    assert berthd.ctl_text("reload") == words + "1 rule in force, no problems\n"
    assert "; " + words.replace(": ", " ") in berthd.ctl_text("status")
    berthd.wait_log("settings that hold when berthd is started again: "
                    "relay_user, relay_program, netlink_buffer$")
    assert reload("netlink_buffer: 1MiB\n")["config"]["restart"] == []
    assert berthd.status()["config"]["restart"] == []


@pytest.mark.parametrize("how", ["berthctl", "SIGHUP"])
def test_reload_of_a_bad_file(world, how):
    """What is in force stays; log, reply, status and check say why."""
    netns = world.netns("n")
    berthd, reload = running(world, "max_listeners: 2\n", {"a.yaml": THREE})
    path = world.base / "berthd.yaml"
    text = "max_listeners: 3\nwrokers: 2\n"
    problem = f"{path}:2:1: unknown key \"wrokers\" in the file; did you " \
              "mean \"workers\"?"
    if how == "berthctl":
        done = reload(text, code=1)
        assert (done["changed"], done["problems"]) == ([], 1)
        assert berthd.ctl_text("reload", code=1) == \
            f"{problem}\n{path}: the last good version stays in force\n" \
            "1 rule in force, 1 problem: see berthctl check\n"
    else:
        path.write_text(text)
        berthd.send_signal(signal.SIGHUP)
    berthd.wait_log(re.escape(f"berthd: {problem}; the configuration in force "
                              "stays"))
    assert berthd.ctl_text("check", code=1) == \
        f"{problem}\n{path}: the last good version stays in force\n"
    assert f"config      {path}, 1 problem\n" in berthd.ctl_text("status")
    assert berthd.ctl("check", code=1)["config"]["problems"] == [
        {"file": str(path), "line": 2, "column": 1, "severity": "error",
         "message": problem.split(": ", 1)[1]}]
    assert states(berthd, netns.cookie()) == ["listening"] * 2 + ["waiting"]
    path.unlink()
    done = berthd.ctl("reload", code=1)
    assert "does not exist" in done["config"]["problems"][0]["message"]
    assert reload("max_listeners: 3\n")["changed"] == ["max_listeners"]
    wait_equal(lambda: states(berthd, netns.cookie()), ["listening"] * 3,
               "the third listener")
    assert berthd.ctl("check")["config"]["problems"] == []


def test_reload_of_consumers(world):
    """Their sockets come, change and go at once."""
    berthd, reload = running(world, "")
    path = berthd.runtime / "consumers" / "front.sock"

    def mode():
        return path.stat().st_mode & 0o777 if path.exists() else None

    assert mode() is None
    done = reload("consumers:\n  front: { mode: 0666 }\n")
    assert done["changed"] == ["consumers"]
    wait_equal(mode, 0o666, "the socket")
    reload("consumers:\n  front: { user: 4711, group: 4712 }\n")
    wait_equal(lambda: (mode(), path.stat().st_uid, path.stat().st_gid),
               (0o660, 4711, 4712), "another owner")
    reload("consumers: {front: {mode: 660}}\n", code=1)
    assert mode() == 0o660
    reload("")
    wait_equal(mode, None, "no socket that nobody names")


def test_the_command_line_wins_at_a_reload(world):
    netns = world.netns("n")
    path = config(world, "")
    berthd = world.berthd({"a.yaml": THREE},
                          args=["--max-listeners", "1", "--config", path])
    path.write_text("max_listeners: 3\nlog_level: debug\n")
    assert berthd.ctl("reload")["changed"] == ["log_level"]
    assert states(berthd, netns.cookie()) == ["listening"] + ["waiting"] * 2


def test_reload_many_times_keeps_nothing(world):
    """Files with and without problems: neither memory nor descriptors."""
    berthd, reload = running(world, "")
    texts = ["workers: 2\nconsumers: {a: {mode: 0666}, b: {}}\n",
             "workers: x\nconsumers: {a: {mode: 666}, b: [], c: {}}\n",
             "netns_dir: [/a, /b]\nrelay_user: root\nlog_level: debug\n", "{",
             "log_level: info\n"]
    for i, text in enumerate(texts):
        reload(text, code=1 if i in (1, 3) else 0)
    before = berthd.idle_descriptors()
    growth = process.Growth(berthd.pid, 0 if not SANITIZED else
                            QUARANTINE_MIB * 2048)
    for _ in range(30):
        for i, text in enumerate(texts):
            reload(text, code=1 if i in (1, 3) else 0)
    berthd.wait_descriptors(before)
    assert growth.kib() < 512

# SPDX-License-Identifier: Apache-2.0
"""test_commandline.py - berthd's options, refusals, privileges and log."""

import os
import pwd
import re
import subprocess
import time

import pytest

from harness import kernel, process
from harness.berthd import BERTHD, RELAY, SANITIZED
from harness.rules import ack, rule, rules
from harness.wait import GUARD, stays, wait_equal, wait_for

OPTIONS = ["--netns-dir", "--rules", "--runtime-dir", "--relay", "--relay-user",
           "--workers", "--log-level", "--log-format",
           "--check", "--version", "--help"]
GOOD = ack()
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
BROKEN = GOOD.replace("listen:", "lissten:")


def run(*args, **kwargs):
    return subprocess.run([str(BERTHD), *map(str, args)], text=True,
                          capture_output=True, check=False, timeout=30,
                          stdin=subprocess.DEVNULL, **kwargs)


def test_help_names_every_option():
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    for option in OPTIONS:
        assert option in done.stdout, option
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version():
    done = run("--version")
    assert done.returncode == 0 and done.stderr == ""
    assert re.fullmatch(r"berthd \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("args,named", [
    (["--bogus"], "bogus"),
    (["--netns-dir"], "netns-dir"),
    (["--workers", "x"], "x"),
    (["--workers", "0"], "0"),
    (["--workers", "-1"], "-1"),
    (["--workers", "99999999"], "99999999"),
    (["--log-level", "loud"], "loud"),
    (["--log-format", "syslog"], "syslog"),
    (["--relay", "systemd"], "expected own or unit"),
    (["--relay-user", "no-such-user-here"],
     "--relay-user: there is no user 'no-such-user-here' to run berth-relay "
     "as\n"),
    (["--relay-user", "471147"], "--relay-user: there is no user '471147' to "
     "run berth-relay as; a number must be a user's"),
    (["--relay-user", "4294967295"], "--relay-user: user '4294967295': "),
    (["extra"], "extra"),
])
def test_wrong_options(world, args, named):
    """Exit status not 0, what was wrong, and no traceback of any kind."""
    runtime = world.base / "run"
    done = run("--runtime-dir", runtime, *args)
    assert done.returncode > 0
    assert named in done.stderr
    assert done.stdout == ""
    assert not (runtime / "control.sock").exists()


def test_relay_gets_no_number_of_workers_that_it_refuses():
    """Both programs refuse what is beyond the limit, in the same words."""
    mine = run("--workers", "257", "--check", "/dev/null")
    relay = subprocess.run([RELAY, "--socket-fd", "0", "--workers", "257"],
                           text=True, capture_output=True, check=False,
                           timeout=30, stdin=subprocess.DEVNULL)
    message = ": --workers: '257' is not a number from 1 to 256"
    assert mine.returncode > 0 and relay.returncode > 0
    assert mine.stderr.splitlines()[0] == "berthd" + message
    assert relay.stderr.splitlines()[0] == "berth-relay" + message
    most = run("--workers", "256", "--check", "/dev/null")
    assert most.returncode == 0, most.stderr


@pytest.mark.parametrize("kind", ["a directory", "not executable", "a pipe"])
def test_relay_program_that_cannot_run(world, kind):
    """It is refused at the start, not by every child."""
    path = world.base / "program"
    if kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path, 0o755)
    else:
        path.write_bytes(RELAY.read_bytes())
        path.chmod(0o644)
    berthd = world.berthd(GOOD, args=["--relay-program", path], start=False)
    berthd.spawn()
    assert "cannot start berth-relay: Permission denied" in \
        berthd.wait_failure()


def test_relay_that_always_exits_is_started_later_and_later(world):
    """The log says what it exited with and when the next attempt is."""
    berthd = world.berthd(GOOD, args=["--relay-program", "/bin/false"])
    for later in ("0", "100", "200"):
        line = re.compile(r"berth-relay \(pid \d+\) exited with status 1; "
                          rf"starting it again in {later} ms")
        wait_for(lambda line=line: line.search(berthd.log()), line.pattern)


def test_relative_directories(world, monkeypatch):
    monkeypatch.chdir(world.base)
    world.mkdir("r")
    netns = world.netns("n")
    berthd = world.berthd({"a.yaml": GOOD}, netns_dirs=["netns/"],
                          rules_dirs=["r"])
    assert berthd.status()["directories"][0]["path"] == str(world.dir)
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def as_user(uid):
    def change():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    return change


def test_not_root(world):
    """Says which capabilities are missing and what each is for."""
    uid = pwd.getpwnam("nobody").pw_uid
    done = run("--runtime-dir", world.base / "run", preexec_fn=as_user(uid))
    assert done.returncode > 0
    for capability in ("CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_NET_BROADCAST",
                       "CAP_NET_BIND_SERVICE"):
        assert re.search(capability, done.stderr, re.I), capability
    assert "namespace" in done.stderr


@pytest.mark.parametrize("capability", ["sys_admin", "net_admin",
                                        "net_broadcast", "net_bind_service"])
def test_one_capability_missing(world, capability):
    """Only that one is named."""
    done = subprocess.run(
        ["setpriv", f"--bounding-set=-{capability}",
         f"--inh-caps=-{capability}", str(BERTHD), "--runtime-dir",
         str(world.base / "run"), "--netns-dir", str(world.dir)],
        text=True, capture_output=True, check=False, timeout=30)
    assert done.returncode > 0
    named = set(re.findall(r"cap_\w+", done.stderr.lower()))
    assert named == {f"cap_{capability}"}, done.stderr


def test_check_needs_no_privilege(world):
    path = world.base / "rules.yaml"
    path.write_text(GOOD)
    uid = pwd.getpwnam("nobody").pw_uid
    done = run("--check", path, preexec_fn=as_user(uid))
    assert done.returncode == 0, done.stderr


def test_check_good(world):
    path = world.base / "good.yaml"
    path.write_text(GOOD)
    directory = world.mkdir("rules.d")
    (directory / "a.yaml").write_text(ack(name="other", port=81))
    (directory / "README").write_text("not: [ a rules file")
    for args in ([path], [directory], [path, directory]):
        done = run("--check", *args)
        assert done.returncode == 0, done.stderr
        assert not re.search(r":\d+:\d+:", done.stdout + done.stderr)


def test_check_warns_of_what_is_useless(world):
    path = world.base / "useless.yaml"
    path.write_text(rules(rule(name="first", port=80, respond="echo"),
                          rule(name="second", port=80, respond="echo")))
    done = run("--check", path)
    assert done.returncode == 0
    assert "1 warning" in done.stdout
    assert re.search(r"useless\.yaml:\d+:\d+: warning: rule 'second' never "
                     r".*'first'", done.stderr), done.stderr


def test_check_of_a_running_berthd_warns(world):
    """What it has read itself, with the words of --check."""
    berthd = world.berthd({
        "50-useless.yaml": rules(
            rule(name="first", port=80, respond="echo"),
            rule(name="second", port=80, respond="echo"))})
    file = berthd.rules_dirs[0] / "50-useless.yaml"
    words = run("--check", file).stderr
    assert "rule 'second' never" in words
    assert berthd.ctl_text("check") == \
        words + "2 rules in 1 file, no problems, 1 warning\n"
    warning, = berthd.ctl("check")["warnings"]
    assert warning["severity"] == "warning" and warning["line"] > 0
    assert warning["file"] == str(file)
    assert berthd.ctl("rules").get("warnings") is None


def test_check_broken(world):
    path = world.base / "broken.yaml"
    path.write_text(BROKEN)
    line = 1 + BROKEN[:BROKEN.index("lissten")].count("\n")
    done = run("--check", path)
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert re.search(rf"^\S*broken\.yaml:{line}:3: ", text, re.M), text
    assert "lissten" in text and "did you mean" in text and "listen" in text


def test_check_prints_all_problems_of_all_files(world):
    directory = world.mkdir("rules.d")
    (directory / "a.yaml").write_text(BROKEN)
    (directory / "b.yaml").write_text("rules:\n  - name: b\n    bogus: 1\n"
                                      "    other: 2\n")
    (directory / "c.yaml").write_text("rules: [\n")
    (directory / "d.yaml").write_text(ack(name="d"))
    done = run("--check", directory)
    assert done.returncode == 1
    text = done.stdout + done.stderr
    for expected in ("a.yaml:", "b.yaml:3:", "b.yaml:4:", "c.yaml:"):
        assert expected in text, text
    assert "d.yaml" not in text


ITSELF = """\
rules:
  - name: fine
    listen: {protocol: tcp, port: 53}
    forward: {to: "127.0.0.1:53"}
  - name: host
    match: {host: true}
    listen: {protocol: [udp, tcp], port: 53}
    forward: {to: "127.0.0.1:53"}
  - name: inside
    match: {namespace: blue}
    listen: {protocol: tcp, port: 80, address: each}
    forward: {to: "[::1]:80", namespace: blue}
  - name: one
    match: {namespace: "g*"}
    listen: {protocol: tcp, port: 81}
    forward: {to: "127.0.0.1:82", namespace: green}
  - name: other
    match: {namespace: green}
    listen: {protocol: tcp, port: 82}
    forward: {to: "127.0.0.1:81", namespace: green}
  - name: not certain
    match: {namespace: blue}
    listen: {protocol: tcp, port: 83}
    forward: {to: "10.0.0.1:83", namespace: blue}
"""


def test_check_of_rules_that_forward_to_themselves(world):
    """Each is told once, at its name."""
    path = world.base / "itself.yaml"
    path.write_text(ITSELF)
    done = run("--check", path)
    assert done.returncode == 1
    found = re.findall(r"itself\.yaml:(\d+):(\d+): rule '(\w+)': (.*) in netns "
                       r"'(\w+)' would be refused: it would forward to itself",
                       done.stdout + done.stderr)
    assert found == [("5", "11", "host", "udp *:53", "host"),
                     ("9", "11", "inside", "tcp [::1]:80", "blue"),
                     ("17", "11", "other", "tcp *:82", "green")]


def test_check_of_what_is_not_there(world):
    done = run("--check", world.base / "missing.yaml")
    assert done.returncode == 1
    assert "missing.yaml" in done.stdout + done.stderr
    assert re.search("does not exist|No such file", done.stdout + done.stderr)


def test_check_reads_the_configured_directories(world):
    directory = world.mkdir("rules.d")
    (directory / "a.yaml").write_text(BROKEN)
    done = run("--rules", directory, "--check")
    assert done.returncode == 1
    assert "lissten" in done.stdout + done.stderr


def test_check_does_not_disturb_a_running_berthd(world):
    netns = world.netns("n")
    berthd = world.berthd(GOOD)
    done = run("--runtime-dir", berthd.runtime, "--check",
               berthd.rules_dirs[0])
    assert done.returncode == 0, done.stderr
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def read_only(world):
    path = world.mkdir("readonly")
    kernel.mount("tmpfs", path, "tmpfs", kernel.MS_RDONLY)
    world.defer(kernel.umount, path)
    return path


@pytest.mark.parametrize("kind", ["read-only", "a file", "below a file",
                                  "in a read-only place"])
def test_runtime_directory_that_cannot_be_used(world, kind):
    (world.base / "file").write_text("")
    path = {"read-only": lambda: read_only(world),
            "a file": lambda: world.base / "file",
            "below a file": lambda: world.base / "file" / "run",
            "in a read-only place": lambda: read_only(world) / "run"}[kind]()
    berthd = world.berthd(GOOD, start=False)
    berthd.runtime = path
    berthd.spawn()
    log = berthd.wait_failure()
    assert str(path) in log
    assert re.search("Read-only|Not a directory|not writable|exists", log)


def test_runtime_directory_with_a_name_too_long_for_a_socket(world):
    berthd = world.berthd(GOOD, start=False)
    berthd.runtime = world.base / ("x" * 120)
    berthd.spawn()
    assert "xxx" in berthd.wait_failure()


def test_runtime_directory_is_made(world):
    netns = world.netns("n")
    berthd = world.berthd(GOOD, start=False)
    assert not berthd.runtime.exists()
    berthd.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.runtime.stat().st_mode & 0o022 == 0
    assert (berthd.runtime / "control.sock").is_socket()


def test_second_berthd_on_one_runtime_directory(world):
    """It is refused and says so; the first does not notice."""
    netns = world.netns("n")
    first = world.berthd(GOOD)
    second = world.berthd(GOOD, start=False)
    second.runtime = first.runtime
    second.spawn()
    log = second.wait_failure()
    assert str(first.runtime) in log
    assert re.search("another|already|in use", log), log
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert first.names() == ["n"]
    # The place is free again after a crash, without any cleaning up.
    first.kill9()
    second.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_two_side_by_side(world):
    netns = world.netns("n")
    one = world.berthd(ack(port=1000, respond="one"))
    two = world.berthd(ack(port=2000, respond="two"))
    assert netns.ask("127.0.0.1", 1000) == b"one"
    assert netns.ask("127.0.0.1", 2000) == b"two"
    later = world.netns("later")
    wait_equal(later.listeners, {"tcp *:1000", "tcp *:2000"}, "both")
    one.stop()
    assert netns.listeners() == {"tcp *:2000"}
    assert netns.ask("127.0.0.1", 2000) == b"two"
    assert two.names() == ["later", "n"]


def test_two_that_want_the_same_port(world):
    """The second waits and takes over when the first ends."""
    netns = world.netns("n")
    one = world.berthd(ack(respond="one"))
    two = world.berthd(ack(respond="two"))
    row = two.wait_state(netns.cookie(), "waiting")
    assert row["error"] == "EADDRINUSE"
    assert netns.ask("127.0.0.1", 8080) == b"one"
    one.stop()
    two.wait_state(netns.cookie(), "listening")
    assert netns.ask("127.0.0.1", 8080) == b"two"


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_and_threads(world, workers):
    world.netns("n")
    berthd = world.berthd(GOOD, args=["--workers", workers])
    relay = berthd.relay_pid()
    sanitizer = 1 if SANITIZED else 0
    wait_for(lambda: process.threads(relay) >= workers + 1, "the workers")
    assert process.threads(berthd.pid) <= 1 + sanitizer
    assert process.threads(relay) <= workers + 1 + sanitizer


def test_relay_has_no_privilege(world):
    """Another user, no capability, no way to get one, a seccomp filter, on
    every thread."""
    netns = world.netns("n")
    berthd = world.berthd(GOOD, args=["--relay-user", "nobody"])
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    relay = berthd.relay_pid()
    nobody = pwd.getpwnam("nobody")
    for task in os.listdir(f"/proc/{relay}/task"):
        def value(key, task=task):
            return process.status(f"{relay}/task/{task}", key)

        assert set(value("Uid").split()) == {str(nobody.pw_uid)}
        assert set(value("Gid").split()) == {str(nobody.pw_gid)}
        assert value("Groups") == ""
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            assert int(value(caps), 16) == 0, caps
        assert value("NoNewPrivs") == "1"
        if not SANITIZED:
            assert value("Seccomp") == "2"


def test_relay_user_by_default(world):
    """Without the option it still does not run as root."""
    world.netns("n")
    berthd = world.berthd(GOOD)
    relay = berthd.relay_pid()
    assert process.status(relay, "Uid").split()[0] != "0"
    assert int(process.status(relay, "CapEff"), 16) == 0


# include/uapi/linux/capability.h
CAPABILITIES = {"CHOWN": 0, "DAC_READ_SEARCH": 2, "KILL": 5, "SETGID": 6,
                "SETUID": 7, "SETPCAP": 8, "NET_BIND_SERVICE": 10, "NET_BROADCAST": 11,
                "NET_ADMIN": 12, "SYS_PTRACE": 19, "SYS_ADMIN": 21}
# SYS_PTRACE is what links into /proc/PID/ns/net need.
NEEDED = {"CHOWN", "DAC_READ_SEARCH", "NET_BIND_SERVICE", "NET_BROADCAST",
          "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE"}
# To start the relay as another user again after a crash, and to end it.
FOR_THE_RELAY = {"SETUID", "SETGID", "SETPCAP", "KILL"}


def test_berthd_keeps_only_what_it_needs(world):
    world.netns("n")
    berthd = world.berthd(GOOD)
    permitted = int(process.status(berthd.pid, "CapPrm"), 16)
    bits = {name for name, bit in CAPABILITIES.items()
            if permitted & 1 << bit}
    allowed = sum(1 << CAPABILITIES[name] for name in NEEDED | FOR_THE_RELAY)
    assert NEEDED <= bits
    assert permitted & ~allowed == 0, hex(permitted & ~allowed)


def test_relay_inherits_no_descriptor(world):
    """Neither of the one who started berthd nor of berthd itself."""
    world.netns("n")
    (world.base / "secret").write_text("x")
    berthd = world.berthd(GOOD, start=False)
    berthd.start(["sh", "-c", f'exec "$@" 9<{world.base}/secret', "sh",
                  *berthd.command()])
    for target in process.descriptors(berthd.relay_pid()).values():
        assert "secret" not in target
        assert "netns" not in target and "net:[" not in target
        assert "inotify" not in target
        assert "rules" not in target


def test_log_lines_one_per_fact(world):
    """Program's name in front, nothing empty, nothing broken over lines."""
    world.netns("n")
    berthd = world.berthd({"a.yaml": GOOD, "b.yaml": BROKEN})
    lines = berthd.log().splitlines()
    assert lines
    for line in lines:
        assert re.match(TIME + r" berth(d|-relay): \S", line), line


def test_log_has_priorities_under_systemd(world):
    world.netns("n")
    berthd = world.berthd({"a.yaml": GOOD, "b.yaml": BROKEN}, start=False)
    berthd.log_path.touch()
    stat = berthd.log_path.stat()
    berthd.env["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
    berthd.start()
    lines = berthd.log().splitlines()
    assert lines
    for line in lines:
        assert re.match(r"<[34567]>\S", line), line
    assert [line for line in lines if line[1] in "34" and "lissten" in line]


@pytest.mark.parametrize("level", ["error", "warning", "info", "debug"])
def test_log_level(world, level):
    netns = world.netns("n")
    berthd = world.berthd({"a.yaml": GOOD, "b.yaml": BROKEN}, start=False,
                          args=["--log-level", level])
    berthd.log_path.touch()
    stat = berthd.log_path.stat()
    berthd.env["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
    berthd.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    berthd.stop()
    limit = {"error": 3, "warning": 4, "info": 6, "debug": 7}[level]
    used = {int(line[1]) for line in berthd.log().splitlines()}
    assert all(number <= limit for number in used), used
    if limit >= 6:
        assert limit in used


def test_no_directory_at_all(world):
    """Neither namespaces nor rules exist: that is no error."""
    berthd = world.berthd(netns_dirs=[world.base / "none"],
                          rules_dirs=[world.base / "none2"])
    assert berthd.names() == []
    stays(lambda: berthd.process.poll() is None, "running", 0.2)


def test_started_without_standard_descriptors(world):
    """Some start programs with 0, 1 and 2 closed."""
    netns = world.netns("n")
    berthd = world.berthd(GOOD, start=False)
    berthd.start(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh",
                  *berthd.command()])
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    # What they open next does not get these numbers, nor what they say.
    for pid in (berthd.pid, berthd.relay_pid()):
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] \
            == ["/dev/null"] * 3
    berthd.kill_relay()
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_ready_without_a_manager(world):
    """NOTIFY_SOCKET unset or wrong is no reason to stop."""
    netns = world.netns("n")
    berthd = world.berthd(GOOD, start=False,
                          env={"NOTIFY_SOCKET": "/nonexistent"})
    berthd.spawn()
    wait_for(netns.listeners, "the listener")
    wait_for(lambda: (berthd.runtime / "control.sock").exists(), "control")
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_start_is_quick(world):
    """Nothing at start waits for a timer."""
    for i in range(20):
        world.netns(f"n{i}")
    berthd = world.berthd(GOOD, start=False)
    began = time.monotonic()
    berthd.start()
    assert time.monotonic() - began < (5 if SANITIZED else GUARD / 15)

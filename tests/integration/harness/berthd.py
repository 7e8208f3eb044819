# SPDX-License-Identifier: Apache-2.0
"""berthd.py - one berthd with its relay, its directories and its log."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from . import kernel, process
from .wait import GUARD, wait_equal, wait_exit, wait_for

_ROOT = Path(__file__).resolve().parents[3]


def _build_dir():
    build = Path(os.environ.get("BERTH_BUILD", "build"))
    return build if build.is_absolute() else _ROOT / build


BUILD = _build_dir()
BERTHD = BUILD / "berthd"
BERTHCTL = BUILD / "berthctl"
RELAY = BUILD / "berth-relay"
SANITIZED = BERTHD.exists() and process.is_sanitized(BERTHD)
# What AddressSanitizer may keep of freed memory: its own bound, of 256 MiB if
# unset, and what it writes down about each piece.
QUARANTINE_MIB = 16
# Half a second for consumers and half a second for the relay, at most; a
# guard only, for the machine may be busy.
EXIT_SECONDS = GUARD


class Berthd:
    """berthd under test. Start with start(); the world stops it."""

    def __init__(self, base, netns_dirs, rules_dirs, args=(), env=None,
                 limits=None, netns=None):
        self.base = Path(base)
        self.runtime = self.base / "run"
        self.netns_dirs = [Path(path) for path in netns_dirs]
        self.rules_dirs = [Path(path) for path in rules_dirs]
        self.args = [str(arg) for arg in args]
        self.env = dict(env or {})
        self.limits = dict(limits or {})
        self.netns = netns
        self.pass_fds = ()
        self.log_path = self.base / "log"
        self.process = None
        self.pidfd = -1
        self.exit_code = None
        self._notify = None

    # Life

    def command(self):
        argv = [str(BERTHD), "--config", "/dev/null",
                "--runtime-dir", str(self.runtime)]
        for path in self.netns_dirs:
            argv += ["--netns-dir", str(path)]
        for path in self.rules_dirs:
            argv += ["--rules", str(path)]
        return argv + self.args

    def spawn(self, argv=None):
        """Starts it and does not wait until it is ready."""
        assert self.process is None
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify_path = str(self.base / "notify")
        if os.path.exists(notify_path):
            os.unlink(notify_path)
        self._notify.bind(notify_path)
        # Nobody here keeps descriptors; manager.py does.
        env = dict(os.environ, NOTIFY_SOCKET=notify_path, FDSTORE="0",
                   LC_ALL="C")
        env["ASAN_OPTIONS"] = ":".join(filter(None, (
            env.get("ASAN_OPTIONS"), f"quarantine_size_mb={QUARANTINE_MIB}")))
        env.update(self.env)
        env = {key: env[key] for key in env if env[key] is not None}

        def in_child():
            kernel.die_with_parent()
            for which, value in self.limits.items():
                resource.setrlimit(which, value)

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                argv or self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=env, preexec_fn=in_child,
                pass_fds=self.pass_fds)
        self.pidfd = os.pidfd_open(self.process.pid)
        return self

    def start(self, argv=None):
        """Starts it and waits for READY=1."""
        self.spawn(argv)
        self.wait_ready()
        return self

    def wait_ready(self, guard=GUARD):
        deadline = time.monotonic() + guard
        self._notify.settimeout(0.05)
        while True:
            try:
                if b"READY=1" in self._notify.recv(4096).split(b"\n"):
                    return
            except socket.timeout:
                pass
            code = self.process.poll()
            assert code is None, f"exit {code} at start:\n{self.log()}"
            assert time.monotonic() < deadline, \
                f"no READY=1 within {guard} s:\n{self.log()}"

    def is_ready(self):
        """Did READY=1 arrive? Consumes it."""
        self._notify.setblocking(False)
        try:
            return b"READY=1" in self._notify.recv(4096).split(b"\n")
        except BlockingIOError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def relays(self):
        """The pids of all relays that run, the oldest first: all but the last
        let their clients finish. It needs no berthd that runs."""
        try:
            known = json.loads((self.runtime / "relays.json").read_text())
        except OSError:
            return []
        return [one["pid"] for one in known["consumers"]
                if process.started(one["pid"]) == one["started"]
                and os.path.basename(
                    process.command(one["pid"])) == "berth-relay"]

    def relay_now(self):
        """The pid of the relay that runs now, or 0."""
        return (self.relays() or [0])[-1]

    def relay_pid(self, other_than=0):
        """Waits for a relay that runs. READY=1 does not wait for it: its
        listeners are open before it is there."""
        return wait_for(
            lambda: (pid := self.relay_now()) not in (0, other_than) and pid,
            "a relay that runs")

    def relay_descriptors(self):
        return len(process.descriptors(self.relay_pid()))

    def idle_relay_descriptors(self):
        """The same, once the relay has all that it gets at its start."""
        self.wait_delivered()
        return process.steady(self.relay_descriptors)

    def relay_growth(self):
        """The growth of the relay, once it has all that it gets at its
        start: before that it may not even be the relay's program yet."""
        self.wait_delivered()
        return process.Growth(self.relay_pid(),
                              QUARANTINE_MIB * 2048 if SANITIZED else 0)

    def descriptors(self):
        """How many berthd has, and how many the relay."""
        return len(process.descriptors(self.pid)), self.relay_descriptors()

    def idle_descriptors(self):
        """Once both have all that they need for themselves."""
        self.wait_delivered()
        return process.steady(self.descriptors)

    def wait_descriptors(self, expected):
        wait_equal(self.descriptors, expected,
                   "the descriptors of berthd and relay")

    def wait_delivered(self):
        """Waits until the relay was sent all listeners."""
        def delivered():
            consumer = self.status()["consumers"][0]
            return consumer["connected"] and not consumer["undelivered"]

        wait_for(delivered, "all listeners to be delivered")

    def send_signal(self, number):
        os.kill(self.pid, number)

    def stop(self):
        """SIGINT must end both processes within a second, cleanly."""
        relays = _Relays(self.relays())
        try:
            if self.process is not None:
                self._interrupt(relays)
        finally:
            relays.close()
        if self.log_path.exists():
            self.check_log()

    def _interrupt(self, relays):
        self.process.send_signal(signal.SIGINT)
        ended = wait_exit(self.pidfd, EXIT_SECONDS)
        relays_ended = relays.wait(EXIT_SECONDS)
        if not ended:
            self.process.kill()
        self._reap()
        assert ended, f"berthd runs {EXIT_SECONDS} s after SIGINT"
        assert relays_ended, f"relay runs {EXIT_SECONDS} s after SIGINT"
        assert self.exit_code == 0, f"berthd: exit {self.exit_code}"

    def leave(self, number=signal.SIGTERM):
        """Ends berthd alone, as a restart does, or a crash by SIGKILL."""
        self.process.send_signal(number)
        wait_for(self._exited, "berthd to end")
        self._reap()
        assert self.exit_code == (0 if number == signal.SIGTERM else -number)

    def _exited(self):
        """Also reads what it tells the service manager, and forgets it: it
        waits for that at its end."""
        self._notify.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._notify.recv(4096)
        return wait_exit(self.pidfd, 0)

    def wait_failure(self, guard=GUARD):
        """For a berthd that must refuse to run. Return: its log."""
        assert wait_exit(self.pidfd, guard), "it runs, and should not"
        self._reap()
        assert self.exit_code not in (0, None)
        assert self.exit_code > 0, f"killed by signal {-self.exit_code}"
        return self.log()

    def crash(self):
        """SIGKILL, whatever state it is in. Its relays go on."""
        self.process.kill()
        assert wait_exit(self.pidfd)
        self._reap()

    def kill9(self):
        """Everything crashes: berthd, and all its relays."""
        self.crash()
        relays = _Relays(self.relays())
        relays.close()

    def kill_relay(self, number=signal.SIGKILL):
        """Waits for its end if nothing else can come: until then it may
        accept. Return: the pid it had."""
        relay = self.relay_pid()
        pidfd = os.pidfd_open(relay)
        try:
            os.kill(relay, number)
            assert number != signal.SIGKILL or wait_exit(pidfd)
        finally:
            os.close(pidfd)
        return relay

    def _reap(self):
        self.exit_code = self.process.wait()
        os.close(self.pidfd)
        self._notify.close()
        self.process = None

    def check_log(self):
        reports = process.sanitizer_reports(self.log())
        assert not reports, "\n".join(reports)

    # Log

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, pattern, after=0):
        """Waits for a line that the regular expression is found in."""
        return wait_for(lambda: re.search(pattern, self.log()[after:], re.M),
                        f"a log line like {pattern!r} in:\n{self.log()}")

    # Rules

    def write_rules(self, name, text, directory=0):
        """Writes a rules file the way an editor does: rename over it."""
        path = self.rules_dirs[directory] / name
        temporary = path.with_name("." + path.name + ".new")
        temporary.write_text(text, encoding="utf-8")
        os.rename(temporary, path)
        return path

    def remove_rules(self, name, directory=0):
        os.unlink(self.rules_dirs[directory] / name)

    # berthctl

    def ctl_process(self, *args):
        # It ends after one call: the search for leaks would take longer than
        # all else.
        return subprocess.run(
            [str(BERTHCTL), "--runtime-dir", str(self.runtime), *args],
            env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"),
            capture_output=True, text=True, errors="surrogateescape",
            check=False, timeout=60)

    def ctl_text(self, *args, code=0):
        """What berthctl prints for people."""
        done = self.ctl_process(*args)
        assert done.returncode == code, \
            f"berthctl {args}: exit {done.returncode}: {done.stderr}"
        assert not process.sanitizer_reports(done.stderr), done.stderr
        return done.stdout

    def ctl(self, *args, code=0):
        """What berthctl prints as JSON."""
        return json.loads(self.ctl_text(*args, "--json", code=code))

    def status(self):
        return self.ctl("status")

    def namespaces(self):
        return self.ctl("namespaces")["namespaces"]

    def names(self):
        """The names that lead to namespaces, host's own names left out."""
        return sorted(name["name"] for netns in self.namespaces()
                      for name in netns["names"])

    def pending(self):
        """{name: reason} of names that lead to no namespace."""
        return {entry["name"]: entry["reason"]
                for entry in self.ctl("namespaces")["pending"]}

    def listeners(self, cookie=None):
        """The table of listeners, or those of one namespace."""
        return [row for row in self.ctl("listeners")["listeners"]
                if cookie in (None, row["namespace_id"])]

    def wanted_listeners(self, cookie=None):
        """Those that a rule wants; of the others connections drain."""
        return [row for row in self.listeners(cookie)
                if row["state"] != "draining"]

    def listener(self, cookie, address="*", port=8080, protocol="tcp"):
        """The one row with this endpoint, or None. What drains has it only
        where nothing else does."""
        rows = [row for row in self.listeners(cookie)
                if (row["protocol"], row["address"], row["port"])
                == (protocol, address, port)]
        rows = [row for row in rows if row["state"] != "draining"] or rows
        assert len(rows) < 2, rows
        return rows[0] if rows else None

    def wait_state(self, cookie, state, **which):
        """Waits for a listener's state. Return: its row."""
        return wait_for(
            lambda: (row := self.listener(cookie, **which))
            and row["state"] == state and row, f"{which} to be {state}")


class _Relays:
    """The relays of a berthd that ends."""

    def __init__(self, pids):
        self._pidfds = {}
        for pid in pids:
            try:
                self._pidfds[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                pass

    def wait(self, seconds):
        """Return: did all of them end in time?"""
        deadline = time.monotonic() + seconds
        return all([wait_exit(fd, max(0, deadline - time.monotonic()))
                    for fd in self._pidfds.values()])

    def close(self):
        """Kills those that did not."""
        for pid, fd in self._pidfds.items():
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            assert wait_exit(fd), "a killed relay does not end"
            os.close(fd)
            _reap_orphan(pid)
        self._pidfds = {}


def _reap_orphan(pid):
    """A relay that outlived its berthd is the test run's child."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass

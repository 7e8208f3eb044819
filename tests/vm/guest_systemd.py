# SPDX-License-Identifier: Apache-2.0
"""guest_systemd.py - the service as an administrator has it, in one boot

usage: tests/vm/run --systemd -- guest_systemd.py FIRST.deb SECOND.deb

FIRST and SECOND are packages of berth, SECOND the newer one. Each step prints a
line with its time. The first that fails ends it, with the journal.
"""
import contextlib
import ctypes
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

GUARD = 400
PAUSE = 0.1  # leaves the one processor to those that are looked at
NETNS = "tenant"
PORT = 8080
RULES = pathlib.Path("/etc/berth/rules.d")
RULE = """rules:
  - name: {name}
    match: {{ namespace: {netns} }}
    listen: [ {{ protocol: tcp, address: any, port: {port} }} ]
    respond: echo
"""


def run(*words, code=0):
    command = [str(word) for word in words]
    done = subprocess.run(command, text=True, capture_output=True,
                          timeout=GUARD, check=False,
                          stdin=subprocess.DEVNULL)
    assert code is None or done.returncode == code, \
        f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}" \
        f"{done.stderr}"
    return done.stdout


def wait_for(predicate, what):
    deadline = time.monotonic() + GUARD
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"no {what} within {GUARD} s"
        time.sleep(0.05)
    return found


def show(unit, name):
    return run("systemctl", "show", "--value", f"--property={name}", unit)[:-1]


def main_pid(unit="berthd"):
    return int(show(unit, "MainPID"))


def is_active(unit="berthd"):
    return run("systemctl", "is-active", unit, code=None) == "active\n"


def pids(name):
    """Of all processes of a program; it may have been replaced meanwhile."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):
            if os.readlink(path).split(" ")[0].rsplit("/", 1)[1] == name:
                found.append(int(path.parts[2]))
    return found


class Namespace:
    """Sockets are made in it by a thread that stays there."""

    def __init__(self, name):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        self.path = f"/run/netns/{name}"
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def connect(self, port=PORT):
        """Raises ConnectionRefusedError."""
        there = os.open(self.path, os.O_RDONLY)
        try:
            assert self.libc.setns(there, 0) == 0
            sock = socket.socket()
        finally:
            assert self.libc.setns(self.home, 0) == 0
            os.close(there)
        sock.settimeout(GUARD)
        try:
            sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return sock

    def answers(self, port=PORT):
        with self.connect(port) as sock:
            return echoes(sock)

    def refuses(self, port=PORT):
        try:
            self.connect(port).close()
        except ConnectionRefusedError:
            return True
        return False


def echoes(sock):
    sock.sendall(b"hello")
    return sock.recv(5, socket.MSG_WAITALL) == b"hello"


class Callers(threading.Thread):
    """Connects again and again, and keeps one connection all the time, as long
    as the block lasts. Whoever connects is answered in the end, and nobody is
    refused; what is kept is not cut."""

    def __init__(self, netns):
        super().__init__(daemon=True)
        self.netns = netns
        self.kept = netns.connect()
        self.done = 0
        self.errors = []
        self.over = threading.Event()

    def __enter__(self):
        assert echoes(self.kept)
        self.start()
        self.more()
        return self

    def run(self):
        while not self.over.is_set() and not self.errors:
            try:
                assert self.netns.answers()
                self.done += 1
                time.sleep(PAUSE)
            except (OSError, AssertionError) as error:
                self.errors.append(error)

    def more(self):
        """Someone who connects from now on is through."""
        want = self.done + 2
        wait_for(lambda: self.errors or self.done >= want, "answer")
        assert not self.errors, self.errors

    def __exit__(self, kind, *_):
        if kind is None:
            self.more()
        self.over.set()
        self.join(GUARD)
        if kind is None:
            assert not self.errors, self.errors
            assert echoes(self.kept)
        self.kept.close()


def write_rule(name, port, netns=NETNS):
    (RULES / f"{name}.yaml").write_text(
        RULE.format(name=name, netns=netns, port=port))


def forget_other_packages(package):
    """dpkg reads what it knows of each installed package, which takes an
    emulated processor minutes: it is to know those that this one needs."""
    depends = run("dpkg-deb", "--field", package, "Depends")
    needed = set(re.findall(r"[a-z0-9][a-z0-9+.-]+", depends))
    root = pathlib.Path("/var/lib/dpkg")
    kept = [entry for entry in (root / "status").read_text().split("\n\n")
            if entry.split("\n", 1)[0].removeprefix("Package: ") in needed]
    run("mount", "-t", "tmpfs", "dpkg", root)
    for folder in ("info", "triggers", "updates", "parts"):
        (root / folder).mkdir()
    (root / "info/format").write_text("1\n")
    (root / "available").touch()
    (root / "status").write_text("\n\n".join(kept) + "\n")


def dpkg(*words):
    run("dpkg", "--force-unsafe-io", *words)


def step_install(first):
    """It starts with no rules, and its users are there."""
    dpkg("--install", first)
    assert is_active() and main_pid() > 0
    assert run("systemctl", "is-enabled", "berthd") == "enabled\n"
    assert not is_active("berth-relay") and not is_active("berth-follow")
    assert list(RULES.iterdir()) == []
    assert "no problems" in run("berthctl", "check")
    relay = wait_for(lambda: pids("berth-relay"), "relay")
    assert os.stat(f"/proc/{relay[0]}").st_uid == \
        pwd.getpwnam("berth-relay").pw_uid
    assert pathlib.Path("/run/berth/containers.d").is_dir()


def step_rule(netns):
    """One file, and who connects in the namespace is answered."""
    assert netns.refuses()
    write_rule("50-echo", PORT)
    wait_for(lambda: not netns.refuses(), "listener")
    assert netns.answers()


def step_reload(netns):
    """Returns when the listeners are open, and fails on an error."""
    pid = main_pid()
    for port in range(8100, 8110):
        write_rule(f"60-{port}", port)
    run("systemctl", "reload", "berthd")
    assert is_active() and main_pid() == pid
    for port in range(8100, 8110):
        assert netns.answers(port)
        (RULES / f"60-{port}.yaml").unlink()
    (RULES / "70-bad.yaml").write_text("rules: 1\n")
    run("systemctl", "reload", "berthd", code=1)
    assert is_active() and main_pid() == pid and netns.answers()
    (RULES / "70-bad.yaml").unlink()
    run("systemctl", "reload", "berthd")
    assert netns.refuses(8100)


def step_restart(netns):
    pid, relays = main_pid(), pids("berth-relay")
    with Callers(netns):
        run("systemctl", "restart", "berthd")
        assert is_active() and main_pid() != pid
    assert pids("berth-relay") == relays
    wait_for(lambda: "listening" in run("berthctl", "listeners"), "listener")


def step_watchdog(netns):
    """A berthd that hangs is ended and started again; nobody notices."""
    folder = pathlib.Path("/run/systemd/system/berthd.service.d")
    folder.mkdir(parents=True)
    (folder / "watchdog.conf").write_text(
        "[Service]\nWatchdogSec=6s\nTimeoutAbortSec=1s\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "berthd")
    pid = main_pid()
    with Callers(netns):
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: main_pid() not in (0, pid) and is_active(),
                 "berthd that the watchdog started")
    assert "watchdog" in run("journalctl", "--no-pager", "--unit=berthd")
    (folder / "watchdog.conf").unlink()
    folder.rmdir()
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "berthd")


def step_upgrade(netns, second):
    """berthd and its relay are those of the new package afterwards; the
    earlier relay ends with its client."""
    pid, relays = main_pid(), set(pids("berth-relay"))
    with Callers(netns):
        dpkg("--install", second)
        assert is_active() and main_pid() != pid
        assert os.readlink(f"/proc/{main_pid()}/exe") == "/usr/sbin/berthd"
        new = wait_for(lambda: set(pids("berth-relay")) - relays, "new relay")
        assert [os.readlink(f"/proc/{one}/exe") for one in new] == \
            ["/usr/libexec/berth/berth-relay"]
        assert relays & set(pids("berth-relay"))
    wait_for(lambda: not relays & set(pids("berth-relay")),
             "end of the earlier relay")
    assert "0.2.0" in run("dpkg-query", "--show", "berth")


def step_relay(netns):
    """berth-relay as a unit, which takes over from the one that berthd had, and
    from which a new one takes over; its restart ends connections alone."""
    with Callers(netns):
        with open("/etc/berth/berthd.yaml", "a", encoding="ascii") as stream:
            stream.write("relay: unit\n")
        run("systemctl", "restart", "berthd")
        run("systemctl", "enable", "--now", "berth-relay")
        first = main_pid("berth-relay")
        run("systemctl", "reload", "berth-relay")
        second = main_pid("berth-relay")
        assert is_active("berth-relay") and second not in (0, first)
    wait_for(lambda: pids("berth-relay") == [second], "end of earlier relays")
    with netns.connect() as kept:
        assert echoes(kept)
        run("systemctl", "restart", "berth-relay")
        assert main_pid("berth-relay") not in (0, second)
        with contextlib.suppress(ConnectionResetError):
            assert kept.recv(1) == b""
    assert netns.answers()


def step_purge(netns):
    """Nothing is left, whatever was made beside the package's own files."""
    own = [path for path in run("dpkg", "--listfiles", "berth").splitlines()
           if not os.path.isdir(path) or "berth" in path]
    users = re.findall(r"^u (\S+)", pathlib.Path(
        "/usr/lib/sysusers.d/berth.conf").read_text(), re.M)
    dpkg("--purge", "berth")
    assert netns.refuses()
    assert not pids("berthd") and not pids("berth-relay")
    assert show("berthd", "LoadState") == "not-found"
    assert show("berth-relay", "LoadState") == "not-found"
    assert own and users
    names = {entry.pw_name for entry in pwd.getpwall()}
    assert not names & set(users), names
    left = [path for path in own if os.path.lexists(path)]
    for folder in ("/etc", "/run", "/var/lib/systemd"):
        left += [path for path in run(
            "find", folder, "-xdev", "-ignore_readdir_race", "-name",
            "*berth*").splitlines()]
    assert left == []


def main(first, second):
    # What of the host's files would keep a package from starting a service.
    pathlib.Path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
    forget_other_packages(first)
    netns = Namespace(NETNS)
    steps = ((step_install, first), (step_rule, netns), (step_reload, netns),
             (step_restart, netns), (step_watchdog, netns),
             (step_upgrade, netns, second), (step_relay, netns),
             (step_purge, netns))
    for step, *words in steps:
        begin = time.monotonic()
        try:
            step(*words)
        except Exception:  # whatever it is, the journal says why
            traceback.print_exc()
            print(run("journalctl", "--no-pager", "--lines=80",
                      *(f"_TRANSPORT={name}"
                        for name in ("journal", "stdout", "syslog")),
                      code=None))
            print(run("systemctl", "status", "--no-pager", "berthd",
                      "berth-relay", code=None))
            print(f"failed: {step.__name__}", flush=True)
            return 1
        print(f"ok: {step.__name__} {time.monotonic() - begin:.1f} s",
              flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

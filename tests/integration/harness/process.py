# SPDX-License-Identifier: Apache-2.0
"""process.py - what /proc tells about a process."""

import os
import re
import resource
import signal
import time
from contextlib import contextmanager, suppress

from .wait import GUARD, wait_for

_SANITIZER = re.compile(r"(?:Address|Leak|Thread|UndefinedBehavior)Sanitizer|"
                        r"runtime error:")


def sanitizer_reports(text):
    """The lines of a program's stderr that a sanitizer wrote."""
    return [line for line in text.splitlines() if _SANITIZER.search(line)]


def is_sanitized(program):
    with open(program, "rb") as file:
        return b"__asan_init" in file.read()


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children",
                      encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
        except FileNotFoundError:
            pass
    return found


def reap_orphans(*names):
    """Takes the exit status of what is called so, has ended, and came to this
    session, which is a subreaper, because its parent ended first. Nobody else
    does, and the machine bounds how many there may be."""
    for pid in children(os.getpid()):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii",
                      errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:
            continue  # a thread that waits for it was quicker
        if name in names and rest.split()[0] == "Z":
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def arguments(pid):
    """The whole command line; "": there is no such process."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read().replace(b"\0", b" "))
    except OSError:
        return ""


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read().split(b"\0")[0])
    except OSError:
        return ""


def started(pid):
    """When it was started, since boot in clock ticks; 0: there is none, or it
    has ended and is not waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def status(pid, key):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == key:
                return value.strip()
    raise KeyError(key)


def threads(pid):
    return int(status(pid, "Threads"))


def anonymous_kib(pid):
    """Memory that is no file's: code comes and goes as it is used."""
    return int(status(pid, "RssAnon").split()[0])


class Growth:
    """How much memory a process has taken since this was made. A sanitizer
    keeps freed memory, so that its misuse is found: `kept_kib` of it is no
    growth."""

    def __init__(self, pid, kept_kib=0):
        self.pid = pid
        self.kept_kib = kept_kib
        self.before = anonymous_kib(pid)

    def kib(self):
        return anonymous_kib(self.pid) - self.before - self.kept_kib


def pss_kib(pid):
    """Memory that it has, of what it shares its part."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith("Pss:"))


def code_kib(pid, library):
    """What of a library's code is mapped."""
    total = 0
    counts = False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if not words[0].endswith(":"):
                counts = "x" in words[1] and f"/{library}." in words[-1]
            elif counts and words[0] == "Rss:":
                total += int(words[1])
    return total


def private_kib(pid):
    """Memory that only this process has, and no file."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Private_Dirty:"):
                total += int(line.split()[1])
    return total


def descriptors(pid):
    """{fd: what it refers to}, without the inode numbers."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            pass
    return found


def socket_inodes(pid):
    return {int(target[8:-1]) for target in descriptors(pid).values()
            if target.startswith("socket:[")}


def context_switches(pid):
    """Of all threads, voluntary and not."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status",
                  encoding="ascii") as file:
            for line in file:
                if "ctxt_switches" in line:
                    total += int(line.split()[1])
    return total


def cpu_ns(task):
    """What a thread, "PID/task/TID", had of the processors so far."""
    with open(f"/proc/{task}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def limit_descriptors(pid, number):
    """Sets the soft limit. Return: what it was.

    A process of the same user may do that; root may only with a capability
    that a container's root has not got.
    """
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        soft, hard = next(line.split()[3:5] for line in file
                          if line.startswith("Max open files"))
    uid, gid = (int(status(pid, key).split()[0]) for key in ("Uid", "Gid"))
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, int(hard)))
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        raise ProcessLookupError(f"cannot limit the descriptors of {pid}")
    return int(soft)


def steady(read, seconds=GUARD / 75):
    """Return: what read() returns when it has not changed for a while."""
    value, since = read(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.01)
        if (latest := read()) != value:
            value, since = latest, time.monotonic()
    return value


@contextmanager
def stopped(pid):
    """All threads of the process stand still; a kill meanwhile is fine."""
    os.kill(pid, signal.SIGSTOP)
    try:
        # The signal is under way: a thread may still do what it was doing.
        wait_for(lambda: all(
            status(f"{pid}/task/{task}", "State").startswith("T")
            for task in os.listdir(f"/proc/{pid}/task")), "all to stop")
        yield
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

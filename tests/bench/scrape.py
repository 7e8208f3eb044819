# SPDX-License-Identifier: Apache-2.0
"""scrape.py - what a scrape of the metrics of 15,000 listeners costs berthd

Each listener has had a client, so that the relay counts for all of them: once,
and then before each scrape, so that it has news of all. What
berthd does in one piece is measured from outside: how much CPU time it uses
until it answers another caller, whose call costs next to nothing itself. Other
programs on the machine do not lengthen that.
"""
import contextlib
import ctypes
import json
import os
import platform
import socket
import struct
import subprocess
import sys
import time

import berthd as control

NAMESPACES = 1000
PORTS = 15  # in each
SCRAPE_MS = 20
SLICE_MS = 2
AFTER_S = 0.1  # berthd frees what it had for a scrape

RULE = """\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any, port: [{ports}] }} ]
    respond: ack
"""


@contextlib.contextmanager
def at_once():
    """This process runs whenever it can, however busy the machine is: else
    berthd would be charged for what it does while the caller waits to run."""
    before = os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK,
                          os.sched_param(1))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, before)


class TaskClock:
    """The CPU time of a process, to the nanosecond: its clock of clock_gettime
    (2) stands still between two ticks while the process runs."""

    OPEN = {"x86_64": 298, "aarch64": 241}  # perf_event_open(2)
    SOFTWARE, TASK_CLOCK = 1, 1

    def __init__(self, pid):
        libc = ctypes.CDLL(None, use_errno=True)
        attr = struct.pack("IIQ", self.SOFTWARE, 64, self.TASK_CLOCK)
        self.fd = libc.syscall(self.OPEN[platform.machine()],
                               ctypes.create_string_buffer(attr, 64), pid,
                               -1, -1, 0)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "perf_event_open")

    def now_ns(self):
        return struct.unpack("Q", os.read(self.fd, 8))[0]


class Caller:
    """Another client of berthd, whose process is @pid."""

    CALL = json.dumps({"method": "org.varlink.service.GetInfo"}).encode()

    def __init__(self, runtime, pid):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{runtime}/control.sock")
        self.clock = TaskClock(pid)

    def answered_ns(self):
        """What berthd has used when it has answered."""
        self.socket.sendall(self.CALL + b"\0")
        while not self.socket.recv(1 << 16).endswith(b"\0"):
            pass
        return self.clock.now_ns()

    def longest_ms(self, done):
        with at_once():
            used = [self.answered_ns()]
            while not done():
                used.append(self.answered_ns())
        return max(later - earlier
                   for earlier, later in zip(used, used[1:])) / 1e6


def wait_counted(runtime, clients):
    """Until the relay has accepted so many."""
    end = time.monotonic() + control.TIMEOUT_S
    with control.Control(runtime) as caller:
        while caller.call("GetStats")["total"]["accepted"] < clients:
            if time.monotonic() > end:
                sys.exit(f"the relay did not accept {clients} clients")
            time.sleep(control.POLL_S)


def used_ms(berthd, command):
    before = control.cpu_ms(berthd.pid)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    time.sleep(AFTER_S)
    return control.cpu_ms(berthd.pid) - before


def longest_ms(caller, command):
    """While the command runs, and a moment later."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as scrape:
        during = caller.longest_ms(lambda: scrape.poll() is not None)
    end = time.monotonic() + AFTER_S
    return max(during, caller.longest_ms(lambda: time.monotonic() > end))


def after_clients_ms(bench, directory, ports, berthd, command):
    bench.run("world", "verify", directory, *ports)
    time.sleep(AFTER_S)  # the workers have counted
    return used_ms(berthd, command)


def bench_scrape(bench, args):
    runs = 5 if args.quick else 25
    ports = range(7101, 7101 + PORTS)
    runtime = f"{bench.top}/run"
    command = [f"{bench.build}/berthctl", "--runtime-dir", runtime, "metrics"]
    by_netns = command + ["--namespaces", "*"]
    with bench.namespaces("s") as directory:
        bench.run("world", "make", directory, NAMESPACES)
        with bench.steady(), bench.berthd(directory, RULE.format(
                ports=", ".join(map(str, ports)))) as berthd:
            control.wait_delivered(runtime, NAMESPACES * PORTS)
            bench.run("world", "verify", directory, *ports)
            wait_counted(runtime, NAMESPACES * PORTS)
            caller = Caller(runtime, berthd.pid)
            for title, scrape, limits in (
                    ("a scrape", command, (SCRAPE_MS, SLICE_MS)),
                    ("  by namespace, all of them", by_netns, (None, None))):
                bench.report.single(
                    f"{title} of {NAMESPACES * PORTS} listeners, of berthd's "
                    "CPU", "ms",
                    [used_ms(berthd, scrape) for _ in range(runs)],
                    limit=limits[0])
                bench.report.single(
                    "  until it answers another caller, at most", "ms",
                    [longest_ms(caller, scrape) for _ in range(runs)],
                    limit=limits[1])
            bench.report.single(
                "a scrape after a client of each, of berthd's CPU", "ms",
                [after_clients_ms(bench, directory, ports, berthd, command)
                 for _ in range(runs)], limit=SCRAPE_MS)
            end = time.monotonic() + AFTER_S
            bench.report.single(
                "  the same when nobody scrapes", "ms",
                [caller.longest_ms(lambda: time.monotonic() > end)])


FIGURES = {"scrape": bench_scrape}

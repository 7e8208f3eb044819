# SPDX-License-Identifier: Apache-2.0
"""berthd.py - what a running berthd says of itself, and /proc of it"""
import json
import os
import socket
import sys
import time

POLL_S = 0.002
TIMEOUT_S = 30


class Control:
    """One Varlink connection."""

    def __init__(self, runtime_dir):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{runtime_dir}/control.sock")
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def call(self, method):
        request = {"method": f"io.berth.{method}"}
        self.socket.sendall(json.dumps(request).encode() + b"\0")
        reply = bytearray()
        while not reply.endswith(b"\0"):
            piece = self.stream.read1(1 << 20)
            if not piece:
                sys.exit(f"berthd closed its control socket ({method})")
            reply += piece
        reply = json.loads(reply[:-1])
        if "error" in reply:
            sys.exit(f"{method}: {reply}")
        return reply["parameters"]


def wait_delivered(runtime_dir, listeners, exactly=False):
    """Waits until the relay has as many; returns the monotonic ns."""
    deadline = time.monotonic() + TIMEOUT_S
    with Control(runtime_dir) as control:
        while time.monotonic() < deadline:
            status = control.call("GetStatus")
            now_ns = time.monotonic_ns()
            relay = [c for c in status["consumers"] if c["name"] == "relay"]
            if relay and relay[0]["delivered"] >= listeners and not (
                    exactly and (relay[0]["delivered"] > listeners
                                 or relay[0]["withdrawn"])):
                return now_ns
            time.sleep(POLL_S)
    sys.exit(f"the relay does not get its {listeners} listeners: "
             f"{json.dumps(status, indent=1)}")


def listeners(runtime_dir):
    with Control(runtime_dir) as control:
        return len(control.call("ListListeners")["listeners"])


def lingering(runtime_dir):
    with Control(runtime_dir) as control:
        return len(control.call("GetStatus")["lingering"])


def child(pid):
    """The one child of a process: its relay."""
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        children = [int(word) for word in stream.read().split()]
    if len(children) != 1:
        sys.exit(f"process {pid} has the children {children}, not one")
    return children[0]


def memory_kib(pid, kind):
    """A line of smaps_rollup: "Pss", or "Pss_Anon", the part of it that does
    not depend on who else uses the libraries."""
    with open(f"/proc/{pid}/smaps_rollup") as stream:
        for line in stream:
            if line.startswith(kind + ":"):
                return int(line.split()[1])
    sys.exit(f"process {pid} has no {kind}")


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def switches(pid):
    """Context switches of all threads, voluntary or not."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as stream:
            total += sum(int(line.split()[1]) for line in stream
                         if "ctxt_switches" in line)
    return total


def cpu_ms(pid):
    """Time on a CPU so far, of a process with one thread."""
    with open(f"/proc/{pid}/schedstat") as stream:
        return int(stream.read().split()[0]) / 1e6


def files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))

# SPDX-License-Identifier: Apache-2.0
"""metadata.py - the metadata service of many networks: berth beside haproxies

The haproxies are what OpenStack has today, one for each network: their
configuration is written by Debian's own Neutron, and each is started in the
network's namespace, one after the other, as Neutron's agent does. What the
agent spends on that itself (a Python program for each command) is left out.

berth has the rule of contrib/openstack. Both lead to the same small server on
a UNIX socket, which looks for a proxy's headers; see metadata_backend.c.
"""
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time

import berthd as control
import peers
import relay
from relay_report import Goal, Turns
from report import number

PYTHON = "/usr/bin/python3"  # whose Neutron it is
ADDRESS, PORT = "169.254.169.254", 80
IDLE_S = 10
SETTLE_S = 2
TIMEOUT_S = 60
IN_FLIGHT = 8
CLONE_NEWNET = 0x40000000
RULES = """\
rules:
  - name: ovn-metadata
    match: {{ namespace: '/n(?<network>[0-9]+)/' }}
    listen: [ {{ protocol: tcp, address: 169.254.169.254, port: 80 }} ]
    forward:
      to: "unix:{socket}"
      max_connections: 1024
      http:
        set_headers:
          X-OVN-Network-ID: "${{namespace.network}}"
          X-Forwarded-For: "${{client}}"
        request_timeout: 30s
        response_timeout: 32s
        max_request: 3840
"""
CONFIGURE = """
import json, sys
from neutron.agent.ovn.metadata import driver
from oslo_config import cfg
from oslo_log import log
log.register_options(cfg.CONF)
spec = json.loads(sys.argv[1])
for name in spec["names"]:
    driver.HaproxyConfigurator(
        network_id=name, router_id=None, unix_socket_path=spec["socket"],
        host="169.254.169.254", port=80, user="0", group="0",
        state_path=spec["base"],
        pid_file=f"{spec['base']}/{name}.pid").create_config_file()
"""


class Networks:
    """Namespaces as the agent makes them, and the socket that all lead to."""

    def __init__(self, bench, directory, count):
        self.bench = bench
        self.directory = directory
        self.names = [f"n{i}" for i in range(count)]
        self.socket = f"{bench.top}/metadata_proxy"
        self.base = bench.directory("neutron")
        bench.run("world", "make", directory, count)
        for name in self.names:
            self.give_address(name)
        self.configure(self.names)

    def configure(self, names):
        """Has Neutron write haproxy's configuration."""
        done = subprocess.run(
            [PYTHON, "-P", "-c", CONFIGURE, json.dumps(
                {"names": names, "base": self.base, "socket": self.socket})],
            text=True, capture_output=True)
        if done.returncode:
            sys.exit("Neutron is missing, contrib/install-dependencies bench "
                     f"installs it: {done.stderr}")

    def give_address(self, name):
        subprocess.run(["nsenter", f"--net={self.directory}/{name}", "ip",
                        "addr", "add", f"{ADDRESS}/32", "dev", "lo"],
                       check=True)

    def start_haproxy(self, name):
        """Returns when it listens: the program that is started ends then."""
        subprocess.run(
            ["nsenter", f"--net={self.directory}/{name}",
             peers.need("haproxy", "haproxy"), "-f",
             f"{self.base}/ovn-metadata-proxy/{name}.conf"], check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def haproxy_pid(self, name):
        with open(f"{self.base}/{name}.pid") as stream:
            return int(stream.read())

    def ask_all(self):
        """One request in each network; the client ends the benchmark if one
        has no answer. Return: when it had them, by the monotonic clock."""
        first, *others = self.names
        self.bench.run("relay_client", self.directory, first, ADDRESS, PORT,
                       "http", len(self.names), IN_FLIGHT, 1, *others)
        return time.monotonic_ns()

    @contextlib.contextmanager
    def haproxies(self, names=None):
        """Yields their pids, and how long it took until all answered."""
        begin_ns = time.monotonic_ns()
        pids = []
        try:
            for name in names or self.names:
                self.start_haproxy(name)
                pids.append(self.haproxy_pid(name))
            end_ns = begin_ns if names else self.ask_all()
            yield pids, (end_ns - begin_ns) / 1e6
        finally:
            end(pids)

    @contextlib.contextmanager
    def berth(self, answers=True):
        with self.bench.berthd(
                self.directory, RULES.format(socket=self.socket)) as berthd:
            control.wait_delivered(f"{self.bench.top}/run", len(self.names))
            end_ns = self.ask_all() if answers else berthd.exec_ns
            yield ([berthd.pid, control.child(berthd.pid)],
                   (end_ns - berthd.exec_ns) / 1e6)


def end(pids):
    """They are nobody's children; waits until they are gone."""
    pidfds = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            pidfds.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGKILL)
    for pidfd in pidfds:
        if not select.select([pidfd], [], [], TIMEOUT_S)[0]:
            sys.exit("a haproxy does not end")
        os.close(pidfd)


def what_it_takes(pids):
    """Memory in MB, threads, descriptors; switches in IDLE_S, when what the
    last requests left is done with."""
    time.sleep(SETTLE_S)
    before = sum(control.switches(pid) for pid in pids)
    time.sleep(IDLE_S)
    return {
        **{title: sum(control.memory_kib(pid, kind)
                      for pid in pids) * 1024 / 1e6
           for title, kind in MEMORY.items()},
        "processes": len(pids),
        "threads": sum(control.threads(pid) for pid in pids),
        "descriptors": sum(control.files(pid) for pid in pids),
        f"context switches in {IDLE_S} idle s":
            sum(control.switches(pid) for pid in pids) - before,
    }


def report_pair(bench, title, samples, goal):
    """Medians of both, and the ratio."""
    medians = {name: statistics.median(values)
               for name, values in samples.items()}
    ratio = (medians["berth"] / medians["HAProxy"]
             if medians["HAProxy"] else None)
    met = "" if goal is None or ratio is None else (
        "met" if ratio <= goal else "MISSED")
    bench.report.relays(
        f"{title} (n = {len(samples['berth'])})",
        {name: number(value) for name, value in medians.items()},
        "" if ratio is None else f"{ratio:.4f} x HAProxy",
        "" if goal is None else f"<= {goal:.4f} x", met)


def collect(samples, subject, figures):
    for name, value in figures.items():
        samples.setdefault(name, {}).setdefault(subject, []).append(value)


# The second leaves out code, which other programs may have in memory, too.
MEMORY = {"PSS, MB": "Pss", "anonymous memory, MB": "Pss_Anon"}
GOALS = {"PSS, MB": 1 / 100, "from nothing to all answering, ms": 1 / 50}


def bench_many(bench, count, rounds):
    samples = {}
    with bench.namespaces(f"m{count}") as directory, \
            contextlib.ExitStack() as stack:
        networks = Networks(bench, directory, count)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(networks.socket)
        stack.enter_context(bench.program("backend", "metadata_backend",
                                          networks.socket))
        for turn in range(rounds):
            sides = [("HAProxy", networks.haproxies), ("berth",
                                                       networks.berth)]
            for name, running in sides if turn % 2 else reversed(sides):
                with running() as (pids, took_ms):
                    collect(samples, name, {
                        "from nothing to all answering, ms": took_ms,
                        **what_it_takes(pids)})
    for figure, both in samples.items():
        report_pair(bench, f"{count} networks: {figure}", both,
                    GOALS.get(figure))


@contextlib.contextmanager
def inside(directory, name):
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    netns = os.open(f"{directory}/{name}", os.O_RDONLY)
    try:
        if libc.setns(netns, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(netns)


def first_answer_ms(networks, name, begin_ns):
    """Tries without a pause."""
    deadline = begin_ns + TIMEOUT_S * 10**9
    with inside(networks.directory, name):
        while time.monotonic_ns() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex((ADDRESS, PORT)):
                    continue
                sock.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
                if not sock.recv(1024).startswith(b"HTTP/1.1 200 "):
                    sys.exit(f"{name}: no good answer")
                return (time.monotonic_ns() - begin_ns) / 1e6
    sys.exit(f"{name}: no answer")


def bench_new(bench, args):
    """From the address to the first answer, in a network that is new."""
    rounds = 3 if args.quick else 25
    samples = {"HAProxy": [], "berth": []}
    with bench.namespaces("new") as directory, contextlib.ExitStack() as stack:
        networks = Networks(bench, directory, 1)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(networks.socket)
        stack.enter_context(bench.program("backend", "metadata_backend",
                                          networks.socket))
        names = [f"n{i}" for i in range(1, 2 * rounds + 1)]
        networks.configure(names)
        stack.enter_context(networks.berth())
        apart = bench.directory("apart")  # berthd does not look there
        for number_, name in enumerate(names):
            subject = "berth" if number_ % 2 else "HAProxy"
            networks.directory = directory if number_ % 2 else apart
            make_network(networks, name)
            begin_ns = time.monotonic_ns()
            pids = []
            if subject == "HAProxy":
                networks.start_haproxy(name)
                pids.append(networks.haproxy_pid(name))
            samples[subject].append(first_answer_ms(networks, name, begin_ns))
            end(pids)
        bench.run("world", "remove", apart)
    report_pair(bench, "a new network: its address is there, first answer, ms",
                samples, 1 / 10)


def make_network(networks, name):
    """In the order of Neutron's agent: the name, loopback, the address."""
    path = f"{networks.directory}/{name}"
    with open(path, "w"):
        pass
    subprocess.run(["unshare", f"--net={path}", "ip", "link", "set", "lo",
                    "up"], check=True)
    networks.give_address(name)


def bench_request(bench, args):
    """One request through; the client closes, as cloud-init does."""
    count, rounds = (300, 3) if args.quick else (1500, 15)
    with bench.namespaces("q") as directory, \
            bench.namespaces("p") as other, contextlib.ExitStack() as stack:
        networks = Networks(bench, directory, 1)
        beside = Networks(bench, other, 1)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(networks.socket)
        backend = stack.enter_context(bench.program(
            "backend", "metadata_backend", networks.socket))
        haproxies, _ = stack.enter_context(beside.haproxies(["n0"]))
        berths, _ = stack.enter_context(networks.berth())
        server = peers.Subject("backend", [backend.pid], None, None)
        everybody = []
        for name, pids, place in (("berth", berths, directory),
                                  ("HAProxy", haproxies, other)):
            relay.set_sysctls(relay.SYSCTLS, f"{place}/n0")
            subject = peers.Subject(name, pids, ADDRESS, PORT)
            subject.netns = (place, "n0")
            everybody.append(subject)

        def measure(subject, add, n, in_flight, title):
            seconds, median_ns, cpu_ns = relay.client(
                bench, subject, "http", n, in_flight, netns=subject.netns)
            add(f"{title} cpu", cpu_ns / n / 1e3)
            add(f"{title} p50", median_ns / 1e3)
            add(f"{title} rate", n / seconds)

        turns = Turns(everybody)
        turns.take(rounds, lambda subject, add: measure(
            subject, add, count, IN_FLIGHT, "busy"))
        with relay.one_processor(bench, everybody + [server]):
            turns.take(rounds, lambda subject, add: measure(
                subject, add, count, 1, "alone"))
    haproxy = ("HAProxy",)
    for kind, title in (("alone", "one in flight"),
                        ("busy", f"{IN_FLIGHT} in flight")):
        for figure, unit, goal in (
                ("cpu", "CPU of the proxy, us", Goal(at_most=0.8,
                                                     peers=haproxy)),
                ("p50", "p50, us", Goal(at_most=0.9, peers=haproxy)),
                ("rate", "rate, /s", Goal(at_least=1, peers=haproxy))):
            turns.report(bench.report, f"one request, {title}: {unit}",
                         f"{kind} {figure}", goal)


def bench_one(bench, args):
    bench_request(bench, args)
    bench_new(bench, args)


def bench_networks(bench, args):
    if args.quick:
        bench_many(bench, 20, 1)
        return
    bench_many(bench, 100, 5)
    bench_many(bench, 500, 3)


FIGURES = {
    "metadata": bench_one,
    "metadata-networks": bench_networks,
}

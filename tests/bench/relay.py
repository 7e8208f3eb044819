# SPDX-License-Identifier: Apache-2.0
"""relay.py - figures of the relay, beside HAProxy, nginx and a Go program

A client in a namespace, a listener there, the relay, a backend in the host's
namespace. The floor is the same client at the same backend, over a veth pair,
with no relay between; `bare` is the least that a relay can do, which tells how
much of a figure is the kernel's. All of them take turns in one run; see
relay_client.c and relay_backend.c for what they exchange.

Two kinds of turns. Busy: everybody may use all processors; this shows rates
and what a unit of work costs. Alone: one in flight, so that only one of
client, relay and backend has something to do at any time, and all of them
share one processor that never goes idle. Else the scheduler's choice of
processors, which is chance, decides: on a virtual machine a wake-up on another
processor costs more than all the work of a relay. A relay's setting counts
with its best figure, each time anew.
"""
import contextlib
import ipaddress
import itertools
import os
import subprocess
import sys
import time

import berthd as control
import peers
from relay_report import Goal, Turns

NETNS_DIR = "/run/netns"
NETNS = "bench"
HOST_ADDRESS, NETNS_ADDRESS = "192.0.2.1", "192.0.2.2"
BACKEND_PORT = 7199
HTTP_PORT = 7198
FIRST_PORT = 7101
IN_FLIGHT = 16
PEERS = ("HAProxy", "Go", "nginx")
UDP_CLIENTS = 32
UDP_WINDOWS = (1, 8)  # each client's requests in flight
GROWTH_KIB = 64  # what an allocator may take more without a leak
HELD_S = 0.5  # until nothing moves any more
SETTLE_S = 0.02  # a relay's last closes after the client's
LOG_SETTLE_S = 0.2  # the log's thread rests between its lines
NS = 1e9

RULES = """\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen:
      - {{ protocol: tcp, address: any, port: {port} }}
      - {{ protocol: udp, address: any, port: {port}, receive_buffer: 4MiB }}
    forward: {{ to: "127.0.0.1:{backend}", idle_timeout: 1h,
               max_connections: 20000 }}
"""

# Ports for all connections of a run, and those in TIME_WAIT used again.
SYSCTLS = {
    "net.ipv4.ip_local_port_range": "10000 65535",
    "net.ipv4.tcp_tw_reuse": "1",
}
STALL_SYSCTLS = {
    "net.ipv4.tcp_wmem": "4096 16384 65536",
    "net.ipv4.tcp_rmem": "4096 65536 131072",
}


def shell(command):
    subprocess.run(command, shell=True, check=True)


def set_sysctls(values, netns=f"{NETNS_DIR}/{NETNS}"):
    """In a namespace; "": in the host's."""
    prefix = f"nsenter --net={netns} " if netns else ""
    for name, value in values.items():
        shell(f"{prefix}sysctl -qw {name}='{value}'")


@contextlib.contextmanager
def world(bench):
    """The namespace, its veth pair, and the backend outside.

    HAProxy knows namespaces only by their names in /run/netns: in this mount
    namespace that is an empty directory of our own."""
    shell("mount -t tmpfs berth-bench /run")
    os.makedirs(NETNS_DIR)
    try:
        shell(f"ip netns add {NETNS} && ip -n {NETNS} link set lo up && "
              f"ip link add bench0 type veth peer name eth0 netns {NETNS} && "
              f"ip addr add {HOST_ADDRESS}/24 dev bench0 && "
              f"ip link set bench0 up && "
              f"ip -n {NETNS} link set eth0 up")
        for i in range(UDP_CLIENTS):
            address = ipaddress.ip_address(NETNS_ADDRESS) + i
            shell(f"ip -n {NETNS} addr add {address}/24 dev eth0")
        set_sysctls(SYSCTLS, "")
        set_sysctls(SYSCTLS)
        with bench.program("backend", "relay_backend",
                           BACKEND_PORT) as backend:
            yield backend
    finally:
        subprocess.run(f"ip netns del {NETNS}; ip link del bench0; "
                       "umount -R -l /run", shell=True,
                       stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def serving(bench, netns_dir, rules, listeners, port, build=None):
    """A running berth with all its listeners; or another build of it, to
    compare the two."""
    name = "other" if build else "berth"
    with bench.berthd(netns_dir, rules, build,
                      "other" if build else "berthd") as program:
        control.wait_delivered(
            f"{bench.top}/run{'-other' if build else ''}", listeners)
        yield peers.Subject(
            name, [program.pid, control.child(program.pid)], "127.0.0.1", port)


def builds(args):
    """None is the one that is measured; and the other, if there is one."""
    return [None] + ([os.path.abspath(args.beside)] if args.beside else [])


class Floor(peers.Subject):
    """No relay at all, only the backend, which is not measured."""

    def __init__(self, backend):
        super().__init__("floor", [], HOST_ADDRESS, BACKEND_PORT)
        self.backend = peers.Subject("backend", [backend.pid], None, None)

    def keep_to(self, cpus):
        self.backend.keep_to(cpus)


def tcp_peers(args):
    """A function for each, that starts it on a port."""
    yield lambda bench, port: peers.bare(bench, NETNS_DIR, NETNS, port,
                                         BACKEND_PORT)
    if "HAProxy" in args.peers:
        for threads in (1, 2):
            for splice in (False, True):
                yield lambda bench, port, threads=threads, splice=splice: (
                    peers.haproxy(bench, NETNS, port, BACKEND_PORT, threads,
                                  splice))
    if "Go" in args.peers:
        yield lambda bench, port: peers.golang(bench, NETNS_DIR, NETNS, port,
                                               BACKEND_PORT)


@contextlib.contextmanager
def subjects(bench, args, make_peers):
    """berth, the peers with each setting, and the floor."""
    with world(bench) as backend, contextlib.ExitStack() as stack:
        ports = itertools.count(FIRST_PORT)
        found = []
        for build, port in zip(builds(args), ports):
            rules = RULES.format(port=port, backend=BACKEND_PORT)
            found.append(stack.enter_context(
                serving(bench, NETNS_DIR, rules, 2, port, build)))
        for make in make_peers(args):
            peer = make(bench, next(ports))
            stack.callback(peer.stop)
            found.append(peer.wait_listening(NETNS_DIR, NETNS))
        found.append(Floor(backend))
        yield found


def client(bench, subject, work, count, *more, netns=(NETNS_DIR, NETNS)):
    """Runs it. Return: seconds, the median's ns, and how to add the CPU time
    of a unit of the work, unless there is no relay."""
    before_ns = subject.cpu_ns()
    words = bench.run("relay_client", *netns, subject.address, subject.port,
                      work, count, *more).split()
    time.sleep(SETTLE_S)
    cpu_ns = subject.cpu_ns() - before_ns
    return int(words[0]) / NS, int(words[1]), cpu_ns


@contextlib.contextmanager
def one_processor(bench, everybody):
    """For clients, relays and the backend, and never idle, see awake.c."""
    usable = os.sched_getaffinity(0)
    with bench.steady():
        first = os.sched_getaffinity(0)
        for subject in everybody:
            subject.keep_to(first)
        try:
            yield
        finally:
            for subject in everybody:
                subject.keep_to(usable)


def bench_connect(bench, args):
    busy_n, alone_n, rounds = (500, 200, 3) if args.quick else (2000, 500, 9)

    def busy(subject, add):
        seconds, _, cpu_ns = client(bench, subject, "connect", busy_n,
                                    IN_FLIGHT)
        add("rate", busy_n / seconds)
        if subject.pids:
            add("cpu", cpu_ns / busy_n / 1e3)

    def alone(subject, add):
        seconds, median_ns, cpu_ns = client(bench, subject, "connect",
                                            alone_n, 1)
        add("alone rate", alone_n / seconds)
        add("p50", median_ns / 1e3)
        if subject.pids:
            add("alone cpu", cpu_ns / alone_n / 1e3)

    with subjects(bench, args, tcp_peers) as everybody:
        turns = Turns(everybody)
        turns.take(rounds, busy)
        with one_processor(bench, everybody):
            turns.take(rounds, alone)
    title = "connect, 64 B there and back, close"
    haproxy = ("HAProxy",)
    turns.report(bench.report, f"{title}: CPU of the relay, us", "cpu",
                 Goal(at_most=0.7, peers=haproxy))
    turns.report(bench.report, f"{title}: the same, one in flight, us",
                 "alone cpu", Goal(at_most=0.7, peers=haproxy))
    turns.report(bench.report, f"{title}: rate, {IN_FLIGHT} in flight, /s",
                 "rate", Goal(at_least=1.2, peers=haproxy))
    turns.report(bench.report, f"{title}: rate, one in flight, /s",
                 "alone rate", Goal(at_least=1.2, peers=haproxy))
    turns.report(bench.report, f"{title}: p50, one in flight, us", "p50",
                 Goal(at_most=0.8, peers=haproxy))


def bench_access_log(bench, args):
    """The same relay, by two listeners, of which one's rule logs."""
    count, rounds = (1000, 5) if args.quick else (10000, 15)
    silent, logs = FIRST_PORT, FIRST_PORT + 1
    text = "".join(
        RULES.format(port=port, backend=BACKEND_PORT)
        .replace("rules:\n", "" if port == logs else "rules:\n")
        .replace("name: bench", f"name: bench-{port}")
        .replace("    listen:", f"    {log}\n    listen:")
        for port, log in ((silent, ""), (logs, "log: connections")))

    def measure(subject, add):
        before_ns = subject.cpu_ns()
        words = bench.run("relay_client", NETNS_DIR, NETNS, subject.address,
                          subject.port, "connect", count, IN_FLIGHT).split()
        time.sleep(LOG_SETTLE_S)
        add("cpu", (subject.cpu_ns() - before_ns) / count / 1e3)
        add("rate", count * NS / int(words[0]))

    with world(bench), bench.berthd(NETNS_DIR, text) as program:
        control.wait_delivered(f"{bench.top}/run", 4)
        pids = [program.pid, control.child(program.pid)]
        turns = Turns([peers.Subject("silent", pids, "127.0.0.1", silent),
                       peers.Subject("logs", pids, "127.0.0.1", logs)])
        turns.take(rounds, measure)
    title = "connect, 64 B there and back, close, each with a line in the log"
    turns.report(bench.report, f"{title}: CPU of the relay, us", "cpu",
                 Goal(at_most=1.05, peers=("silent",)), "logs")
    turns.report(bench.report, f"{title}: rate, {IN_FLIGHT} in flight, /s",
                 "rate", Goal(at_least=0.95, peers=("silent",)), "logs")


def bench_pingpong(bench, args):
    count, rounds = (500, 3) if args.quick else (5000, 9)

    def alone(subject, add):
        _, median_ns, cpu_ns = client(bench, subject, "pingpong", count)
        add("p50", median_ns / 1e3)
        if subject.pids:
            add("cpu", cpu_ns / count / 1e3)

    with subjects(bench, args, tcp_peers) as everybody:
        turns = Turns(everybody)
        with one_processor(bench, everybody):
            turns.take(rounds, alone)
    title = "64 B ping-pong, one connection"
    turns.report(bench.report, f"{title}: CPU of the relay, us", "cpu",
                 Goal())
    turns.report(bench.report, f"{title}: p50, us", "p50", Goal(at_most=0.95))


def bench_bulk(bench, args):
    """down: to the client; up: from it."""
    mib, rounds = (64, 3) if args.quick else (512, 9)
    gigabytes = mib * (1 << 20) / 1e9

    def measure(subject, add):
        for direction in ("down", "up"):
            seconds, _, cpu_ns = client(bench, subject, direction, mib)
            add(f"{direction} rate", gigabytes / seconds)
            if subject.pids:
                add(f"{direction} cpu", cpu_ns / NS / gigabytes)

    with subjects(bench, args, tcp_peers) as everybody:
        turns = Turns(everybody)
        turns.take(rounds, measure)
    for direction in ("down", "up"):
        title = f"bulk {direction}, one connection"
        turns.report(bench.report, f"{title}: CPU of the relay, s/GB",
                     f"{direction} cpu", Goal(at_most=0.7))
        turns.report(bench.report, f"{title}: rate, GB/s",
                     f"{direction} rate", Goal(at_least=1.2))


@contextlib.contextmanager
def held(bench, subject, kind, count):
    """Connections that stay as they are."""
    process = subprocess.Popen(
        [bench.tool("relay_hold"), NETNS_DIR, NETNS, subject.address,
         str(subject.port), kind, str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            sys.exit(f"relay_hold failed at {subject.name}")
        time.sleep(HELD_S)
        yield
    finally:
        process.stdin.close()
        process.wait()


def bench_idle(bench, args):
    """Each round with programs that are new: what a program once had it may
    keep for the next connections."""
    count, rounds = (100, 1) if args.quick else (1000, 3)

    def measure(subject, add):
        if not subject.pids:
            return
        with held(bench, subject, "idle", 1):
            pass
        memory_kib, files = subject.memory_kib(), subject.files()
        with held(bench, subject, "idle", count):
            add("memory", (subject.memory_kib() - memory_kib) * 1.024 / count)
            add("files", (subject.files() - files) / count)

    samples = {}
    for _ in range(rounds):
        with subjects(bench, args, tcp_peers) as everybody:
            turns = Turns(everybody, samples)
            turns.take(1, measure)
    title = f"{count} idle relayed connections"
    turns.report(bench.report, f"{title}: memory each, KB", "memory",
                 Goal(limit=1))
    turns.report(bench.report, f"{title}: descriptors each", "files",
                 Goal(limit=2))


def udp_peers(args):
    if "nginx" in args.peers:
        for workers in (1, 2):
            yield lambda bench, port, workers=workers: peers.nginx(
                bench, NETNS_DIR, NETNS, port, BACKEND_PORT, workers)


def bench_udp(bench, args):
    count, rounds = (2000, 2) if args.quick else (20000, 7)
    works = [(size, window) for size in (64, 1200) for window in UDP_WINDOWS]

    def measure(subject, add):
        for work in works:
            before_ns = subject.cpu_ns()
            replies, lost, took_ns = map(int, bench.run(
                "relay_udp", NETNS_DIR, NETNS, subject.address, subject.port,
                work[0], NETNS_ADDRESS, UDP_CLIENTS, work[1],
                count).split())
            if not replies:
                sys.exit(f"{subject.name} relays no datagrams")
            add((work, "rate"), replies * NS / took_ns)
            add((work, "loss"), 100 * lost / (replies + lost))
            if subject.pids:
                add((work, "cpu"),
                    (subject.cpu_ns() - before_ns) / replies / 1e3)

    with subjects(bench, args, udp_peers) as everybody:
        turns = Turns(everybody)
        turns.take(rounds, measure)
    for size, window in works:
        work = (size, window)
        title = f"UDP {size} B, {UDP_CLIENTS} x {window} in flight"
        turns.report(bench.report, f"{title}: CPU of the relay, us",
                     (work, "cpu"), Goal())
        turns.report(bench.report, f"{title}: rate, /s", (work, "rate"),
                     Goal(at_least=1.5))
        turns.report(bench.report, f"{title}: loss, %", (work, "loss"),
                     Goal(at_most=1))


def alone_with_berth(args):
    """No peers: what is asked of berth here is no comparison."""
    return ()


def bench_stall(bench, args):
    count, seconds = (100, 3) if args.quick else (1000, 60)
    with subjects(bench, args, alone_with_berth) as everybody:
        # Bounds what the kernel holds for all of these to some 300 MB.
        set_sysctls(STALL_SYSCTLS, "")
        set_sysctls(STALL_SYSCTLS)
        for subject in everybody[:-1]:
            with held(bench, subject, "stall", count):
                before = subject.cpu_ns(), subject.switches()
                time.sleep(seconds)
                after = subject.cpu_ns(), subject.switches()
            title = (f"{subject.name}: {count} connections that stall for "
                     f"{seconds} s")
            bench.report.value(f"{title}: CPU, ms",
                               round((after[0] - before[0]) / 1e6, 2), 1)
            bench.report.value(f"{title}: context switches",
                               after[1] - before[1])


def bench_short(bench, args):
    first, count = (1000, 5000) if args.quick else (10000, 100000)
    with subjects(bench, args, alone_with_berth) as everybody:
        for subject in everybody[:-1]:
            states = []
            for n in (first, count):
                client(bench, subject, "connect", n, IN_FLIGHT)
                time.sleep(HELD_S)
                states.append((subject.memory_kib(), subject.files()))
            title = f"{subject.name}: {count} short connections"
            bench.report.value(
                f"{title}: memory before and after, KiB",
                f"{states[0][0]}, {states[1][0]}")
            bench.report.check(f"{title}: memory does not grow",
                               states[1][0] <= states[0][0] * 1.05
                               + GROWTH_KIB)
            bench.report.value(
                f"{title}: descriptors before and after",
                f"{states[0][1]}, {states[1][1]}")
            bench.report.check(f"{title}: descriptors do not grow",
                               states[0][1] == states[1][1])


FIGURES = {
    "connect": bench_connect,
    "access-log": bench_access_log,
    "pingpong": bench_pingpong,
    "bulk": bench_bulk,
    "idle": bench_idle,
    "udp": bench_udp,
    "stall": bench_stall,
    "short": bench_short,
}

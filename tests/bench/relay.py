# SPDX-License-Identifier: Apache-2.0
"""relay.py - figures of the relay, beside HAProxy, nginx and a Go program

A client in a namespace, a listener there, the relay, a backend in the host's
namespace. The floor is the same client at the same backend, over a veth pair,
with no relay between. All of them take turns in one run; see relay_client.c
and relay_backend.c for what they exchange.

Two kinds of turns. Busy: many in flight, everything may use all processors;
this shows rates and what a unit of work costs. Alone: one in flight, nothing
goes idle, and the relay keeps off the clients' processor: this shows
latencies. A relay's setting counts with its best figure, each time anew.
"""
import contextlib
import itertools
import os
import subprocess
import time

import berthd as control
import peers
from relay_report import Goal, Turns

NETNS_DIR = "/run/netns"
NETNS = "bench"
HOST_ADDRESS, NETNS_ADDRESS = "192.0.2.1", "192.0.2.2"
BACKEND_PORT = 7199
FIRST_PORT = 7101
IN_FLIGHT = 16
SETTLE_S = 0.02  # a relay's last closes after the client's
NS = 1e9

RULES = """\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: [tcp, udp], address: any, port: {port} }} ]
    forward: {{ to: "127.0.0.1:{backend}", idle_timeout: 1h,
               max_connections: 20000 }}
"""

# Ports for all connections of a run, and those in TIME_WAIT used again.
SYSCTLS = {
    "net.ipv4.ip_local_port_range": "10000 65535",
    "net.ipv4.tcp_tw_reuse": "1",
}


def shell(command):
    subprocess.run(command, shell=True, check=True)


def set_sysctls(values, inside=True):
    prefix = f"nsenter --net={NETNS_DIR}/{NETNS} " if inside else ""
    for name, value in values.items():
        shell(f"{prefix}sysctl -qw {name}='{value}'")


@contextlib.contextmanager
def world(bench):
    """The namespace, its veth pair, and the backend outside.

    HAProxy knows namespaces only by their names in /run/netns: in this mount
    namespace that is an empty directory of our own."""
    shell(f"mount -t tmpfs berth-bench /run && mkdir {NETNS_DIR}")
    try:
        shell(f"ip netns add {NETNS} && ip -n {NETNS} link set lo up && "
              f"ip link add bench0 type veth peer name eth0 netns {NETNS} && "
              f"ip addr add {HOST_ADDRESS}/24 dev bench0 && "
              f"ip link set bench0 up && "
              f"ip -n {NETNS} addr add {NETNS_ADDRESS}/24 dev eth0 && "
              f"ip -n {NETNS} link set eth0 up")
        for inside in (False, True):
            set_sysctls(SYSCTLS, inside)
        with bench.program("backend", "relay_backend", BACKEND_PORT):
            yield
    finally:
        subprocess.run(f"ip netns del {NETNS}; ip link del bench0; "
                       "umount -R -l /run", shell=True,
                       stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def berth(bench, port, name="berth", build=None):
    """A running berth; or another build of it, to compare the two."""
    program_name = "berthd" if name == "berth" else name
    rules = RULES.format(port=port, backend=BACKEND_PORT)
    with bench.berthd(NETNS_DIR, rules, build, program_name) as program:
        control.wait_delivered(
            f"{bench.top}/run{'' if name == 'berth' else '-' + name}", 2)
        yield peers.Subject(
            name, [program.pid, control.child(program.pid)], "127.0.0.1", port)


def floor():
    """No relay at all."""
    return peers.Subject("floor", [], HOST_ADDRESS, BACKEND_PORT)


def tcp_peers(args):
    """A function for each, that starts it on a port."""
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
    with world(bench), contextlib.ExitStack() as stack:
        ports = itertools.count(FIRST_PORT)
        found = [stack.enter_context(berth(bench, next(ports)))]
        if args.beside:
            found.append(stack.enter_context(berth(
                bench, next(ports), "other", os.path.abspath(args.beside))))
        for make in make_peers(args):
            peer = make(bench, next(ports))
            stack.callback(peer.stop)
            found.append(peer.wait_listening(NETNS_DIR, NETNS))
        found.append(floor())
        yield found


def client(bench, subject, *work):
    """Runs it. Return: seconds, median ns, 99th percentile, CPU seconds."""
    before_ns = subject.cpu_ns()
    words = bench.run("relay_client", NETNS_DIR, NETNS, subject.address,
                      subject.port, *work).split()
    time.sleep(SETTLE_S)
    cpu_s = (subject.cpu_ns() - before_ns) / NS
    return int(words[0]) / NS, int(words[1]), int(words[2]), cpu_s


@contextlib.contextmanager
def apart(bench, everybody):
    """The relays on the processors that the clients leave them."""
    with bench.steady():
        for subject in everybody:
            subject.keep_to(bench.program_cpus)
        try:
            yield
        finally:
            everywhere = range(os.cpu_count())
            for subject in everybody:
                subject.keep_to(everywhere)


def bench_connect(bench, args):
    busy_n, alone_n, rounds = (500, 200, 3) if args.quick else (2000, 500, 9)
    with subjects(bench, args, tcp_peers) as everybody:
        turns = Turns(everybody)

        def busy(subject, add):
            seconds, _, _, cpu_s = client(bench, subject, "connect", busy_n,
                                          IN_FLIGHT)
            add("cpu", cpu_s / busy_n * 1e6)
            add("rate", busy_n / seconds)

        def alone(subject, add):
            _, median_ns, _, cpu_s = client(bench, subject, "connect",
                                            alone_n, 1)
            add("p50", median_ns / 1e3)
            add("alone cpu", cpu_s / alone_n * 1e6)

        turns.take(rounds, busy)
        with apart(bench, everybody):
            turns.take(rounds, alone)
    title = "connect, 64 B there and back, close"
    turns.report(bench.report, title, "CPU each, us", "cpu", Goal(
        at_most=0.7, peers=("HAProxy",)))
    turns.report(bench.report, title, f"rate, {IN_FLIGHT} in flight, /s",
                 "rate", Goal(at_least=1.2, peers=("HAProxy",)))
    turns.report(bench.report, title, "p50, one in flight, us", "p50", Goal(
        at_most=0.8, peers=("HAProxy",)))
    turns.report(bench.report, title, "CPU each, one in flight, us",
                 "alone cpu")


FIGURES = {
    "connect": bench_connect,
}

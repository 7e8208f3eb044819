# SPDX-License-Identifier: Apache-2.0
"""handoff.py - figures of listeners that a program of the user's has itself

The program is the example in contrib/consumers/c, an HTTP server. Beside
berth's `handoff` the same server is behind berth's relay and behind HAProxy;
and it is "alone": it has a socket that was opened in the namespace without
berth, which it is given by a few lines here that say to it what berthd would.
"""
import contextlib
import ctypes
import itertools
import json
import os
import resource
import shutil
import socket
import time

import berthd as control
import peers
import relay
from relay_report import Goal, Turns
from turns import take_turns

CONSUMER = "server"
EXAMPLE = "contrib/consumers/c/http_name"
RULES = """\
rules:
  - name: handoff
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any4, port: {handoff} }} ]
    handoff: server
  - name: relay
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any4, port: {relay} }} ]
    forward: {{ to: "127.0.0.1:{backend}", max_connections: 20000 }}
"""
HANDOFF_ONLY = """\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any, port: [{ports}] }} ]
    handoff: server
"""
RESPOND_ONLY = HANDOFF_ONLY.replace("handoff: server", "respond: ack")
HANDOFF_PORT, RELAY_PORT, ALONE_PORT, FIRST_PORT = 7101, 7102, 7103, 7104
RESTART_PORTS = ("7101", "7102", "7103")
BACKLOG = 4096  # as many clients as ever wait
CLONE_NEWNET = 0x40000000
HELLO_MAX = 4096
POLL_S = 0.0005
TIMEOUT_S = 30


def raise_files():
    """Of this process, and so of those that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def consumer(bench, name, path):
    """The example, at the consumer's socket @path; it may be there later."""
    raise_files()
    return peers.Peer(bench, name, None, [f"{bench.build}/{EXAMPLE}", path])


@contextlib.contextmanager
def consuming(bench, name, path):
    process = consumer(bench, name, path)
    try:
        yield process
    finally:
        process.stop()


def door(bench, runtime="run"):
    return f"{bench.top}/{runtime}/consumers/{CONSUMER}.sock"


def given(runtime_dir):
    """How many listeners the consumer has, and how many it is to get."""
    with control.Control(runtime_dir) as connection:
        for one in connection.call("GetStatus")["consumers"]:
            if one["name"] == CONSUMER:
                return one["delivered"]
    return 0


def wait_given(runtime_dir, listeners):
    """Waits until the consumer has them; returns the monotonic ns."""
    deadline = time.monotonic() + TIMEOUT_S
    while given(runtime_dir) < listeners:
        if time.monotonic() > deadline:
            raise SystemExit(f"the consumer does not get its {listeners} "
                             "listeners")
        time.sleep(POLL_S)
    return time.monotonic_ns()


def listen_in(path, port):
    """A listening socket in a namespace; "": in the host's."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if path:
            netns = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            entered = libc.setns(netns, CLONE_NEWNET)
            os.close(netns)
            if entered < 0:
                raise OSError(ctypes.get_errno(), "setns")
        listener = socket.socket(socket.AF_INET)
        if path and libc.setns(home, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(home)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind(("0.0.0.0", port))
    listener.listen(BACKLOG)
    return listener


@contextlib.contextmanager
def without_berth(bench, name, listeners):
    """The example with sockets that berth never had. The connection to it
    stays, and nothing comes over it any more."""
    path = f"{bench.top}/{name}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door_socket:
        door_socket.bind(path)
        door_socket.listen(1)
        with consuming(bench, name, path) as process:
            connection, _ = door_socket.accept()
            connection.recv(HELLO_MAX)
            connection.send(json.dumps({
                "type": "welcome", "version": 1, "consumer": CONSUMER,
                "orphan_timeout_ms": 60000,
                "drain_timeout_ms": 300000}).encode())
            for number, listener in enumerate(listeners, 1):
                message = {
                    "type": "listener", "id": number,
                    "netns": {"id": 1, "names": [relay.NETNS], "host": False},
                    "protocol": "tcp", "address": "0.0.0.0",
                    "port": listener.getsockname()[1],
                    "rule": name, "file": "", "interface": ""}
                socket.send_fds(connection, [json.dumps(message).encode()],
                                [listener.fileno()])
                listener.close()
            with connection:
                yield process


class Served(peers.Subject):
    """A way to a server: the proxies on it, and the server itself."""

    def __init__(self, name, proxies, server, port, listening=None):
        super().__init__(name, proxies, "127.0.0.1", port)
        self.server = peers.Subject("server", server.pids, None, None)

    def keep_to(self, cpus):
        super().keep_to(cpus)
        self.server.keep_to(cpus)


@contextlib.contextmanager
def subjects(bench, args):
    with relay.world(bench), contextlib.ExitStack() as stack:
        netns = f"{relay.NETNS_DIR}/{relay.NETNS}"
        outside = stack.enter_context(without_berth(
            bench, "outside", [listen_in("", relay.HTTP_PORT)]))
        alone = stack.enter_context(without_berth(
            bench, "alone", [listen_in(netns, ALONE_PORT)]))
        program = stack.enter_context(bench.berthd(
            relay.NETNS_DIR, RULES.format(handoff=HANDOFF_PORT,
                                          relay=RELAY_PORT,
                                          backend=relay.HTTP_PORT)))
        server = stack.enter_context(
            consuming(bench, "consumer", door(bench)))
        control.wait_delivered(f"{bench.top}/run", 1)
        wait_given(f"{bench.top}/run", 1)
        pids = [program.pid, control.child(program.pid)]
        found = [Served("handoff", pids, server, HANDOFF_PORT),
                 Served("alone", [], alone, ALONE_PORT),
                 Served("relay", pids, outside, RELAY_PORT)]
        if "HAProxy" in args.peers:
            for port, threads in enumerate((1, 2), FIRST_PORT):
                peer = peers.haproxy(bench, relay.NETNS, port,
                                     relay.HTTP_PORT, threads, False)
                stack.callback(peer.stop)
                peer.wait_listening(relay.NETNS_DIR, relay.NETNS)
                found.append(Served(peer.name, peer.pids, outside, port))
        yield found


def bench_handoff(bench, args):
    busy_n, alone_n, rounds = (500, 200, 3) if args.quick else (2000, 500, 15)

    def measure(subject, add, count, in_flight, title):
        before_ns = subject.server.cpu_ns()
        seconds, median_ns, cpu_ns = relay.client(
            bench, subject, "http", count, in_flight)
        add(f"{title} rate", count / seconds)
        add(f"{title} p50", median_ns / 1e3)
        add(f"{title} server", (subject.server.cpu_ns() - before_ns)
            / count / 1e3)
        if subject.pids:
            add(f"{title} cpu", cpu_ns / count / 1e3)

    with subjects(bench, args) as everybody:
        turns = Turns(everybody)
        turns.take(rounds, lambda subject, add: measure(
            subject, add, busy_n, relay.IN_FLIGHT, "busy"))
        with relay.one_processor(bench, everybody):
            turns.take(rounds, lambda subject, add: measure(
                subject, add, alone_n, 1, "single"))
    for kind, title in (("busy", f"HTTP, {relay.IN_FLIGHT} in flight"),
                        ("single", "HTTP, one in flight")):
        for figure, unit, goal in (
                ("cpu", "CPU of the proxy, us", Goal(limit=0)),
                ("server", "CPU of the server, us", Goal(peers=("alone",))),
                ("rate", "rate, /s", Goal(at_least=0.95, peers=("alone",))),
                ("p50", "p50, us", Goal(peers=("alone",)))):
            turns.report(bench.report, f"{title}: {unit}",
                         f"{kind} {figure}", goal, "handoff")


def bench_appears(bench, args):
    """Beside the relay that answers by itself, which is the quickest that it
    can do. What begins is the same for both: the listener is opened."""
    block, rounds = 25, 4 if args.quick else 20
    port = "7101"
    with contextlib.ExitStack() as stack:
        stack.enter_context(bench.steady())
        directories = {name: stack.enter_context(bench.namespaces(name))
                       for name in ("relay", "handoff")}
        programs = {name: stack.enter_context(bench.berthd(
            directories[name], rules.format(ports=port), name=name))
            for name, rules in (("relay", RESPOND_ONLY),
                                ("handoff", HANDOFF_ONLY))}
        server = stack.enter_context(
            consuming(bench, "consumer", door(bench, "run-handoff")))
        server.keep_to(bench.program_cpus)
        samples = take_turns(
            {name: (programs[name], directories[name]) for name in programs},
            rounds, lambda name, directory, number: [bench.samples_us(
                "measure_appears", work, directory, port,
                2 * number * block + shift, block, 50)
                for work, shift in (("names", 0), ("answers", block))])
    for title, chosen, goal in (("connection", 0, None),
                                ("first byte of an answer", 1, 1.1)):
        bench.report.compare(
            f"a namespace appears, {title}: handoff beside the relay", "us",
            {side: [us for turn in samples[name][chosen::2] for us in turn]
             for side, name in (("berth", "handoff"), ("floor", "relay"))},
            goal)


def listener_ids(runtime_dir):
    with control.Control(runtime_dir) as connection:
        return {one["id"] for one in
                connection.call("ListListeners")["listeners"]}


def start_twice(bench, directory, server, listeners, add):
    """A first start, then SIGKILL and another one, which takes back what the
    server has. Return: how many listeners are other ones then."""
    rules, serving, wait = RESTARTED[server]
    rules = rules.format(ports=", ".join(RESTART_PORTS))
    runtime = f"{bench.top}/run"
    shutil.rmtree(runtime, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        with bench.berthd(directory, rules) as berthd:
            add("first", (berthd.ready_ns - berthd.exec_ns) / 1e6)
            add("first cpu", control.cpu_ms(berthd.pid))
            stack.enter_context(serving(bench))
            wait(runtime, listeners)
            before = listener_ids(runtime)
            berthd.kill()
        with bench.berthd(directory, rules) as berthd:
            add("restart", (berthd.ready_ns - berthd.exec_ns) / 1e6)
            add("restart cpu", control.cpu_ms(berthd.pid))
            wait(runtime, listeners)
            return len(before - listener_ids(runtime))


# The rules, what serves beside berthd, and how it is known to have all.
RESTARTED = {
    "a consumer": (HANDOFF_ONLY,
                   lambda bench: consuming(bench, "consumer", door(bench)),
                   wait_given),
    "the relay": (RESPOND_ONLY, contextlib.nullcontext,
                  control.wait_delivered),
}


def bench_restart(bench, args):
    runs, n = (3, 1000) if args.quick else (15, 1000)
    samples, others = {server: {} for server in RESTARTED}, 0
    with bench.namespaces("s") as directory:
        bench.run("world", "make", directory, n)
        for server, _ in itertools.product(RESTARTED, range(runs)):
            found = samples[server]
            others += start_twice(
                bench, directory, server, n * len(RESTART_PORTS),
                lambda name, value, found=found: found.setdefault(
                    name, []).append(value))
    bench.report.check(f"restart: {others} listeners were opened anew",
                       others == 0)
    for server, found in samples.items():
        title = (f"restart beside a first start, {n} namespaces x "
                 f"{len(RESTART_PORTS)} listeners that {server} has")
        for suffix, name, goal in (("", title, 1.2),
                                   (" cpu", "  its time on a CPU", None)):
            bench.report.compare(name, "ms", {
                "berth": found[f"restart{suffix}"],
                "floor": found[f"first{suffix}"]}, goal)


FIGURES = {
    "handoff": bench_handoff,
    "handoff-appears": bench_appears,
    "restart": bench_restart,
}

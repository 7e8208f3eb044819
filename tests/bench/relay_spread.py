# SPDX-License-Identifier: Apache-2.0
"""relay_spread.py - one hot listener, and thousands of cool ones

What the spreading of listeners over workers is chosen by, see relay/core/spread.c:
connect, 64 bytes there and back, close, with few clients and with many. With
--beside another build has the same listeners at the same time, on ports of
its own, and takes turns; what is printed then is berth's figure divided by
that of the other one.
"""
import contextlib

import relay
from relay_report import Goal, Turns

CLIENTS = (2, 16)
WORLDS = {  # namespaces, ports in each
    "1 hot listener": (1, 1),
    "3,000 cool listeners": (30, 100),
}
FIRST_PORT = 7201  # below those that clients get, see relay.SYSCTLS
RULES = """\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any, port: "{first}-{last}" }} ]
    forward: {{ to: "127.0.0.1:{backend}" }}
"""
OTHER = Goal(peers=("other",))


@contextlib.contextmanager
def subjects(bench, args, directory, n_netns, n_ports):
    with contextlib.ExitStack() as stack:
        stack.enter_context(bench.program("backend", "relay_backend",
                                          relay.BACKEND_PORT))
        found = []
        for i, build in enumerate(relay.builds(args)):
            first = FIRST_PORT + i * n_ports
            rules = RULES.format(first=first, last=first + n_ports - 1,
                                 backend=relay.BACKEND_PORT)
            found.append(stack.enter_context(relay.serving(
                bench, directory, rules, n_netns * n_ports, first, build)))
        yield found


def measure_world(bench, args, directory, title):
    """All the listeners are met in each turn."""
    n_netns, n_ports = WORLDS[title]
    count, rounds = 3000, 2 if args.quick else 18
    names = [f"n{i}" for i in range(n_netns)]

    def measure(subject, add):
        for clients in CLIENTS:
            seconds, median_ns, cpu_ns = relay.client(
                bench, subject, "connect", count, clients, n_ports,
                *names[1:], netns=(directory, names[0]))
            add((clients, "cpu"), cpu_ns / count / 1e3)
            add((clients, "rate"), count / seconds)
            add((clients, "p50"), median_ns / 1e3)

    with subjects(bench, args, directory, n_netns, n_ports) as found:
        turns = Turns(found)
        turns.take(rounds, measure)
    for clients in CLIENTS:
        for figure, unit in (("cpu", "CPU of the relay, us"),
                             ("rate", "rate, /s"), ("p50", "p50, us")):
            turns.report(bench.report,
                         f"{title}, {clients} clients: {unit}",
                         (clients, figure), OTHER)


def bench_spread(bench, args):
    relay.set_sysctls(relay.SYSCTLS, "")
    for title, (n_netns, _) in WORLDS.items():
        with bench.namespaces("spread") as directory:
            bench.run("world", "make", directory, n_netns)
            for i in range(n_netns):
                relay.set_sysctls(relay.SYSCTLS, f"{directory}/n{i}")
            measure_world(bench, args, directory, title)


FIGURES = {"spread": bench_spread}

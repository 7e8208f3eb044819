#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""restarts.py - kills and restarts under load, and what clients notice

usage: tests/bench/restarts.py [--berthd N] [--relay N] [--consumer N]
           [--restart-relay N] [--namespaces N] [--rate N] [--churn N]
           [--lasting N] [--seed N] [--keep]

berthd, berth-relay and a program that a rule hands off to are killed by
SIGKILL so often, and the relay is restarted by `berthctl restart-relay`, all
in a random order at random moments, while clients come to namespaces that churn. 100 ms after each of
them every listener of every namespace is looked at, in the kernel. It runs as
root, in a mount and a network namespace of its own that vanish with it, on
the build in BERTH_BUILD. Exit status 1: a client was refused or cut that
should not be, a listener was wrong, or a namespace was not freed.
"""
import argparse
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from harness import kernel  # noqa: E402
from harness.load import Load  # noqa: E402
from harness.restarts import Restarts  # noqa: E402
from harness.wait import GUARD, wait_equal  # noqa: E402
from harness.world import World  # noqa: E402

LATER = 0.1  # seconds after which every listener is to be right


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, number, what in (
            ("berthd", 200, "SIGKILLs of berthd"),
            ("relay", 200, "SIGKILLs of berth-relay"),
            ("consumer", 0, "SIGKILLs of a program that is handed off to"),
            ("restart-relay", 0, "calls of berthctl restart-relay"),
            ("namespaces", 50, "that are there at a time"),
            ("rate", 500, "clients a second"),
            ("churn", 10, "namespaces replaced a second"),
            ("lasting", 200, "clients that do not end"),
            ("seed", random.randrange(1 << 32), "of all that is random")):
        parser.add_argument(f"--{name}", type=int, default=number,
                            metavar="N", help=f"{what} (%(default)s)")
    parser.add_argument("--keep", action="store_true",
                        help="go on after something that is wrong")
    return parser.parse_args()


def seconds_fmt(values):
    if not values:
        return "none"
    return (f"median {statistics.median(values) * 1000:.0f} ms, "
            f"longest {max(values) * 1000:.0f} ms")


class Run:
    """One run: its figures are its members."""

    def __init__(self, args, world):
        self.args, self.world = args, world
        self.random = random.Random(args.seed)
        self.load = Load(world, self.random, args.namespaces, args.rate,
                         args.churn, args.lasting)
        self.restarts = Restarts(world, self.load)
        self.wrong = []

    def events(self):
        made = [self.restarts.kill_berthd] * self.args.berthd \
            + [self.restarts.kill_relay] * self.args.relay \
            + [self.restarts.kill_consumer] * self.args.consumer \
            + [self.restarts.restart_relay] * self.args.restart_relay
        self.random.shuffle(made)
        return made

    def run(self):
        self.load.start()
        for number, event in enumerate(self.events()):
            done = event()
            time.sleep(max(0, done + LATER - time.monotonic()))
            wrong = self.load.wrong(LATER)
            self.say(number, event.__name__, wrong)
            self.wrong += wrong
            if not self.args.keep and (self.load.bad() or wrong):
                break
        self.load.wait_more(self.args.rate)
        self.load.end()
        wait_equal(lambda: subprocess.run(
            ["ip", "netns", "list-id"], check=True, capture_output=True,
            text=True).stdout, "", "every namespace to be freed", GUARD)

    def say(self, number, name, wrong):
        bad = ", ".join(f"{n} {how}" for how, n in self.load.bad().items())
        if sys.stderr.isatty() or wrong:
            print(f"{number + 1}: {name}: {bad or 'nothing'} noticed, "
                  f"{len(wrong)} listeners wrong", file=sys.stderr)

    def report(self):
        counts, restarts = self.load.counts, self.restarts
        seconds = time.monotonic() - self.load.began
        for name, value in (
                ("seed", self.args.seed),
                ("seconds", f"{seconds:.0f}"),
                ("clients", f"{counts['clients']}, "
                 f"{counts['clients'] / seconds:.0f} a second"),
                ("answers", counts["answers"]),
                ("namespaces replaced", counts["namespaces"]),
                ("berthd killed", len(restarts.ready_seconds)
                 + restarts.unfinished),
                ("of these before READY", restarts.unfinished),
                ("relays restarted", restarts.restarted),
                ("start of berthd to READY",
                 seconds_fmt(restarts.ready_seconds)),
                ("longest wait for an answer",
                 f"{self.load.longest * 1000:.0f} ms"),
                ("refused", counts["refused"]),
                ("cut", counts["cut"]),
                ("cut before anybody had it", counts["unserved"]),
                ("cut, held by what was killed", counts["held"]),
                ("without an answer", counts["stuck"]),
                ("with another answer", counts["mistaken"]),
                ("ended with their namespace", counts["gone"]),
                (f"listeners wrong {LATER * 1000:.0f} ms later",
                 len(self.wrong)),
                ("listeners opened anew", counts["other sockets"]),
                ("clients left out", counts["left out"])):
            print(f"{name:32} {value}")
        if self.load.bad() or self.wrong or counts["unserved"]:
            print("\n".join(sorted(self.load.problems + restarts.history,
                                   key=lambda line: float(line.split()[0]))
                            + self.wrong))
        return 1 if self.load.bad() or self.wrong else 0


def main():
    args = arguments()
    print(f"seed {args.seed}", flush=True)
    kernel.Host.enter_private_world()
    socket.setdefaulttimeout(GUARD)
    world = World()
    run = None
    try:
        run = Run(args, world)
        run.run()
    finally:
        if run:
            status = run.report()
            if status:
                print(run.restarts.berthd.log()[-20000:], file=sys.stderr)
        world.close()
    return status


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py - the benchmark: berth beside programs that do the bare minimum

usage: tests/bench/bench.py [--build DIR] [--only NAME,...] [--quick]
                            [--beside DIR] [--peers NAME,...] [--tools DIR]

Each figure is measured on berth and on a floor program in one run, taking
turns, so that the ratio means something on any machine. It runs as root, in
mount and network namespaces of its own that vanish with it; "the host" below
is that network namespace. Exit status 1: something was wrong (a listener was
missing, left over, or refused), not merely slow.
"""
import argparse
import contextlib
import ctypes
import glob
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import berthd as control  # noqa: E402  (beside this file)
import containers  # noqa: E402
import handoff  # noqa: E402
import hook  # noqa: E402
import metadata  # noqa: E402
import monitor  # noqa: E402
import relay  # noqa: E402
import relay_spread  # noqa: E402
import scrape  # noqa: E402
from report import Report  # noqa: E402
from turns import take_turns  # noqa: E402

PORTS = ("7101", "7102", "7103")
BACKEND_PORT = "7199"
LISTING_PORTS = 15  # in each of 1,000 namespaces
PR_SET_PDEATHSIG = 1
GROWTH_KIB = 64  # what an allocator may take more without a leak
HELLO = """\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any, port: [{ports}] }} ]
    respond: ack
"""
BY_LABEL = """\
rules:
  - name: bench
    match: { labels: "app=web" }
    listen: [ { protocol: tcp, address: any, port: [7101] } ]
    respond: ack
"""
EACH = """\
rules:
  - name: bench
    match: { namespace: "*", address: 10.0.0.0/8 }
    listen: [ { protocol: tcp, address: each, port: 7101 } ]
    respond: ack
"""
FORWARD = f"""\
rules:
  - name: bench
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any, port: 7101 }} ]
    forward: {{ to: "127.0.0.1:{BACKEND_PORT}" }}
"""


PROVIDE = """\
rules:
  - name: bench
    match: { namespace: "*" }
    provide: { loopback: up, addresses: [169.254.169.254/32] }
    listen: [ { protocol: tcp, address: 169.254.169.254, port: 7101 } ]
    respond: ack
"""


def set_priority(leader, nice):
    """Of a session: what else the machine does shall not be measured. Each
    session is a group of its own for the scheduler, if it is so configured."""
    os.setpriority(os.PRIO_PROCESS, leader, nice)
    with contextlib.suppress(OSError), \
            open(f"/proc/{leader}/autogroup", "w") as stream:
        stream.write(str(nice))


class Program:
    """One program under launch, from READY=1 to its end."""

    def __init__(self, bench, name, command):
        self.log_path = f"{bench.top}/{name}.log"
        with open(self.log_path, "a") as log:
            self.launch = subprocess.Popen(
                [bench.tool("launch"), f"{bench.top}/{name}.notify"] + command,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, preexec_fn=lambda: os.sched_setaffinity(
                    0, bench.program_cpus))
        words = self.launch.stdout.readline().split()
        if not words:
            self.launch.wait()
            with open(self.log_path) as log:
                sys.exit(f"{name} did not start:\n{log.read()}")
        self.exec_ns, self.ready_ns = int(words[1]), int(words[3])
        self.pid = int(words[5])

    def kill(self):
        """Nothing it does at its end is done; stop() is still to be called."""
        os.kill(self.pid, signal.SIGKILL)

    def stop(self):
        if self.launch.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)  # it may be paused
            self.launch.stdin.close()
            self.launch.wait()


class Bench:
    """Directories, programs, and what they need to be taken away."""

    def __init__(self, args, top):
        self.build = os.path.abspath(args.build)
        self.tools = os.path.abspath(args.tools or args.build)
        self.top = top
        self.report = Report()
        self.program_cpus = os.sched_getaffinity(0)
        self.stack = contextlib.ExitStack()

    def tool(self, name):
        return f"{self.tools}/tests/bench/{name}"

    def run(self, name, *arguments):
        """Output of one of the benchmark's programs."""
        done = subprocess.run([self.tool(name), *map(str, arguments)],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            self.print_logs()
            sys.exit(f"{name} {' '.join(map(str, arguments))} failed")
        return done.stdout

    def print_logs(self):
        """What the programs under measurement said."""
        for path in glob.glob(f"{self.top}/*.log"):
            with open(path) as log:
                sys.stderr.write(f"{os.path.basename(path)}:\n{log.read()}")

    def samples_us(self, name, *arguments):
        return [int(line) / 1000
                for line in self.run(name, *arguments).split()]

    def directory(self, name):
        path = f"{self.top}/{name}"
        os.makedirs(path, exist_ok=True)
        return path

    @contextlib.contextmanager
    def program(self, name, *command):
        program = Program(self, name, [self.tool(command[0])]
                          + list(map(str, command[1:])))
        try:
            yield program
        finally:
            program.stop()

    @contextlib.contextmanager
    def berthd(self, netns_dir, rules, build=None, name="berthd"):
        """Its runtime directory is "run", or "run-" and another name."""
        suffix = "" if name == "berthd" else f"-{name}"
        rules_dir = self.directory(f"rules{suffix}")
        with open(f"{rules_dir}/bench.yaml", "w") as stream:
            stream.write(rules)
        program = Program(self, name, [
            f"{build or self.build}/berthd", "--netns-dir", netns_dir,
            "--rules", rules_dir, "--runtime-dir",
            self.directory(f"run{suffix}"), "--log-level", "warning"])
        try:
            yield program
        finally:
            program.stop()

    @contextlib.contextmanager
    def steady(self):
        """No processor goes idle, see awake.c; and who measures keeps to the
        first one, who is measured to the others: whether a wake-up crosses
        processors is otherwise chance, and doubles the figure."""
        usable = os.sched_getaffinity(0)
        first = {min(usable)}
        process = subprocess.Popen([self.tool("awake")],
                                   stdin=subprocess.PIPE,
                                   start_new_session=True)
        set_priority(process.pid, 19)
        os.sched_setaffinity(0, first)
        self.program_cpus = usable - first or usable
        try:
            yield
        finally:
            self.program_cpus = usable
            os.sched_setaffinity(0, usable)
            process.stdin.close()
            process.wait()

    @contextlib.contextmanager
    def namespaces(self, name):
        path = self.directory(name)
        try:
            yield path
        finally:
            self.run("world", "remove", path)


def bench_appears(bench, args):
    block, rounds = 25, 4 if args.quick else 20
    with bench.steady(), bench.namespaces("a") as a, \
            bench.namespaces("b") as b, \
            bench.berthd(a, HELLO.format(ports=PORTS[0])) as berthd, \
            bench.program("floor", "floor_names", b, PORTS[0]) as floor:
        samples = take_turns(
            {"berth": (berthd, a), "floor": (floor, b)}, rounds,
            lambda name, directory, number: bench.samples_us(
                "measure_appears", "names", directory, PORTS[0],
                number * block, block, 50))
    bench.report.compare("a namespace appears, answers", "us", samples, 1.5)


def bench_provide(bench, args):
    """A namespace that lacks the address, beside one that lacks nothing."""
    block, rounds = 25, 4 if args.quick else 20
    with bench.steady(), bench.namespaces("a") as a, \
            bench.namespaces("b") as b, \
            bench.berthd(a, PROVIDE) as giving, \
            bench.berthd(b, HELLO.format(ports=PORTS[0]),
                         name="other") as other:
        samples = take_turns(
            {"bare": (giving, a), "names": (other, b)}, rounds,
            lambda kind, directory, number: bench.samples_us(
                "measure_appears", kind, directory, PORTS[0],
                number * block, block, 50))
    for kind, what in (("names", "lacks nothing"),
                       ("bare", "is provided with loopback, an address")):
        bench.report.single(f"a namespace appears and {what}, answers", "us",
                            samples[kind])


def bench_register(bench, args):
    """A container that is registered by the descriptor of a namespace without
    a name, beside the floor of a name that appears; and registered again when
    its listener is open: what a call costs by itself."""
    block, rounds = 25, 4 if args.quick else 20
    with bench.steady(), bench.namespaces("a") as a, \
            bench.namespaces("b") as b, \
            bench.berthd(a, BY_LABEL) as berthd, \
            bench.program("floor", "floor_names", b, PORTS[0]) as floor:
        socket_path = f"{bench.directory('run')}/control.sock"

        def samples(name, directory, number):
            if name == "berth":
                return bench.samples_us("measure_register", "opens",
                                        socket_path, PORTS[0], block)
            return bench.samples_us("measure_appears", "names", directory,
                                    PORTS[0], number * block, block, 50)

        both = take_turns({"berth": (berthd, a), "floor": (floor, b)},
                          rounds, samples)
        again = bench.samples_us("measure_register", "again", socket_path,
                                 PORTS[0], block * rounds)
    bench.report.compare("a container is registered, answers", "us", both, 1.5)
    bench.report.single("a container is registered again", "us", again,
                        limit=1000)


def bench_address(bench, args):
    block, rounds = 25, 4 if args.quick else 20
    with bench.steady(), bench.namespaces("a") as a, \
            bench.namespaces("b") as b:
        bench.run("world", "make", a, 1)
        bench.run("world", "make", b, 1)
        with bench.berthd(a, EACH) as berthd, bench.program(
                "floor", "floor_addresses", b, "n0", PORTS[0]) as floor:
            samples = take_turns(
                {"berth": (berthd, a), "floor": (floor, b)}, rounds,
                lambda name, directory, number: bench.samples_us(
                    "measure_appears", "addresses", directory, "n0",
                    PORTS[0], number * block, block))
    bench.report.compare("an address appears, answers", "us", samples, 1.5)


def bench_freed(bench, args):
    rounds = 5 if args.quick else 30
    with bench.namespaces("a") as a, bench.namespaces("b") as b, \
            bench.program("backend", "measure_freed", "backend",
                          BACKEND_PORT), \
            bench.berthd(a, FORWARD) as berthd, \
            bench.program("floor", "floor_freed", b, PORTS[0]) as floor:
        samples = take_turns(
            {"berth": (berthd, a), "floor": (floor, b)}, rounds,
            lambda name, directory, number: [us / 1000 for us in
                                             bench.samples_us(
                "measure_freed", directory, PORTS[0], number, 1, 20)])
    bench.report.compare("a namespace goes, is freed", "ms", samples, 1.5)


def verify(bench, directory, ports, answered):
    """Connects everywhere; returns when the last answer came."""
    words = bench.run("world", "verify", directory, *ports).split()
    tried, refused, answers = (int(words[i]) for i in (1, 3, 5))
    bench.report.check(f"{tried} listeners: {refused} refused, "
                       f"{answers} answered",
                       refused == 0 and (answers == tried or not answered))
    return int(words[7])


def bench_startup(bench, args):
    runs, n = (3, 1000) if args.quick else (9, 1000)
    samples = {"berth": [], "floor": []}
    cpu = {"berth": [], "floor": []}
    delivered, answered = [], []
    with bench.namespaces("s") as directory:
        bench.run("world", "make", directory, n)
        for number in range(runs):
            with bench.berthd(directory,
                              HELLO.format(ports=", ".join(PORTS))) as berthd:
                cpu["berth"].append(control.cpu_ms(berthd.pid))
                samples["berth"].append(
                    (berthd.ready_ns - berthd.exec_ns) / 1e6)
                if number % 2:
                    delivered.append(control.wait_delivered(
                        f"{bench.top}/run", 3 * n) / 1e6
                        - berthd.exec_ns / 1e6)
                end_ns = verify(bench, directory, PORTS, answered=True)
                if not number % 2:
                    answered.append((end_ns - berthd.exec_ns) / 1e6)
            with bench.program("floor", "floor_startup", directory,
                               *PORTS) as floor:
                cpu["floor"].append(control.cpu_ms(floor.pid))
                samples["floor"].append(
                    (floor.ready_ns - floor.exec_ns) / 1e6)
    title = f"start-up, {n} namespaces x {len(PORTS)} listeners"
    bench.report.compare(title, "ms", samples, limit=120)
    # What of it is berthd's own work, however busy the machine is.
    bench.report.compare("  its time on a CPU", "ms", cpu)
    bench.report.single("  until the relay has them all", "ms", delivered)
    bench.report.single("  until all of them have answered a client", "ms",
                        answered)


def bench_footprint(bench, args):
    n, listeners = 1000, 1000 * len(PORTS)
    idle_s = 3 if args.quick else 10
    with bench.namespaces("s") as directory:
        bench.run("world", "make", directory, n)
        with bench.berthd(directory,
                          HELLO.format(ports=", ".join(PORTS))) as berthd:
            control.wait_delivered(f"{bench.top}/run", listeners)
            time.sleep(1)
            pids = {"berthd": berthd.pid,
                    "berth-relay": control.child(berthd.pid)}
            before = {name: control.switches(pid)
                      for name, pid in pids.items()}
            time.sleep(idle_s)
            total_kib = 0
            workers = len(os.sched_getaffinity(0))
            for name, pid in pids.items():
                pss = control.memory_kib(pid, "Pss")
                total_kib += pss
                switches = control.switches(pid) - before[name]
                files = control.files(pid) - listeners
                bench.report.value(f"{name}: PSS", f"{pss / 1024:.1f} MiB")
                threads = control.threads(pid)
                goal = 1 if name == "berthd" else workers + 1
                bench.report.value(f"{name}: threads", threads, goal)
                bench.report.value(
                    f"{name}: context switches in {idle_s} idle s",
                    switches, 0)
                bench.report.value(
                    f"{name}: descriptors beside one per listener", files)
            bench.report.value("both: PSS, MB", round(
                total_kib * 1024 / 1e6, 2), 8)


def report_growth(bench, name, seconds, before, after):
    """before, after: anonymous memory in KiB, descriptors."""
    begin_s, end_s = seconds
    bench.report.value(
        f"churn: {name}: memory at {begin_s} s and {end_s} s, KiB",
        f"{before[0]}, {after[0]}")
    bench.report.check(f"churn: {name}: memory does not grow",
                       after[0] <= before[0] * 1.05 + GROWTH_KIB)
    bench.report.value(
        f"churn: {name}: descriptors at {begin_s} s and {end_s} s",
        f"{before[1]}, {after[1]}")
    bench.report.check(f"churn: {name}: descriptors do not grow",
                       before[1] == after[1])


def bench_churn(bench, args):
    alive = 100
    first_s, rest_s = (2, 4) if args.quick else (10, args.churn_seconds - 10)
    with bench.namespaces("c") as directory, \
            bench.berthd(directory, HELLO.format(ports=PORTS[0])) as berthd:
        pids = {"berthd": berthd.pid, "berth-relay": control.child(berthd.pid)}
        states, next_index = [], 0
        for seconds in (first_s, rest_s):
            next_index = int(bench.run("world", "churn", directory,
                                       next_index, seconds, alive))
            control.wait_delivered(f"{bench.top}/run", alive, exactly=True)
            time.sleep(1)
            states.append({name: (control.memory_kib(pid, "Pss_Anon"),
                                  control.files(pid))
                           for name, pid in pids.items()})
        total_s = first_s + rest_s
        bench.report.value(f"churn: namespaces made in {total_s} s",
                           next_index)
        for name in pids:
            report_growth(bench, name, (first_s, total_s),
                          *(state[name] for state in states))
        verify(bench, directory, PORTS[:1], answered=True)
        count = control.listeners(f"{bench.top}/run")
        bench.report.check(f"churn: {count} listeners for {alive} namespaces",
                           count == alive)
        lingering = control.lingering(f"{bench.top}/run")
        bench.report.check(f"churn: {lingering} namespaces stay without a "
                           "name", lingering == 0)


@contextlib.contextmanager
def listing_all_the_time(command):
    """Runs @command again and again; gives a list that gets its seconds."""
    seconds, ended = [], threading.Event()

    def repeat():
        while not ended.is_set():
            seconds.append(run_time(command)[0])

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield seconds
    finally:
        ended.set()
        thread.join()


def percentile99(samples):
    """The slowest of all is what else the machine did."""
    return statistics.quantiles(samples, n=100)[98]


def run_time(command):
    """Seconds until it ended, and its own on a CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    end = time.monotonic()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end - begin, sum(getattr(after, name) - getattr(before, name)
                            for name in ("ru_utime", "ru_stime"))


def bench_listing(bench, args):
    """`berthctl listeners`, and a namespace that appears meanwhile."""
    n, runs = 1000, 5 if args.quick else 15
    ports = range(7101, 7101 + LISTING_PORTS)
    command = [f"{bench.build}/berthctl", "--runtime-dir", f"{bench.top}/run",
               "listeners"]
    with bench.namespaces("s") as directory:
        bench.run("world", "make", directory, n)
        with bench.berthd(directory, HELLO.format(
                ports=", ".join(map(str, ports)))) as berthd:
            control.wait_delivered(f"{bench.top}/run", n * len(ports))
            took, own, berthds = [], [], []
            for _ in range(runs):
                before_ms = control.cpu_ms(berthd.pid)
                all_s, own_s = run_time(command)
                took.append(all_s * 1000)
                own.append(own_s * 1000)
                berthds.append(control.cpu_ms(berthd.pid) - before_ms)
            title = f"berthctl listeners, {n * len(ports)} of them"
            bench.report.single(title, "ms", took, limit=150)
            bench.report.single("  its time on a CPU", "ms", own)
            bench.report.single("  berthd's time on a CPU", "ms", berthds)

            def appears(first, count):
                return bench.samples_us("measure_appears", "names", directory,
                                        ports[0], first, count, n)

            # Long enough for several listings to fall into it.
            count = 50 if args.quick else 1000
            alone = appears(n, count)
            with listing_all_the_time(command) as seconds:
                beside = appears(n + count, count)
            bench.report.single("a namespace appears, nobody lists", "us",
                                alone)
            bench.report.single("a namespace appears, listings back to back",
                                "us", beside,
                                limit=statistics.median(alone) + 5000)
            bench.report.value("  99 of 100, nobody lists, within us",
                               round(percentile99(alone)))
            bench.report.value("  99 of 100 beside listings, within us",
                               round(percentile99(beside)),
                               round(percentile99(alone)) + 5000)
            bench.report.value("  listings meanwhile", len(seconds))


FIGURES = {
    "appears": bench_appears,
    "provide": bench_provide,
    "register": bench_register,
    "address": bench_address,
    "freed": bench_freed,
    "startup": bench_startup,
    "footprint": bench_footprint,
    "churn": bench_churn,
    "listing": bench_listing,
    **containers.FIGURES,
    **relay.FIGURES,
    **relay_spread.FIGURES,
    **handoff.FIGURES,
    **hook.FIGURES,
    **scrape.FIGURES,
    **monitor.FIGURES,
    **metadata.FIGURES,
}


def parse_arguments():
    parser = argparse.ArgumentParser(description="berth's benchmark")
    parser.add_argument("--build", default=os.environ.get("BERTH_BUILD",
                                                          "build"))
    parser.add_argument("--tools", metavar="DIR",
                        help="the benchmark's own programs: another build's")
    parser.add_argument("--beside", metavar="DIR",
                        help="another build of berth, measured as 'other'")
    parser.add_argument("--peers", default=",".join(relay.PEERS),
                        help="compare the relay with these, of "
                        + ",".join(relay.PEERS))
    parser.add_argument("--only", default=",".join(FIGURES),
                        help="figures, of " + ",".join(FIGURES))
    parser.add_argument("--quick", action="store_true",
                        help="fewer rounds: does it run at all?")
    parser.add_argument("--churn-seconds", type=int, default=60)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.only = args.only.split(",")
    args.peers = tuple(filter(None, args.peers.split(",")))
    for what, names, known in (("figure", args.only, FIGURES),
                               ("peer", args.peers, relay.PEERS)):
        for name in names:
            if name not in known:
                parser.error(f"no {what} '{name}': {', '.join(known)}")
    if args.churn_seconds < 20:
        parser.error("--churn-seconds: at least 20")
    return args


def main():
    args = parse_arguments()
    if os.geteuid() != 0:
        sys.exit("the benchmark makes network namespaces: run it as root")
    # An end by a signal cleans up like any other.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not args.inside:
        top = tempfile.mkdtemp(prefix="berth-bench-")
        try:
            # All mounts, veths and names vanish with these namespaces.
            return subprocess.run(
                ["unshare", "--mount", "--net", "--propagation", "private",
                 sys.executable] + sys.argv + ["--inside", top]).returncode
        finally:
            shutil.rmtree(top, ignore_errors=True)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setsid()
    set_priority(os.getpid(), -20)  # inherited by all that takes part
    for command in (["mount", "-t", "tmpfs", "berth-bench", args.inside],
                    ["ip", "link", "set", "lo", "up"]):
        subprocess.run(command, check=True)
    os.chmod(args.inside, 0o755)
    bench = Bench(args, args.inside)
    for name in args.only:
        print(f"== {name}", flush=True)
        FIGURES[name](bench, args)
    return bench.report.end()


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""hook.py - what berth-hook costs the start of a container of podman

Containers are as the integration tests make them: busybox by runc, in a
network namespace without a name, unless said otherwise.
"""
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import berthd as control

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))
from harness import podman as harness  # noqa: E402

PORT = 7101
CONTAINERS, AT_ONCE = 20, 4
RULES = f"""\
rules:
  - name: bench
    match: {{ labels: "app=web" }}
    listen: [ {{ protocol: tcp, address: 127.0.0.1, port: {PORT} }} ]
    respond: ack
"""
WEB = {"io.berth.labels.app": "web"}


def podman_here(bench, name):
    """podman, or None after the reason was said."""
    reason = harness.problem()
    if reason:
        bench.report.value(f"{name}: left out", reason)
        return None
    return harness.Podman(bench.directory(name))


def hook_of(bench):
    return pathlib.Path(bench.build) / "berth-hook"


def run_ms(podman):
    begin = time.monotonic()
    podman.run("true", annotations=WEB)
    return (time.monotonic() - begin) * 1000


def hook_alone(bench, berthd):
    """What the start of a container waits for: the hook's time, and berthd's
    on a CPU for it, without the container's end. In milliseconds."""
    bundle = bench.directory("bundle")
    sleeper = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    try:
        netns = f"/proc/{sleeper.pid}/ns/net"
        while os.stat(netns).st_ino == os.stat("/proc/self/ns/net").st_ino:
            time.sleep(0.001)
        with open(f"{bundle}/config.json", "w") as stream:
            json.dump({"linux": {"namespaces": [{"type": "network"}]}}, stream)
        state = {"ociVersion": "1.0.2", "id": f"alone-{sleeper.pid}",
                 "status": "creating", "pid": sleeper.pid, "bundle": bundle,
                 "annotations": WEB}
        before_ms, begin = control.cpu_ms(berthd.pid), time.monotonic()
        done = subprocess.run(
            [hook_of(bench), "--runtime-dir", f"{bench.top}/run"], text=True,
            input=json.dumps(state), capture_output=True)
        took_ms = (time.monotonic() - begin) * 1000
        own_ms = control.cpu_ms(berthd.pid) - before_ms
    finally:
        sleeper.kill()
        sleeper.wait()
    if done.stderr:
        bench.report.check(f"berth-hook said: {done.stderr}", False)
    settle(f"{bench.top}/run")
    return took_ms, own_ms


def bench_hook(bench, args):
    """podman run with the hook beside one without, in turns."""
    rounds = 3 if args.quick else 50
    plain = podman_here(bench, "plain")
    hooked = plain and harness.Podman(bench.directory("hooked"))
    if not plain:
        return
    samples = {"berth": [], "floor": []}
    # berthd is woken by each mount of a container without the hook, too.
    cpu = {"berth": [], "floor": []}
    with bench.berthd(bench.directory("names"), RULES) as berthd:
        hooked.hook(hook_of(bench), "--runtime-dir", f"{bench.top}/run")
        run_ms(plain), run_ms(hooked)  # what podman does but once
        for number in range(rounds):
            turns = [("berth", hooked), ("floor", plain)]
            for name, podman in turns if number % 2 else reversed(turns):
                before_ms = control.cpu_ms(berthd.pid)
                samples[name].append(run_ms(podman))
                settle(f"{bench.top}/run")
                cpu[name].append(control.cpu_ms(berthd.pid) - before_ms)
        alone = [hook_alone(bench, berthd) for _ in range(rounds)]
    plain.close()
    hooked.close()
    bench.report.compare("podman run, with berth-hook and without", "ms",
                         samples)
    report_more(bench, "  more with the hook, ms", samples, 15)
    bench.report.compare("  berthd's time on a CPU, start to end", "ms", cpu)
    bench.report.single("  berth-hook alone, until the listener is open", "ms",
                        [took for took, _ in alone])
    bench.report.single("  berthd's time on a CPU for that", "ms",
                        [own for _, own in alone], limit=1)


def report_more(bench, name, samples, limit):
    """The difference of the medians."""
    more = (statistics.median(samples["berth"])
            - statistics.median(samples["floor"]))
    bench.report.value(name, round(more, 2), limit)


def bench_hook_rounds(bench, args):
    """Containers that come and go, their command being the client."""
    rounds = 1 if args.quick else 50
    podman = podman_here(bench, "rounds")
    if not podman:
        return
    answered, errors = 0, []
    with bench.berthd(bench.directory("names"), RULES):
        podman.hook(hook_of(bench), "--runtime-dir", f"{bench.top}/run")
        networks = itertools.cycle(["none"] * 4 + ["bridge"])
        running = []
        for _ in range(rounds * CONTAINERS):
            if len(running) == AT_ONCE:
                answered += finish(running.pop(0), errors)
            running.append(podman.popen("nc", "127.0.0.1", str(PORT),
                                        network=next(networks),
                                        annotations=WEB))
        answered += sum(finish(one, errors) for one in running)
        bench.report.check(
            f"{answered} of {rounds * CONTAINERS} containers were answered at "
            "their first instruction", answered == rounds * CONTAINERS)
        bench.report.check(f"podman reported {len(errors)} errors: "
                           f"{errors[:1]}", not errors)
        lingering = settle(f"{bench.top}/run")
        bench.report.check(f"{lingering} namespaces linger", lingering == 0)
    left = podman.containers()
    bench.report.check(f"{len(left)} containers are left", not left)
    podman.close()


def finish(process, errors):
    out, err = process.communicate()
    if process.returncode or err:
        errors.append(err.strip() or f"exit {process.returncode}")
    return out == "ack"


def settle(runtime_dir):
    """Namespaces that the kernel has not freed some seconds later."""
    deadline = time.monotonic() + control.TIMEOUT_S
    while control.lingering(runtime_dir) and time.monotonic() < deadline:
        time.sleep(0.1)
    return control.lingering(runtime_dir)


FIGURES = {"hook": bench_hook, "hook-rounds": bench_hook_rounds}

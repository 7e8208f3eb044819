# SPDX-License-Identifier: Apache-2.0
"""test_bench.py - the benchmark works, and CI needs no peers for that"""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests/bench"
BUILD = ROOT / os.environ.get("BERTH_BUILD", "build")
PROGRAMS = ["awake", "floor_relay", "inherit", "launch", "relay_backend",
            "relay_client", "relay_hold", "relay_udp", "world"]

sys.path.insert(0, str(BENCH))
import relay_report  # noqa: E402
import report  # noqa: E402


def run(*args, **options):
    return subprocess.run(args, cwd=ROOT, text=True, capture_output=True,
                          timeout=300, **options)


@pytest.mark.parametrize("goal, value, best, met", [
    (relay_report.Goal(at_most=0.7), 70, 100, True),
    (relay_report.Goal(at_most=0.7), 71, 100, False),
    (relay_report.Goal(at_most=1), 0, 0, True),
    (relay_report.Goal(at_least=1.2), 120, 100, True),
    (relay_report.Goal(at_least=1.2), 119, 100, False),
    (relay_report.Goal(at_least=1.2), 119, None, None),
    (relay_report.Goal(limit=2), 2, None, True),
    (relay_report.Goal(limit=2), 2.1, 100, False),
    (relay_report.Goal(), 1, 2, None),
])
def test_goal(goal, value, best, met):
    assert goal.met(value, best) is met


@pytest.mark.parametrize("goal, best", [
    (relay_report.Goal(at_most=0.7, peers=("HAProxy",)), "HAProxy 2t"),
    (relay_report.Goal(at_least=1.2, peers=("HAProxy",)), "HAProxy 1t"),
    (relay_report.Goal(at_most=0.7), "Go"),
])
def test_berth_is_compared_with_the_best_setting(goal, best, capsys):
    turns = relay_report.Turns([], {"cpu": {
        "berth": [60, 50, 70], "HAProxy 1t": [100], "HAProxy 2t": [80],
        "Go": [70], "floor": [1]}})
    printed = report.Report()
    turns.report(printed, "work", "cpu", goal)
    (_, figures, ratio, _, _), = printed.relay_rows
    assert figures["berth"] == "60.0"
    assert ratio.endswith(f" x {best}")


def test_peers_are_built_by_the_benchmark_alone():
    plan = run("make", "-n", "-B", "all", "test-programs").stdout
    assert "tests/unit" in plan
    assert "tests/bench" not in plan
    assert "peers" not in run("make", "-n", "-B", "unit", "integration",
                              "check-build").stdout


def test_unknown_figure_is_refused():
    result = run(sys.executable, BENCH / "bench.py", "--only", "speed")
    assert result.returncode == 2
    assert "no figure 'speed': appears, " in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root")
def test_figures_without_peers(tmp_path):
    """PATH has neither HAProxy nor Go, and nothing looks for them."""
    tools = tmp_path / "build"
    make = run("make", "CI=1", f"BUILD={tools}",
               *(f"{tools}/tests/bench/{name}" for name in PROGRAMS))
    assert make.returncode == 0, make.stderr
    for name in ("ip", "mount", "umount", "nsenter", "ss", "sysctl",
                 "unshare"):
        (tmp_path / name).symlink_to(shutil.which(name))
    result = run(sys.executable, BENCH / "bench.py", "--build", BUILD,
                 "--tools", tools,
                 "--only", "connect,handoff", "--peers", "", "--quick",
                 env={**os.environ, "PATH": f"{tmp_path}:/bin/nowhere"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert "CPU of the relay, us (n = 3): berth " in result.stdout
    assert "CPU of the proxy, us (n = 3): handoff " in result.stdout

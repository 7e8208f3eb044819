# SPDX-License-Identifier: Apache-2.0
"""test_restarts.py - kills at random moments, under load: nobody notices.

A bounded run of what tests/bench/restarts.py does; BERTH_SEED repeats one.
"""

import os
import random

import pytest

from harness.load import Load
from harness.restarts import Restarts
from harness.wait import wait_equal

TIMES = 5
NAMESPACES = 10
RATE = 60  # clients a second
CHURN = 4  # namespaces replaced a second
LASTING = 20


def alive(world):
    """The nsids of namespaces that the kernel has."""
    return {line.split()[1]
            for line in world.host.ip("netns", "list-id").splitlines()}


def unfreed(world):
    """Of these, those that were not there before: an earlier test's may still
    be held by this process, and no other gets its nsid meanwhile."""
    return alive(world) - world.before


@pytest.fixture
def load(world):
    seed = int(os.environ.get("BERTH_SEED", random.randrange(1 << 32)))
    print(f"BERTH_SEED={seed}")
    world.before = alive(world)
    made = Load(world, random.Random(seed), NAMESPACES, RATE, CHURN, LASTING)
    yield made
    made.end()


@pytest.fixture
def restarts(world, load):
    made = Restarts(world, load, pause=0.1)
    load.start()
    return made


def run(world, load, restart):
    for _ in range(TIMES):
        restart()
        load.wait_more(RATE // 4)
        wait_equal(load.wrong, [], "each listener to be right")
    load.end()
    assert not load.bad(), load.problems
    assert not load.counts["other sockets"]
    wait_equal(lambda: unfreed(world), set(), "every namespace to be freed")


def test_berthd_is_killed(world, load, restarts):
    """Again before it is ready, or with other rules, now and then."""
    run(world, load, restarts.kill_berthd)
    assert not load.counts["held"]


def test_relay_is_killed(world, load, restarts):
    """Only those are cut that it had accepted."""
    run(world, load, restarts.kill_relay)
    assert load.counts["held"] > 0


def test_program_is_killed(world, load, restarts):
    """The same with a program that a rule hands off to."""
    run(world, load, restarts.kill_consumer)
    assert load.counts["held"] > 0


def test_relay_is_restarted(world, load, restarts):
    run(world, load, restarts.restart_relay)
    assert not load.counts["held"]

# SPDX-License-Identifier: Apache-2.0
"""wait.py - waiting for what is to happen, with a guard, no fixed sleeps."""

import os
import select
import time

# Long enough that only a broken program reaches it, on a loaded machine and
# with sanitizers too.
GUARD = float(os.environ.get("BERTH_GUARD", "15"))
# How much slower than usual everything is thought to be: a factor for the
# few times that are short on purpose, because a longer one would be a fault.
SLOWNESS = max(1, GUARD / 15)


def wait_for(predicate, what, guard=GUARD):
    """Polls until predicate() is true and returns its value."""
    deadline = time.monotonic() + guard
    pause = 0.001
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {guard} s: {what}, "
                                 f"last seen: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def wait_equal(read, expected, what, guard=GUARD):
    """Polls until read() == expected; a failure shows the difference."""
    deadline = time.monotonic() + guard
    pause = 0.001
    while True:
        value = read()
        if value == expected:
            return
        if time.monotonic() > deadline:
            assert value == expected, f"not within {guard} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def stays(predicate, what, seconds):
    """Asserts that predicate() holds during all of a short time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert predicate(), f"did not stay: {what}"
        time.sleep(0.02)


def wait_exit(pidfd, guard=GUARD):
    """Waits for a process to end. Return: whether it did."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(guard * 1000))

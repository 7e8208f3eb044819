# SPDX-License-Identifier: Apache-2.0
"""test_lifecycle.py - what berthd says of itself to its service manager: that
a reload is complete, and that its loop runs."""

import signal

from harness.manager import ManagedBerthd
from harness.rules import rule, rules
from harness.wait import wait_for


def test_reload_is_over_when_its_listeners_are_open(world):
    netns = world.netns("n")
    berthd = world.berthd(rules(rule()), kind=ManagedBerthd)
    ports = range(8100, 8150)
    berthd.write_rules("50-test.yaml", rules(
        *(rule(name=f"r{port}", port=port) for port in ports)))
    berthd.send_signal(signal.SIGHUP)
    wait_for(lambda: len(berthd.manager.said("READY")) == 2, "READY=1 again")
    for port in ports:
        assert netns.ask("127.0.0.1", port) == b"ack"
    assert netns.refuses("127.0.0.1", 8080)
    order = [next(iter(message)) for message in berthd.manager.messages]
    assert order == ["READY", "RELOADING", "READY"]
    since, = berthd.manager.said("MONOTONIC_USEC")
    assert int(since) > 0


def test_reload_with_an_error_fails_and_is_over(world):
    netns = world.netns("n")
    berthd = world.berthd(rules(rule()), kind=ManagedBerthd)
    berthd.write_rules("60-bad.yaml", "rules: 1\n")
    assert berthd.ctl("reload", code=1)["problems"] == 1
    wait_for(lambda: len(berthd.manager.said("READY")) == 2, "READY=1 again")
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_watchdog(world):
    """From the loop, also when nothing else happens."""
    berthd = world.berthd(rules(rule()), kind=ManagedBerthd, start=False)
    berthd.env["WATCHDOG_USEC"] = "100000"
    berthd.start()
    wait_for(lambda: len(berthd.manager.said("WATCHDOG")) >= 3, "WATCHDOG=1")

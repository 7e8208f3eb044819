# SPDX-License-Identifier: Apache-2.0
"""test_scale.py - what does not grow with namespaces, and what idle costs."""

import time

from harness import process
from harness.berthd import SANITIZED
from harness.rules import ack, forward
from harness.traffic import echo_backend
from harness.wait import GUARD, wait_equal, wait_for


def shape(pid):
    """Threads, and descriptors by kind, listening sockets apart."""
    kinds = {}
    for target in process.descriptors(pid).values():
        kind = target.partition("[")[0].partition(":/")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
    return process.threads(pid), kinds


def test_constant_in_the_number_of_namespaces(world):
    """One descriptor per listener and process, and nothing else."""
    berthd = world.berthd(ack(address="each", match={"family": "ipv4"}))
    relay = berthd.relay_pid()
    made = []
    shapes = {}
    for number in (5, 50, 150):
        while len(made) < number:
            made.append(world.netns(f"n{len(made)}"))
        wait_for(lambda: berthd.status()["listeners"]["open"] == len(made)
                 and berthd.status()["consumers"][0]["delivered"]
                 == len(made), f"{number} listeners")
        # What is sent may still lie in the relay's connection.
        wait_for(lambda: shape(relay)[1].get("socket:", 0) > number,
                 f"the relay to have {number} listeners")
        shapes[number] = []
        for pid in (berthd.pid, relay):
            # Who asked for the status has closed; berthd may not have.
            threads, kinds = process.steady(lambda: shape(pid))
            kinds["socket:"] -= number
            shapes[number].append((threads, kinds))
    assert shapes[5] == shapes[50] == shapes[150]
    # The one is the host's, to step back into.
    assert shapes[150][0][1].get("net:", 0) == 1
    assert shapes[150][1][1].get("net:", 0) == 0
    for netns in made:
        netns.delete()
    wait_for(lambda: process.descriptors(relay) and shape(relay)
             == shapes[5][1], "the relay to be back where it was")
    wait_equal(lambda: shape(berthd.pid), shapes[5][0], "berthd, too")


def test_code_that_only_the_start_needs(world):
    """It is mapped no more when the start is over, and used all the same when
    the rules are read again."""
    netns = world.netns("n")
    berthd = world.berthd(ack())
    wait_equal(lambda: process.code_kib(berthd.pid, "libyaml-0"), 0,
               "berthd to let go of what reads YAML")
    wait_equal(lambda: process.code_kib(berthd.relay_pid(), "libseccomp"), 0,
               "berth-relay to let go of what made its filter")
    assert process.code_kib(berthd.pid, "libc") > 0
    berthd.write_rules("50-test.yaml", ack(port=8081))
    berthd.ctl("reload")
    assert netns.ask("127.0.0.1", 8081) == b"ack"
    wait_equal(lambda: process.code_kib(berthd.pid, "libyaml-0"), 0,
               "berthd to let go of it again")


def test_idle_costs_nothing(world):
    """Zero context switches, with namespaces, addresses, a connection, and
    a waiting name's absence."""
    backend = echo_backend(world)
    berthd = world.berthd({
        "a.yaml": forward(f"127.0.0.1:{backend.port}"),
        "b.yaml": ack(name="b", address="each", port=9000,
                      match={"family": "ipv4"})})
    made = [world.netns(f"n{i}") for i in range(20)]
    wait_for(lambda: all(len(n.listeners()) == 2 for n in made), "listeners")
    relay = berthd.relay_pid()
    assert made[0].ask("127.0.0.1", 9000) == b"ack"
    wait_for(lambda: berthd.status()["consumers"][0]["delivered"] == 40,
             "all to be delivered")

    def switches():
        return (process.context_switches(berthd.pid)
                + process.context_switches(relay))

    def still():
        """Whatever was going on is over."""
        before = switches()
        time.sleep(1)
        return switches() == before

    wait_for(still, "a second of silence", guard=2 * GUARD)
    before = switches()
    time.sleep(6)
    assert switches() - before == 0


def test_churn_leaves_nothing(world):
    """Namespaces made and deleted as fast as can be, 20 alive."""
    berthd = world.berthd(ack(protocol=["tcp", "udp"]))
    relay = berthd.relay_pid()
    alive = [world.netns(f"n{i}", up=False) for i in range(20)]

    def churn(seconds):
        deadline = time.monotonic() + seconds
        number = 0
        while time.monotonic() < deadline:
            netns = alive[number % 20]
            netns.delete()
            netns.create()
            number += 1
        return number

    def settle():
        for netns in alive:
            wait_equal(netns.listeners, {"tcp *:8080", "udp *:8080"},
                       netns.name)
        wait_equal(lambda: berthd.status()["consumers"][0]["delivered"], 40,
                   "40 listeners delivered")
        wait_equal(lambda: berthd.status()["consumers"][0]["withdrawn"], 0,
                   "all releases confirmed")
        return [process.anonymous_kib(pid) for pid in (berthd.pid, relay)]

    def descriptors():
        return [len(process.descriptors(pid)) for pid in (berthd.pid, relay)]

    churn(3)
    first, fds = settle(), descriptors()
    churn(6)
    second = settle()
    # The connection that asked for the status may still be open, or may have
    # been the first time.
    wait_for(lambda: all(now <= before for now, before
                         in zip(descriptors(), fds)),
             "no more descriptors than before")
    for kib, kib_later in zip(first, second):
        # A sanitizer keeps freed memory for a while, to find its misuse.
        assert SANITIZED or kib_later - kib < 1024, "memory grows"
    assert len(berthd.listeners()) == 40
    wait_equal(lambda: berthd.status()["lingering"], [], "nothing lingers")

# SPDX-License-Identifier: Apache-2.0
"""test_random.py - hundreds of random operations, checked by an oracle.

BERTH_SEED repeats a run, BERTH_OPERATIONS makes it longer.
"""

import os
import random
import time

import pytest

from harness import oracle, process
from harness.chaos import Chaos
from harness.netns import Netns
from harness.wait import wait_equal, wait_for
from harness.witness import NsidMonitor

pytestmark = pytest.mark.kernel

OPERATIONS = int(os.environ.get("BERTH_OPERATIONS", "300"))
SEEDS = [int(os.environ["BERTH_SEED"])] if "BERTH_SEED" in os.environ \
    else [time.time_ns() % 1_000_000_007 + i for i in range(2)]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations(world, seed):
    print(f"BERTH_SEED={seed} BERTH_OPERATIONS={OPERATIONS}")
    monitor = NsidMonitor(world)
    chaos = Chaos(world, random.Random(seed))
    try:
        for number in range(OPERATIONS):
            chaos.step()
            if number % 20 == 19:
                chaos.check()
        chaos.check()
        _everything_goes(chaos, monitor)
    except BaseException:
        print("\n".join(chaos.history))
        raise


def _everything_goes(chaos, monitor):
    """In the end nothing is left, in the kernel neither."""
    chaos.feed()
    tracked = {monitor.track(chaos.path(name)) for name in chaos.mounts}
    tracked |= {monitor.track(Netns(sandbox.path))
                for sandbox in chaos.sandboxes.values()}
    for name in list(chaos.links):
        chaos.path(name).unlink()
    for number in list(chaos.sandboxes):
        chaos.sandboxes.pop(number).end()
    for server in chaos.servers:
        server[3].close()
    chaos.servers.clear()
    for name in list(chaos.mounts):
        chaos.path(name).delete()
    for one in tracked:
        monitor.wait_freed(one)
    chaos.links.clear()
    chaos.mounts.clear()
    berthd = chaos.berthd
    wait_equal(berthd.listeners, [], "an empty table")
    wait_for(lambda: berthd.status()["consumers"][0]["withdrawn"] == 0,
             "all releases")
    for pid in (berthd.pid, berthd.relay_pid()):
        assert len(process.descriptors(pid)) < 60


ADDRESSES = [
    {"family": "inet", "local": "127.0.0.1", "scope": "host", "ifname": "lo"},
    {"family": "inet", "local": "10.0.0.1", "scope": "global",
     "ifname": "eth0"},
    {"family": "inet6", "local": "fd00::1", "scope": "global",
     "ifname": "eth0", "tentative": True},
    {"family": "inet6", "local": "fe80::1", "scope": "link",
     "ifname": "eth0"},
]


@pytest.mark.parametrize("match,address,expected", [
    ({"namespace": "*"}, "any", {"tcp *:80"}),
    ({"namespace": ["*", "!n"]}, "any", set()),
    ({"namespace": "/n+/"}, "any4", {"tcp 0.0.0.0:80"}),
    ({"namespace": "*"}, "each", {"tcp 127.0.0.1:80", "tcp 10.0.0.1:80"}),
    ({"namespace": "*", "scope": "link"}, "each",
     {"tcp [fe80::1]%eth0:80"}),
    ({"namespace": "*", "address": "fd00::/8"}, "any", set()),
    ({"namespace": "*", "address": ["0.0.0.0/0", "!10.0.0.0/8"]}, "each",
     {"tcp 127.0.0.1:80"}),
    ({"namespace": "*"}, ["10.0.0.1", "10.0.0.1", "fd00::1"],
     {"tcp 10.0.0.1:80", "tcp [fd00::1]:80"}),
])
def test_oracle(match, address, expected):
    """The oracle is code as well."""
    assert _wanted((match, address, False)) == expected


@pytest.mark.parametrize("first,second,expected", [
    (("lo", True), ("eth0", True), {"tcp 10.0.0.1%lo:80",
                                    "tcp 10.0.0.1%eth0:80"}),
    (("lo", True), ("eth0", False), {"tcp 10.0.0.1%lo:80"}),
    (("lo", False), ("eth0", True), {"tcp 10.0.0.1:80"}),
    (("lo", False), ("eth0", False), {"tcp 10.0.0.1:80"}),
])
def test_oracle_of_bound_listeners(first, second, expected):
    wanted = _wanted(*(({"namespace": "*", "interface": interface}, "each",
                        bound) for interface, bound in (first, second)),
                     addresses=[dict(ADDRESSES[1], ifname="lo"), ADDRESSES[1]])
    assert wanted == expected


def _wanted(*parts, addresses=None):
    document = {"rules": [{
        "name": f"r{i}", "match": match, "respond": "ack",
        "listen": [{"protocol": "tcp", "address": address, "port": 80,
                    "interface_bound": bound}]}
        for i, (match, address, bound) in enumerate(parts)]}
    return oracle.wanted([document], ["n"], addresses or ADDRESSES)

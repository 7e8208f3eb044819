# SPDX-License-Identifier: Apache-2.0
"""test_world.py - the tests' own world leaves nothing for the next test."""

import os

import pytest

from harness.world import World


def test_a_name_on_the_host_is_free_for_the_next_test():
    """However long the kernel needs for a namespace that has the other end."""
    pins = []
    try:
        for _ in range(3):
            made = World()
            netns = made.netns("a")
            pins.append(netns.open_fd())
            made.veth(netns, "eth0", made.host, "bt-again")
            made.host.addr_add("10.66.1.2/24", "bt-again")
            made.close()
    finally:
        for fd in pins:
            os.close(fd)


@pytest.mark.parametrize("add,remove", [
    (("link", "add", "bt-left", "type", "bridge"), ("link", "del", "bt-left")),
    (("addr", "add", "10.66.1.1/32", "dev", "lo"),
     ("addr", "del", "10.66.1.1/32", "dev", "lo")),
    (("rule", "add", "iif", "bt-x", "lookup", "66"),
     ("rule", "del", "iif", "bt-x", "lookup", "66")),
    (("-6", "rule", "add", "iif", "bt-x", "lookup", "66"),
     ("-6", "rule", "del", "iif", "bt-x", "lookup", "66")),
    (("route", "add", "blackhole", "10.66.2.0/24"),
     ("route", "del", "blackhole", "10.66.2.0/24")),
])
def test_what_a_test_leaves_on_the_host_is_told(add, remove):
    made = World(guard=0.1)
    made.host.ip(*add)
    with pytest.raises(AssertionError, match="the host's interfaces"):
        made.close()
    made.host.ip(*remove)

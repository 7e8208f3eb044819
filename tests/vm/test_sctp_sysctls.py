# SPDX-License-Identifier: Apache-2.0
"""test_sctp_sysctls.py - sysctls that come after the listener."""

import pytest

import sctp
from harness.rules import rule, rules
from harness.wait import wait_for

pytestmark = pytest.mark.kernel

SCTP_AUTH_SUPPORTED = 129
BOTH = pytest.mark.parametrize("protocol", ["sctp", "sctp-seqpacket"])


@pytest.fixture
def netns(world):
    return world.netns("a")


def echo(protocol, **match):
    return rules(rule(protocol=protocol, respond="echo", match=match))


def server_side(netns):
    """(heartbeat interval in ticks, retransmissions) of the relay's end of
    each association, from /proc/net/sctp/assocs."""
    found = []
    for line in netns.run("cat", "/proc/thread-self/net/sctp/assocs") \
            .splitlines()[1:]:
        ours, peers = line.split(" <-> ")
        # ... LPORT RPORT LADDRS, and RADDRS HBINT INS OUTS MAXRT ...
        ports = [word for word in ours.split() if word.isdigit()][-2:]
        numbers = [word for word in peers.split() if word.isdigit()]
        if ports[0] == "8080":
            found.append((int(numbers[0]), int(numbers[3])))
    return found


def a_new_one(netns):
    with sctp.connect(netns) as client:
        sctp.send(client, sctp.Message(b"hello"))
        sctp.receive(client)
        return server_side(netns)


@BOTH
def test_times_count_for_new_associations(world, netns, protocol):
    """Without any event: nothing but the sysctls changes."""
    berthd = world.berthd(echo(protocol))
    row = berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    before = sctp.connect(netns)
    with before:
        # The kernel's own: 30 s, 10 times.
        (ticks, times), = server_side(netns)
        assert times == 10
        netns.sysctl("net.sctp.hb_interval", 3000)
        netns.sysctl("net.sctp.association_max_retrans", 4)
        wait_for(lambda: (ticks // 10, 4) in a_new_one(netns),
                 "an association with them")
        # Neither the listener nor who is there is touched.
        sctp.send(before, sctp.Message(b"still here"))
        assert sctp.receive(before).data == b"still here"
    assert berthd.listener(netns.cookie(),
                           protocol=protocol)["id"] == row["id"]
    berthd.wait_log("net.sctp sysctls were changed")


def is_authenticated(netns):
    with sctp.connect(netns) as client:
        sctp.send(client, sctp.Message(b"hello"))
        sctp.receive(client)
        value = client.getsockopt(sctp.SOL_SCTP, SCTP_AUTH_SUPPORTED, 8)
        return value[4:] != bytes(4)


@BOTH
def test_authentication_that_is_wanted_later(world, netns, protocol):
    berthd = world.berthd(echo(protocol))
    berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    assert not is_authenticated(netns)
    netns.sysctl("net.sctp.auth_enable", 1)
    berthd.ctl("reload")
    wait_for(lambda: is_authenticated(netns), "an authenticated association")


def test_an_event_of_the_namespace_is_enough(world, netns):
    netns.addr_add("10.9.0.1/24")
    berthd = world.berthd(echo("sctp", address="10.9.0.0/16"))
    berthd.wait_state(netns.cookie(), "listening", protocol="sctp")
    (ticks, _), = a_new_one(netns)
    netns.sysctl("net.sctp.hb_interval", 3000)
    netns.addr_add("10.9.0.2/24")
    wait_for(lambda: (ticks // 10, 10) in a_new_one(netns), "the interval")

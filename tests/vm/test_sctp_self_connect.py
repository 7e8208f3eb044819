# SPDX-License-Identifier: Apache-2.0
"""test_sctp_self_connect.py - an SCTP backend that is down, with the only port
that the kernel may choose for those who connect to it."""
import pytest

import sctp
from harness.rules import rule, rules
from harness.wait import wait_equal
from sctp import Message

DOWN = 40002


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_client_is_aborted(world, address):
    """As when refused, and hears nothing of what it said; the port is free
    then."""
    front, back = world.netns("front"), world.netns("back")
    back.sysctl("net.ipv4.ip_local_port_range", f"{DOWN} {DOWN}")
    to = f"[{address}]:{DOWN}" if ":" in address else f"{address}:{DOWN}"
    berthd = world.berthd(rules(rule(
        namespace="front", protocol="sctp",
        forward={"to": to, "namespace": "back"})))
    berthd.wait_delivered()
    idle = berthd.idle_relay_descriptors()
    for _ in range(3):
        with pytest.raises(ConnectionError):
            with sctp.connect(front) as client:
                sctp.send(client, Message(b"echo?"))
                assert sctp.receive(client) is None
                raise AssertionError("a clean end")
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    berthd.wait_log("Connection refused")
    assert berthd.ctl("stats")["total"]["failed"] == 3
    sctp.listen(back, address, DOWN).close()

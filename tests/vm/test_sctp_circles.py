# SPDX-License-Identifier: Apache-2.0
"""test_sctp_circles.py - SCTP rules that forward to berth's own listeners."""
import pytest

import sctp
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for
from sctp import Message

# Of one client: one, and five that are accepted before the last is cut.
FEW = 7
ADDRESSES = "10.72.0.1", "10.72.0.2"


def forwards(name, protocol, target, place, port=8080, namespace=None):
    return rule(name=name, namespace=namespace or place, protocol=protocol,
                port=port, forward={"to": target, "namespace": place})


def total(berthd, name):
    return berthd.ctl("stats")["total"][name]


@pytest.fixture
def ends(world):
    near, far = world.netns("near"), world.netns("far")
    world.veth(near, "eth0", far, "eth0")
    for netns, address in zip((near, far), ADDRESSES):
        netns.addr_add(address + "/24", "eth0")
    return near, far


@pytest.mark.parametrize("protocol", ["sctp", "sctp-seqpacket"])
@pytest.mark.parametrize("circle", ["one rule", "two namespaces"])
def test_it_is_cut(world, ends, protocol, circle):
    near, far = ADDRESSES
    if circle == "one rule":
        made = [forwards("self", protocol, f"{near}:8080", "far",
                         namespace="near")]
    else:
        made = [forwards("a", protocol, f"{far}:8080", "near"),
                forwards("b", protocol, f"{near}:8080", "far")]
    berthd = world.berthd(rules(*made))
    berthd.wait_delivered()
    idle = berthd.idle_relay_descriptors()
    try:
        with sctp.connect(ends[0], near) as client:
            sctp.send(client, Message(b"once"))
            assert sctp.receive(client) is None
    except ConnectionError:
        pass
    wait_for(lambda: total(berthd, "looped") > 0, "the cut")
    # What is cut was not accepted.
    assert total(berthd, "accepted") <= (1 if circle == "one rule" else FEW)
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    berthd.wait_log("in a circle")


@pytest.mark.parametrize("protocol", ["sctp", "sctp-seqpacket"])
@pytest.mark.parametrize("address", ["any", "all"])
def test_its_own_backend(world, ends, protocol, address):
    """It is not opened, and leaves the port to the server."""
    near = ADDRESSES[0]
    berthd = world.berthd(rules(rule(
        name="self", namespace="near", protocol=protocol, address=address,
        forward={"to": f"sctp://[{near},{ADDRESSES[1]}]:8080",
                 "namespace": "near"})))
    berthd.wait_log("rule 'self': .* refused: it would forward to itself")
    assert [row["state"] for row in berthd.listeners()] == ["refused"]
    sctp.listen(ends[0], near, 8080).close()


@pytest.mark.parametrize("protocol", ["sctp", "sctp-seqpacket"])
def test_a_chain_works(world, ends, protocol):
    near = ADDRESSES[0]
    backend = world.close_later(sctp.listen(ends[0]))
    port = backend.getsockname()[1]
    berthd = world.berthd(rules(
        forwards("a", protocol, f"{near}:8081", "near"),
        forwards("b", protocol, f"127.0.0.1:{port}", "near", port=8081)))
    berthd.wait_delivered()
    with sctp.connect(ends[0], near) as client:
        sctp.send(client, Message(b"ping", 0, 7))
        server = world.close_later(backend.accept()[0])
        assert sctp.receive(server) == Message(b"ping", 0, 7)
    assert total(berthd, "looped") == 0

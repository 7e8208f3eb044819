# SPDX-License-Identifier: Apache-2.0
"""test_sctp_lifetime.py - associations that are as old as the rule allows end
in order, and nothing that was said before is lost"""
import time

import sctp
from harness.rules import forward
from harness.wait import SLOWNESS, wait_equal
from sctp import Message
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401
from test_sctp_restart import SOURCE, forget

LIMIT = int(2 * SLOWNESS)
LIMITED = {"max_lifetime": f"{LIMIT}s"}
SHORTEST = 0.8 * LIMIT


def ended(berthd):
    rows = berthd.ctl("stats")["total"]["ended"]
    return {row["reason"]: row["count"] for row in rows}


@BOTH
def test_in_order(world, netns, backend, protocol):  # noqa: F811
    berthd = world.berthd(forward(to(backend), protocol=protocol,
                                  options=LIMITED))
    began = time.monotonic()
    client, server = pair(netns, backend)
    assert works(client, server)
    for sender in (client, server):
        sctp.send(sender, Message(b"the last", 3, 60))
    # Nobody reads before the association is over.
    wait_equal(lambda: ended(berthd), {"lifetime": 1}, "its end")
    assert time.monotonic() - began >= SHORTEST
    for receiver in (client, server):
        assert sctp.receive(receiver) == Message(b"the last", 3, 60)
        assert sctp.receive(receiver) is None
    assert berthd.ctl("stats")["total"]["active"] == 0
    client.close()
    server.close()


@BOTH
def test_more_than_the_backend_takes(world, netns, backend, protocol):  # noqa: F811,E501
    """What the relay has of it goes on to the backend before the end."""
    berthd = world.berthd(forward(to(backend), protocol=protocol,
                                  options=LIMITED))
    client, server = pair(netns, backend)
    sctp.stuff(client)
    assert sctp.receive(client) is None
    assert ended(berthd) == {}  # the backend has not taken all yet
    n = 0
    while (message := sctp.receive(server)):
        assert message == Message(b"x" * 50000)
        n += 1
    assert n > 0
    wait_equal(lambda: ended(berthd), {"lifetime": 1}, "its end")
    client.close()
    server.close()


@BOTH
def test_to_a_stream(world, netns, protocol):  # noqa: F811
    """The backend reads the end, and ends, too."""
    stream = world.close_later(world.host.listen())
    berthd = world.berthd(forward(
        f"tcp://{to(stream)}", protocol=protocol, options=LIMITED))
    client, server = pair(netns, stream)
    sctp.send(client, Message(b"all"))
    data = b""
    while (more := server.recv(64)):
        data += more
    assert data == b"all"
    server.close()
    assert sctp.receive(client) is None
    wait_equal(lambda: ended(berthd), {"lifetime": 1}, "its end")
    client.close()


@BOTH
def test_client_that_began_anew(world, netns, backend, protocol):  # noqa: F811
    """It has its whole time again."""
    berthd = world.berthd(forward(to(backend), protocol=protocol,
                                  options={"max_lifetime": f"{2 * LIMIT}s"}))
    client, server = pair(netns, backend, source=SOURCE)
    assert works(client, server)
    time.sleep(LIMIT)
    forget(netns, client)
    began = time.monotonic()
    client, again = pair(netns, backend, source=SOURCE)
    assert sctp.was_aborted(server)
    assert works(client, again)
    assert sctp.receive(again) is None
    assert time.monotonic() - began >= 2 * SHORTEST
    assert sctp.receive(client) is None
    wait_equal(lambda: ended(berthd), {"client-reset": 1, "lifetime": 1},
               "both ends")
    for sock in (client, server, again):
        sock.close()

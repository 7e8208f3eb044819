# SPDX-License-Identifier: Apache-2.0
"""test_sctp_connections.py - associations in the list of connections, and the
end of one of them"""
import sctp
from harness.wait import wait_equal
from sctp import Message
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401
from harness.rules import forward


def text(address):
    return f"{address[0]}:{address[1]}"


@BOTH
def test_closes_one(world, netns, backend, protocol):  # noqa: F811
    berthd = world.berthd(forward(to(backend), protocol=protocol))
    client, server = pair(netns, backend)
    kept, kept_server = pair(netns, backend)
    assert works(client, server) and works(kept, kept_server)
    sctp.send(client, Message(b"more"))
    assert sctp.receive(server) == Message(b"more")
    rows = {row["client"]: row
            for row in berthd.ctl("connections", "n")["connections"]}
    assert sorted(rows) == sorted([text(client.getsockname()),
                                   text(kept.getsockname())])
    row = rows[text(client.getsockname())]
    assert (row["protocol"], row["rule"]) == (protocol, "web")
    assert (row["local"], row["backend"]) == ("127.0.0.1:8080", to(backend))
    assert (row["state"], row["draining"]) == ("open", False)
    assert (row["bytes_in"], row["bytes_out"]) == (8, 4)
    assert row["idle_us"] <= row["age_us"]
    berthd.ctl("close", row["id"])
    assert sctp.was_aborted(client)
    assert sctp.was_aborted(server)
    assert works(kept, kept_server)
    listed = berthd.ctl("connections")["connections"]
    assert [row["client"] for row in listed] == [text(kept.getsockname())]
    wait_equal(lambda: berthd.listener(
        netns.cookie(), protocol=protocol)["counters"]["active"], 1,
        "one association to be left")

# SPDX-License-Identifier: Apache-2.0
"""test_sctp_access_log.py - a line for each association that ends"""
import json

import sctp
from harness.rules import forward
from harness.wait import wait_equal
from test_sctp import BOTH, backend, netns, pair, to, works  # noqa: F401


def objects(berthd):
    lines = [json.loads(line) for line in berthd.log().splitlines()]
    return [line for line in lines if "ending" in line]


@BOTH
def test_endings(world, netns, backend, protocol):  # noqa: F811
    text = forward(to(backend), protocol=protocol)
    berthd = world.berthd(
        {"a.yaml": text.replace("\n  forward:",
                                "\n  log: connections\n  forward:", 1)},
        args=["--log-format", "json"])
    clients = []

    def ends(by, expected):
        client, server = pair(netns, backend)
        clients.append("{}:{}".format(*client.getsockname()[:2]))
        assert works(client, server)
        by(client, server)
        wait_equal(lambda: [line["ending"] for line in objects(berthd)],
                   expected, "its line")
        client.close()
        server.close()

    def client_first(client, server):
        client.close()
        assert sctp.receive(server) in (None, b"")
        server.close()

    ends(client_first, ["client-end"])
    ends(lambda client, server: sctp.abort(client),
         ["client-end", "client-reset"])
    ends(lambda client, server: sctp.abort(server),
         ["client-end", "client-reset", "backend-reset"])
    lines = objects(berthd)
    assert [line["message"] for line in lines] == ["association"] * 3
    # Also of clients that are gone.
    assert [line["client"] for line in lines] == clients
    for line in lines:
        assert line["listener"] == f"{protocol} *:8080"
        assert (line["rule"], line["netns"]) == ("web", "n")
        assert line["backend"] == to(backend)
        assert (line["bytes_in"], line["bytes_out"]) == (4, 4)
    counted = berthd.ctl("stats")["total"]["ended"]
    assert {row["reason"]: row["count"] for row in counted} == {
        "client-end": 1, "client-reset": 1, "backend-reset": 1}

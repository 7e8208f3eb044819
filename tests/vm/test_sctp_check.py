# SPDX-License-Identifier: Apache-2.0
"""test_sctp_check.py - the relay tries SCTP backends by associations"""
import sctp
from harness.rules import forward
from harness.wait import wait_equal
from test_sctp import netns  # noqa: F401


def wait_state(berthd, expected):
    wait_equal(lambda: [(row["protocol"], row["state"], row["error"])
                        for row in berthd.ctl("backends")["backends"]],
               [expected], "the state of the backend")


def test_check(world, netns):  # noqa: F811
    """INIT is answered by ABORT where nobody listens; where somebody does, the
    association is aborted as soon as it is there."""
    backend = sctp.listen(world.host, "127.0.0.1", 0)
    port = backend.getsockname()[1]
    backend.close()
    check = {"every": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}
    berthd = world.berthd(forward(f"127.0.0.1:{port}", protocol="sctp",
                                  options={"check": check}))
    wait_state(berthd, ("sctp", "down", "ECONNREFUSED"))
    backend = world.close_later(sctp.listen(world.host, "127.0.0.1", port))
    wait_equal(lambda: berthd.ctl("backends")["backends"][0]["state"], "up",
               "the state of the backend")
    backend.accept()[0].close()

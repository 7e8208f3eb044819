# SPDX-License-Identifier: Apache-2.0
"""test_sctp_check.py - the relay tries SCTP backends by associations"""
import sctp
from harness.rules import forward, rule, rules
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


def test_elsewhere(world, front, back):
    """berthd makes and binds the socket in the backend's namespace; on the
    host the relay binds its own to the rule's address."""
    check = {"every": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}
    inside = world.close_later(sctp.listen(back, "127.0.0.1", 0))
    outside = world.close_later(sctp.listen(world.host, "127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in (inside, outside)]
    berthd = world.berthd(rules(
        rule("inside", namespace=front.name, protocol="sctp",
             forward={"to": f"127.0.0.1:{ports[0]}", "namespace": back.name,
                      "from": "127.9.8.7", "check": check}),
        rule("outside", namespace=front.name, protocol="sctp", port=8081,
             forward={"to": f"127.0.0.1:{ports[1]}", "from": "127.9.8.7",
                      "check": check})))

    def states():
        return {row["rule"]: (row["protocol"], row["state"], row["namespace"])
                for row in berthd.ctl("backends")["backends"]}

    wait_equal(states, {"inside": ("sctp", "up", back.name),
                        "outside": ("sctp", "up", None)}, "that both are up")
    inside.close()
    outside.close()
    wait_equal(states, {"inside": ("sctp", "down", back.name),
                        "outside": ("sctp", "down", None)},
               "that both are down")


def test_from_where_it_is_not(world, front):
    """No client reaches the backend from an address that is not there."""
    there = world.close_later(sctp.listen(world.host, "127.0.0.1", 0))
    berthd = world.berthd(rules(
        rule("web", namespace=front.name, protocol="sctp",
             forward={"to": f"127.0.0.1:{there.getsockname()[1]}",
                      "from": "192.0.2.1",
                      "check": {"every": "200ms", "fall": 2}})))
    wait_state(berthd, ("sctp", "down", "EADDRNOTAVAIL"))

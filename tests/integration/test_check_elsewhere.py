# SPDX-License-Identifier: Apache-2.0
"""test_check_elsewhere.py - checks of backends that are not simply connected to
from the host: in another namespace, from an address of the rule's, from the
client's."""

import re
import signal
import socket

from harness.rules import forward, rule, rules
from harness.wait import GUARD, wait_equal

OFTEN = {"every": "100ms", "rise": 1, "fall": 2}


def to(backend):
    return "{}:{}".format(*backend.getsockname())


def row_of(berthd, name, rule_name="web"):
    rows = {row["backend"]: row
            for row in berthd.ctl("backends", rule_name)["backends"]}
    return rows.get(name, {})


def wait_row(berthd, name, **expected):
    wait_equal(lambda: {key: row_of(berthd, name).get(key)
                        for key in expected},
               expected, f"what is known of {name}")
    return row_of(berthd, name)


def test_another_namespace(world, front, back, monitor):
    """Its sockets are born in there, and hold nothing; a namespace that is not
    there is a backend that is not there."""
    backend = back.listen()
    name = to(backend)
    berthd = world.berthd(forward(name, namespace="front", options={
        "namespace": "back", "check": OFTEN}))
    row = wait_row(berthd, name, state="up", checked=True)
    assert row["namespace"] == "back"
    backend.settimeout(GUARD)
    backend.accept()[0].close()
    backend.close()
    wait_row(berthd, name, state="down", error="ECONNREFUSED")
    back_again = back.listen(port=int(name.split(":")[1]))
    wait_row(berthd, name, state="up")
    # berthd is away: nothing is known of the backend, and nothing said.
    berthd.leave(signal.SIGKILL)
    berthd.start()
    wait_row(berthd, name, state="up")
    back_again.close()
    wait_row(berthd, name, state="down", error="ECONNREFUSED")
    tracked = monitor.track(back)
    back.delete()
    monitor.wait_freed(tracked)
    row = wait_row(berthd, name, state="down", error="ENOENT")
    assert re.match(rf"the backend {name} in 'back' failed \(there is no "
                    r"namespace of that name\)", row["reason"])
    assert not berthd.status()["lingering"]
    # Another one of that name.
    again = world.netns("back")
    world.close_later(again.listen(port=int(name.split(":")[1])))
    wait_row(berthd, name, state="up", failures=0)


def test_ends_with_the_namespace(world, front, back, monitor):
    """An attempt that nobody answers does not hold the namespace."""
    backend = back.listen(backlog=0)
    name = to(backend)
    fillers = []
    for _ in range(2):
        filler = back.new_socket()
        filler.setblocking(False)
        filler.connect_ex(backend.getsockname())
        fillers.append(filler)
    berthd = world.berthd(forward(name, namespace="front", options={
        "namespace": "back", "check": {"every": "1h", "timeout": "1h"}}))
    port = int(name.split(":")[1])
    # One of them waits likewise.
    wait_equal(lambda: len(back.run(
        "ss", "-Htn", "state", "syn-sent", "dport", f"= :{port}")
        .splitlines()), 2, "the check's connection")
    tracked = monitor.track(back)
    for sock in (*fillers, backend):
        sock.close()
    back.delete()
    monitor.wait_freed(tracked)
    assert berthd.status()["consumers"][0]["pid"] == berthd.relay_pid()


def test_from_and_transparent(world, front):
    """From the rule's address; and where clients are stood in for, from the
    host's own."""
    there = world.close_later(world.host.listen())
    here = world.close_later(world.host.listen())
    berthd = world.berthd(rules(
        rule(forward={"to": to(there), "from": "127.9.8.7",
                      "check": {**OFTEN, "rise": 2}}),
        rule(name="other", port=8081,
             forward={"to": to(here), "transparent": True, "check": OFTEN})))
    for sock, peer in ((there, "127.9.8.7"), (here, "127.0.0.1")):
        sock.settimeout(GUARD)
        conn, address = sock.accept()
        conn.close()
        assert address[0] == peer
    wait_row(berthd, to(there), state="up")
    wait_equal(lambda: row_of(berthd, to(here), "other").get("state"), "up",
               "the transparent rule's backend")


def test_udp_beyond_a_link(world, front, back):
    """A host refuses about one datagram a second. Its dead port stays down all
    the same, for as long as it takes until nobody answers for an address on
    the link, which the time that is waited for by default is enough for."""
    far = world.netns("far")
    world.veth(back, "eth0", far, "eth0")
    back.addr_add("10.9.0.1/24", "eth0")
    far.addr_add("10.9.0.2/24", "eth0")
    sock = far.listen("10.9.0.2", kind=socket.SOCK_DGRAM)
    dead, nobody = to(sock), "10.9.0.77:9"
    sock.close()
    # Three silent attempts in a row do not fit between two refusals.
    often = {**OFTEN, "rise": 3, "send": "?"}
    berthd = world.berthd(rules(
        rule(namespace="front", protocol="udp",
             forward={"to": dead, "namespace": "back", "check": often}),
        rule(name="other", namespace="front", protocol="udp", port=8081,
             forward={"to": nobody, "namespace": "back",
                      "check": {"send": "?", "fall": 1}})))
    wait_row(berthd, dead, state="down", error="ECONNREFUSED")

    def found():
        assert row_of(berthd, dead)["state"] == "down"
        row = row_of(berthd, nobody, "other")
        return row.get("state"), row.get("error")

    wait_equal(found, ("down", "EHOSTUNREACH"), "what is known of nobody")

# SPDX-License-Identifier: Apache-2.0
"""test_listen.py - the sockets that rules ask for, and those that wait."""

import os
import resource
import socket

import pytest

from harness import process
from harness.rules import rule, rules
from harness.wait import stays, wait_equal, wait_for


def wait_open(place, *expected):
    wait_equal(place.listeners, set(expected), "the listeners")


def one(**kwargs):
    return rules(rule(**kwargs))


@pytest.mark.parametrize("address,expected", [
    ("any", {"tcp *:80"}),
    ("any4", {"tcp 0.0.0.0:80"}),
    ("any6", {"tcp [::]:80"}),
    ("169.254.169.254", {"tcp 169.254.169.254:80"}),
    (["192.0.2.1", "2001:db8::1"],
     {"tcp 192.0.2.1:80", "tcp [2001:db8::1]:80"}),
])
def test_addresses(world, address, expected):
    netns = world.netns("n")
    world.berthd(one(address=address, port=80))
    wait_open(netns, *expected)


@pytest.mark.kernel
def test_wildcards_answer_on_their_families_only(world):
    netns = world.netns("n")
    world.berthd(rules(rule(name="four", address="any4", port=4000),
                       rule(name="six", address="any6", port=6000)))
    assert netns.ask("127.0.0.1", 4000) == b"ack"
    assert netns.refuses("::1", 4000)
    assert netns.ask("::1", 6000) == b"ack"
    assert netns.refuses("127.0.0.1", 6000)


@pytest.mark.kernel
def test_literal_address_that_comes_later(world):
    netns = world.netns("n")
    world.berthd(one(address=["192.0.2.1", "2001:db8::1"], port=80))
    before = netns.listener_inodes()
    netns.addr_add("192.0.2.1/32")
    netns.addr_add("2001:db8::1/128")
    assert netns.ask("192.0.2.1", 80) == b"ack"
    assert netns.ask("2001:db8::1", 80) == b"ack"
    assert netns.listener_inodes() == before


@pytest.mark.parametrize("port,expected", [
    ("7000-7003", {7000, 7001, 7002, 7003}),
    ([80, 443], {80, 443}),
    ([1, "65534-65535"], {1, 65534, 65535}),
])
def test_ports(world, port, expected):
    netns = world.netns("n")
    world.berthd(one(port=port))
    wait_open(netns, *(f"tcp *:{p}" for p in expected))
    for number in expected:
        assert netns.ask("127.0.0.1", number) == b"ack"


def test_protocols(world):
    netns = world.netns("n")
    world.berthd(one(protocol=["tcp", "udp"], port=53))
    wait_open(netns, "tcp *:53", "udp *:53")


@pytest.mark.kernel
def test_mptcp(world):
    netns = world.netns("n")
    world.berthd(one(protocol="mptcp", port=80))
    wait_open(netns, "mptcp *:80")
    assert netns.ask("127.0.0.1", 80) == b"ack", "by plain TCP"
    with netns.new_socket(proto=262) as sock:
        sock.connect(("127.0.0.1", 80))
        assert sock.recv(100) == b"ack"


@pytest.mark.kernel
def test_sctp_waits_where_the_kernel_has_none(world):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
        pytest.skip("this kernel has SCTP; nothing to wait for")
    except OSError:
        pass
    netns = world.netns("n")
    berthd = world.berthd(rules(
        rule(name="s", protocol="sctp", port=36412), rule(name="t")))
    wait_open(netns, "tcp *:8080")
    row = berthd.listener(netns.cookie(), port=36412, protocol="sctp")
    assert row["state"] == "waiting"
    assert row["error"] in ("EPROTONOSUPPORT", "ESOCKTNOSUPPORT")
    assert "SCTP" in row["reason"]


def test_same_endpoint_in_two_rules(world):
    """The first in order has it, the other is reported, and takes over."""
    netns = world.netns("n")
    berthd = world.berthd({
        "10-first.yaml": one(name="first", respond="first"),
        "20-second.yaml": one(name="second", respond="second")})
    assert netns.ask("127.0.0.1", 8080) == b"first"
    shadowed = berthd.ctl("explain", "n")["shadowed"]
    assert [(s["rule"], s["winner"], s["same_endpoint"])
            for s in shadowed] == [("second", "first", True)]
    before = netns.listener_inodes()
    berthd.remove_rules("10-first.yaml")
    wait_equal(lambda: netns.ask("127.0.0.1", 8080), b"second", "the other")
    assert netns.listener_inodes() == before, "the socket could have stayed"
    berthd.write_rules("10-first.yaml", one(name="first", respond="first"))
    wait_equal(lambda: netns.ask("127.0.0.1", 8080), b"first", "the first")


@pytest.mark.kernel
def test_wildcard_and_address_of_one_port(world):
    """The kernel lets only one exist: the first in order."""
    netns = world.netns("n")
    netns.addr_add("10.0.0.1/32")
    berthd = world.berthd({
        "10-each.yaml": one(name="each", address="each", respond="each",
                            match={"address": "10.0.0.0/8"}),
        "20-any.yaml": one(name="any", respond="any")})
    wait_open(netns, "tcp 10.0.0.1:8080")
    shadowed = berthd.ctl("explain", "n")["shadowed"]
    assert [(s["rule"], s["winner"], s["same_endpoint"])
            for s in shadowed] == [("any", "each", False)]
    # Without the address the wildcard is free to have the port.
    netns.addr_del("10.0.0.1/32")
    wait_open(netns, "tcp *:8080")
    assert netns.ask("127.0.0.1", 8080) == b"any"
    netns.addr_add("10.0.0.1/32")
    wait_open(netns, "tcp 10.0.0.1:8080")


@pytest.mark.kernel
def test_addresses_of_both_families_beside_wildcards_of_the_other(world):
    netns = world.netns("n")
    netns.addr_add("10.0.0.1/32")
    world.berthd(rules(
        rule(name="each", address="each", match={"address": "10.0.0.0/8"}),
        rule(name="six", address="any6")))
    wait_open(netns, "tcp 10.0.0.1:8080", "tcp [::]:8080")


@pytest.mark.kernel
def test_containers_own_server_has_the_port_and_leaves(world):
    netns = world.netns("n")
    own = netns.listen("127.0.0.1", 8080)
    berthd = world.berthd(one(port=[8080, 8081]))
    wait_open(netns, "tcp 127.0.0.1:8080", "tcp *:8081")
    row = berthd.wait_state(netns.cookie(), "waiting", port=8080)
    assert row["error"] == "EADDRINUSE"
    assert row["blocked_by"] is None
    assert row["next_attempt_us"] is not None
    own.close()
    wait_open(netns, "tcp *:8080", "tcp *:8081")
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    row = berthd.listener(netns.cookie())
    assert (row["state"], row["reason"]) == ("listening", None)


def test_waiting_listener_does_not_spin(world):
    netns = world.netns("n")
    own = netns.listen("127.0.0.1", 8080)
    berthd = world.berthd(one())
    berthd.wait_state(netns.cookie(), "waiting")
    wait_for(lambda: berthd.listener(netns.cookie())["attempts"] >= 4,
             "a few attempts")
    row = berthd.listener(netns.cookie())
    assert row["attempts"] < 12, "the attempts do not back off"
    own.close()
    wait_open(netns, "tcp *:8080")


def test_waiting_listener_is_tried_at_once_on_an_event(world):
    """An address that comes may be what it waits for."""
    netns = world.netns("n")
    berthd = world.berthd(one(address="each",
                              match={"address": "10.0.0.0/8"}))
    own = netns.listen("0.0.0.0", 8080)
    netns.addr_add("10.0.0.1/32")
    berthd.wait_state(netns.cookie(), "waiting", address="10.0.0.1")
    # By now the pause between attempts is long.
    wait_for(lambda: (berthd.listener(netns.cookie(), address="10.0.0.1")
                      ["next_attempt_us"] or 0) > 2_000_000,
             "a long pause", guard=30)
    own.close()
    netns.addr_add("10.0.0.2/32")
    wait_equal(netns.listeners, {"tcp 10.0.0.1:8080", "tcp 10.0.0.2:8080"},
               "both, before the pause is over", guard=1)


@pytest.mark.kernel
def test_port_is_not_shared_with_the_container(world):
    """No SO_REUSEPORT: nobody inside can take connections away."""
    netns = world.netns("n")
    world.berthd(one(protocol=["tcp", "udp"]))
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with netns.new_socket(kind=kind) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError):
                thief.bind(("0.0.0.0", 8080))
                if kind == socket.SOCK_STREAM:
                    thief.listen()


@pytest.mark.kernel
def test_restart_is_not_blocked_by_closing_connections(world):
    """TIME-WAIT of an earlier listener's connections holds no port."""
    netns = world.netns("n")
    berthd = world.berthd(one())
    for _ in range(20):
        assert netns.ask("127.0.0.1", 8080) == b"ack"
    berthd.stop()
    berthd.start()
    assert netns.listeners() == {"tcp *:8080"}
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def ss_line(netns, *options):
    lines = netns.run("ss", "-Hltn", *options).splitlines()
    return " ".join(lines)


@pytest.mark.kernel
@pytest.mark.parametrize("option,value,options,shows", [
    ("backlog", 17, (), " 17 "),
    ("mark", 0x1234, ("-e",), "fwmark:0x1234"),
    ("dscp", 46, ("--tos", "-e"), "tos:0xb8"),
    ("receive_buffer", "64KiB", ("-m",), "rb131072"),
    ("send_buffer", "64KiB", ("-m",), "tb131072"),
])
def test_socket_options_that_ss_shows(world, option, value, options, shows):
    netns = world.netns("n")
    entry = {"protocol": "tcp", "port": 8080, option: value}
    world.berthd(rules(rule(listen=[entry])))
    wait_open(netns, "tcp *:8080")
    assert shows in ss_line(netns, *options)
    assert netns.ask("127.0.0.1", 8080) == b"ack"


@pytest.mark.kernel
def test_interface_bound(world):
    """Reached through its interface, and by no other way."""
    a, b, c = world.netns("a"), world.netns("b"), world.netns("c")
    world.veth(a, "eth0", b, "x0")
    world.veth(a, "eth1", c, "x0")
    a.addr_add("10.0.0.1/24", "eth0")
    a.addr_add("10.9.0.1/24", "eth1")
    b.addr_add("10.0.0.2/24", "x0")
    c.addr_add("10.9.0.2/24", "x0")
    c.ip("route", "add", "10.0.0.1/32", "via", "10.9.0.1")
    berthd = world.berthd(rules(rule(
        match={"interface": "eth0"},
        listen=[{"protocol": "tcp", "address": "each", "port": 8080,
                 "interface_bound": True}])))
    wait_open(a, "tcp 10.0.0.1%eth0:8080")
    assert b.ask("10.0.0.1", 8080) == b"ack"
    assert c.refuses("10.0.0.1", 8080)
    berthd.write_rules("50-test.yaml", rules(rule(
        match={"interface": "eth0"}, address="each")))
    wait_open(a, "tcp 10.0.0.1:8080")
    assert c.ask("10.0.0.1", 8080) == b"ack"


@pytest.mark.kernel
def test_transparent(world):
    """IP_TRANSPARENT: bound to an address that is nobody's, without
    freebind."""
    netns = world.netns("n")
    netns.ip("route", "add", "local", "198.51.100.0/24", "dev", "lo")
    world.berthd(rules(rule(listen=[
        {"protocol": "tcp", "address": "any4", "port": 8080,
         "transparent": True}])))
    wait_open(netns, "tcp 0.0.0.0:8080")
    assert netns.ask("198.51.100.7", 8080) == b"ack"


def test_changed_socket_options_open_anew(world):
    netns = world.netns("n")
    berthd = world.berthd(rules(rule(listen=[
        {"protocol": "tcp", "port": 8080, "backlog": 17}])))
    assert " 17 " in ss_line(netns)
    berthd.write_rules("50-test.yaml", rules(rule(listen=[
        {"protocol": "tcp", "port": 8080, "backlog": 18}])))
    wait_for(lambda: " 18 " in ss_line(netns), "the other backlog")
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_limit_of_listeners_in_one_namespace(world):
    many, other = world.netns("many"), world.netns("other")
    berthd = world.berthd(rules(
        rule(name="many", namespace="many", port="1-60000"),
        rule(name="other", namespace="other")),
        limits={resource.RLIMIT_NOFILE: (8192, 8192)})
    assert other.ask("127.0.0.1", 8080) == b"ack"
    row = [n for n in berthd.namespaces() if n["id"] == many.cookie()][0]
    assert row["listeners"]["open"] > 0
    assert sum(row["listeners"].values()) + row["listeners_omitted"] == 60000
    assert row["listeners_omitted"] > 0
    assert len(many.listeners()) == row["listeners"]["open"]
    assert "many" in berthd.log(), "the limit is not in the log"


@pytest.mark.kernel
def test_descriptor_table_full_and_free_again(world):
    """EMFILE in berthd: listeners wait, and come when they can."""
    netns = world.netns("n")
    berthd = world.berthd(one(port="1000-1009"))
    assert len(netns.listeners()) == 10
    used = max(process.descriptors(berthd.pid)) + 1
    before = process.limit_descriptors(berthd.pid, used + 5)
    berthd.write_rules("60-more.yaml",
                       one(name="more", port="2000-2029"))
    wait_for(lambda: [r for r in berthd.listeners(netns.cookie())
                      if r["error"] == "EMFILE"], "listeners that wait")
    assert netns.ask("127.0.0.1", 1000) == b"ack"
    process.limit_descriptors(berthd.pid, before)
    wait_equal(lambda: len(netns.listeners()), 40, "all of them")
    wait_equal(lambda: netns.ask("127.0.0.1", 2029), b"ack", "the last")


def test_berthd_stays_in_its_namespace(world):
    """It may be inside another for a moment, when an event makes it look."""
    for i in range(5):
        world.netns(f"n{i}")
    berthd = world.berthd(one())
    own = os.stat("/proc/thread-self/ns/net").st_ino
    for pid in (berthd.pid, berthd.relay_pid()):
        for task in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{task}/ns/net"
            wait_equal(lambda p=path: os.stat(p).st_ino, own, path)
    stays(lambda: not [name for name in world.host.listeners()
                       if name.endswith(":8080")], "nothing on the host", 0.1)


def test_default_address_is_any(world):
    netns = world.netns("n")
    world.berthd(rules(rule(listen=[{"protocol": "tcp", "port": 8080}])))
    wait_open(netns, "tcp *:8080")


def test_hello_rule_as_people_write_it(world):
    """The hello rule of the manual."""
    netns = world.netns("ns-a")
    world.berthd("rules:\n"
                 "  - name: hello\n"
                 "    match: { host: true, namespace: \"ns-*\" }\n"
                 "    listen: [ { protocol: tcp, address: any, port: 8080 } ]"
                 "\n    respond: ack\n")
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert world.host.ask("127.0.0.1", 8080) == b"ack"


def test_limits_by_option(world):
    """In all, and per namespace; what is above it takes what gets free."""
    made = [world.netns(f"n{i}") for i in range(4)]
    berthd = world.berthd(one(port="1000-1004"), args=[
        "--max-listeners", "8", "--max-listeners-per-netns", "3"])

    def open_in_all():
        return sum(len(n.listeners()) for n in made)

    wait_equal(open_in_all, 8, "eight in all")
    assert max(len(n.listeners()) for n in made) == 3
    shown = [n for n in berthd.namespaces() if not n["host"]]
    assert [n["listeners_omitted"] for n in shown] == [2, 2, 2, 2]
    assert sum(n["listeners"]["waiting"] for n in shown) == 4
    full = next(n for n in made if len(n.listeners()) == 3)
    made.remove(full)
    full.delete()
    wait_equal(open_in_all, 8, "eight again, in the other three")


def test_address_limit_by_option(world):
    netns = world.netns("n")
    for i in range(1, 9):
        netns.addr_add(f"10.0.0.{i}/32")
    berthd = world.berthd(one(address="each"),
                          args=["--max-addresses", "4"])
    wait_equal(lambda: len(netns.listeners()), 4, "four")
    shown = [n for n in berthd.namespaces() if not n["host"]][0]
    assert shown["addresses_omitted"] == len(netns.addresses()) - 4
    for address in [a["local"] for a in netns.addresses()
                    if a["local"].startswith("10.")][:6]:
        netns.addr_del(f"{address}/32")
    wait_equal(netns.listeners,
               {f"tcp [{a['local']}]:8080" if ":" in a["local"]
                else f"tcp {a['local']}:8080" for a in netns.addresses()},
               "all four that are left")

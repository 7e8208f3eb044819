# SPDX-License-Identifier: Apache-2.0
"""test_addresses.py - interfaces and addresses, and the rules on them."""

import os
import resource
import socket
import subprocess

import pytest

from harness import process
from harness.kernel import setns
from harness.nsid import give_nsid
from harness.rules import ack, rule, rules
from harness.wait import SLOWNESS, stays, wait_equal, wait_for


def each(**match):
    return ack(address="each", match=match)


def wait_open(place, *expected):
    wait_equal(place.listeners, set(expected), "the listeners")


@pytest.mark.kernel
def test_each_address_comes_and_goes(world):
    netns = world.netns("n")
    world.berthd(each(address=["10.0.0.0/8", "fd00::/8"]))
    assert netns.listeners() == set()
    netns.addr_add("10.1.1.1/24")
    wait_open(netns, "tcp 10.1.1.1:8080")
    netns.addr_add("10.1.1.2/24")
    netns.addr_add("fd00::1/64")
    netns.addr_add("192.0.2.1/24")
    wait_open(netns, "tcp 10.1.1.1:8080", "tcp 10.1.1.2:8080",
              "tcp [fd00::1]:8080")
    assert netns.ask("10.1.1.2", 8080) == b"ack"
    assert netns.ask("fd00::1", 8080) == b"ack"
    assert netns.refuses("192.0.2.1", 8080)
    netns.addr_del("10.1.1.1/24")
    # The kernel removes the first one's secondaries with it.
    left = {f"tcp {a['local']}:8080" for a in netns.addresses()
            if a["local"].startswith("10.")}
    wait_open(netns, "tcp [fd00::1]:8080", *left)
    netns.addr_del("fd00::1/64")
    wait_open(netns, *left)


@pytest.mark.kernel
def test_addresses_that_exist_at_the_start(world):
    netns = world.netns("n")
    netns.addr_add("10.1.1.1/24")
    netns.addr_add("fd00::1/64")
    world.berthd(each(address=["10.0.0.0/8", "fd00::/8"]))
    # READY=1 was sent: no waiting.
    assert netns.listeners() == {"tcp 10.1.1.1:8080", "tcp [fd00::1]:8080"}


def test_each_without_a_condition_has_the_host_scope_too(world):
    netns = world.netns("n", up=False)
    world.berthd(each())
    assert netns.listeners() == set()
    netns.up()
    wait_open(netns, "tcp 127.0.0.1:8080", "tcp [::1]:8080")


def test_condition_on_addresses_with_a_wildcard(world):
    """The rule holds while at least one address satisfies all conditions."""
    netns = world.netns("n")
    berthd = world.berthd(ack(match={"address": "10.0.0.0/8"}))
    assert netns.listeners() == set()
    netns.addr_add("10.0.0.1/32")
    wait_open(netns, "tcp *:8080")
    before = netns.listener_inodes()
    netns.addr_add("10.0.0.2/32")
    netns.addr_del("10.0.0.1/32")
    wait_for(lambda: berthd.namespaces() and "10.0.0.1" not in
             [a["address"] for n in berthd.namespaces()
              for a in n["addresses"]], "the address to go")
    assert netns.listener_inodes() == before, "it was closed in between"
    netns.addr_del("10.0.0.2/32")
    wait_open(netns)


def test_address_patterns_with_exclusion(world):
    netns = world.netns("n")
    world.berthd(each(address=["10.0.0.0/8", "!10.9.0.0/16", "192.0.2.7"]))
    for address in ("10.9.0.1", "10.8.0.1", "192.0.2.7", "192.0.2.8"):
        netns.addr_add(f"{address}/32")
    wait_open(netns, "tcp 10.8.0.1:8080", "tcp 192.0.2.7:8080")


def test_family_condition(world):
    netns = world.netns("n")
    berthd = world.berthd(each(family="ipv6"))
    netns.addr_add("10.0.0.1/32")
    netns.addr_add("fd00::1/128")
    wait_open(netns, "tcp [::1]:8080", "tcp [fd00::1]:8080")
    berthd.write_rules("50-test.yaml", each(family="ipv4"))
    wait_open(netns, "tcp 127.0.0.1:8080", "tcp 10.0.0.1:8080")


def test_scope_condition(world):
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "eth0")
    a.addr_add("10.0.0.1/24", "eth0")
    berthd = world.berthd(each(scope="host"))
    wait_open(a, "tcp 127.0.0.1:8080", "tcp [::1]:8080")
    berthd.write_rules("50-test.yaml", each(scope="global"))
    wait_open(a, "tcp 10.0.0.1:8080")


@pytest.mark.kernel
def test_link_local_listener_has_its_scope(world):
    a, b = world.netns("a"), world.netns("b")
    berthd = world.berthd(each(scope="link", family="ipv6"))
    world.veth(a, "eth0", b, "eth0")
    link_local = wait_for(
        lambda: [x for x in a.addresses() if x["scope"] == "link"
                 and not x.get("tentative")], "DAD to end")[0]
    address = link_local["local"]
    wait_open(a, f"tcp [{address}]%eth0:8080")
    index = [x["ifindex"] for x in b.addresses() if x["ifname"] == "eth0"][0]
    wait_for(lambda: b.listeners(), "the peer's own address")
    assert b.ask(f"{address}%{index}", 8080) == b"ack"
    row = [r for r in berthd.listeners(a.cookie()) if r["port"] == 8080][0]
    assert row["address"] == f"{address}%{link_local['ifindex']}"
    assert row["interface"] == "eth0"


def test_link_local_only_when_asked(world):
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "eth0")
    wait_for(lambda: [x for x in a.addresses() if x["scope"] == "link"
                      and not x.get("tentative")], "DAD to end")
    a.addr_add("10.0.0.1/24", "eth0")
    world.berthd(each(interface="eth0"))
    assert a.listeners() == {"tcp 10.0.0.1:8080"}
    a.addr_add("10.0.0.2/24", "eth0")
    wait_open(a, "tcp 10.0.0.1:8080", "tcp 10.0.0.2:8080")


@pytest.mark.kernel
def test_tentative_address_is_not_usable_yet(world):
    """No attempt to bind before the kernel ended DAD, and at once then."""
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "eth0")
    # Each probe is a second in which the state can be looked at.
    a.sysctl("net.ipv6.conf.eth0.dad_transmits", round(SLOWNESS))
    berthd = world.berthd(each(address="fd00::/8"))
    a.addr_add("fd00::1/64", "eth0", "dad")

    def state():
        return [x for x in a.addresses() if x["local"] == "fd00::1"][0]

    seen_tentative = 0
    while state().get("tentative"):
        row = berthd.listener(a.cookie(), address="fd00::1")
        listeners = a.listeners()
        if state().get("tentative"):
            assert row is None, row
            assert listeners == set()
            seen_tentative += 1
    assert seen_tentative, "DAD was over before it could be observed"
    wait_open(a, "tcp [fd00::1]:8080")
    row = berthd.listener(a.cookie(), address="fd00::1")
    assert row["attempts"] == 0, "it was tried too early"


def duplicate_address(world):
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "eth0")
    b.addr_add("fd00::1/64", "eth0")
    wait_for(lambda: [x for x in b.addresses() if x["scope"] == "link"
                      and not x.get("tentative")], "the link to work")
    return a, b


def dad_failed(place, address):
    return [x for x in place.addresses() if x["local"] == address
            and x.get("dadfailed")]


@pytest.mark.kernel
def test_duplicate_address_never_gets_a_listener(world):
    a, b = duplicate_address(world)
    berthd = world.berthd(each(address="fd00::/8"))
    wait_open(b, "tcp [fd00::1]:8080")
    a.addr_add("fd00::1/64", "eth0", "dad")
    wait_for(lambda: dad_failed(a, "fd00::1"), "DAD to fail")
    a.addr_add("fd00::2/64", "eth0")
    wait_open(a, "tcp [fd00::2]:8080")
    netns = [n for n in berthd.namespaces() if n["id"] == a.cookie()][0]
    usable = {x["address"]: x["usable"] for x in netns["addresses"]}
    assert usable["fd00::1"] is False and usable["fd00::2"] is True
    assert berthd.listener(a.cookie(), address="fd00::1") is None
    # The duplicate goes, and the address is tried again.
    b.addr_del("fd00::1/64", "eth0")
    a.addr_del("fd00::1/64", "eth0")
    a.addr_add("fd00::1/64", "eth0", "dad")
    wait_open(a, "tcp [fd00::1]:8080", "tcp [fd00::2]:8080")


def test_duplicate_address_that_exists_at_the_start(world):
    a, _ = duplicate_address(world)
    a.addr_add("fd00::1/64", "eth0", "dad")
    wait_for(lambda: dad_failed(a, "fd00::1"), "DAD to fail")
    world.berthd(each(address="fd00::/8"))
    assert a.listeners() == set()


@pytest.mark.kernel
def test_deprecated_address_keeps_its_listener(world):
    netns = world.netns("n")
    netns.addr_add("fd00::1/64")
    world.berthd(each(address="fd00::/8"))
    before = netns.listener_inodes()
    assert set(before) == {"tcp [fd00::1]:8080"}
    netns.ip("addr", "change", "fd00::1/64", "dev", "lo", "preferred_lft",
             "0", "valid_lft", "3600")
    wait_for(lambda: [x for x in netns.addresses() if x.get("deprecated")],
             "the address to be deprecated")
    netns.addr_add("fd00::2/64", "lo", "preferred_lft", "0")
    wait_open(netns, "tcp [fd00::1]:8080", "tcp [fd00::2]:8080")
    assert netns.listener_inodes()["tcp [fd00::1]:8080"] \
        == before["tcp [fd00::1]:8080"]


@pytest.mark.kernel
def test_address_whose_lifetime_ends(world):
    """The kernel removes it, and nobody else says so."""
    netns = world.netns("n")
    world.berthd(each(address=["fd00::/8", "10.0.0.0/8"]))
    netns.addr_add("fd00::1/64", "lo", "valid_lft", "2", "preferred_lft", "1")
    netns.addr_add("10.0.0.1/24", "lo", "valid_lft", "2", "preferred_lft",
                   "1")
    wait_open(netns, "tcp [fd00::1]:8080", "tcp 10.0.0.1:8080")
    wait_open(netns)


@pytest.mark.kernel
def test_interface_condition_and_rename(world):
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "tmp0", b, "x0")
    a.addr_add("10.0.0.1/24", "tmp0")
    berthd = world.berthd(each(interface="eth*"))
    assert a.listeners() == set()
    a.down("tmp0")
    a.ip("link", "set", "tmp0", "name", "eth0")
    a.up("eth0")
    wait_open(a, "tcp 10.0.0.1:8080")
    assert berthd.listener(a.cookie(),
                           address="10.0.0.1")["interface"] == "eth0"
    a.down("eth0")
    a.ip("link", "set", "eth0", "name", "tmp0")
    wait_open(a)


def test_interface_renamed_within_the_pattern(world):
    """Both names match: the listener stays, and shows the new name."""
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "x0")
    a.addr_add("10.0.0.1/24", "eth0")
    berthd = world.berthd(each(interface="eth*"))
    before = a.listener_inodes()
    assert before
    a.down("eth0")
    a.ip("link", "set", "eth0", "name", "eth7")
    wait_for(lambda: berthd.listener(
        a.cookie(), address="10.0.0.1")["interface"] == "eth7", "the name")
    assert a.listener_inodes() == before


@pytest.mark.kernel
def test_interface_removed(world):
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "x0")
    a.addr_add("10.0.0.1/24", "eth0")
    a.addr_add("fd00::1/64", "eth0")
    a.addr_add("10.0.0.9/32")
    world.berthd(each(address=["10.0.0.0/8", "fd00::/8"]))
    wait_open(a, "tcp 10.0.0.1:8080", "tcp [fd00::1]:8080",
              "tcp 10.0.0.9:8080")
    b.ip("link", "del", "x0")
    wait_open(a, "tcp 10.0.0.9:8080")


@pytest.mark.kernel
def test_interface_moves_to_another_namespace(world):
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", world.host, "bt-peer")
    a.addr_add("10.0.0.1/24", "eth0")
    world.berthd(each(interface="eth0"))
    wait_open(a, "tcp 10.0.0.1:8080")
    fd = b.open_fd()
    inside = subprocess.Popen(["sleep", "60"],
                              preexec_fn=lambda: setns(fd))
    try:
        a.ip("link", "set", "eth0", "netns", str(inside.pid))
    finally:
        inside.kill()
        inside.wait()
    os.close(fd)
    wait_open(a)
    b.up("eth0")
    b.addr_add("10.0.0.2/24", "eth0")
    wait_open(b, "tcp 10.0.0.2:8080")


@pytest.mark.kernel
def test_interface_down_and_up(world):
    """IPv6 addresses go with the link, IPv4 addresses stay."""
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "x0")
    a.addr_add("10.0.0.1/24", "eth0")
    a.addr_add("fd00::1/64", "eth0")
    world.berthd(each(interface="eth0"))
    wait_open(a, "tcp 10.0.0.1:8080", "tcp [fd00::1]:8080")
    a.down("eth0")
    wait_open(a, "tcp 10.0.0.1:8080")
    a.up("eth0")
    a.addr_add("fd00::2/64", "eth0")
    wait_open(a, "tcp 10.0.0.1:8080", "tcp [fd00::2]:8080")


def test_same_address_on_two_interfaces(world):
    """One listener while at least one of them has it."""
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "x0")
    world.veth(a, "eth1", b, "x1")
    a.addr_add("10.0.0.1/32", "eth0")
    a.addr_add("10.0.0.1/32", "eth1")
    berthd = world.berthd(each(interface="eth*"))
    before = a.listener_inodes()
    assert set(before) == {"tcp 10.0.0.1:8080"}
    a.addr_del("10.0.0.1/32", "eth0")
    wait_for(lambda: berthd.listener(
        a.cookie(), address="10.0.0.1")["interface"] == "eth1", "eth1")
    assert a.listener_inodes() == before
    a.addr_del("10.0.0.1/32", "eth1")
    wait_open(a)


def bound(**kwargs):
    """Rules that answer on each interface for itself, by TCP and UDP."""
    return rules(rule(match=kwargs, listen=[
        {"protocol": ["tcp", "udp"], "address": "each", "port": 8080,
         "interface_bound": True}]))


def answers(place, address):
    """Over TCP and over UDP?"""
    try:
        with place.new_socket(kind=socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect((address, 8080))
            sock.send(b"?")
            return (sock.recv(10) == b"ack" and
                    place.ask(address, 8080) == b"ack")
    except OSError:
        return False


@pytest.mark.kernel
def test_same_address_on_two_interfaces_bound(world):
    """One listener for each; what each network sends to the address is
    answered by its own, and one's end does not touch the other."""
    a, b, c = world.netns("a"), world.netns("b"), world.netns("c")
    world.veth(a, "eth0", b, "x0")
    world.veth(a, "eth1", c, "x0")
    a.addr_add("10.0.0.1/32", "eth0")
    a.addr_add("10.0.0.1/32", "eth1")
    b.addr_add("10.0.1.2/32", "x0")
    c.addr_add("10.0.2.2/32", "x0")
    b.ip("route", "add", "10.0.0.1", "dev", "x0", "src", "10.0.1.2")
    c.ip("route", "add", "10.0.0.1", "dev", "x0", "src", "10.0.2.2")
    a.ip("route", "add", "10.0.1.2", "dev", "eth0")
    a.ip("route", "add", "10.0.2.2", "dev", "eth1")
    berthd = world.berthd(bound(interface="eth*"))
    both = [f"{protocol} 10.0.0.1%{ifname}:8080"
            for protocol in ("tcp", "udp") for ifname in ("eth0", "eth1")]
    wait_open(a, *both)
    assert sorted(row["interface"] for row in berthd.listeners()) \
        == ["eth0", "eth0", "eth1", "eth1"]
    assert answers(b, "10.0.0.1") and answers(c, "10.0.0.1")
    before = a.listener_inodes()
    a.addr_del("10.0.0.1/32", "eth0")
    wait_open(a, *(one for one in both if "eth1" in one))
    assert all(before[one] == inode
               for one, inode in a.listener_inodes().items())
    assert answers(c, "10.0.0.1") and not answers(b, "10.0.0.1")


@pytest.mark.kernel
def test_interface_made_again_at_once(world):
    """Its name and its address are what they were, and berthd hears of both
    changes at once: the sockets are bound to the one that there is."""
    a, b = world.netns("a"), world.netns("b")

    def link():
        world.veth(a, "eth0", b, "x0")
        a.addr_add("10.0.0.1/24", "eth0")
        b.addr_add("10.0.0.2/24", "x0")

    link()
    berthd = world.berthd(bound(interface="eth0"))
    wait_open(a, "tcp 10.0.0.1%eth0:8080", "udp 10.0.0.1%eth0:8080")
    assert answers(b, "10.0.0.1")
    with process.stopped(berthd.pid):
        a.ip("link", "del", "eth0")
        link()
    wait_for(lambda: answers(b, "10.0.0.1"), "both answers")


@pytest.mark.kernel
def test_interface_renamed_while_bound(world):
    """It is the same interface, so the sockets stay."""
    a, b = world.netns("a"), world.netns("b")
    world.veth(a, "eth0", b, "x0")
    a.addr_add("10.0.0.1/24", "eth0")
    b.addr_add("10.0.0.2/24", "x0")
    berthd = world.berthd(bound(interface="eth*"))
    wait_open(a, "tcp 10.0.0.1%eth0:8080", "udp 10.0.0.1%eth0:8080")
    before = set(a.listener_inodes().values())
    a.down("eth0")
    a.ip("link", "set", "eth0", "name", "eth7")
    a.up("eth7")
    wait_for(lambda: {row["interface"] for row in berthd.listeners()}
             == {"eth7"}, "eth7")
    wait_open(a, "tcp 10.0.0.1%eth7:8080", "udp 10.0.0.1%eth7:8080")
    assert set(a.listener_inodes().values()) == before
    assert answers(b, "10.0.0.1")


@pytest.mark.kernel
def test_namespace_that_already_has_an_nsid(world):
    """Others number namespaces too; berth takes what there is."""
    numbered = world.netns("numbered")
    nsid = give_nsid(numbered)
    berthd = world.berthd(each(address="10.0.0.0/8"))
    numbered.addr_add("10.0.0.1/32")
    wait_open(numbered, "tcp 10.0.0.1:8080")
    shown = [n for n in berthd.namespaces() if n["id"] == numbered.cookie()]
    assert shown[0]["nsid"] == nsid


@pytest.mark.kernel
def test_reused_nsid_is_not_confused(world):
    """Numbers come back for other namespaces; events go to the right one."""
    world.berthd(each(address="10.0.0.0/8"))
    for i in range(20):
        netns = world.netns(f"n{i}")
        netns.addr_add(f"10.0.0.{i + 1}/32")
        wait_open(netns, f"tcp 10.0.0.{i + 1}:8080")
        netns.delete()


def test_host_addresses(world):
    berthd = world.berthd(rules(rule(
        namespace=None, address="each",
        match={"host": True, "address": "10.77.0.0/16"})))
    world.host.addr_add("10.77.0.1/32")
    try:
        wait_open(world.host, "tcp 10.77.0.1:8080")
        assert world.host.ask("10.77.0.1", 8080) == b"ack"
    finally:
        world.host.addr_del("10.77.0.1/32")
    wait_open(world.host)
    assert berthd.listeners() == []


def test_address_flood_costs_itself_only(world):
    """5,000 addresses in one namespace meet the limit; others are served."""
    flood, other = world.netns("flood"), world.netns("other")
    berthd = world.berthd(
        each(address=["10.0.0.0/8", "192.0.2.0/24"]),
        limits={resource.RLIMIT_NOFILE: (16384, 16384)})
    flood.ip_batch([f"addr add 10.1.{i // 250}.{i % 250 + 1}/32 dev lo"
                    for i in range(5000)])
    other.addr_add("192.0.2.1/32")
    wait_open(other, "tcp 192.0.2.1:8080")
    assert other.ask("192.0.2.1", 8080) == b"ack"

    def shown():
        return [n for n in berthd.namespaces()
                if n["id"] == flood.cookie()][0]

    settled = wait_for(
        lambda: (n := shown())
        and len(n["addresses"]) + n["addresses_omitted"] >= 5000
        and n, "all addresses to be counted")
    limit = settled["listeners"]["open"]
    assert 0 < limit < 5000, settled["listeners"]
    assert settled["addresses_omitted"] + settled["listeners_omitted"] > 0
    wait_equal(lambda: len(flood.listeners()), limit, "listeners up to it")
    assert "flood" in berthd.log(), "the limit is not in the log"
    # What is below the limit is exactly what is wanted, again and again.
    flood.ip("addr", "flush", "dev", "lo", "to", "10.0.0.0/8")
    wait_open(flood)
    flood.addr_add("10.200.0.1/32")
    wait_open(flood, "tcp 10.200.0.1:8080")
    stays(lambda: other.listeners() == {"tcp 192.0.2.1:8080"},
          "the other namespace's listener", 0.2)

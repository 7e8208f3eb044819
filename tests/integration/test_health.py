# SPDX-License-Identifier: Apache-2.0
"""test_health.py - can anybody reach a listener, and does somebody answer?"""

import os
import re
import socket

import pytest

from harness.rules import ack, forward, rule, rules
from harness.wait import wait_equal, wait_for


def health(berthd, netns, port=8080):
    """(health, health_reason) of the one listener of that port, as the list
    and as an explanation have it."""
    return tuple((row["health"], row["health_reason"])
                 for row in (*berthd.ctl("listeners", netns.name)["listeners"],
                             *berthd.ctl("explain", netns.name)["listeners"])
                 if row["port"] == port)


def wait_health(berthd, netns, state, reason, port=8080):
    """Events of addresses arrive by themselves."""
    wait_equal(lambda: health(berthd, netns, port), ((state, reason),) * 2,
               f"port {port} to be {state}")


def reached(netns, address):
    """Can a client inside connect? Where it cannot, nothing answers."""
    try:
        netns.connect(address, 8080, timeout=0.1).close()
    except OSError:
        return False
    return True


def served(world, text, **kwargs):
    berthd = world.berthd(text, **kwargs)
    berthd.wait_delivered()
    return berthd


@pytest.mark.kernel
def test_literal_address_and_its_interface(world):
    netns = world.netns("n", up=False)
    berthd = served(world, ack(address="192.0.2.1"))
    wait_health(berthd, netns, "unreachable", "no interface has 192.0.2.1")
    netns.addr_add("192.0.2.1/32")
    wait_health(berthd, netns, "unreachable",
                "lo is down, which is to have 192.0.2.1")
    assert not reached(netns, "192.0.2.1")
    netns.up()
    wait_health(berthd, netns, "ok", None)
    assert netns.ask("192.0.2.1", 8080) == b"ack"
    netns.addr_del("192.0.2.1/32")
    wait_health(berthd, netns, "unreachable", "no interface has 192.0.2.1")
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name",
             "v1")
    netns.addr_add("192.0.2.1/24", "v0")
    wait_health(berthd, netns, "limited",
                "the interface v0 is down, which has 192.0.2.1: only clients "
                "in the namespace reach it")
    assert netns.ask("192.0.2.1", 8080) == b"ack"
    netns.down()
    wait_health(berthd, netns, "unreachable",
                "the interface v0 is down, which has 192.0.2.1")
    assert not reached(netns, "192.0.2.1")
    netns.up("v0")
    wait_health(berthd, netns, "limited", "lo is down: only clients from "
                "outside the namespace reach it")
    assert not reached(netns, "192.0.2.1")
    netns.up()
    wait_health(berthd, netns, "ok", None)
    assert netns.ask("192.0.2.1", 8080) == b"ack"
    netns.ip("link", "del", "v0")
    wait_health(berthd, netns, "unreachable", "no interface has 192.0.2.1")


@pytest.mark.kernel
def test_loopback_brings_its_addresses(world):
    """127.0.0.1 and ::1 come with lo, and the rest of 127/8 is local too."""
    netns = world.netns("n", up=False)
    berthd = served(world, ack(address=["127.0.0.7", "::1"]))

    def healths():
        return {row["address"]: (row["health"], row["health_reason"])
                for row in berthd.ctl("listeners", "n")["listeners"]}

    wait_equal(healths, {
        "127.0.0.7": ("unreachable", "lo is down, which is to have 127.0.0.7"),
        "::1": ("unreachable", "lo is down, which is to have ::1")}, "both")
    netns.up()
    wait_equal(healths, {"127.0.0.7": ("ok", None), "::1": ("ok", None)},
               "both")
    assert netns.ask("127.0.0.7", 8080) == b"ack"
    assert netns.ask("::1", 8080) == b"ack"


@pytest.mark.kernel
def test_wildcards(world):
    netns = world.netns("n", up=False)
    berthd = served(world, rules(
        rule(name="any"), rule(name="any4", port=4, address="any4"),
        rule(name="any6", port=6, address="any6")))
    wait_health(berthd, netns, "unreachable",
                "lo is down, and no other interface has an address")
    wait_health(berthd, netns, "unreachable",
                "lo is down, and no other interface has an IPv6 address", 6)
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name",
             "v1")
    netns.addr_add("192.0.2.1/24", "v0")
    wait_health(berthd, netns, "unreachable",
                "each interface that has an address is down")
    netns.up("v0")
    elsewhere = "lo is down: only clients from outside the namespace reach it"
    wait_health(berthd, netns, "limited", elsewhere)
    wait_health(berthd, netns, "limited", elsewhere, 4)
    netns.up()
    wait_health(berthd, netns, "ok", None)
    wait_health(berthd, netns, "ok", None, 4)
    wait_health(berthd, netns, "ok", None, 6)
    netns.addr_del("::1/128")
    netns.sysctl("net.ipv6.conf.v0.disable_ipv6", 1)
    wait_health(berthd, netns, "unreachable",
                "no interface has an IPv6 address", 6)
    text = berthd.ctl_text("listeners")
    assert re.search(r"^LISTENER .* STATE +HEALTH +DETAIL$", text, re.M)
    assert re.search(r"any6 .*listening +unreachable +no interface has an "
                     r"IPv6 address$", text, re.M)


@pytest.mark.kernel
def test_duplicate_address_detection(world):
    """One of two hosts on a link has the address first."""
    one, other = world.netns("one"), world.netns("other")
    world.veth(one, "e0", other, "e0", dad=False)
    one.addr_add("fd98::9/64", "e0")
    other.sysctl("net.ipv6.conf.e0.accept_dad", 1)
    other.sysctl("net.ipv6.conf.e0.dad_transmits", 1)
    berthd = served(world, rules(
        rule(namespace="other", address="fd98::9"),
        rule(name="each", namespace="other", address="each", port=9,
             match={"address": ["fd98::/16"]})))
    other.addr_add("fd98::9/64", "e0", "dad")
    wait_health(berthd, other, "unreachable",
                "duplicate address detection failed on fd98::9, interface e0")
    (verdict,) = [rule for rule in berthd.ctl("explain", "other")["rules"]
                  if rule["name"] == "each"]
    assert not verdict["matches"]
    assert verdict["reason"] == ("address: duplicate address detection failed "
                                 "on fd98::9 on e0, and no other matches")


@pytest.mark.kernel
def test_tentative(world):
    """Detection that asks again and again goes on as long as it is let."""
    netns = world.netns("n")
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    # Without the other end there is no carrier, and detection waits for one.
    netns.up("v0")
    berthd = served(world, rules(
        rule(address="fd98::1"),
        rule(name="each", address="each", port=9,
             match={"address": ["fd98::/16"]})))
    netns.addr_add("fd98::1/64", "v0", "dad")
    wait_health(berthd, netns, "unreachable",
                "duplicate address detection runs on fd98::1, interface v0")
    (verdict,) = [rule for rule in berthd.ctl("explain", "n")["rules"]
                  if rule["name"] == "each"]
    assert verdict["reason"] == ("address: duplicate address detection runs "
                                 "on fd98::1 on v0, and no other matches")
    netns.up("v1")
    wait_health(berthd, netns, "ok", None)


def test_more_addresses_than_are_kept(world):
    netns = world.netns("n")
    for n in range(1, 4):
        netns.addr_add(f"192.0.2.{n}/32")
    berthd = served(world, ack(address="198.51.100.1"),
                    args=["--max-addresses", "2"])
    (state, reason), _ = health(berthd, netns)
    assert state == "unknown" and "max_addresses" in reason


def test_not_listening_or_not_delivered(world):
    netns = world.netns("n")
    taken = world.close_later(netns.listen("0.0.0.0", 8080))
    berthd = world.berthd(rules(rule(), rule(name="mine", port=8081,
                                             handoff="nobody")))
    (state, reason), _ = health(berthd, netns)
    assert state == "unreachable" and "port" in reason
    wait_health(berthd, netns, "backend-down",
                "its consumer does not have it yet", 8081)
    taken.close()


def test_limit(world):
    netns = world.netns("n")
    backend = world.close_later(netns.listen())
    berthd = served(world, forward(
        f"127.0.0.1:{backend.getsockname()[1]}",
        options={"max_connections": 2, "namespace": "n"}))
    clients = [world.close_later(netns.connect("127.0.0.1", 8080))
               for _ in range(2)]
    wait_health(berthd, netns, "limited",
                "limit 2 reached, the next client waits")
    clients.append(world.close_later(netns.connect("127.0.0.1", 8080)))
    wait_health(berthd, netns, "limited", "limit 2 reached, clients wait")
    for client in clients:
        client.close()
    for _ in clients:
        backend.accept()[0].close()
    wait_health(berthd, netns, "ok", None)


def test_backlog(world):
    """A program that does not accept, by a listener of berth's."""
    netns = world.netns("n")
    entry = {"protocol": "tcp", "address": "any", "port": 8080, "backlog": 11}
    berthd = world.berthd(rules(rule(listen=[entry], handoff="sleeper")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as consumer:
        consumer.connect(str(berthd.runtime / "consumers/sleeper.sock"))
        consumer.send(b'{"type":"hello","version":1,"name":"sleeper"}')
        wait_health(berthd, netns, "ok", None)
        for _ in range(11):
            world.close_later(netns.connect("127.0.0.1", 8080))
        wait_health(berthd, netns, "limited",
                    "11 in the backlog, which is full")
    # Without the consumer they wait on, but nobody would answer them.
    wait_health(berthd, netns, "backend-down",
                "its consumer does not have it yet")


def test_udp_limit_and_one_in_the_backlog(world):
    netns = world.netns("n")
    backend = world.close_later(netns.listen(kind=socket.SOCK_DGRAM))
    berthd = served(world, rules(
        rule(protocol="udp", forward={
            "to": f"127.0.0.1:{backend.getsockname()[1]}", "namespace": "n",
            "max_connections": 1}),
        rule(name="sleeper", port=8081, handoff="sleeper")))
    with netns.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", 8080))
        backend.recv(1)
        wait_health(berthd, netns, "limited", "limit 1 reached, new sessions "
                    "take the place of idle ones")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as consumer:
        consumer.connect(str(berthd.runtime / "consumers/sleeper.sock"))
        consumer.send(b'{"type":"hello","version":1,"name":"sleeper"}')
        wait_health(berthd, netns, "ok", None, 8081)
        world.close_later(netns.connect("127.0.0.1", 8081))
        wait_health(berthd, netns, "ok", "1 in the backlog", 8081)


def relay_ids(berthd):
    status = open(f"/proc/{berthd.relay_pid()}/status", encoding="ascii").read()
    return tuple(int(re.search(rf"^{key}:\s+(\d+)", status, re.M)[1])
                 for key in ("Uid", "Gid"))


@pytest.fixture
def socket_dir(world):
    """Open to everybody, up to the root."""
    path = world.mkdir("sockets")
    for directory in [path, *path.parents]:
        if directory.stat().st_mode & 0o001 == 0:
            directory.chmod(directory.stat().st_mode | 0o011)
    return path


def test_unix_socket_of_a_backend(world, socket_dir):
    netns = world.netns("n")
    path = socket_dir / "s"
    berthd = served(world, forward(f"unix:{path}"))
    uid, gid = relay_ids(berthd)
    wait_health(berthd, netns, "backend-down",
                f"the UNIX socket {path} does not exist")
    path.write_text("")
    wait_health(berthd, netns, "backend-down", f"{path} is no UNIX socket")
    path.unlink()
    backend = world.close_later(socket.socket(socket.AF_UNIX))
    backend.bind(str(path))
    backend.listen()
    os.chmod(path, 0o600)
    wait_health(berthd, netns, "backend-down",
                f"the UNIX socket {path} admits uid 0 (mode 0600), and "
                f"berth-relay is uid {uid}, gid {gid}")
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)
    wait_health(berthd, netns, "ok", None)
    os.chown(path, uid, 0)
    os.chmod(path, 0o060)
    wait_health(berthd, netns, "backend-down",
                f"the UNIX socket {path} admits gid 0 (mode 0060), and "
                f"berth-relay is uid {uid}, gid {gid}")
    os.chmod(path, 0o666)
    os.chmod(socket_dir, 0o700)
    wait_health(berthd, netns, "backend-down",
                f"the directory {socket_dir} admits uid 0 (mode 0700), and "
                f"berth-relay is uid {uid}, gid {gid}")
    os.chmod(socket_dir, 0o711)
    wait_health(berthd, netns, "ok", None)
    # One of two backends is enough.
    berthd.write_rules("50-test.yaml", forward(
        [f"unix:{socket_dir}/none", f"unix:{path}"]))
    berthd.ctl_text("reload")
    wait_health(berthd, netns, "ok", None)


def test_what_is_shown_costs_no_plan(world):
    """Health needs addresses; no rule here does, so nothing is planned."""
    netns = world.netns("n")
    berthd = served(world, ack())
    wait_health(berthd, netns, "ok", None)
    (shown,) = [one for one in berthd.namespaces()
                if one["names"] and one["names"][0]["name"] == "n"]
    assert not shown["addresses_known"] and shown["addresses"] == []
    before = berthd.status()["events"]["planned"]
    netns.addr_add("192.0.2.1/32")
    netns.down()
    wait_health(berthd, netns, "unreachable",
                "lo is down, and no other interface has an address")
    assert berthd.status()["events"]["planned"] == before


def test_a_rule_that_needs_addresses_later(world):
    """What was only shown becomes what a plan needs: each change counts."""
    netns = world.netns("n")
    berthd = served(world, ack())
    wait_health(berthd, netns, "ok", None)
    berthd.write_rules("50-test.yaml",
                       ack(address="each", match={"address": ["10.0.0.0/8"]}))
    berthd.ctl_text("reload")
    wait_equal(netns.listeners, set(), "no listener")
    netns.addr_add("10.0.0.1/32")
    wait_equal(netns.listeners, {"tcp 10.0.0.1:8080"}, "the address's")
    wait_health(berthd, netns, "ok", None)


def test_metrics_count_by_rule_and_reason(world):
    world.netns("n1", up=False)
    world.netns("n2")
    berthd = served(world, rules(
        rule(address=["127.0.0.1", "192.0.2.1"]),
        rule(name="mine", port=8081, namespace="n2", handoff="nobody")))

    def counted():
        return {(labels["rule"], labels["reason"]): int(count)
                for labels, count in (
                    (dict(re.findall(r'(\w+)="([^"]*)"', line)),
                     line.split()[-1])
                    for line in berthd.ctl_text("metrics").splitlines()
                    if line.startswith("berth_listeners_unreachable{"))}

    wait_equal(counted, {("web", "no_address"): 2, ("web", "lo_down"): 1,
                         ("mine", "no_consumer"): 1}, "the reasons")


def test_file_with_errors_is_named_at_the_end(world):
    world.netns("n")
    berthd = served(world, ack())
    assert "Problem" not in berthd.ctl_text("explain", "n")
    berthd.write_rules("50-test.yaml", "rules: [ { name: web, portt: 1 } ]")
    berthd.write_rules("60-new.yaml", "rules: 7\n")

    def explained():
        text = berthd.ctl_text("explain", "n")
        return "60-new" in text and "50-test" in text and text

    text = wait_for(explained, "both files")
    end = text[text.index("Problems in the rule files"):]
    assert re.search(r"50-test\.yaml:1:\d+: .*\n"
                     r".*: the last good version stays in force", end)
    assert re.search(r"60-new\.yaml:1:\d+: .*\n.*: no rule of it is in force", end)

# SPDX-License-Identifier: Apache-2.0
"""test_provide.py - rules give namespaces the addresses that they listen on,
and take away what they gave."""

import json
import os
import socket
import subprocess

import pytest

from harness import kernel
from harness.netns import Netns
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for

METADATA = "169.254.169.254"
METADATA6 = "fd00:ec2::254"
MARK = 190  # IFA_PROTO, as doc/berth-rules.5 has it


def providing(name="metadata", port=80, address=METADATA, provide=None,
              **kwargs):
    made = rule(name=name, port=port, address=address, **kwargs)
    made["provide"] = provide or {"loopback": "up",
                                  "addresses": [f"{METADATA}/32"]}
    return made


def addresses(netns, dev="lo"):
    """Those of one interface, but for loopback's own."""
    return {f"{a['local']}/{a['prefixlen']}" for a in netns.addresses()
            if a["ifname"] == dev
            and a["local"] not in ("127.0.0.1", "::1")}


def is_up(netns, dev="lo"):
    link, = json.loads(netns.ip("-j", "link", "show", dev))
    return "UP" in link["flags"]


def wait_addresses(netns, *expected, dev="lo"):
    wait_equal(lambda: addresses(netns, dev), set(expected), "the addresses")


def provisions(berthd, netns):
    reply = berthd.ctl("explain", netns.name)
    return [(p["address"] or "up", p["state"]) for p in reply["provisions"]]


def wait_provisions(berthd, netns, *expected):
    wait_equal(lambda: provisions(berthd, netns), list(expected),
               "the provisions")


def wait_reason(berthd, netns, text):
    def found():
        reply = berthd.ctl("explain", netns.name)
        return any(text in (p["reason"] or "") for p in reply["provisions"])

    wait_for(found, f"the reason {text!r}")


def wait_answer(netns, address=METADATA, port=80):
    def answers():
        try:
            return netns.ask(address, port) == b"ack"
        except OSError:
            return False

    wait_for(answers, f"an answer from {address}")


def notes(berthd):
    return {int(path.stem): json.loads(path.read_text())["addresses"]
            for path in (berthd.runtime / "provided").glob("*.json")}


@pytest.mark.kernel
def test_metadata_in_a_fresh_namespace(world):
    berthd = world.berthd(rules(providing(
        provide={"loopback": "up",
                 "addresses": [f"{METADATA}/32", f"{METADATA6}/128"]},
        address=[METADATA, METADATA6])))
    blue = world.name("blue").create()
    wait_answer(blue)
    wait_answer(blue, METADATA6)
    assert is_up(blue)
    wait_addresses(blue, f"{METADATA}/32", f"{METADATA6}/128")
    wait_provisions(berthd, blue, ("up", "added"),
                    (f"{METADATA}/32", "added"),
                    (f"{METADATA6}/128", "added"))
    # At once: no other host is asked whether it has the address.
    assert not [a for a in blue.addresses() if a.get("tentative")]
    shown = [n for n in berthd.namespaces() if n["id"] == blue.cookie()][0]
    assert shown["provided"] == ["lo up", f"{METADATA}/32 on lo",
                                 f"{METADATA6}/128 on lo"]
    assert METADATA in berthd.ctl_text("explain", blue.name)
    assert list(notes(berthd)) == [blue.cookie()]
    # The session's own namespace, where berthd lives, has none of it.
    assert f"{METADATA}/32" not in addresses(world.host)
    # They pin nothing, and the note goes with the namespace.
    freed = berthd.status()["freed"]["count"]
    blue.delete()
    wait_for(lambda: berthd.status()["freed"]["count"] > freed,
             "the kernel to free it")
    assert notes(berthd) == {}


@pytest.mark.kernel
def test_taken_away_with_the_rule(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing()))
    wait_answer(blue)
    berthd.remove_rules("50-test.yaml")
    wait_addresses(blue)
    wait_equal(lambda: notes(berthd), {}, "the notes")
    # Loopback stays: programs may rely on it by now.
    assert is_up(blue)
    assert blue.listeners() == set()
    berthd.write_rules("50-test.yaml", rules(providing()))
    wait_answer(blue)


def test_follows_the_rule(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing(
        provide={"addresses": ["192.0.2.1/24", "192.0.2.2/24"]})))
    wait_addresses(blue, "192.0.2.1/24", "192.0.2.2/24")
    berthd.write_rules("50-test.yaml", rules(providing(
        provide={"addresses": ["192.0.2.2/32", "2001:db8::1/64"]})))
    wait_addresses(blue, "192.0.2.2/32", "2001:db8::1/64")
    # The kernel keeps no two addresses of IPv6 that differ in this alone.
    berthd.write_rules("50-test.yaml", rules(providing(
        provide={"addresses": ["192.0.2.2/32", "2001:db8::1/128"]})))
    wait_addresses(blue, "192.0.2.2/32", "2001:db8::1/128")
    wait_provisions(berthd, blue, ("192.0.2.2/32", "added"),
                    ("2001:db8::1/128", "added"))


def test_follows_labels(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing(namespace=None,
                                          match={"labels": "app=web"})))
    path = berthd.runtime / "containers.d" / "a.json"
    told = {"netns": str(blue.path), "name": "web-1"}
    for labels, wanted in (({"app": "web"}, {f"{METADATA}/32"}),
                           ({"app": "db"}, set())):
        path.with_suffix(".new").write_text(
            json.dumps(dict(told, labels=labels)))
        os.rename(path.with_suffix(".new"), path)
        wait_equal(lambda: addresses(blue), wanted, "the addresses")


def test_what_it_found_stays(world):
    blue = world.name("blue").create()
    blue.up()
    blue.addr_add(f"{METADATA}/32")
    blue.addr_add("192.0.2.7/24")
    berthd = world.berthd(rules(providing(
        provide={"loopback": "up",
                 "addresses": [f"{METADATA}/32", "192.0.2.7/32"]})))
    wait_answer(blue)
    wait_provisions(berthd, blue, ("up", "found"), (f"{METADATA}/32", "found"),
                    ("192.0.2.7/32", "found"))
    assert notes(berthd) == {}
    wait_reason(berthd, blue, "with another prefix length")
    berthd.remove_rules("50-test.yaml")
    wait_equal(blue.listeners, set(), "the listeners")
    wait_provisions(berthd, blue)
    assert addresses(blue) == {f"{METADATA}/32", "192.0.2.7/24"}


def test_replaced_by_somebody(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing()))
    wait_answer(blue)
    wait_provisions(berthd, blue, ("up", "added"), (f"{METADATA}/32", "added"))
    # Who puts it in place of berth's has it from then on.
    blue.ip("addr", "replace", f"{METADATA}/32", "dev", "lo")
    wait_provisions(berthd, blue, ("up", "added"), (f"{METADATA}/32", "found"))
    wait_equal(lambda: notes(berthd), {}, "the notes")
    berthd.remove_rules("50-test.yaml")
    wait_equal(blue.listeners, set(), "the listeners")
    wait_provisions(berthd, blue)
    assert addresses(blue) == {f"{METADATA}/32"}


@pytest.mark.kernel
def test_killed_between(world):
    blue = world.name("blue").create()
    red = world.name("red").create()
    berthd = world.berthd(rules(providing()))
    wait_answer(blue)
    wait_answer(red)
    wait_for(lambda: len(notes(berthd)) == 2, "the notes")
    # A rule that goes while no berthd runs takes its addresses with it.
    berthd.kill9()
    berthd.remove_rules("50-test.yaml")
    gone = red.cookie()
    red.delete()
    assert addresses(blue) == {f"{METADATA}/32"}
    berthd.start()
    wait_addresses(blue)
    wait_equal(lambda: notes(berthd), {}, f"the notes, also of {gone}")
    # One that stays finds its own again.
    berthd.write_rules("50-test.yaml", rules(providing()))
    wait_answer(blue)
    berthd.kill9()
    berthd.start()
    wait_provisions(berthd, blue, ("up", "found"), (f"{METADATA}/32", "added"))
    berthd.remove_rules("50-test.yaml")
    wait_addresses(blue)


def test_notes_are_not_believed_alone(world):
    """What a note says is compared with what the kernel says."""
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing()))
    wait_answer(blue)
    wait_for(lambda: notes(berthd), "the note")
    berthd.kill9()
    blue.addr_del(f"{METADATA}/32")
    blue.addr_add(f"{METADATA}/32")  # the container's own, of now
    berthd.remove_rules("50-test.yaml")
    directory = berthd.runtime / "provided"
    (directory / "1.json").write_text("{")
    (directory / "2.json").write_text('{"addresses": [{"interface": 1}]}')
    (directory / "x.json").write_text("")
    berthd.start()
    wait_equal(lambda: (directory / f"{blue.cookie()}.json").exists(), False,
               "the note")
    assert addresses(blue) == {f"{METADATA}/32"}
    assert "is no note of berth's" in berthd.log()


def test_two_rules_want_the_same(world):
    blue = world.name("blue").create()
    both = (providing("a"), providing("b", port=81))
    berthd = world.berthd(rules(*both))
    wait_answer(blue, port=81)
    first = berthd.ctl("explain", blue.name)["provisions"][1]
    assert (first["rule"], first["rules"]) == ("a", 2)
    inode = blue.listener_inodes()[f"tcp {METADATA}:81"]
    berthd.write_rules("50-test.yaml", rules(both[1]))
    wait_equal(blue.listeners, {f"tcp {METADATA}:81"}, "the listeners")
    wait_provisions(berthd, blue, ("up", "added"), (f"{METADATA}/32", "added"))
    assert blue.listener_inodes() == {f"tcp {METADATA}:81": inode}
    berthd.write_rules("50-test.yaml", rules(rule(port=82)))
    wait_addresses(blue)


def test_conflict(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(
        providing("a", provide={"addresses": [f"{METADATA}/16"]}),
        providing("b", port=81, provide={"addresses": [f"{METADATA}/32"]})))
    wait_provisions(berthd, blue, (f"{METADATA}/16", "added"),
                    (f"{METADATA}/32", "shadowed"))
    wait_reason(berthd, blue, "rule 'a' comes first")
    assert addresses(blue) == {f"{METADATA}/16"}
    assert "shadowed" in berthd.ctl_text("explain", blue.name)


def test_interface_that_comes_later(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing(
        provide={"interface": "eth7", "addresses": ["192.0.2.1/24"]})))
    wait_provisions(berthd, blue, ("192.0.2.1/24", "waiting"))
    wait_reason(berthd, blue, "no interface of that name")
    blue.ip("link", "add", "eth7", "type", "veth", "peer", "name", "other")
    wait_addresses(blue, "192.0.2.1/24", dev="eth7")
    # It is the interface's name that counts.
    blue.ip("link", "set", "eth7", "name", "eth8")
    wait_addresses(blue, dev="eth8")
    wait_provisions(berthd, blue, ("192.0.2.1/24", "waiting"))
    blue.ip("link", "set", "eth8", "name", "eth7")
    wait_addresses(blue, "192.0.2.1/24", dev="eth7")
    blue.ip("link", "del", "eth7")
    wait_provisions(berthd, blue, ("192.0.2.1/24", "waiting"))
    wait_equal(lambda: notes(berthd), {}, "the notes")


def test_without_ipv6(world):
    blue = world.name("blue").create()
    blue.sysctl("net.ipv6.conf.lo.disable_ipv6", 1)
    berthd = world.berthd(rules(providing(
        provide={"loopback": "up",
                 "addresses": [f"{METADATA6}/128", f"{METADATA}/32"]})))
    wait_answer(blue)
    wait_provisions(berthd, blue, ("up", "added"),
                    (f"{METADATA6}/128", "waiting"),
                    (f"{METADATA}/32", "added"))
    wait_reason(berthd, blue, "IPv6 is off")
    blue.sysctl("net.ipv6.conf.lo.disable_ipv6", 0)
    wait_addresses(blue, f"{METADATA6}/128", f"{METADATA}/32")
    assert "cannot provide netns" in berthd.log()


@pytest.mark.kernel
def test_namespace_of_another_user(world):
    """One that a user made, in a user namespace of theirs."""
    blue = world.name("blue").create_file()
    sandbox = subprocess.Popen(
        ["unshare", "--user", "--net", "sh", "-c", "echo; exec sleep 600"],
        stdout=subprocess.PIPE, user=4711, group=4711)
    with sandbox:
        try:
            if not sandbox.stdout.read(1):
                pytest.skip("this kernel lets no user make user namespaces")
            kernel.mount(f"/proc/{sandbox.pid}/ns/net", blue.path,
                         flags=kernel.MS_BIND)
            berthd = world.berthd(rules(providing()))
            wait_answer(blue)
            berthd.remove_rules("50-test.yaml")
            wait_addresses(blue)
        finally:
            sandbox.kill()


@pytest.mark.kernel
def test_namespace_without_a_name(world):
    """A sandbox that is registered by its pid; its first instruction is
    answered, and another berthd takes the address away."""
    berthd = world.berthd(rules(providing(
        namespace=None, match={"labels": "app=web"})))
    sandbox = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep 600"],
        stdout=subprocess.PIPE)
    with sandbox:
        try:
            assert sandbox.stdout.read(1)
            inside = Netns(f"/proc/{sandbox.pid}/ns/net")
            berthd.ctl("register", "--pid", str(sandbox.pid), "--name",
                       "sandbox", "--label", "app=web", "--wait", "10s")
            assert inside.ask(METADATA, 80) == b"ack"
            assert list(notes(berthd)) == [inside.cookie()]
            berthd.kill9()
            berthd.remove_rules("50-test.yaml")
            berthd.start()
            wait_addresses(inside)
            wait_equal(lambda: notes(berthd), {}, "the notes")
        finally:
            sandbox.kill()


def test_never_in_the_hosts_namespace(world):
    before = addresses(world.host)
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing(match={"host": True})))
    wait_answer(blue)
    reply = berthd.ctl("explain", "host")
    assert {p["state"] for p in reply["provisions"]} == {"refused"}
    assert "host's own" in reply["provisions"][0]["reason"]
    assert addresses(world.host) == before


@pytest.mark.kernel
def test_connections_end_before_the_address_goes(world):
    with world.host.listen() as server:
        port = server.getsockname()[1]
        made = providing(forward={"to": f"127.0.0.1:{port}"})
        blue = world.name("blue").create()
        berthd = world.berthd(rules(made))
        wait_for(lambda: f"tcp {METADATA}:80" in blue.listeners(),
                 "the listener")
        wait_provisions(berthd, blue, ("up", "added"),
                        (f"{METADATA}/32", "added"))
        with blue.connect(METADATA, 80) as client:
            client.sendall(b"a")
            peer, _ = server.accept()
            with peer:
                assert peer.recv(1) == b"a"
                berthd.remove_rules("50-test.yaml")
                wait_provisions(berthd, blue, (f"{METADATA}/32", "leaving"))
                wait_reason(berthd, blue, "connections to the address")
                peer.sendall(b"b")
                assert client.recv(1) == b"b"
        wait_addresses(blue)


def test_somebody_takes_it_away(world):
    """It is added again, but not as often as somebody can take it away."""
    blue = world.name("blue").create()
    world.berthd(rules(providing()))
    wait_answer(blue)
    taken = 0
    for _ in range(4):
        wait_for(lambda: addresses(blue), "the address")
        blue.addr_del(f"{METADATA}/32")
        taken += 1
    blue.down()
    wait_for(lambda: is_up(blue), "loopback")
    wait_answer(blue)


def test_a_storm_is_held_off(world):
    blue = world.name("blue").create()
    berthd = world.berthd(rules(providing()))
    wait_answer(blue)
    added = 0
    with blue.entered():
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    with events:
        events.bind((0, 0x10))  # RTMGRP_IPV4_IFADDR
        events.setblocking(False)
        # As fast as it can, for a second: berth adds it a few times.
        script = (f"end=$(( $(date +%s) + 2 )); "
                  f"while [ $(date +%s) -lt $end ]; do "
                  f"ip addr del {METADATA}/32 dev lo 2>/dev/null; done")
        blue.run("sh", "-c", script, check=False)
        while True:
            try:
                data = events.recv(65536)
            except BlockingIOError:
                break
            added += int.from_bytes(data[4:6], "little") == 20
    assert 1 <= added <= 8
    wait_answer(blue)
    assert berthd.status()["settled"]


def test_mark(world):
    """The kernel shows who has added it."""
    blue = world.name("blue").create()
    world.berthd(rules(providing()))
    wait_answer(blue)
    with blue.new_socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        header = (24).to_bytes(4, "little") + (22).to_bytes(2, "little") \
            + (0x301).to_bytes(2, "little") + bytes(8)
        sock.send(header + bytes(8))
        data = sock.recv(65536)
    attr = (5).to_bytes(2, "little") + (11).to_bytes(2, "little") \
        + bytes([MARK])
    assert data.count(attr) == 1

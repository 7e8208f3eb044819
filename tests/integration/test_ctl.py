# SPDX-License-Identifier: Apache-2.0
"""test_ctl.py - berthctl, and the Varlink socket under it."""

import json
import os
import re
import socket
import subprocess
import time

import pytest

from harness.berthd import BERTHCTL
from harness.rules import ack, forward, rule, rules
from harness.wait import wait_equal, wait_for

COMMANDS = ["status", "namespaces", "listeners", "stats", "rules"]


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def berthd(world, netns):
    netns.addr_add("10.0.0.1/32")
    return world.berthd({
        "a.yaml": rules(
            rule(name="web"),
            rule(name="late", address="each", port=9000,
                 match={"address": "10.0.0.0/8"}),
            rule(name="other", namespace="red-*", port=9001),
            rule(name="shadowed"),
            rule(name="refused", port=9002, forward={
                "to": "127.0.0.1:9002", "namespace": "n"})),
        "b.yaml": "rules:\n  - bogus: 1\n"})


def varlink(berthd):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(str(berthd.runtime / "control.sock"))
    return sock


def call(berthd, method, parameters=None):
    with varlink(berthd) as sock:
        sock.sendall(json.dumps({"method": method,
                                 "parameters": parameters or {}}).encode()
                     + b"\0")
        return reply(sock)


def reply(sock):
    data = b""
    while not data.endswith(b"\0"):
        more = sock.recv(65536)
        if not more:
            return None
        data += more
    return json.loads(data[:-1])


@pytest.mark.parametrize("command", COMMANDS)
def test_table_and_json(berthd, command):
    assert isinstance(berthd.ctl(command), dict)
    text = berthd.ctl_text(command)
    assert text.endswith("\n") and "\n\n\n" not in text
    assert not re.search(r"[ \t]+$", text, re.M), "trailing blanks"


def columns_align(text, headings):
    """Each heading's column starts where the cells of it start."""
    lines = text.splitlines()
    head = next(line for line in lines
                if all(h.lower() in line.lower() for h in headings))
    rows = lines[lines.index(head) + 1:]
    assert rows
    starts = [match.start() for match in re.finditer(r"(?<=  )\S|^\S", head)]
    for row in rows:
        for start in starts[1:]:
            if len(row) > start:
                assert row[start - 1] == " ", f"{head}\n{row}"


def test_tables_are_aligned(berthd):
    columns_align(berthd.ctl_text("listeners"), ["protocol", "rule"])


def test_listeners(berthd, netns):
    berthd.wait_delivered()
    rows = {(r["rule"], r["address"], r["port"]): r
            for r in berthd.listeners()}
    web = rows["web", "*", 8080]
    assert web["state"] == "listening" and web["delivered"] is True
    assert web["namespace"] == "n"
    assert web["namespace_id"] == netns.cookie()
    assert web["protocol"] == "tcp" and web["action"] == "respond"
    assert rows["late", "10.0.0.1", 9000]["interface"] == "lo"
    refused = rows["refused", "*", 9002]
    assert refused["state"] == "refused" and "to itself" in refused["reason"]
    assert len(rows) == 3
    assert netns.listeners() == {"tcp *:8080", "tcp 10.0.0.1:9000"}


def test_listeners_of_one_namespace(world, berthd):
    world.netns("m")
    wait_for(lambda: len(berthd.listeners()) == 5, "the other namespace")
    rows = berthd.ctl("listeners", "m")["listeners"]
    assert {r["namespace"] for r in rows} == {"m"}
    assert len(rows) == 2


def test_namespaces(berthd, netns):
    shown = [n for n in berthd.namespaces() if not n["host"]]
    assert len(shown) == 1
    assert shown[0]["names"] == [{"directory": str(berthd.netns_dirs[0]),
                                  "name": "n", "uid": 0}]
    assert shown[0]["id"] == netns.cookie()
    assert shown[0]["listeners"] == {"open": 2, "waiting": 0, "refused": 1}
    # An address with the scope that ip(8) shows.
    assert {(a["address"], a["scope"]) for a in shown[0]["addresses"]} \
        == {(a["local"], a["scope"]) for a in netns.addresses()}


def test_ages(world):
    """How long a namespace exists, and a listener has its state: attempts that
    fail do not change that."""
    before = time.monotonic()
    netns = world.netns("n")
    taken = world.close_later(netns.listen("127.0.0.1", 8081))
    berthd = world.berthd(ack(port=[8080, 8081]))

    def rows():
        return {row["port"]: row for row in berthd.listeners()}

    first = time.monotonic()
    wait_for(lambda: rows()[8081]["attempts"] > 2, "failed attempts")
    at_least = (time.monotonic() - first) * 1e6
    ages = rows()
    age, = (n["age_us"] for n in berthd.namespaces() if not n["host"])
    at_most = (time.monotonic() - before) * 1e6
    for row in ages.values():
        assert at_least <= row["age_us"] <= at_most
        assert row["age_us"] <= age
    # The kernel's times of files are up to a tick older.
    assert age <= at_most + 100_000
    taken.close()
    after = time.monotonic()
    wait_for(lambda: rows()[8081]["state"] == "listening", "the listener")
    assert rows()[8081]["age_us"] <= (time.monotonic() - after) * 1e6
    assert rows()[8080]["age_us"] >= ages[8080]["age_us"]


def test_addresses_that_are_not_shown(world, netns):
    """A line that is short for people is no limit that was reached."""
    for i in range(1, 7):
        netns.addr_add(f"10.0.0.{i}/32")
    berthd = world.berthd(ack(address="each", match={"address": "10.0.0.0/8"}))
    wait_for(lambda: "and" in berthd.ctl_text("namespaces"), "the addresses")
    text = berthd.ctl_text("namespaces")
    assert re.search(r"/32 and \d more$", text, re.M), text
    assert "limit" not in text


def test_rules(berthd):
    shown = berthd.ctl("rules")
    assert [r["name"] for r in shown["rules"]] \
        == ["web", "late", "other", "shadowed", "refused"]
    assert [(os.path.basename(f["path"]), len(f["problems"]))
            for f in shown["files"]] == [("a.yaml", 0), ("b.yaml", 1)] or \
        [len(f["problems"]) > 0 for f in shown["files"]] == [False, True]
    counts = {r["name"]: r["listeners"]["open"] for r in shown["rules"]}
    assert counts == {"web": 1, "late": 1, "other": 0, "shadowed": 0,
                      "refused": 0}


def test_rules_of_one_name_are_counted_apart(world, netns):
    """A file whose name was taken keeps its last good version in force."""
    berthd = world.berthd({"a.yaml": ack(name="other", port=1000),
                           "b.yaml": ack(port=[2000, 2001])})
    berthd.write_rules("a.yaml", ack(port=1000))
    wait_for(lambda: any(f["last_good"] for f in berthd.status()["files"]),
             "two files with a rule of one name")

    def counted():
        return [(r["name"], os.path.basename(r["file"]),
                 r["listeners"]["open"])
                for r in berthd.ctl("rules")["rules"]]

    wait_equal(counted, [("web", "a.yaml", 1), ("web", "b.yaml", 2)],
               "each file's own listeners")
    assert len(netns.listeners()) == 3


def test_host_has_one_name(world):
    """What a table shows is what a command takes."""
    berthd = world.berthd(ack(namespace=None, match={"host": True},
                              address="127.0.0.1", port=18080))
    shown = [berthd.ctl_text(*words).splitlines()[1].split()[column]
             for words, column in ((["namespaces"], 0), (["listeners"], 1),
                                   (["listeners", "host"], 1))]
    assert shown == ["host"] * 3


def test_action_is_shown_once(world):
    berthd = world.berthd(rules(rule(name="a", respond="echo"),
                                rule(name="b", respond="discard")))
    text = berthd.ctl_text("rules")
    assert "echo echo" not in text and "discard discard" not in text


def test_status(berthd):
    berthd.wait_delivered()  # the relay connects by itself, maybe after READY
    status = berthd.status()
    assert status["pid"] == berthd.pid and status["settled"] is True
    assert status["rules"] == 5
    assert status["listeners"]["open"] == 2
    consumer = status["consumers"][0]
    assert consumer["name"] == "relay" and consumer["connected"] is True
    assert consumer["pid"] == berthd.relay_pid()
    assert "bogus" in berthd.ctl_text("status") \
        or "b.yaml" in berthd.ctl_text("status")


def test_explain(berthd):
    shown = berthd.ctl("explain", "n")
    verdicts = {r["name"]: (r["matches"], r["reason"])
                for r in shown["rules"]}
    assert {n for n, (matches, _) in verdicts.items() if matches} \
        == {"web", "late", "shadowed", "refused"}
    assert "red-*" in verdicts["other"][1]
    assert {(w["rule"], w["state"]) for w in shown["listeners"]} \
        == {("web", "listening"), ("late", "listening"),
            ("refused", "refused")}
    assert [(s["rule"], s["winner"]) for s in shown["shadowed"]] \
        == [("shadowed", "web")]
    text = berthd.ctl_text("explain", "n")
    for word in ("web", "red-*", "shadowed", "to itself"):
        assert word in text, text


def test_explain_says_why_a_listener_is_shadowed(world, netns):
    netns.addr_add("10.0.0.1/32")
    berthd = world.berthd(rules(
        rule(name="any", port=[1, 2, 3, 4]),
        rule(name="same", port=1),
        rule(name="mptcp", port=2, protocol="mptcp"),
        rule(name="any4", port=3, address="any4"),
        rule(name="one", port=4, address="10.0.0.1"),
        rule(name="first", port=5, address="10.0.0.1"),
        rule(name="last", port=5, address="any4")))
    shown = {s["rule"]: s for s in berthd.ctl("explain", "n")["shadowed"]}
    text = berthd.ctl_text("explain", "n")
    for name, winner, address, word in (
            ("same", "any", "*", "the same"),
            ("mptcp", "any", "*", "protocols share their ports"),
            ("any4", "any", "*", "wildcards overlap"),
            ("one", "any", "*", "a wildcard and an address"),
            ("last", "first", "10.0.0.1", "a wildcard and an address")):
        shadow = shown.pop(name)
        assert shadow["winner"] == winner, shadow
        assert shadow["winner_endpoint"] == {
            "protocol": "tcp", "address": address, "port": shadow["port"]}
        assert shadow["same_endpoint"] is (name == "same")
        assert word in shadow["reason"], shadow
        assert re.search(f"{name} +{winner} +tcp {re.escape(address)} +"
                         f"{re.escape(shadow['reason'])}$", text, re.M), text
    assert not shown


def test_explain_says_which_condition_fails(world, netns):
    conditions = {
        "by-name": ({}, {"namespace": "red-*"}, "red-*"),
        "by-directory": ({"directory": "/nowhere"}, {}, "/nowhere"),
        "by-interface": ({"interface": "eth9"}, {}, "eth9"),
        "by-address": ({"address": "203.0.113.0/24"}, {}, "203.0.113.0/24"),
    }
    berthd = world.berthd(rules(*(
        rule(name=name, port=1000 + i, match=match, **more)
        for i, (name, (match, more, _)) in enumerate(conditions.items()))))
    verdicts = {r["name"]: r for r in berthd.ctl("explain",
                                                 "n")["rules"]}
    for name, (_, _, word) in conditions.items():
        assert verdicts[name]["matches"] is False
        assert word in verdicts[name]["reason"], verdicts[name]
        assert word in berthd.ctl_text("explain", "n")
    del netns


def test_explain_what_is_not_there(world, berthd):
    done = berthd.ctl_process("explain", "nothing")
    assert done.returncode != 0 and "nothing" in done.stderr
    world.name("slow").create_file()
    wait_for(lambda: "slow" in berthd.pending(), "the pending name")
    assert berthd.ctl("explain", "slow", code=1)["state"] == "pending"
    assert "not a namespace" in berthd.ctl_text("explain", "slow", code=1)


def test_explain_an_ambiguous_name(world):
    other = world.mkdir("other")
    world.netns("n")
    world.netns("n", other)
    berthd = world.berthd(ack(), netns_dirs=[world.dir, other])
    done = berthd.ctl_process("explain", "n")
    assert done.returncode != 0
    assert str(other / "n") in done.stderr
    shown = berthd.ctl("explain", str(other / "n"))
    assert shown["namespace"]["names"][0]["directory"] == str(other)


def test_explain_the_host(berthd):
    shown = berthd.ctl("explain", "host")
    assert shown["namespace"]["host"] is True
    assert [r["name"] for r in shown["rules"] if r["matches"]] == []


def test_waiting_listener_is_explained(world, netns):
    own = netns.listen("127.0.0.1", 8080)
    berthd = world.berthd(ack())
    berthd.wait_state(netns.cookie(), "waiting")
    for command in (["listeners"], ["explain", "n"]):
        text = berthd.ctl_text(*command)
        assert "waiting" in text and "taken" in text, text
    own.close()


def test_check(world, berthd):
    good, bad = world.base / "good.yaml", world.base / "bad.yaml"
    good.write_text(ack())
    bad.write_text("rules:\n  - nam: x\n")
    done = berthd.ctl_process("check", str(good))
    assert done.returncode == 0, done.stderr
    done = berthd.ctl_process("check", str(bad))
    assert done.returncode == 1
    assert "bad.yaml:2:5:" in done.stdout + done.stderr


def test_check_files_as_json(world, berthd):
    """In the form of the reply about berthd's own files."""
    good, bad = world.base / "good.yaml", world.base / "a:1:b.yaml"
    good.write_text(ack())
    bad.write_text("rules:\n  - nam: x\n")
    assert berthd.ctl("check", str(good)) == {"files": []}
    shown = berthd.ctl("check", str(good), str(bad), code=1)["files"]
    assert [f["path"] for f in shown] == [str(bad)]
    problem = shown[0]["problems"][0]
    assert (problem["file"], problem["line"], problem["column"]) \
        == (str(bad), 2, 5)
    assert "nam" in problem["message"]
    own = berthd.ctl("check", code=1)["files"][1]["problems"][0]
    assert set(problem) == set(own)
    missing = berthd.ctl("check", "/nowhere", code=1)["files"][0]
    assert missing["path"] == "/nowhere"
    assert "No such file" in missing["problems"][0]["message"]
    assert missing["problems"][0]["line"] == 0


def test_no_berthd(world):
    done = subprocess.run([str(BERTHCTL), "--runtime-dir", str(world.base),
                           "status"], capture_output=True, text=True,
                          check=False, timeout=20)
    assert done.returncode > 0 and done.stdout == ""
    assert str(world.base) in done.stderr


@pytest.mark.parametrize("args", [["bogus"], [], ["status", "extra"],
                                  ["--bogus"], ["explain"]])
def test_wrong_usage(berthd, args):
    done = berthd.ctl_process(*args)
    assert done.returncode > 0
    assert "--help" in done.stderr or "Usage" in done.stderr


def test_ctl_help():
    done = subprocess.run([str(BERTHCTL), "--help"], capture_output=True,
                          text=True, check=False, timeout=20)
    assert done.returncode == 0
    for command in [*COMMANDS, "check", "reload", "explain"]:
        assert command in done.stdout


def test_json_that_ends_in_a_closed_pipe(berthd):
    """`berthctl … | head -1`"""
    done = subprocess.run(
        f"{BERTHCTL} --runtime-dir {berthd.runtime} namespaces | true",
        shell=True, capture_output=True, text=True, check=False, timeout=20)
    assert "Sanitizer" not in done.stderr


def test_varlink_service_interface(berthd):
    info = call(berthd, "org.varlink.service.GetInfo")["parameters"]
    assert "io.berth" in info["interfaces"]
    description = call(
        berthd, "org.varlink.service.GetInterfaceDescription",
        {"interface": "io.berth"})["parameters"]["description"]
    assert "method GetStatus" in description
    assert call(berthd, "io.berth.Bogus")["error"] \
        == "org.varlink.service.MethodNotFound"
    assert call(berthd, "org.bogus.X")["error"] \
        == "org.varlink.service.InterfaceNotFound"
    assert call(berthd, "io.berth.Explain")["error"] \
        == "org.varlink.service.InvalidParameter"
    assert call(berthd, "io.berth.ListRules", {"warnings": "yes"})["error"] \
        == "org.varlink.service.InvalidParameter"
    missing = call(berthd, "io.berth.Explain", {"namespace": "nothing"})
    assert missing["error"] == "io.berth.NoSuchNamespace"


def test_varlink_several_calls_in_one_write(berthd):
    with varlink(berthd) as sock:
        one = b'{"method":"org.varlink.service.GetInfo"}\0'
        sock.sendall(one * 50)
        data = b""
        while data.count(b"\0") < 50:
            data += sock.recv(1 << 20)
        assert data.count(b'"vendor"') == 50


def test_varlink_oneway(berthd):
    with varlink(berthd) as sock:
        sock.sendall(b'{"method":"io.berth.GetStatus","oneway":true}\0'
                     b'{"method":"org.varlink.service.GetInfo"}\0')
        assert "vendor" in reply(sock)["parameters"]


@pytest.mark.parametrize("garbage", [
    b"\0", b"\0" * 1000, b"garbage\0", b"[]\0", b"{}\0", b'"x"\0',
    b'{"method":1}\0', b'{"method":"io.berth.GetStatus","parameters":[]}\0',
    b'{"method":"' + b"x" * 100000 + b'"}\0', b"[" * 100000 + b"\0",
    b"\xff\xfe\0", b'{"method":"io.berth.Explain","parameters":'
    b'{"namespace":"\\u0000"}}\0'],
    ids=lambda garbage: repr(garbage[:40]))
def test_varlink_garbage(berthd, garbage):
    """A bad client gets an error or is cut off, and berthd lives."""
    with varlink(berthd) as sock:
        try:
            sock.sendall(garbage)
            first = reply(sock)
            assert first is None or "error" in first
        except (ConnectionError, json.JSONDecodeError):
            pass
    assert berthd.status()["settled"] is True


def test_varlink_endless_message(berthd):
    """Memory for a message that never ends is bounded."""
    with varlink(berthd) as sock:
        with pytest.raises(OSError):
            for _ in range(512):
                sock.sendall(b"x" * (1 << 18))
    assert berthd.status()["settled"] is True


def test_varlink_client_that_does_not_read(berthd, netns):
    """It costs itself: others are served meanwhile."""
    with varlink(berthd) as sock:
        sock.setblocking(False)
        try:
            for _ in range(100000):
                sock.send(b'{"method":"io.berth.GetStatus"}\0' * 16)
        except (BlockingIOError, ConnectionError):
            pass
        assert berthd.status()["settled"] is True
        assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_varlink_clients_that_stay(berthd):
    """Many idle connections do not keep berthctl out for ever."""
    idle = []
    try:
        for _ in range(300):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(0.2)
            try:
                sock.connect(str(berthd.runtime / "control.sock"))
            except (OSError, socket.timeout):
                sock.close()
                break
            idle.append(sock)
    finally:
        for sock in idle:
            sock.close()
    wait_for(lambda: berthd.ctl_process("status").returncode == 0, "status")


def test_control_socket_is_not_for_everybody(berthd):
    mode = (berthd.runtime / "control.sock").stat().st_mode
    assert mode & 0o007 == 0, oct(mode)


def test_forward_rule_is_shown(world, netns):
    berthd = world.berthd(forward(["127.0.0.1:1", "unix:/x/y"]))
    shown = berthd.ctl("rules")["rules"][0]
    assert shown["action"] == "forward"
    assert "127.0.0.1:1" in shown["serve"] and "unix:/x/y" in shown["serve"]
    wait_equal(netns.listeners, {"tcp *:8080"}, "the listener")

# SPDX-License-Identifier: Apache-2.0
"""test_interface.py - replies are what doc/io.berth.varlink says, to the bit

A parser of Varlink's interface language, written from its grammar, reads the
text that berthd gives; each reply is then checked against the types in it.
"""

import json
import re
import socket
from pathlib import Path

import pytest

from harness.rules import ack, rule, rules
from harness.wait import wait_for

INTERFACE = Path(__file__).resolve().parents[2] / "doc/io.berth.varlink"
LEFT_OUT = {"container", "fields"}
TOKEN = re.compile(r"\s*(?:#[^\n]*\n\s*)*(->|\[string\]|\[\]|[()?:,]|"
                   r"[A-Za-z](?:_?[A-Za-z0-9])*(?:\.[A-Za-z0-9-]+)*)")


class Interface:
    """The types, methods and errors of one description."""

    def __init__(self, text):
        self.tokens = []
        end = 0
        text = text.rstrip() + "\n"
        while end < len(text.rstrip()):
            match = TOKEN.match(text, end)
            assert match, f"not the interface language: {text[end:end + 60]}"
            self.tokens.append(match.group(1))
            end = match.end()
        self.types, self.methods, self.errors = {}, {}, {}
        assert self.take() == "interface"
        self.name = self.take()
        while self.tokens:
            self.member()

    def take(self, expected=None):
        token = self.tokens.pop(0)
        assert expected in (None, token), f"{token} is no {expected}"
        return token

    def member(self):
        kind, name = self.take(), self.take()
        assert re.fullmatch("[A-Z][A-Za-z0-9]*", name), name
        for known in (self.types, self.methods, self.errors):
            assert name not in known, f"{name} twice"
        if kind == "method":
            taken = self.struct()
            self.take("->")
            self.methods[name] = (taken, self.struct())
        elif kind == "error":
            self.errors[name] = self.struct()
        else:
            assert kind == "type", kind
            self.types[name] = self.struct()

    def struct(self):
        """Or an enumeration: the words, with no type."""
        self.take("(")
        fields = {}
        while self.tokens[0] != ")":
            name = self.take()
            assert name not in fields, f"{name} twice"
            fields[name] = None
            if self.tokens[0] == ":":
                self.take(":")
                fields[name] = self.type()
            if self.tokens[0] != ")":
                self.take(",")
        self.take(")")
        return fields

    def type(self):
        if self.tokens[0] in ("?", "[]", "[string]"):
            return (self.take(), self.type())
        return self.struct() if self.tokens[0] == "(" else self.take()

    def check(self, value, kind, where):
        """Does @value have the type @kind, all of it and nothing more?"""
        if isinstance(kind, tuple) and kind[0] == "?":
            if value is not None:
                self.check(value, kind[1], where)
        elif isinstance(kind, tuple) and kind[0] == "[string]":
            assert isinstance(value, dict), where
            for name, element in value.items():
                self.check(element, kind[1], f"{where}[{name!r}]")
        elif isinstance(kind, tuple):
            assert kind[0] == "[]" and isinstance(value, list), where
            for i, element in enumerate(value):
                self.check(element, kind[1], f"{where}[{i}]")
        elif isinstance(kind, dict):
            assert isinstance(value, dict), where
            # What may be null may be left out, where there are very many.
            wanted = {name for name, field in kind.items()
                      if name in value or name not in LEFT_OUT
                      or field[0] != "?"}
            assert set(value) == wanted, f"{where}: {set(value) ^ wanted}"
            for name in wanted:
                self.check(value[name], kind[name], f"{where}.{name}")
        elif kind in self.types:
            self.check(value, self.types[kind], where)
        else:
            # "object" may be anything; berthd means a number.
            python = {"string": (str,), "int": (int,), "bool": (bool,),
                      "object": (int, float)}[kind]
            assert type(value) in python, f"{where}: {value!r} is no {kind}"


@pytest.fixture(scope="module")
def interface():
    return Interface(INTERFACE.read_text(encoding="utf-8"))


@pytest.fixture
def berthd(world):
    """Something of everything: each state, problems, a pending name."""
    netns = world.netns("n")
    netns.addr_add("10.0.0.1/32")
    own = netns.listen("0.0.0.0", 8080)
    daemon = world.berthd({
        "a.yaml": rules(
            rule(name="web", port=[8080, 8081]),
            rule(name="each", address="each", port=9000,
                 match={"address": "10.0.0.0/8"}),
            rule(name="shadowed", port=8081),
            rule(name="refused", port=9002, forward={
                "to": "127.0.0.1:9002", "namespace": "n"})),
        "b.yaml": "rules:\n  - bogus: 1\n"})
    world.name("slow").create_file()
    wait_for(lambda: "slow" in daemon.pending(), "the pending name")
    yield daemon
    own.close()


class Connection:
    def __init__(self, berthd, interface):
        self.interface = interface
        self.data = b""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(berthd.runtime / "control.sock"))

    def send(self, method, parameters, more=False):
        self.sock.sendall(json.dumps({
            "method": method, "parameters": parameters,
            "more": more}).encode() + b"\0")

    def receive(self):
        while b"\0" not in self.data:
            more = self.sock.recv(65536)
            assert more, f"berthd ended the connection after {self.data!r}"
            self.data += more
        message, _, self.data = self.data.partition(b"\0")
        return json.loads(message)

    def message(self, method, **parameters):
        self.send(method, parameters)
        return self.receive()

    def call(self, method, **parameters):
        """A call that succeeds, and whose reply is as described."""
        message = self.message(f"{self.interface.name}.{method}",
                               **parameters)
        assert set(message) == {"parameters"}, message
        self.interface.check(message["parameters"],
                             self.interface.methods[method][1], method)
        return message["parameters"]

    def replies(self, method, **parameters):
        """Of a call with "more"; each is as described."""
        self.send(f"{self.interface.name}.{method}", parameters, more=True)
        continues = True
        while continues:
            message = self.receive()
            continues = message.pop("continues", False)
            assert set(message) == {"parameters"}, message
            self.interface.check(message["parameters"],
                                 self.interface.methods[method][1], method)
            yield message["parameters"]

    def fails(self, method, error, **parameters):
        message = self.message(f"{self.interface.name}.{method}",
                               **parameters)
        assert message["error"] == f"{self.interface.name}.{error}"
        self.interface.check(message["parameters"],
                             self.interface.errors[error], error)


@pytest.fixture
def connection(berthd, interface):
    connection = Connection(berthd, interface)
    yield connection
    connection.sock.close()


def test_description(connection, interface):
    """What berthd tells is the text in doc."""
    reply = connection.message(
        "org.varlink.service.GetInterfaceDescription",
        interface=interface.name)
    assert reply["parameters"]["description"] \
        == INTERFACE.read_text(encoding="utf-8")
    service = Interface(connection.message(
        "org.varlink.service.GetInterfaceDescription",
        interface="org.varlink.service")["parameters"]["description"])
    info = connection.message("org.varlink.service.GetInfo")["parameters"]
    service.check(info, service.methods["GetInfo"][1], "GetInfo")
    metrics = Interface(connection.message(
        "org.varlink.service.GetInterfaceDescription",
        interface="io.systemd.Metrics")["parameters"]["description"])
    assert set(metrics.methods) == {"List", "Describe"}
    assert info["interfaces"] == [service.name, interface.name, metrics.name]


def test_replies(connection):
    status = connection.call("GetStatus")
    assert status["pending"] == 1
    names = connection.call("ListNamespaces")
    assert len(names["namespaces"]) == 2 and names["pending_total"] == 1
    rows = connection.call("ListListeners")["listeners"]
    assert {row["state"] for row in rows} \
        == {"listening", "waiting", "refused"}
    assert connection.call("ListListeners", namespace="host") \
        == {"silent": [], "listeners": []}
    assert all((row["counters"] is not None) == row["delivered"]
               for row in rows)
    counted = connection.call("GetStats")
    assert counted["silent"] == [] and len(counted["rules"]) == 4
    shown = connection.call("ListRules")
    assert len(shown["rules"]) == 4
    assert any(f["problems"] for f in shown["files"])
    assert connection.call("Reload")["problems"] > 0


LISTS = ["GetStatus", "ListNamespaces", "ListListeners", "GetStats",
         "ListMetrics", "ListRules"]


def together(replies):
    """What several replies say: as doc/io.berth.varlink puts it."""
    whole = dict(replies[0])
    for part in replies[1:]:
        for name, value in part.items():
            if isinstance(value, list):
                whole[name] = whole[name] + value
            else:
                assert whole[name] == value, name
    return whole


def still(value):
    """Without the times and what is measured, which do not stand still."""
    if isinstance(value, list):
        return [still(v) for v in value]
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items()
                if not k.endswith("_us") and k not in ("attempts", "value")}
    return value


@pytest.mark.parametrize("method", LISTS)
def test_several_replies(connection, berthd, method):
    berthd.wait_delivered()
    whole = together(list(connection.replies(method)))
    assert still(whole) == still(connection.call(method))


def test_more_replies_than_one(world, interface):
    world.netns("n")
    daemon = world.berthd(ack(port="1000-1499"))
    wait_for(lambda: len(daemon.listeners()) == 500, "the listeners")
    daemon.wait_delivered()
    connection = Connection(daemon, interface)
    replies = list(connection.replies("ListListeners"))
    assert len(replies) > 5
    assert all(reply["listeners"] for reply in replies[:-1])
    whole = together(replies)["listeners"]
    assert sorted(row["port"] for row in whole) == list(range(1000, 1500))
    assert still(whole) == still(
        connection.call("ListListeners")["listeners"])
    shown = daemon.ctl("listeners")["listeners"]
    assert [row["id"] for row in shown] == [row["id"] for row in whole]
    text = daemon.ctl_text("listeners").splitlines()[1:]
    assert [line.split()[4] for line in text] \
        == [str(port) for port in range(1000, 1500)]
    connection.sock.close()


def test_list_across_changes(world, interface):
    """What stays is listed once, what goes is left out."""
    world.netns("a")
    goes = world.netns("b")
    daemon = world.berthd(ack(port="1000-1999"))
    wait_for(lambda: len(daemon.listeners()) == 2000, "the listeners")
    before = {row["id"]: row["namespace"] for row in daemon.listeners()}
    connection = Connection(daemon, interface)
    # The reader is slow: most of the list is not made when the first of it
    # is read.
    replies = connection.replies("ListListeners")
    rows = next(replies)["listeners"]
    goes.delete()
    world.netns("c")
    wait_for(lambda: {row["namespace"] for row in daemon.listeners()}
             == {"a", "c"}, "the change")
    for reply in replies:
        rows += reply["listeners"]
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids), "something is listed twice"
    assert set(ids) <= set(before), "something new is listed"
    assert {i for i, name in before.items() if name == "a"} <= set(ids)
    assert len(ids) < 2000, "all was made before it was read"
    connection.sock.close()


def test_explain(connection):
    shown = connection.call("Explain", namespace="n")
    assert shown["state"] == "present" and shown["shadowed"]
    assert connection.call("Explain", namespace="host")["listeners"] == []
    assert connection.call("Explain", namespace="slow")["pending"]
    connection.fails("Explain", "NoSuchNamespace", namespace="nothing")
    connection.fails("ListListeners", "NoSuchNamespace", namespace="nothing")


def test_lingering(world, interface):
    """Somebody else's socket holds the namespace."""
    netns = world.netns("held")
    own = netns.listen("0.0.0.0", 7)
    daemon = world.berthd(ack(namespace="held"))
    connection = Connection(daemon, interface)
    wait_for(lambda: all(
        n["host"] or n["nsid"] is not None
        for n in connection.call("ListNamespaces")["namespaces"]), "an nsid")
    netns.delete()
    wait_for(lambda: connection.call("GetStatus")["lingering"],
             "the namespace to be shown")
    shown = connection.call("Explain", namespace="held")
    assert shown["state"] == "lingering"
    assert shown["lingering"]["open_listeners"] == 0
    wait_for(lambda: connection.call("Explain", namespace="held")
             ["lingering"]["withdrawn_listeners"] == 0,
             "the relay to let go")
    own.close()
    connection.sock.close()


def test_ambiguous(world, interface):
    other = world.mkdir("other")
    world.netns("n")
    world.netns("n", other)
    daemon = world.berthd(ack(), netns_dirs=[world.dir, other])
    connection = Connection(daemon, interface)
    connection.fails("Explain", "AmbiguousNamespace", namespace="n")
    rows = connection.call("ListListeners", namespace="n")["listeners"]
    assert len({row["namespace_id"] for row in rows}) == 2
    connection.sock.close()


def test_name_of_any_bytes(world, interface):
    """What replies write can be asked for."""
    world.netns("b\udce4r\x1b")
    daemon = world.berthd(ack())
    connection = Connection(daemon, interface)
    names = [name["name"] for n in
             connection.call("ListNamespaces")["namespaces"]
             for name in n["names"]]
    assert names == ["b\\xe4r\x1b"]
    for text in (names[0], "b\\xe4r\\x1b", f"{world.dir}/b\\xe4r\\x1b"):
        assert connection.call("Explain", namespace=text)["state"] \
            == "present", text
    assert "b\\xe4r\\x1b" in daemon.ctl_text("listeners")
    assert "b\\xe4r\\x1b" in daemon.ctl_text("explain", "b\udce4r\x1b")
    connection.sock.close()

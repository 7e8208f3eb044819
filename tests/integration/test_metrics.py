# SPDX-License-Identifier: Apache-2.0
"""test_metrics.py - what berthd counts and measures, as monitoring reads it."""

import contextlib
import json
import re
import socket
import stat

import pytest

from harness.rules import forward, rule, rules
from harness.traffic import pair
from harness.varlink import Connection
from harness.wait import wait_equal, wait_for

HEAD = re.compile(r"# (HELP|TYPE) ([a-z_]+) (.+)")
SERIES = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? '
                    r"(-?[0-9.e+]+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
WEB = {"rule": "web", "protocol": "tcp"}


class Metrics:
    """The text of one scrape, checked for its form."""

    def __init__(self, text):
        self.types, self.series = {}, {}
        family = None
        for line in text.splitlines():
            head, series = HEAD.fullmatch(line), SERIES.fullmatch(line)
            if head and head[1] == "HELP":
                family = head[2]
                assert family not in self.types, f"{family} twice"
            elif head:
                assert head[2] == family
                self.types[family] = head[3]
            else:
                assert series, line
                self._add(family, *series.groups())

    def _add(self, family, name, labels, value):
        if self.types[family] == "histogram":
            assert re.fullmatch(family + "_(bucket|sum|count)", name)
        else:
            assert name == family
        key = (name, frozenset(LABEL.findall(labels or "")))
        assert key not in self.series, f"{key} twice"
        self.series[key] = float(value)

    def get(self, name, **labels):
        """None: there is no such series."""
        return self.series.get((name, frozenset(labels.items())))

    def counters(self):
        return {key: value for key, value in self.series.items()
                if self.types.get(key[0]) == "counter"}


def scrape(berthd, *options):
    return Metrics(berthd.ctl_text("metrics", *options))


def value(berthd, name, **labels):
    return scrape(berthd).get(name, **labels)


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def test_counters_follow_the_traffic(world, backend):
    netns = world.netns("n")
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    with client, server:
        client.sendall(b"x" * 100)
        assert server.recv(100, socket.MSG_WAITALL)
        server.sendall(b"y" * 11)
        assert client.recv(11, socket.MSG_WAITALL)
        wait_equal(lambda: value(berthd, "berth_sent_bytes_total", **WEB), 11,
                   "bytes to the client")
        now = scrape(berthd)
        assert now.get("berth_received_bytes_total", **WEB) == 100
        assert now.get("berth_connections", **WEB) == 1
        assert now.get("berth_connections_total", **WEB) == 1
        assert now.get("berth_listeners", state="listening", **WEB) == 1
        assert now.get("berth_consumers_connected", consumer="relay") == 1
        assert now.get("berth_rules_last_reload_successful") == 1
        assert now.get("process_max_fds", program="berthd") > 0
        assert now.get("process_start_time_seconds",
                       program="berth-relay") > 1e9
        # A stream has none.
        assert now.get("berth_messages_total", direction="sent", **WEB) is None
    wait_equal(lambda: value(berthd, "berth_connections", **WEB), 0, "its end")
    ended = {dict(labels)["reason"]: number for (name, labels), number
             in scrape(berthd).series.items()
             if name == "berth_connections_ended_total"}
    assert sum(ended.values()) == 1, ended


def come_in_vain(netns):
    """A client that is reset, maybe before it knows that it is connected."""
    with contextlib.suppress(ConnectionError):
        netns.connect("127.0.0.1", 8080).close()


def test_failures_of_a_backend(world):
    netns = world.netns("n")
    with world.host.listen() as gone:
        place = to(gone)
    berthd = world.berthd(forward(place))
    come_in_vain(netns)
    wait_for(lambda: value(berthd, "berth_backend_failures_total",
                           error="ECONNREFUSED", **WEB), "a refusal")
    wait_equal(lambda: value(berthd, "berth_backend_up", backend=place, **WEB),
               0, "a backend that is down")


def test_backend_that_is_up_again(world, backend):
    """Nothing is said of one that no client came for."""
    netns = world.netns("n")
    place = to(backend)
    backend.close()
    berthd = world.berthd(forward(place))
    assert value(berthd, "berth_backend_up", backend=place, **WEB) is None
    come_in_vain(netns)
    wait_equal(lambda: value(berthd, "berth_backend_up", backend=place, **WEB),
               0, "a backend that is down")
    again = world.close_later(world.host.listen(port=int(place.split(":")[1])))
    client, server = pair(netns, again)
    with client, server:
        wait_equal(lambda: value(berthd, "berth_backend_up", backend=place,
                                 **WEB), 1, "a backend that is up")
        wait_equal(lambda: value(berthd, "berth_backend_connections",
                                 backend=place, **WEB), 1, "its client")
    wait_equal(lambda: value(berthd, "berth_backend_connections",
                             backend=place, **WEB), 0, "the client's end")


def test_names_that_cannot_be_opened(world):
    """A link in a circle is there, and leads nowhere; one that dangles waits.
    """
    berthd = world.berthd(forward("127.0.0.1:1"))
    (world.dir / "circle").symlink_to("circle")
    (world.dir / "dangling").symlink_to("nothing")
    wait_equal(lambda: value(berthd, "berth_namespaces", state="unreadable"),
               1, "the circle")
    wait_equal(lambda: value(berthd, "berth_namespaces", state="pending"),
               1, "the other link")


def test_counters_survive_the_relay(world, backend):
    """One that is killed, and one that is restarted: no counter falls."""
    netns = world.netns("n")
    berthd = world.berthd(forward(to(backend)))
    for n in range(1, 4):
        client, server = pair(netns, backend)
        with client, server:
            wait_equal(lambda: value(berthd, "berth_connections_total", **WEB),
                       n, "one more")
        before = scrape(berthd).counters()
        if n == 1:
            berthd.relay_pid(other_than=berthd.kill_relay())
        elif n == 2:
            relay = berthd.relay_pid()
            berthd.ctl("restart-relay")
            berthd.relay_pid(other_than=relay)
        else:
            berthd.leave()
            berthd.start()
        berthd.wait_delivered()
        after = scrape(berthd)
        for key, was in before.items():
            # What has its own beginning says so.
            if key[0].startswith(("process_", "berth_relay_restarts",
                                  "berth_open", "berth_freed",
                                  "berth_event", "berth_resyncs")):
                continue
            assert after.series[key] >= was, key
        if n < 3:
            assert after.get("berth_relay_restarts_total") == n


def reasons(berthd, least=1):
    """What was dropped, and which limits were met: of which rule, and why."""
    found = {}
    for (name, labels), number in scrape(berthd).series.items():
        labels = dict(labels)
        if number < least:
            continue
        if name == "berth_messages_dropped_total":
            found[labels["rule"], labels["reason"]] = number
        elif name == "berth_limited_total":
            found[labels["rule"], "by " + labels["limit"]] = number
    return found


def test_drops_and_limits_have_reasons(world, backend):
    """They outlive the relay, and berthd."""
    netns = world.netns("n")
    datagrams = world.close_later(world.host.listen(kind=socket.SOCK_DGRAM))

    def udp(port, name, clients=None, **options):
        listen = {"protocol": "udp", "address": "any", "port": port}
        if clients:
            listen["clients"] = clients
        return rule(name=name, listen=[listen],
                    forward=dict({"to": to(datagrams)}, **options))

    berthd = world.berthd(rules(
        rule(name="full", forward={"to": to(backend), "max_connections": 1}),
        udp(1001, "absent", to=f"unix:{world.base}/nothing"),
        udp(1002, "often",
            rate_limit={"connections": 1, "per": "1h"}),
        udp(1003, "large", proxy_protocol="v2"),
        udp(1004, "strangers", clients=["10.0.0.1"]),
        udp(1005, "few", max_connections=1)))

    berthd.wait_delivered()
    known = reasons(berthd, least=0)
    assert set(known.values()) == {0}

    # Each worker that stops accepting counts it.
    full = ("full", "by max-connections")

    def seen(berthd):
        return {key: n for key, n in reasons(berthd).items() if key != full}

    def say(port, *datagrams_of_clients):
        for data in datagrams_of_clients:
            client = world.close_later(netns.new_socket(
                kind=socket.SOCK_DGRAM))
            client.sendto(data, ("127.0.0.1", port))

    client, server = pair(netns, backend)
    with client, server, netns.connect("127.0.0.1", 8080):
        say(1001, b"x", b"x")
        say(1002, b"x", b"x", b"x")
        say(1003, b"x" * 65507)
        say(1004, b"x")
        say(1005, b"x", b"x")
        expected = {("absent", "unreachable"): 2, ("often", "rate-limit"): 2,
                    ("often", "by rate-limit"): 2, ("large", "too-large"): 1,
                    ("strangers", "not-admitted"): 1,
                    ("few", "by max-connections"): 1}
        wait_equal(lambda: seen(berthd), expected, "all of them")
        wait_for(lambda: reasons(berthd).get(full), "the limit to be met")
        counted = berthd.ctl("stats")["total"]
        assert counted["dropped_by"] == [
            {"reason": "not-admitted", "count": 1},
            {"reason": "rate-limit", "count": 2},
            {"reason": "unreachable", "count": 2},
            {"reason": "too-large", "count": 1}]
        assert counted["dropped"] == 6 and counted["limited"] >= 4
    # The client that waited is served now. Nothing may be waiting when the
    # relay is killed: it would be counted again.
    server, _ = backend.accept()
    server.close()
    wait_equal(lambda: value(berthd, "berth_connections", rule="full",
                             protocol="tcp"), 0, "the end of all")
    expected = reasons(berthd)
    assert expected.keys() <= known.keys()  # a rate has seen the first of each
    berthd.relay_pid(other_than=berthd.kill_relay())
    berthd.wait_delivered()
    assert reasons(berthd) == expected
    berthd.leave()
    berthd.start()
    berthd.wait_delivered()
    assert reasons(berthd) == expected


def test_series_of_rules_that_are_gone(world):
    world.netns("n")
    berthd = world.berthd(rules(rule(name="web"), rule(name="dns", port=53)))
    dns = dict(WEB, rule="dns")
    assert value(berthd, "berth_connections_total", **dns) == 0
    now = scrape(berthd)  # a rate sees what can be from the first one on
    for limit, known in (("max-connections", 0), ("descriptors", 0),
                         ("rate-limit", None), ("waiting", None)):
        assert now.get("berth_limited_total", limit=limit, **WEB) == known
    assert "berth_messages_dropped_total" not in {
        name for name, _ in now.series}  # streams have no messages
    berthd.write_rules("50-test.yaml", rules(rule(name="web")))
    wait_equal(lambda: value(berthd, "berth_connections_total", **dns), None,
               "the rule's end")
    wait_equal(lambda: value(berthd, "berth_listeners", state="listening",
                             **dns), None, "its listeners' end")
    assert value(berthd, "berth_connections_total", **WEB) == 0


def test_problems_show(world):
    world.netns("n")
    berthd = world.berthd(rules(rule()))
    good = value(berthd, "berth_rules_last_reload_success_timestamp_seconds")
    assert good > 1e9
    berthd.write_rules("broken.yaml", "rules: {")
    wait_equal(lambda: value(berthd, "berth_rules_last_reload_successful"), 0,
               "the broken file")
    assert value(berthd, "berth_rules_last_reload_success_timestamp_seconds") \
        == good


def test_containers_by_who_told(world):
    netns = world.netns("n")
    berthd = world.berthd(rules(rule()))
    file = berthd.runtime / "containers.d/a.json"
    file.with_name(".a.json").write_text(json.dumps(
        {"name": "written", "netns": str(netns.path)}))
    file.with_name(".a.json").rename(file)
    told = {"path": {"path": str(netns.path)}, "fd": {"fd": 0},
            "hook": {"fd": 0, "source": "hook"},
            "runtime": {"path": str(netns.path), "source": "runtime"}}
    connection = Connection(berthd)
    with open(netns.path, "rb") as opened:
        for name, parameters in told.items():
            connection.call(
                "io.berth.Register", *[opened.fileno()] * ("fd" in parameters),
                name=name, **parameters)
            assert "error" not in connection.reply()
    connection.close()
    wanted = {"file": 1, "registered": 1, "descriptor": 1, "hook": 1,
              "runtime": 1}
    wait_equal(lambda: {source: value(berthd, "berth_containers",
                                      source=source) for source in wanted},
               wanted, "all to be counted")
    berthd.stop()
    berthd.start()
    assert {source: value(berthd, "berth_containers", source=source)
            for source in wanted} == wanted


def test_shadowed(world):
    """As many as there are namespaces, and a rule that never wins, too."""
    world.netns("a")
    other = world.netns("b")
    berthd = world.berthd(rules(rule(), rule(name="late"),
                                rule(name="dns", port=53)))
    late = dict(WEB, rule="late", state="shadowed")
    wait_equal(lambda: value(berthd, "berth_listeners", **late), 2, "both")
    now = scrape(berthd)
    assert now.get("berth_listeners", **dict(late, rule="web")) == 0
    assert now.get("berth_listeners", **dict(late, state="listening")) == 0
    assert not any(dict(labels).get("state") == "shadowed" for _, labels
                   in scrape(berthd, "--namespaces", "*").series)
    other.destroy()
    wait_equal(lambda: value(berthd, "berth_listeners", **late), 1, "one")
    berthd.write_rules("50-test.yaml", rules(rule()))
    wait_equal(lambda: value(berthd, "berth_listeners", **late), None, "none")


def test_waiting_has_a_reason(world):
    netns = world.netns("n")
    with netns.listen(port=8080):
        berthd = world.berthd(rules(rule()))
        wait_equal(lambda: value(berthd, "berth_listeners_waiting",
                                 reason="EADDRINUSE"), 1, "the port is taken")
        assert value(berthd, "berth_listeners", state="waiting", **WEB) == 1
        assert value(berthd, "berth_listeners_waiting", reason="limit") == 0


def test_namespaces_on_request(world):
    """Series for each listener of those that match, and no others."""
    names = ["a1", "a2", "b1"]
    for name in names:
        world.netns(name)
    berthd = world.berthd(rules(rule()))
    wait_equal(lambda: value(berthd, "berth_listeners", state="listening",
                             **WEB), 3, "three")
    assert not any("namespace" in dict(labels)
                   for _, labels in scrape(berthd).series)
    now = scrape(berthd, "--namespaces", "a*")
    assert {dict(labels).get("namespace") for name, labels in now.series
            if name == "berth_listeners"} == {"a1", "a2"}
    assert now.get("berth_connections_total", namespace="a1",
                   listener="*:8080", **WEB) == 0
    assert now.get("berth_connections_total", **WEB) is None
    done = berthd.ctl_process("metrics", "--namespaces", "/(")
    assert done.returncode == 2 and "'namespaces'" in done.stderr
    done = berthd.ctl_process("status", "--namespaces", "a")
    assert done.returncode == 2 and "--namespaces" in done.stderr


def test_times(world):
    berthd = world.berthd(rules(rule()))
    assert value(berthd, "berth_open_seconds_count") == 0
    netns = world.netns("n")
    wait_equal(lambda: value(berthd, "berth_open_seconds_count"), 1,
               "a listener that was opened")
    now = scrape(berthd)
    assert now.get("berth_open_seconds_bucket", le="+Inf") == 1
    assert now.get("berth_open_seconds_bucket", le="60") == 1
    assert 0 < now.get("berth_open_seconds_sum") < 60
    netns.delete()
    wait_equal(lambda: value(berthd, "berth_freed_seconds_count"), 1,
               "a namespace that was freed")


def replies(berthd, method, path=None):
    """Each of them, of a call with "more"."""
    connection = Connection(berthd, path)
    connection.socket.sendall(json.dumps({
        "method": f"io.systemd.Metrics.{method}",
        "more": True}).encode() + b"\0")
    reply = {"continues": True}
    while reply.get("continues"):
        reply = connection.reply()
        yield reply["parameters"]
    connection.close()


def test_as_systemd_collects_them(world):
    """Each series in a reply of its own, of a family that is described."""
    world.netns("n")
    berthd = world.berthd(rules(rule()))
    berthd.wait_delivered()
    families = {family["name"]: family
                for family in replies(berthd, "Describe")}
    assert families["io.berth.listeners"]["type"] == "gauge"
    assert families["io.berth.open_seconds_bucket"]["type"] == "counter"
    assert all(set(family) == {"name", "description", "type"}
               and family["type"] in ("counter", "gauge")
               for family in families.values())
    listed = list(replies(berthd, "List"))
    assert {series["name"] for series in listed} <= set(families)
    assert all(isinstance(series["value"], (int, float)) for series in listed)
    assert {"name": "io.berth.listeners", "value": 1,
            "fields": dict(WEB, state="listening")} in listed
    shown = {key: number for key, number in scrape(berthd).series.items()
             if not key[0].startswith("process_")}
    assert {("berth_" + series["name"].removeprefix("io.berth."),
             frozenset(series.get("fields", {}).items())): series["value"]
            for series in listed
            if not series["name"].startswith("io.berth.process_")} == shown
    connection = Connection(berthd)
    connection.call("io.systemd.Metrics.List")
    assert connection.reply()["error"] == "org.varlink.service.ExpectedMore"
    connection.close()


def test_where_systemd_looks_for_them(world):
    """A socket for root alone, with nothing else on it, while berthd runs."""
    world.netns("n")
    directory = world.mkdir("report")
    path = directory / "io.berth"
    berthd = world.berthd(rules(rule()), args=["--report-dir", directory])
    berthd.wait_delivered()
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {"name": "io.berth.listeners", "value": 1,
            "fields": dict(WEB, state="listening")} \
        in list(replies(berthd, "List", path))
    connection = Connection(berthd, path)
    connection.call("io.berth.GetStatus")
    assert connection.reply()["error"] == \
        "org.varlink.service.InterfaceNotFound"
    connection.close()
    berthd.stop()
    assert not path.exists()


@pytest.mark.parametrize("make", [
    lambda path: None,
    lambda path: path.write_text(""),
    lambda path: (path.mkdir(), (path / "io.berth").mkdir())])
def test_nowhere_to_report_to(world, make):
    """It costs a host without such a systemd nothing."""
    directory = world.base / "report"
    make(directory)
    netns = world.netns("n")
    berthd = world.berthd(rules(rule()), args=["--report-dir", directory])
    berthd.wait_delivered()
    assert value(berthd, "berth_listeners", state="listening", **WEB) == 1
    assert netns.ask("127.0.0.1", 8080) == b"ack"

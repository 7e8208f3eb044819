# SPDX-License-Identifier: Apache-2.0
"""test_openstack.py - berth beside the haproxy that Neutron starts

The same requests go through both to Neutron's own metadata proxy, and what
comes of it is compared: what reaches Neutron's handler, what reaches Nova, and
what the instance gets. Where berth is another on purpose, the table says why.
"""

import collections
import dataclasses
import json
import re
import subprocess
import textwrap
import uuid
from pathlib import Path

import pytest

from harness import metadata
from harness.berthd import BERTHD
from harness.metadata import (INSTANCE4, INSTANCE6, META, METADATA4,
                              METADATA6, PASSWORD, STRANGER4, Network, Neutron,
                              Nova)
from harness.wait import wait_for
from harness.world import World

TOP = Path(__file__).resolve().parents[2]
RECIPE = TOP / "contrib/openstack"
UUID = str(uuid.uuid4())
HEAD = b" HTTP/1.1\r\nHost: 169.254.169.254\r\n"
PUT_PASSWORD = b"POST " + PASSWORD.encode() + HEAD
GET = b"GET /openstack" + HEAD + b"\r\n"


def get(*lines, path=b"/openstack"):
    return b"GET " + path + HEAD + b"".join(
        line + b"\r\n" for line in lines) + b"\r\n"


def recipe(name, **changes):
    """The rules as they are handed out, but for the socket's path."""
    text = (RECIPE / name).read_text(encoding="ascii")
    for old, new in changes.items():
        text, count = re.subn(rf"{old}: \S+", f"{old}: {new}", text)
        assert count, old
    return text


class Ways:
    """A metadata service, and the networks that lead to it both ways."""

    def __init__(self, world, kind, prefix, rules, *, short=False,
                 as_root=False, **proxy):
        self.world = world
        self.nova = Nova()
        world.defer(self.nova.close)
        router = prefix.startswith("qrouter")
        proxy = {"network_id": None if router else UUID,
                 "router_id": UUID if router else None,
                 "host": METADATA4, "port": 80,
                 "pid_file": str(world.base / "haproxy.pid"), **proxy}
        self.neutron = Neutron(world, kind, self.nova, [proxy], as_root)
        self.port = proxy["port"]
        self.haproxy = Network(world, f"{prefix}-{UUID}",
                               world.mkdir(f"haproxy-{prefix}"))
        self.berth = Network(world, f"{prefix}-{UUID}", world.dir)
        config = self.neutron.config(UUID)
        if short:
            config.write_text(re.sub(r"(timeout [a-z-]+ +)\d+s", r"\g<1>1s",
                                     config.read_text()))
        metadata.start_haproxy(world, self.haproxy, config)
        changes = {"to": f"unix:{self.neutron.socket}"}
        if short:
            changes.update(request_timeout="1s", response_timeout="1s")
        self.berthd = world.berthd(
            recipe(rules, **changes),
            args=["--relay-user", metadata.NEUTRON])
        # OVN's haproxy of this version has no listener of IPv6, berth has.
        wait_for(lambda: self.haproxy.netns.listeners()
                 <= (found := self.berth.netns.listeners())
                 and len(found) == (1 if router else 2),
                 "berth to listen where haproxy does")

    def exchange(self, network, request, **where):
        """Return: what the instance got, and what came to whom."""
        self.neutron.arrived()
        self.nova.requests.clear()
        answer = network.ask(request, port=self.port, **where)
        return Outcome(answer, self.neutron.arrived(),
                       list(self.nova.requests))

    def both(self, request, **where):
        return [self.exchange(network, request, **where)
                for network in (self.haproxy, self.berth)]


class Outcome:
    def __init__(self, answer, arrived, nova):
        assert len(arrived) < 2 and len(nova) < 2
        self.answer = answer
        self.arrived = arrived[0] if arrived else None
        self.nova = nova[0] if nova else None
        self.headers = collections.Counter(
            (name, value.replace(UUID, "UUID"))
            for name, value in (arrived[0]["headers"] if arrived else []))

    def gist(self):
        """All that is compared but for the headers that arrived."""
        rest = dict(self.arrived or {}, headers=None)
        answer = self.answer
        # haproxy's own words are its own.
        mine = self.arrived is not None
        return (answer.status, mine and answer.body,
                mine and answer.headers.get("content-type"), rest, self.nova)


@dataclasses.dataclass
class Same:
    """Nothing differs; the status is this one."""
    status: int = 200

    def check(self, haproxy, berth):
        assert haproxy.answer.status == self.status, haproxy.answer
        assert haproxy.gist() == berth.gist()
        assert haproxy.headers == berth.headers


@dataclasses.dataclass
class Headers:
    """The same comes of it, though headers arrive through one alone."""
    why: str
    haproxy: set
    berth: set = dataclasses.field(default_factory=set)

    def check(self, haproxy, berth):
        assert set(haproxy.headers - berth.headers) == self.haproxy
        assert set(berth.headers - haproxy.headers) == self.berth
        assert haproxy.gist() == berth.gist()


@dataclasses.dataclass
class Differs:
    """The statuses; of what berth lets through, what Nova is to get."""
    why: str
    haproxy: int
    berth: int
    body: bytes = b""

    def check(self, haproxy, berth):
        assert (haproxy.answer.status, berth.answer.status) == \
            (self.haproxy, self.berth), (haproxy.answer, berth.answer)
        if self.berth == 200:
            assert berth.nova[2:] == (f"{UUID} {INSTANCE4}", INSTANCE4,
                                      self.body)
        else:
            assert berth.arrived is None and berth.nova is None


STRICT = "what RFC 9112 lets a server refuse, because others read it otherwise"
NOT_THEIRS = "a header that the rule sets is the rule's alone, however written"

CASES = {
    "plain": (GET, Same()),
    "query": (get(path=b"/openstack?a=b%20c&d"), Same()),
    "encoded": (get(path=b"/open%73tack"), Same()),
    "other headers": (get(b"User-Agent: Cloud-Init/22.4", b"Accept: */*",
                          b"x-mixed: A", b"X-MIXED: b"), Same()),
    "HEAD": (GET.replace(b"GET", b"HEAD"), Same()),
    "large answer": (get(path=b"/large"), Same()),
    "POST": (PUT_PASSWORD + b"Content-Length: 5\r\n\r\nhello", Same()),
    "no such page": (get(path=b"/none"), Same(404)),
    **{f"Nova says {code}": (get(path=b"/status/%d" % code), Same(status))
       for code, status in ((400, 400), (403, 403), (409, 409), (500, 500),
                            (502, 500), (201, 500))},
    "of this connection": (get(b"Connection: keep-alive, x-a", b"X-A: 1",
                               b"Keep-Alive: 3", b"TE: trailers"), Headers(
        "what is about the connection ends with it",
        {("connection", "x-a"), ("x-a", "1"), ("keep-alive", "3"),
         ("te", "trailers")})),
    "expects to be told": (
        PUT_PASSWORD + b"Expect: 100-continue\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        Headers("berth answers it, and Neutron has the body at once",
                {("expect", "100-continue")})),
    "no request": (b"nonsense\r\n\r\n", Same(400)),
    "two lengths": (PUT_PASSWORD + b"Content-Length: 5\r\nContent-Length: 6"
                    b"\r\n\r\nhello!", Same(400)),
    "space before the colon": (get(b"X-A : b"), Same(400)),
    "two hosts": (get(b"Host: other"), Same(400)),
    "spoofed address": (get(b"X-Forwarded-For: 10.0.0.9"), Differs(
        "haproxy adds its own behind it: the instance gets nothing at all",
        404, 200)),
    "chunked": (PUT_PASSWORD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello"
                b"\r\n0\r\n\r\n", Differs(
                    "Neutron takes chunks for no body: Nova would get a "
                    "password that is empty", 200, 200, b"hello")),
    "both lengths": (PUT_PASSWORD + b"Content-Length: 5\r\nTransfer-Encoding: "
                     b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                     Differs(STRICT, 200, 400)),
    "bare line feeds": (b"GET /openstack HTTP/1.1\nHost: x\n\n",
                        Differs(STRICT, 200, 400)),
    "folded line": (get(b"X-A: a", b" b"), Differs(STRICT, 200, 400)),
    "HTTP/2.0": (GET.replace(b"/1.1", b"/2.0"), Differs(STRICT, 200, 505)),
    "no host": (b"GET /openstack HTTP/1.1\r\n\r\n", Differs(STRICT, 200, 400)),
    "5000 bytes": (get(b"X-A: " + b"a" * 5000), Differs(
        "Neutron of 2025 and later reads 4096 bytes of a request", 200, 431)),
    "30000 bytes": (get(b"X-A: " + b"a" * 30000), Differs(
        "the status says what is wrong", 400, 431)),
    "110 fields": (get(*[b"X-A: b"] * 110), Differs(
        "the status says what is wrong", 400, 431)),
}
SPOOFED = ("X-OVN-Network-ID", "x-ovn-network-id", "X_OVN_NETWORK_ID")
PAGES = ["", "openstack", "openstack/2018-08-27/meta_data.json",
         "latest/meta-data/instance-id"]
# What an instance's program would do: all that cloud-init asks for.
CLOUD_INIT = """
import json
from cloudinit.sources import DataSourceOpenStack
print(json.dumps(DataSourceOpenStack.read_metadata_service(
    "http://169.254.169.254"), default=bytes.decode))
"""


@pytest.fixture(name="module_world", scope="module")
def fixture_module_world():
    made = World()
    yield made
    made.close()


@pytest.fixture(name="ovn", scope="module")
def fixture_ovn(module_world):
    return Ways(module_world, "ovn", "ovnmeta", "ovn.yaml")


@pytest.mark.parametrize("name", CASES)
def test_the_same_request(ovn, name):
    request, expected = CASES[name]
    expected.check(*ovn.both(request))


def test_nobody_else_may_use_the_socket(ovn):
    """So berth-relay has to run as its user."""
    for user, may in (("nobody", False), (metadata.NEUTRON, True)):
        done = subprocess.run(
            ["setpriv", f"--reuid={user}", "--clear-groups", "curl", "-s",
             "--unix-socket", ovn.neutron.socket, "http://x/"],
            stdout=subprocess.DEVNULL, check=False)
        assert (done.returncode == 0) == may, user


@pytest.mark.parametrize("name", SPOOFED)
def test_a_network_of_its_own_choice(ovn, name):
    """WSGI, by which Neutron reads headers, takes all of these for one: what
    an instance writes would stand before the network's own."""
    request = get(name.encode() + b": other")
    haproxy, berth = ovn.both(request)
    assert haproxy.nova[2] == f"other,{UUID} {INSTANCE4}"
    assert berth.nova[2] == f"{UUID} {INSTANCE4}"
    assert (name.lower(), "other") not in berth.headers


def test_somebody_else(ovn):
    """An address of the network that is no instance's."""
    haproxy, berth = ovn.both(GET, source=STRANGER4)
    Same(404).check(haproxy, berth)
    assert ("x-forwarded-for", STRANGER4) in berth.headers


def test_link_local(ovn):
    """Neutron's haproxy of this version does not listen there."""
    berth = ovn.exchange(ovn.berth, GET, address=METADATA6)
    assert berth.headers[("x-forwarded-for", INSTANCE6)] == 1
    assert berth.headers[("x-ovn-network-id", "UUID")] == 1


def test_one_request_each(ovn):
    """haproxy lets a connection have another request; berth ends it, and what
    an instance sends behind its request reaches nobody."""
    found = {}
    for network in (ovn.haproxy, ovn.berth):
        ovn.neutron.arrived()
        with network.connect() as sock:
            sock.sendall(GET + get(path=b"/none"))
            answers = [metadata.read_answer(sock).status]
            answers.append(metadata.read_answer(sock).status)
        found[network] = answers, len(ovn.neutron.arrived())
    assert found[ovn.haproxy] == ([200, 404], 2)
    assert found[ovn.berth] == ([200, None], 1)


def test_cloud_init(ovn):
    found = [json.loads(network.instance.run(metadata.PYTHON, "-c",
                                             CLOUD_INIT))
             for network in (ovn.haproxy, ovn.berth)]
    assert found[0] == found[1]
    assert found[1]["metadata"]["uuid"] == META["uuid"]
    assert found[1]["metadata"]["local-hostname"] == META["hostname"]
    assert found[1]["userdata"] == "#cloud-config\n{}\n"
    assert found[1]["ec2-metadata"]["instance-id"] == "i-0123"


def test_curl(ovn):
    """Many pages by one program, which keeps its connection if it may."""
    command = ["curl", "-sS", "--fail", "--max-time", "60"]
    for page in PAGES:
        command += [f"http://{METADATA4}/{page}", "-o", "-"]
    haproxy, berth = (network.instance.run(*command)
                      for network in (ovn.haproxy, ovn.berth))
    assert haproxy == berth and META["uuid"] in berth


def test_wrk(ovn):
    """As fast as it can be asked: each request has its answer."""
    report = ovn.berth.instance.run(
        "wrk", "--threads", "1", "--connections", "8", "--duration", "1s",
        "--timeout", "30s", f"http://{METADATA4}/openstack")
    assert int(re.search(r"(\d+) requests in", report)[1]) > 0, report
    assert "Non-2xx" not in report and "Socket errors" not in report, report


def test_time_limits(world):
    """The same ones, but for their length: of both a second here."""
    ways = Ways(world, "ovn", "ovnmeta", "ovn.yaml", short=True)
    # A request that does not end.
    haproxy, berth = ways.both(GET[:-2])
    assert (haproxy.answer.status, berth.answer.status) == (408, 408)
    assert haproxy.arrived is None and berth.arrived is None
    # An answer that does not begin.
    haproxy, berth = ways.both(get(path=b"/held"))
    assert (haproxy.answer.status, berth.answer.status) == (504, 504)
    ways.nova.held.set()
    # Nobody there, as while the agent starts again.
    ways.neutron.program.kill()
    ways.neutron.program.wait()
    haproxy, berth = ways.both(GET)
    assert (haproxy.answer.status, berth.answer.status) == (503, 503)


def limited_haproxy(ovn, port, base, burst):
    """What newer versions of Neutron add to a haproxy's configuration with
    [metadata_rate_limiting] rate_limit_enabled."""
    tables, tracks, denies = [], [], []
    for i, (name, (limit, window)) in enumerate(
            (("base_rate_limiter", base), ("burst_rate_limiter", burst))):
        tables.append(f"backend {name}\n    stick-table type ip size 10k "
                      f"expire {max(base[1], burst[1])}s "
                      f"store http_req_rate({window}s)\n")
        tracks.append(f"    http-request track-sc{i} src table {name}\n")
        denies.append("    http-request deny deny_status 429 if "
                      f"{{ src_http_req_rate({name}) gt {limit} }}\n")
    text = ovn.neutron.config(UUID).read_text().replace(
        f"bind {METADATA4}:80\n", f"bind {METADATA4}:{port}\n")
    begin = "listen listener\n"
    assert text.count(begin) == 1 and f":{port}\n" in text
    config = ovn.world.base / f"limited-{port}.conf"
    config.write_text(text.replace(
        begin, "\n".join(tables) + "\n" + begin + "".join(tracks + denies)))
    return config


@pytest.mark.parametrize("port, base, burst, answered", [
    (8001, (10, 3600), (3, 600), 3), (8002, (3, 3600), (10, 600), 3)])
def test_rate_limits(ovn, port, base, burst, answered):
    """Whichever is met first, of the requests and seconds: the same request is
    the first one that is refused. Only berth says for how long."""
    metadata.start_haproxy(ovn.world, ovn.haproxy,
                           limited_haproxy(ovn, port, base, burst))
    limits = ", ".join(f"{{ requests: {limit}, per: {window}s }}"
                       for limit, window in (base, burst))
    rules = recipe("ovn.yaml", to=f"unix:{ovn.neutron.socket}")
    for old, new in (
            ("name: ovn-metadata\n", f"name: limits-{port}\n"),
            ("port: 80 ", f"port: {port} "),
            ("max_request:", f"rate_limit: [ {limits} ]\n        max_request:")):
        assert old in rules
        rules = rules.replace(old, new)
    first, _ = rules.split("\n  # ", 1)
    ovn.berthd.write_rules(f"{port}.yaml", first + "\n")
    wait_for(lambda: f"tcp {METADATA4}:{port}" in ovn.berth.netns.listeners(),
             "berth to listen there")
    for network in (ovn.haproxy, ovn.berth):
        answers = [network.ask(GET, port=port) for _ in range(answered + 2)]
        assert [answer.status for answer in answers] == \
            [200] * answered + [429] * 2
        # It is another one's address that another one is known by.
        assert network.ask(GET, port=port, source=STRANGER4).status == 404
        pause = answers[-1].headers.get("retry-after")
        if network is ovn.haproxy:
            assert pause is None
        else:
            assert 0 < int(pause) <= 2 * max(base[1], burst[1])
    # The networks' own limits are elsewhere: nobody else is refused.
    Same().check(*ovn.both(GET))


# ML2/OVS


@pytest.fixture(name="dhcp", scope="module")
def fixture_dhcp(module_world):
    """The agent is root here, and berth-relay in the group of its socket."""
    return Ways(module_world, "ovs", "qdhcp", "ovs.yaml", as_root=True,
                host_v6=METADATA6, bind_interface="tap1")


def test_dhcp(dhcp):
    Same().check(*dhcp.both(GET))
    haproxy, berth = dhcp.both(get(b"X-Neutron-Router-ID: other"))
    Same().check(haproxy, berth)
    assert not [value for _, value in berth.headers if value == "other"]


def test_dhcp_link_local(dhcp):
    """The instance's address without its interface: Neutron reads the MAC."""
    haproxy, berth = dhcp.both(GET, address=METADATA6)
    Same().check(haproxy, berth)
    assert berth.nova[2:4] == (f"{UUID} {metadata.MAC}", INSTANCE6)


@pytest.mark.parametrize("name", ["X_Neutron_Router_ID",
                                  "x-neutron_router-id"])
def test_dhcp_spoofed(dhcp, name):
    """haproxy removes what is written as it is: WSGI reads it all the same,
    and Neutron answers no request of which two say where it is from."""
    haproxy, berth = dhcp.both(get(name.encode() + b": other"))
    assert (haproxy.answer.status, berth.answer.status) == (404, 200)


def test_router(world):
    """haproxy listens on one socket for both families, and tells of IPv4 as
    of IPv6; Neutron makes that IPv4 again, but for Nova."""
    ways = Ways(world, "ovs", "qrouter", "ovs.yaml", port=9697, host="::")
    haproxy, berth = ways.both(get(b"X-Neutron-Network-ID: other"),
                               address="10.0.0.2")
    for way, address in ((haproxy, f"::ffff:{INSTANCE4}"),
                         (berth, INSTANCE4)):
        assert way.answer.status == 200
        assert way.nova[2:4] == (f"of {UUID} {INSTANCE4}", address)
        assert way.headers[("x-neutron-router-id", "UUID")] == 1
        assert ("x-neutron-network-id", "other") not in way.headers


# contrib/openstack


def test_page_names_each_file():
    text = (RECIPE / "README.md").read_text()
    assert [path.name for path in RECIPE.iterdir()
            if f"`{path.name}`" not in text and path.name != "README.md"] == []


@pytest.mark.parametrize("name", ["ovn.yaml", "ovs.yaml", "README.md"])
def test_rules_are_good(tmp_path, name):
    text = (RECIPE / name).read_text()
    if name == "README.md":  # what is indented from "rules:" on
        text = re.search(r"^    rules:\n(?:     .*\n)+", text, re.M).group()
    path = tmp_path / "rules.yaml"
    path.write_text(textwrap.dedent(text))
    done = subprocess.run([BERTHD, "--check", path], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0 and "no problems" in done.stdout, done

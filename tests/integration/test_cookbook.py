# SPDX-License-Identifier: Apache-2.0
"""test_cookbook.py - doc/cookbook.md says what contrib/rules.d has, and each
recipe does what it says."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from harness import podman
from harness.berthd import BUILD
from harness.traffic import EchoBackend, was_reset
from harness.wait import GUARD, wait_equal, wait_for

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "contrib" / "rules.d"
COOKBOOK = (TOP / "doc" / "cookbook.md").read_text(encoding="utf-8")


def example(name):
    return (EXAMPLES / name).read_text(encoding="ascii")


def tell(berthd, name, netns, **more):
    """Writes what is known of the container, whole."""
    directory = berthd.runtime / "containers.d"
    temporary = directory / f".{name}.new"
    temporary.write_text(json.dumps(
        {"netns": str(netns.path), "name": name, **more}))
    os.rename(temporary, directory / f"{name}.json")


def sections():
    """The recipes: the yaml blocks of each, and its text."""
    for section in COOKBOOK.split("\n## ")[1:]:
        yield (section.partition("\n")[0],
               re.findall(r"```yaml\n(.*?)```", section, re.DOTALL), section)


@pytest.mark.parametrize("title,blocks,text",
                         [s for s in sections() if s[1]],
                         ids=[s[0] for s in sections() if s[1]])
def test_shows_the_file_as_it_is(title, blocks, text):
    """Each recipe with rules names their file, which has no others."""
    names = re.findall(r"\((\d\d-[a-z-]+\.yaml)\)", text)
    assert len(names) == len(blocks), title
    for name, block in zip(names, blocks):
        assert example(name).endswith("\n" + block), name


def on_host(world, port):
    """A server on the host where the recipe expects one."""
    return world.close_later(
        EchoBackend(world.host.listen("127.0.0.1", port)))


def echoes(netns, address, port):
    with netns.connect(address, port) as client:
        client.sendall(b"ping")
        return client.recv(4) == b"ping"


def wait_open(netns, *listeners):
    wait_equal(netns.listeners, set(listeners), "the listeners")


OTLP = "tcp 127.0.0.1:4317"


def test_otlp_in_every_pod(world):
    web, db, other = (world.netns(n) for n in ("cni-1", "cni-2", "cni-3"))
    collector = on_host(world, 4317)
    berthd = world.berthd(example("70-otlp.yaml"))
    tell(berthd, "web-1", web, pod_namespace="shop")
    tell(berthd, "db-1", db, pod_namespace="shop")
    tell(berthd, "other", other)
    for pod in (web, db):
        wait_open(pod, OTLP)
        assert echoes(pod, "127.0.0.1", 4317)
    assert collector.served == 2
    assert other.listeners() == set()


def test_tenant_header(world):
    """The server reads what the label says, not what the client does."""
    blue, other = world.netns("cni-1"), world.netns("cni-2")
    service = world.close_later(world.host.listen("127.0.0.1", 8500))
    berthd = world.berthd(example("80-tenant-header.yaml"))
    tell(berthd, "web-1", blue, labels={"tenant": "a"})
    tell(berthd, "web-2", other)
    wait_open(blue, "tcp 127.0.0.1:8500")
    assert other.listeners() == set()
    with blue.connect("127.0.0.1", 8500) as client:
        client.sendall(b"GET /v1/x HTTP/1.1\r\nHost: a\r\nx-tenant: b\r\n"
                       b"X_Tenant: c\r\n\r\n")
        conn, _ = service.accept()
        with conn:
            assert conn.recv(4096) == (
                b"GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Tenant: a\r\n"
                b"X-Container: web-1\r\nConnection: close\r\n\r\n")
            conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 200")
    assert blue.ask("127.0.0.1", 8500, b"GET /v2 HTTP/1.1\r\nHost: a\r\n"
                    b"\r\n").startswith(b"HTTP/1.1 403 ")


def test_backends(world):
    """The one without weight gets nobody, and keeps whom it has; only the
    connections of a rule with a limit end by it."""
    pod = world.netns("cni-1")
    places = ("127.0.0.1:8601", "127.0.0.1:8602")
    for port in (8601, 8602):
        on_host(world, port)
    rules = example("82-backends.yaml")
    berthd = world.berthd(rules, args=["--workers", "1"])
    tell(berthd, "web-1", pod, pod_namespace="shop")
    wait_open(pod, "tcp 127.0.0.1:8600")

    def backends(*members):
        return {row["backend"]: tuple(row[name] for name in members)
                for row in berthd.ctl("backends", "api")["backends"]}

    def come():
        client = world.close_later(pod.connect("127.0.0.1", 8600))
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        return client

    def wait_clients(first, second):
        wait_equal(lambda: backends("connections"),
                   dict(zip(places, [(first,), (second,)])), "the clients")

    wait_equal(lambda: backends("state", "checked"),
               dict.fromkeys(places, ("up", True)), "the checks")
    clients = [come() for _ in range(3)]
    wait_clients(1, 2)
    assert "8601, weight: 1 }" in rules and "max_lifetime: 1h" in rules
    berthd.write_rules("50-test.yaml", rules.replace(
        "8601, weight: 1 }", "8601, weight: 0 }").replace(
            "max_lifetime: 1h", "max_lifetime: 1s"))
    berthd.ctl_text("reload")

    def has_the_new_rule():
        """By the earlier one it would be the first server's. A slow machine
        may meet the limit of a second."""
        try:
            client = come()
        except ConnectionError:
            return False
        now = backends("connections")
        client.close()
        wait_clients(1, 2)
        return now == {places[0]: (1,), places[1]: (3,)}

    wait_for(has_the_new_rule, "the weight of 0")
    with pod.connect("127.0.0.1", 8600) as last:
        assert was_reset(last)
    for client in clients:
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"


def test_opts_out(world):
    """By the label that the rule knows, or by that which all rules know; the
    port is the container's own then."""
    blue = world.netns("cni-1")
    berthd = world.berthd(example("70-otlp.yaml"))
    for label, value in (("otel", "own"), ("berth.io/skip", "true")):
        tell(berthd, "web-1", blue, pod_namespace="shop")
        wait_open(blue, OTLP)
        tell(berthd, "web-1", blue, pod_namespace="shop",
             labels={label: value})
        wait_open(blue)
        assert label in berthd.ctl_text("explain", "web-1")
        with blue.listen("127.0.0.1", 4317):
            assert blue.listeners() == {OTLP}
        wait_open(blue)


def test_metadata_by_label(world):
    """The address is there before the listener, and both go with the label;
    the service learns who asks."""
    blue, red = world.netns("cni-1", up=False), world.netns("cni-2")
    service, path = world.unix_listen("metadata.sock")
    rules = example("72-metadata-by-label.yaml")
    assert "unix:/run/metadata.sock" in rules
    berthd = world.berthd(rules.replace("/run/metadata.sock", str(path)))
    tell(berthd, "web-1", blue, labels={"metadata": "on"})
    tell(berthd, "db-1", red, labels={"metadata": "off"})
    wait_open(blue, "tcp 169.254.169.254:80")
    with blue.connect("169.254.169.254", 80) as client:
        conn, _ = service.accept()
        with conn:
            head = conn.recv(1024)
            assert head.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
            assert b"\x30\0\x05cni-1" in head  # PP2_TYPE_NETNS
            conn.sendall(b"you are web-1")
            assert client.recv(64) == b"you are web-1"
    assert red.listeners() == set()
    assert not [a for a in red.addresses() if "169.254" in str(a)]
    tell(berthd, "web-1", blue)
    wait_open(blue)
    wait_for(lambda: not [a for a in blue.addresses() if "169.254" in str(a)],
             "the address to go")


def test_syslog(world):
    blue = world.netns("blue")
    journal = world.close_later(socket.socket(socket.AF_UNIX,
                                              socket.SOCK_DGRAM))
    journal.settimeout(GUARD)
    path = world.base / "dev-log"
    journal.bind(str(path))
    path.chmod(0o666)
    rules = example("76-syslog.yaml")
    assert "unix:/run/systemd/journal/dev-log" in rules
    world.berthd(rules.replace("/run/systemd/journal/dev-log", str(path)))
    wait_open(blue, "udp 127.0.0.1:514")
    with blue.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 514))
        client.send(b"<13>web: hello")
        assert journal.recv(64) == b"<13>web: hello"


def test_health(world):
    blue = world.netns("blue")
    blue.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
    blue.addr_add("10.1.1.1/24", "eth0")
    blue.up("eth0")
    world.berthd(example("78-health.yaml"))
    wait_open(blue, "tcp 10.1.1.1:8081")
    assert blue.ask("10.1.1.1", 8081, b"GET / HTTP/1.0\r\n\r\n") \
        == b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


HTTP = (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n"
        b"Content-Type: text/plain\r\n\r\nmetadata\n")
# A static busybox's wget asks for names, which needs more files than it has.
GET = ("sh", "-c", r"printf 'GET / HTTP/1.0\r\n\r\n' | "
       "/bin/busybox nc -w 2 169.254.169.254 80")


@pytest.fixture
def pod(world):
    """podman; its paths must be short, sockets stand in them."""
    del world  # it ends first, whatever the test left
    if reason := podman.problem():
        pytest.skip(reason)
    base = tempfile.mkdtemp(prefix="berth-pod-")
    made = podman.Podman(base)
    yield made
    made.close()
    shutil.rmtree(base, ignore_errors=True)


@pytest.mark.parametrize("network", ("none", "bridge"))
def test_metadata_in_podman(world, pod, network):
    """By the label that berth-hook tells, in the first instruction."""
    service, path = world.unix_listen("metadata.sock")
    berthd = world.berthd(example("72-metadata-by-label.yaml").replace(
        "/run/metadata.sock", str(path)))
    pod.hook(BUILD / "berth-hook", "--runtime-dir", berthd.runtime)

    def serve():
        conn, _ = service.accept()
        with conn:
            asked = b""
            while not asked.endswith(b"\r\n\r\n") or b"GET" not in asked:
                asked += conn.recv(4096)
            conn.sendall(HTTP)

    server = threading.Thread(target=serve)
    server.start()
    labelled = {"io.berth.labels.metadata": "on"}
    process = pod.run(*GET, network=network, annotations=labelled)
    assert process.stdout.endswith("\n\nmetadata\n")
    assert process.stderr == ""
    server.join()
    other = pod.run(*GET, network=network, check=False)
    assert other.returncode != 0 and other.stdout == ""


CLIENT = """
import socket
for port in (1080, 3128):
    with socket.create_connection(("127.0.0.1", port)) as client:
        print(client.recv(64).decode())
"""


class Sandbox:
    """A program under bwrap, which waits until it may begin."""

    def __init__(self, world, *command):
        info, info_end = os.pipe()
        go_end, self._go = os.pipe()
        self.process = subprocess.Popen(
            ["bwrap", "--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev",
             "--proc", "/proc", "--info-fd", str(info_end), "--block-fd",
             str(go_end), "--die-with-parent", "--", *command],
            pass_fds=(info_end, go_end), stdout=subprocess.PIPE, text=True)
        world.defer(self.process.kill)
        os.close(go_end)
        os.close(info_end)
        with os.fdopen(info) as stream:
            self.pid = json.load(stream)["child-pid"]

    def go(self):
        os.close(self._go)
        return self.process.communicate(timeout=GUARD)[0]


def proxied(conn):
    """The port that the client meant, and its namespace's name."""
    head = conn.recv(1024)
    assert head.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
    netns = head.index(b"\x30\0")
    return (int.from_bytes(head[26:28], "big"),
            head[netns + 3:netns + 3 + head[netns + 2]].decode())


def test_sandbox_proxy(world):
    """Its first instruction finds both ports, and nothing else; with its end
    everything is freed."""
    if not shutil.which("bwrap"):
        pytest.skip("there is no bwrap (Debian: bubblewrap)")
    proxy, path = world.unix_listen("policy-proxy.sock")
    rules = example("74-sandbox-proxy.yaml")
    assert "unix:/run/policy-proxy.sock" in rules
    berthd = world.berthd(rules.replace("/run/policy-proxy.sock", str(path)))
    asked = []

    def serve():
        for _ in range(2):
            conn, _ = proxy.accept()
            with conn:
                asked.append(proxied(conn))
                conn.sendall(b"the proxy")

    server = threading.Thread(target=serve)
    server.start()
    sandbox = Sandbox(world, sys.executable, "-c", CLIENT)
    berthd.ctl_text("register", "--pid", str(sandbox.pid), "--name",
                    "agent-1", "--label", "sandbox=agent", "--wait", "10s")
    assert "agent-1" in berthd.names()
    assert sandbox.go() == "the proxy\nthe proxy\n"
    server.join()
    assert asked == [(1080, "agent-1"), (3128, "agent-1")]
    wait_for(lambda: "agent-1" not in berthd.names(), "the registration's end")
    assert berthd.status()["listeners"]["open"] == 0


def test_dns(world):
    """By UDP and TCP, on each address in the networks, as long as it is
    there."""
    pod = world.netns("cni-1")
    world.veth(pod, "eth0", world.host, "cni-host", dad=False)
    berthd = world.berthd(example("30-dns.yaml"))
    on_host(world, 53)
    with world.host.listen("127.0.0.1", 53, kind=socket.SOCK_DGRAM) as server:
        pod.addr_add("10.1.2.3/24", dev="eth0")
        wait_open(pod, "tcp 10.1.2.3:53", "udp 10.1.2.3:53")
        assert echoes(pod, "10.1.2.3", 53)
        with pod.new_socket(kind=socket.SOCK_DGRAM) as client:
            client.settimeout(GUARD)
            client.connect(("10.1.2.3", 53))
            client.send(b"question")
            question, who = server.recvfrom(512)
            server.sendto(question[::-1], who)
            assert client.recv(512) == b"noitseuq"
    pod.addr_add("192.0.2.1/24", dev="eth0")
    pod.addr_add("fd00::3/64", "eth0", "nodad")
    wait_open(pod, "tcp 10.1.2.3:53", "udp 10.1.2.3:53",
              "tcp [fd00::3]:53", "udp [fd00::3]:53")
    pod.addr_del("10.1.2.3/24", dev="eth0")
    wait_open(pod, "tcp [fd00::3]:53", "udp [fd00::3]:53")
    assert berthd.status()["listeners"]["open"] == 2

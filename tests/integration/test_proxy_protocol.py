# SPDX-License-Identifier: Apache-2.0
"""test_proxy_protocol.py - the backend is told who the client is."""

import ipaddress
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from harness import process
from harness.netns import read_all, read_exactly
from harness.rules import forward
from harness.traffic import pair, pattern, works
from harness.wait import wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
VERSIONS = ["v1", "v2", "v2+crc32c"]
LOOPBACKS = ["127.0.0.1", "::1"]


@pytest.fixture
def netns(world):
    return world.netns("blue")


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def header(client, version, name, transport=1):
    """What must stand before the first byte of this client."""
    src, dst = client.getsockname()[:2], client.getpeername()[:2]
    ipv6 = ":" in src[0]
    if version == "v1":
        return (f"PROXY TCP{6 if ipv6 else 4} {src[0]} {dst[0]} {src[1]} "
                f"{dst[1]}\r\n").encode()
    body = b"".join(ipaddress.ip_address(end[0]).packed for end in (src, dst))
    body += struct.pack(">HH", src[1], dst[1])
    body += struct.pack(">BH", 0x30, len(name)) + name.encode()
    if version == "v2+crc32c":
        body += struct.pack(">BHL", 3, 4, 0)
    made = SIGNATURE + struct.pack(
        ">BBH", 0x21, (0x20 if ipv6 else 0x10) | transport, len(body)) + body
    if version == "v2+crc32c":
        made = made[:-4] + struct.pack(">L", crc32c(made))
    return made


def expect_header(client, server, version, name="blue"):
    wanted = header(client, version, name)
    assert read_exactly(server, len(wanted)) == wanted


@pytest.mark.parametrize("address", LOOPBACKS)
@pytest.mark.parametrize("version", VERSIONS)
def test_header(world, netns, backend, version, address):
    """It comes before anybody speaks, and once."""
    world.berthd(forward(to(backend), options={"proxy_protocol": version}))
    client, server = pair(netns, backend, address)
    with client, server:
        expect_header(client, server, version)
        assert works(client, server)
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b""


def told_name(netns, backend, name):
    """Is it what the backend of a new connection is told?"""
    client, server = pair(netns, backend)
    with client, server:
        wanted = header(client, "v2", name)
        return server.recv(len(wanted), socket.MSG_WAITALL) == wanted


def test_first_name_that_goes(world, netns, backend):
    """A name that exists is told, whichever goes."""
    second = world.name("cyan").bind(netns)
    third = world.name("teal").bind(netns)
    world.berthd(forward(to(backend), options={"proxy_protocol": "v2"}))
    names = {"blue": netns, "cyan": second, "teal": third}
    while len(names) > 1:
        told = next(n for n in names if told_name(netns, backend, n))
        names.pop(told).delete()
        netns = next(iter(names.values()))
        wait_for(lambda: any(told_name(netns, backend, n) for n in names),
                 "another name to be told")


@pytest.mark.parametrize("size", [1, 60000, 1 << 20])
def test_client_that_speaks_at_once(world, netns, backend, size):
    """What it said while the relay connected comes behind the header."""
    world.berthd(forward(to(backend), options={"proxy_protocol": "v2"}))
    data = pattern(size, "early")
    for _ in range(5):
        client = netns.connect("127.0.0.1", 8080)
        server = backend.accept()[0]
        with client, server:
            wanted = header(client, "v2", "blue")
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            assert read_all(server) == wanted + data


@pytest.mark.parametrize("first", ["answers", "refuses"])
def test_client_that_spoke_before_it_was_accepted(world, netns, backend,
                                                  first):
    """What it said is there when the relay connects; the header goes to the
    backend that answers, in front of it."""
    gone = world.host.listen()
    backends = [to(backend)] if first == "answers" else [to(gone), to(backend)]
    gone.close()
    berthd = world.berthd(forward(backends, options={"proxy_protocol": "v2"}))
    berthd.wait_delivered()
    relay = berthd.relay_pid()
    for _ in range(4):
        with process.stopped(relay):
            client = netns.connect("127.0.0.1", 8080)
            client.sendall(b"early")
        with client, backend.accept()[0] as server:
            expect_header(client, server, "v2")
            assert read_exactly(server, 5) == b"early"


def test_client_that_only_closes(world, netns, backend):
    world.berthd(forward(to(backend), options={"proxy_protocol": "v1"}))
    client, server = pair(netns, backend)
    with client, server:
        wanted = header(client, "v1", "blue")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == wanted


def test_unix_backend(world, netns):
    backend, path = world.unix_listen("backend.sock")
    world.berthd(forward(f"unix:{path}", options={"proxy_protocol": "v2"}))
    client, server = pair(netns, backend)
    with client, server:
        expect_header(client, server, "v2")
        assert works(client, server)


def test_each_namespace_by_its_name(world, backend):
    """Of one rule and one backend."""
    made = [world.netns(name) for name in ("red", "green")]
    world.berthd(forward(to(backend), options={"proxy_protocol": "v2"}))
    for netns in made:
        client, server = pair(netns, backend)
        with client, server:
            expect_header(client, server, "v2", netns.name)


def test_next_backend_gets_the_header(world, netns, backend):
    gone = world.host.listen()
    bad = to(gone)
    gone.close()
    world.berthd(forward([bad, to(backend)],
                         options={"proxy_protocol": "v2"}))
    for _ in range(3):
        client, server = pair(netns, backend)
        with client, server:
            expect_header(client, server, "v2")
            assert works(client, server)


def test_change_of_the_rule(world, netns, backend):
    """Connections that are open keep what they began with."""
    berthd = world.berthd(forward(to(backend)))
    old = pair(netns, backend)
    assert works(*old)
    berthd.write_rules("50-test.yaml", forward(
        to(backend), options={"proxy_protocol": "v1"}))

    def told():
        client, server = pair(netns, backend)
        with client, server:
            client.shutdown(socket.SHUT_WR)
            return read_all(server) == header(client, "v1", "blue")

    wait_for(told, "the header of the new rule")
    with old[0], old[1]:
        assert works(*old)


def test_name_that_is_no_text(world, backend):
    """It is told as berthctl prints it."""
    netns = world.netns(os.fsdecode(b"n\xff"))
    world.berthd(forward(to(backend), options={"proxy_protocol": "v2"}))
    client, server = pair(netns, backend)
    with client, server:
        expect_header(client, server, "v2", "n\\xff")


def test_name_too_long_to_be_told(world, backend):
    """Bytes that must be escaped: it is left out rather than cut."""
    netns = world.netns(os.fsdecode(b"\xff" * 70))
    world.berthd(forward(to(backend), options={"proxy_protocol": "v2"}))
    client, server = pair(netns, backend)
    with client, server:
        wanted = header(client, "v2", "")[:-3]
        wanted = wanted[:14] + struct.pack(">H", 12) + wanted[16:]
        assert read_exactly(server, len(wanted)) == wanted
        assert works(client, server)


# Programs of others that must understand it

def program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def wait_open(world, port):
    wait_for(lambda: {f"tcp 127.0.0.1:{port}", f"tcp *:{port}"}
             & world.host.listeners(), f"somebody on port {port}")


def haproxy(world, lines):
    """HAProxy in the foreground, with these lines after the defaults."""
    config = world.base / "haproxy.cfg"
    config.write_text("\n".join([
        "global", "  maxconn 50", "  nbthread 1", "defaults", "  mode http",
        "  timeout connect 5s", "  timeout client 10s", "  timeout server 10s",
        *lines, ""]))
    return world.popen(program("haproxy"), "-db", "-f", os.fspath(config),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def nginx(world, lines):
    base = world.mkdir("nginx")
    config = base / "nginx.conf"
    paths = [f"  {kind}_temp_path {base}/{kind};" for kind in
             ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")]
    config.write_text("\n".join([
        "daemon off;", "master_process off;", f"pid {base}/pid;",
        f"error_log {base}/error.log;", "events {}", "http {",
        "  access_log off;", *paths, "  server {", *lines, "  }", "}", ""]))
    return world.popen(program("nginx"), "-c", os.fspath(config), "-p",
                       os.fspath(base), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def get(netns, address):
    """A request over HTTP. Return: client's socket names, and the body."""
    with netns.connect(address, 8080) as client:
        names = client.getsockname()[:2], client.getpeername()[:2]
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = read_all(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], answer
    return names, body.decode()


def expect_told(netns, address):
    (src, dst), body = get(netns, address)
    assert body.split() == [src[0], str(src[1]), dst[0], str(dst[1])]


@pytest.mark.parametrize("version", VERSIONS)
def test_haproxy(world, netns, version):
    """HAProxy verifies the checksum and refuses a wrong one."""
    haproxy(world, [
        "frontend f", "  bind 127.0.0.1:7101 accept-proxy",
        "  http-request return status 200 content-type text/plain lf-string "
        '"%[src] %[src_port] %[dst] %[dst_port]"'])
    wait_open(world, 7101)
    world.berthd(forward("127.0.0.1:7101",
                         options={"proxy_protocol": version}))
    for address in LOOPBACKS:
        expect_told(netns, address)


@pytest.mark.parametrize("version", VERSIONS)
def test_nginx(world, netns, version):
    nginx(world, [
        "    listen 127.0.0.1:7102 proxy_protocol;",
        "    location / { default_type text/plain; return 200 "
        '"$proxy_protocol_addr $proxy_protocol_port '
        '$proxy_protocol_server_addr $proxy_protocol_server_port"; }'])
    wait_open(world, 7102)
    world.berthd(forward("127.0.0.1:7102",
                         options={"proxy_protocol": version}))
    for address in LOOPBACKS:
        expect_told(netns, address)


def test_haproxy_reads_the_namespace(world):
    """HAProxy 2.6 has no word for the name in its log, but connects in the
    namespace so named: the server in there must get the connection."""
    run_netns = Path("/run/netns")  # HAProxy looks nowhere else
    run_netns.mkdir(exist_ok=True)
    made = [world.netns(name, run_netns) for name in ("red", "green")]
    haproxy(world, [
        "namespace_list", *(f"  namespace {netns.name}" for netns in made),
        "listen l", "  mode tcp", "  bind 127.0.0.1:7103 accept-proxy",
        "  server s 127.0.0.1:7104 namespace *"])
    wait_open(world, 7103)
    world.berthd(forward("127.0.0.1:7103", options={"proxy_protocol": "v2"}),
                 netns_dirs=[run_netns])
    for netns in made:
        backend = world.close_later(netns.listen(port=7104))
        client, server = pair(netns, backend)
        with client, server:
            assert works(client, server)


# Datagrams


def datagram_client(world, netns, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = world.close_later(netns.new_socket(family, socket.SOCK_DGRAM))
    client.connect((address, 8080))
    return client


def expect_datagram(client, backend, version, data, name="blue"):
    """Return: the session, as the backend knows it."""
    got, session = backend.recvfrom(1 << 17)
    assert got == header(client, version, name, transport=2) + data
    return session


@pytest.mark.parametrize("address", LOOPBACKS)
@pytest.mark.parametrize("version", VERSIONS[1:])
def test_each_datagram_has_a_header(world, netns, datagrams, version,
                                    address):
    world.berthd(forward(to(datagrams), protocol="udp",
                         options={"proxy_protocol": version}))
    clients = [datagram_client(world, netns, address) for _ in range(2)]
    for data in (b"first", b"", b"x" * 1500, b"last"):
        for client in clients:
            client.send(data)
            session = expect_datagram(client, datagrams, version, data)
            datagrams.sendto(b"re" + data, session)
            assert client.recv(1 << 17) == b"re" + data


def test_merged_datagrams_have_a_header_each(world, netns, datagrams):
    """As a client sends them that has its kernel cut them."""
    world.berthd(forward(to(datagrams), protocol="udp",
                         options={"proxy_protocol": "v2"}))
    client = datagram_client(world, netns, "127.0.0.1")
    data = pattern(40 * 1000 + 7, "merged")
    client.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
    client.send(data)
    for at in range(0, len(data), 1000):
        expect_datagram(client, datagrams, "v2", data[at:at + 1000])


def test_datagram_that_gets_too_large_by_its_header(world, netns, datagrams):
    world.berthd(forward(to(datagrams), protocol="udp",
                         options={"proxy_protocol": "v2"}))
    client = datagram_client(world, netns, "127.0.0.1")
    room = 65507 - len(header(client, "v2", "blue", transport=2))
    for size in (room + 1, 65507, room, 10):
        client.send(b"l" * size)
    for size in (room, 10):
        expect_datagram(client, datagrams, "v2", b"l" * size)


def test_datagram_header_names_the_address_spoken_to(world, netns,
                                                     datagrams):
    """Of a wildcard listener, of both families."""
    netns.addr_add("10.0.0.1/32")
    netns.addr_add("fd00::1/128")
    world.berthd(forward(to(datagrams), protocol="udp",
                         options={"proxy_protocol": "v2"}))
    for address in ("10.0.0.1", "fd00::1"):
        client = datagram_client(world, netns, address)
        client.send(b"hello")
        expect_datagram(client, datagrams, "v2", b"hello")


def test_datagram_header_to_a_unix_socket(world, netns):
    path = world.base / "datagrams.sock"
    backend = world.close_later(
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    backend.bind(os.fspath(path))
    path.chmod(0o666)
    world.berthd(forward(f"unix:{path}", protocol="udp",
                         options={"proxy_protocol": "v2"}))
    client = datagram_client(world, netns, "127.0.0.1")
    client.send(b"hello")
    session = expect_datagram(client, backend, "v2", b"hello")
    backend.sendto(b"back", session)
    assert client.recv(100) == b"back"

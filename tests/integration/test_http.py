# SPDX-License-Identifier: Apache-2.0
"""test_http.py - forward: http, from the client's request to its answer."""

import json
import os
import select
import socket

import pytest

from harness.netns import read_all, read_exactly
from harness.rules import forward, rule, rules
from harness.traffic import ended, pair, pattern, reset, was_reset, works
from harness.wait import GUARD, SLOWNESS, wait_equal, wait_for
from test_access_log import as_json, wait_objects, with_log
from test_endings import wait_ended

GET = b"GET /latest HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def netns(world):
    return world.netns("blue")


@pytest.fixture
def backend(world):
    """One by a UNIX socket, so that one send is one recv."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(world.base / "backend"))
    os.chmod(world.base / "backend", 0o666)
    listener.listen(64)
    listener.settimeout(GUARD)
    return world.close_later(listener)


@pytest.fixture
def tcp_backend(world):
    return world.close_later(world.host.listen())


def to(backend):
    name = backend.getsockname()
    return f"unix:{name}" if isinstance(name, str) else "{}:{}".format(*name)


def http(backend, options=None, **keys):
    """A file with one rule that forwards requests."""
    return forward(to(backend), options={"http": keys, **(options or {})})


def accepted(backend):
    server = backend.accept()[0]
    server.settimeout(GUARD)
    return server


def asks(netns, request, address="127.0.0.1"):
    client = netns.connect(address, 8080)
    client.sendall(request)
    return client


def fields(request):
    """{name: [values]} of a request, and its first line."""
    head = request.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    found = {}
    for line in head[1:]:
        name, value = line.split(": ", 1)
        found.setdefault(name.lower(), []).append(value)
    return head[0], found


def seen(netns, backend, request, **kwargs):
    """What the backend reads at once of a request, which it answers."""
    with asks(netns, request, **kwargs) as client:
        with accepted(backend) as server:
            got = server.recv(1 << 17)
            server.sendall(ANSWER)
        assert read_all(client) == ANSWER
    return got


def answer_of(client):
    """The status of an answer that ends the connection, and its text."""
    head, body = read_all(client).split(b"\r\n\r\n", 1)
    line, found = fields(head + b"\r\n\r\n")
    assert found["connection"] == ["close"]
    assert found["content-length"] == [str(len(body))]
    return int(line.split()[1]), body.decode()


def status(netns, request):
    with asks(netns, request) as client:
        return answer_of(client)[0]


# What the backend gets

def test_headers_are_set_and_removed(world, netns, backend):
    world.berthd(http(backend, set_headers={
        "X-Network": "${namespace}", "X-Forwarded-For": "${client}",
        "X-Rule": "${rule} $5", "X-Local": "${local}:${port}"},
        remove_headers=["X-Secret"]))
    request = (b"GET /a?b HTTP/1.1\r\nHost: a\r\nx-network: red\r\n"
               b"X-NETWORK: green\r\nX_Network: low\r\nX-Secret: 1\r\n"
               b"x-forwarded-for: 1.2.3.4\r\nConnection: keep-alive, X-Hop\r\n"
               b"X-Hop: 1\r\nX-Stays: 2\r\n\r\n")
    line, got = fields(seen(netns, backend, request))
    assert line == "GET /a?b HTTP/1.1"
    assert got == {"host": ["a"], "x-network": ["blue"], "x-stays": ["2"],
                   "x-forwarded-for": ["127.0.0.1"], "x-rule": ["web $5"],
                   "x-local": ["127.0.0.1:8080"], "connection": ["close"]}


def test_client_port(world, netns, backend):
    world.berthd(http(backend, set_headers={"X-Port": "${client_port}"}))
    with asks(netns, GET) as client:
        port = client.getsockname()[1]
        with accepted(backend) as server:
            assert fields(server.recv(65536))[1]["x-port"] == [str(port)]


def test_labels_and_groups(world, netns, backend):
    """What looks like a reference in a label is none."""
    berthd = world.berthd(rules(rule(
        namespace="/b(?<rest>.*)/", match={"container": "/web-(?<n>.*)/"},
        forward={"to": to(backend), "http": {"set_headers": {
            "X-A": "${container} ${container.n} ${namespace.rest}",
            "X-B": "${label.app} ${pod_namespace}"}}})))
    directory = berthd.runtime / "containers.d"
    temporary = directory / ".a.new"
    temporary.write_text(json.dumps({
        "netns": str(netns.path), "name": "web-1", "pod_namespace": "shop",
        "labels": {"app": "${client}$"}}))
    os.rename(temporary, directory / "a.json")
    berthd.wait_state(netns.cookie(), "listening")
    got = fields(seen(netns, backend, GET))[1]
    assert got["x-a"] == ["web-1 1 lue"]
    assert got["x-b"] == ["${client}$ shop"]


def test_control_characters_do_not_get_into_headers(world, backend):
    world.netns("bl\rue")
    berthd = world.berthd(http(backend, set_headers={"X": "${namespace}"}))
    wait_equal(lambda: [row["reason"] for row in berthd.listeners()],
               ["a name that would go into a header holds a control "
                "character"], "the reason")


def test_link_local_client_without_scope(world, netns, backend):
    world.veth(world.host, "bt-far", netns, "eth0", dad=False)
    netns.addr_add("fe80::2/64", "eth0")
    world.host.addr_add("fe80::1/64", "bt-far")
    world.berthd(http(backend, set_headers={"X": "${client} ${local}"}))
    with netns.entered():
        index = socket.if_nametoindex("eth0")
    got = fields(seen(netns, backend, GET, address=f"fe80::2%{index}"))[1]
    assert got["x"] == ["fe80::2 fe80::2"]


def test_body_comes_with_the_head(world, netns, backend):
    world.berthd(http(backend))
    body = pattern(3000, 1)
    with asks(netns, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n"
              b"\r\n" + body[:10]) as client:
        client.sendall(body[10:])
        with accepted(backend) as server:
            got = server.recv(65536)
    assert got.endswith(b"\r\n\r\n" + body)
    assert fields(got)[1]["content-length"] == ["3000"]


def test_long_upload_by_tcp(world, netns, tcp_backend):
    world.berthd(http(tcp_backend))
    body = pattern(65000, 2)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65000\r\n\r\n"
    with asks(netns, head + body) as client, accepted(tcp_backend) as server:
        got = b""
        while not got.endswith(body):
            more = server.recv(1 << 17)
            assert more, got[:200]
            got += more
        server.sendall(ANSWER)
        server.close()
        assert read_all(client) == ANSWER


def test_a_request_in_single_bytes(world, netns, backend):
    world.berthd(http(backend))
    with netns.connect("127.0.0.1", 8080) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            client.sendall(bytes([byte]))
        with accepted(backend) as server:
            assert fields(server.recv(65536))[0] == "GET /latest HTTP/1.1"


def test_proxy_header_goes_in_front(world, netns, backend):
    world.berthd(http(backend, {"proxy_protocol": "v1"}))
    got = seen(netns, backend, GET)
    assert got.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
    assert fields(got.split(b"\r\n", 1)[1])[0] == "GET /latest HTTP/1.1"


def test_what_follows_the_request_is_dropped(world, netns, backend):
    berthd = world.berthd(http(backend))
    with asks(netns, GET + GET.replace(b"latest", b"second")) as client:
        with accepted(backend) as server:
            assert server.recv(65536).count(b"HTTP/1.1") == 1
            client.sendall(b"x" * 100000)
            server.sendall(ANSWER)
            server.shutdown(socket.SHUT_WR)
            assert read_all(client) == ANSWER
            assert server.recv(65536) == b""
    wait_ended(berthd, backend_end=1)


def test_half_closed_client_gets_its_answer(world, netns, backend):
    world.berthd(http(backend))
    with asks(netns, GET) as client:
        client.shutdown(socket.SHUT_WR)
        with accepted(backend) as server:
            assert fields(server.recv(65536))[0] == "GET /latest HTTP/1.1"
            # The backend does not see that end: some would stop working.
            assert not select.select([server], [], [], 0.1)[0]
            server.sendall(ANSWER)
        assert read_all(client) == ANSWER


def test_expect_continue(world, netns, backend):
    world.berthd(http(backend))
    with asks(netns, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
              b"Expect: 100-continue\r\n\r\n") as client:
        assert read_exactly(client, 25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"body")
        with accepted(backend) as server:
            got = server.recv(65536)
            assert got.endswith(b"\r\n\r\nbody")
            assert "expect" not in fields(got)[1]
            server.sendall(ANSWER)
        assert read_all(client) == ANSWER


@pytest.mark.parametrize("kind", ["backend", "tcp_backend"])
def test_long_answer(request, world, netns, kind):
    server_socket = request.getfixturevalue(kind)
    world.berthd(http(server_socket))
    data = pattern(8 << 20, 3)
    with asks(netns, GET) as client, accepted(server_socket) as server:
        server.recv(65536)
        # The client reads meanwhile: no socket holds all of it.
        pid = os.fork()
        if pid == 0:
            server.sendall(data)
            os._exit(0)
        server.close()
        assert read_all(client) == data
        assert os.waitpid(pid, 0)[1] == 0


# What is refused

@pytest.mark.parametrize("request_, code", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 5000 + b"\r\n\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", 413),
    (b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 403),
    (b"GET /latest/../other HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /latest HTTP/1.1\r\nHost: b\r\n\r\n", 421),
])
def test_refused(world, netns, backend, request_, code):
    berthd = world.berthd(http(backend, max_request=4096,
                               path=["/latest", "/"][:1], host="A"))
    assert status(netns, request_) == code
    wait_ended(berthd, request_refused=1)
    assert fields(seen(netns, backend, GET))[0] == "GET /latest HTTP/1.1"


def test_what_is_added_counts(world, netns, backend):
    """No more than max_request is sent on."""
    world.berthd(http(backend, max_request=256,
                      set_headers={"X-A": "b" * 200}))
    assert status(netns, GET) != 200


def test_request_timeout(world, netns, backend):
    berthd = world.berthd(http(backend, request_timeout="300ms"))
    with asks(netns, b"GET / HTTP/1.1\r\n") as client:
        assert answer_of(client)[0] == 408
    wait_ended(berthd, request_timeout=1)


def test_client_that_says_nothing(world, netns, backend):
    berthd = world.berthd(http(backend))
    netns.connect("127.0.0.1", 8080).close()
    wait_ended(berthd, client_end=1)


def test_request_that_ends_early(world, netns, backend):
    berthd = world.berthd(http(backend))
    with asks(netns, GET[:-2]) as client:
        client.shutdown(socket.SHUT_WR)
        assert answer_of(client)[0] == 400
    wait_ended(berthd, request_refused=1)


def test_one_namespace_has_a_share_of_memory(world, netns, backend):
    """Requests that never get whole leave others theirs."""
    berthd = world.berthd(http(backend, request_timeout="10m"),
                          args=["--workers", "1"])
    other = world.netns("red")
    berthd.wait_state(other.cookie(), "listening")
    part = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
    part += b"x" * 40000
    held = []
    for _ in range(300):  # 64 KiB for each, of 16 MiB
        held.append(world.close_later(asks(netns, part)))
    wait_for(lambda: select.select(held, [], [], 0)[0], "one too many")
    assert answer_of(select.select(held, [], [], 0)[0][0])[0] == 503
    assert fields(seen(other, backend, GET))[0] == "GET /latest HTTP/1.1"


# Backends that fail

def test_backend_that_is_not_there(world, netns, backend):
    berthd = world.berthd(http(backend))
    backend.close()
    os.unlink(world.base / "backend")
    assert status(netns, GET) == 503
    wait_ended(berthd, backend_refused=1)


@pytest.mark.parametrize("kind", ["backend", "tcp_backend"])
@pytest.mark.parametrize("end", ["end", "reset"])
def test_backend_that_says_nothing(request, world, netns, kind, end):
    server_socket = request.getfixturevalue(kind)
    berthd = world.berthd(http(server_socket))
    with asks(netns, GET) as client:
        server = accepted(server_socket)
        server.recv(65536)
        if end == "end":
            server.close()
        else:
            reset(server)
        assert answer_of(client)[0] == 502
    wait_ended(berthd, backend_reset=1)


def test_response_timeout(world, netns, backend):
    berthd = world.berthd(http(backend, {"idle_timeout": "1ms"},
                               response_timeout="300ms"))
    with asks(netns, GET) as client, accepted(backend) as server:
        assert answer_of(client)[0] == 504
        assert server.recv(65536)
        assert ended(server)
    wait_ended(berthd, response_timeout=1)


def test_ended_client_does_not_hold_a_silent_backend(world, netns, backend):
    """It may be gone for good: nobody would notice for an hour."""
    # Long enough for this backend to begin.
    timeout = f"{round(3000 * SLOWNESS)}ms"
    berthd = as_json(world, with_log(
        http(backend, response_timeout=timeout), "failures"))
    with asks(netns, GET) as client, accepted(backend) as server:
        client.shutdown(socket.SHUT_WR)
        server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert was_reset(client)
        assert server.recv(65536)
        assert ended(server)
    wait_ended(berthd, stalled=1)
    line, = wait_objects(berthd)
    assert line["ending"] == "stalled"


def test_connect_timeout(world, netns):
    """A full backlog keeps the client waiting until its time is up."""
    path = os.fspath(world.base / "full")
    full = world.close_later(socket.socket(socket.AF_UNIX))
    full.bind(path)
    os.chmod(path, 0o666)
    full.listen(0)
    held = world.close_later(socket.socket(socket.AF_UNIX))
    held.connect(path)
    berthd = world.berthd(forward(f"unix:{path}", options={
        "http": {}, "connect_timeout": "300ms"}))
    assert status(netns, GET) == 504
    wait_ended(berthd, connect_timeout=1)


def test_failover(world, netns, backend):
    """Nobody but the backend that is there gets the request, and whole."""
    bad = f"unix:{world.base}/nobody"
    world.berthd(forward([bad, to(backend)], options={
        "http": {"set_headers": {"X-A": "b"}}}), args=["--workers", "1"])
    for _ in range(4):
        assert fields(seen(netns, backend, GET))[1]["x-a"] == ["b"]


def test_failover_by_tcp(world, netns, tcp_backend):
    closed = world.host.listen()
    bad = to(closed)
    closed.close()
    world.berthd(forward([bad, to(tcp_backend)], options={"http": {}}),
                 args=["--workers", "1"])
    for _ in range(4):
        line, _ = fields(seen(netns, tcp_backend, GET))
        assert line == "GET /latest HTTP/1.1"


def test_backend_in_another_namespace(world, netns):
    """Its socket is berthd's, and is there after the request was read."""
    other = world.netns("red")
    backend = world.close_later(other.listen("127.0.0.1"))
    world.berthd(http(backend, {"namespace": "red"},
                      set_headers={"X-A": "${client}"}))
    for _ in range(2):
        got = fields(seen(netns, backend, GET))[1]
        assert got["x-a"] == ["127.0.0.1"]


def test_no_namespace_to_connect_in(world, netns):
    world.berthd(forward("127.0.0.1:80", options={
        "namespace": "nobody", "http": {}}))
    assert status(netns, GET) == 503


def test_no_second_backend_gets_the_request(world, netns, backend,
                                            tcp_backend):
    """The first one may have done what it asks for."""
    world.berthd(forward([to(backend), to(tcp_backend)], options={
        "http": {}}), args=["--workers", "1"])
    asked = []
    for _ in range(2):
        with asks(netns, GET) as client:
            ready = select.select([backend, tcp_backend], [], [], GUARD)[0]
            assert len(ready) == 1
            asked += ready
            accepted(ready[0]).close()
            assert answer_of(client)[0] == 502
            assert not select.select([backend, tcp_backend], [], [], 0)[0]
    assert len(asked) == 2


# Clients, rules and namespaces that go

def test_client_that_goes(world, netns, backend):
    berthd = world.berthd(http(backend))
    client = asks(netns, GET)
    with accepted(backend) as server:
        server.recv(65536)
        reset(client)
        assert ended(server)
    wait_ended(berthd, client_reset=1)


def states(berthd):
    """What its clients wait for, and of whom."""
    return [(row["state"], row.get("backend"))
            for row in berthd.ctl("connections")["connections"]]


def test_reload_changes_headers(world, netns, backend):
    berthd = world.berthd(http(backend, set_headers={"X-A": "1"}))
    cookie = netns.cookie()
    berthd.wait_state(cookie, "listening")
    inode = netns.listener_inodes()
    with netns.connect("127.0.0.1", 8080) as early:
        wait_equal(lambda: states(berthd), [("reading", None)], "the client")
        assert fields(seen(netns, backend, GET))[1]["x-a"] == ["1"]
        berthd.write_rules("50-test.yaml",
                           http(backend, set_headers={"X-A": "2"}))

        def value():
            return fields(seen(netns, backend, GET))[1]["x-a"]

        wait_equal(value, ["2"], "the new header")
        assert netns.listener_inodes() == inode
        # What was accepted before is served as it was then.
        early.sendall(GET)
        with accepted(backend) as server:
            assert fields(server.recv(65536))[1]["x-a"] == ["1"]


def test_connections_say_what_is_awaited(world, netns, backend):
    berthd = world.berthd(http(backend))
    with netns.connect("127.0.0.1", 8080) as client:
        wait_equal(lambda: states(berthd), [("reading", None)], "a request")
        client.sendall(GET)
        with accepted(backend) as server:
            wait_equal(lambda: states(berthd), [("asked", to(backend))],
                       "a request that is passed on")
            server.sendall(ANSWER)
            wait_equal(lambda: states(berthd), [("open", to(backend))],
                       "an answer that has begun")


@pytest.mark.parametrize("sent", [b"GET /", GET])
def test_namespace_goes(world, netns, backend, sent):
    berthd = world.berthd(http(backend))
    client = asks(netns, sent)
    if sent == GET:
        server = world.close_later(accepted(backend))
        assert server.recv(65536)
    else:
        wait_for(lambda: berthd.ctl("stats")["total"]["bytes_in"] == len(sent),
                 "the first bytes")
    netns.destroy()
    assert was_reset(client)
    client.close()
    wait_ended(berthd, netns_gone=1)


def test_drain(world, netns, backend):
    """A request that was begun when its rule went is answered."""
    berthd = world.berthd(http(backend))
    with asks(netns, GET[:-2]) as client:
        wait_for(lambda: berthd.ctl("stats")["total"]["bytes_in"] ==
                 len(GET) - 2, "the first bytes")
        berthd.remove_rules("50-test.yaml")
        wait_for(lambda: netns.refuses("127.0.0.1", 8080), "its end")
        client.sendall(GET[-2:])
        with accepted(backend) as server:
            assert server.recv(65536)
            server.sendall(ANSWER)
        assert read_all(client) == ANSWER


def test_other_rules_are_not_touched(world, netns, tcp_backend):
    """Without http, bytes are passed on as they come."""
    world.berthd(forward(to(tcp_backend)))
    client, server = pair(netns, tcp_backend)
    with client, server:
        assert works(client, server, b"no request")

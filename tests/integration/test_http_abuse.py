# SPDX-License-Identifier: Apache-2.0
"""test_http_abuse.py - clients and backends of forward: http without an end."""

import resource
import select
import threading

import pytest

from harness.netns import read_all
from harness.rules import forward, rule, rules
from harness.traffic import ended
from harness.wait import GUARD, wait_equal, wait_for

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
SLOW = 1000


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


@pytest.fixture
def answering(backend):
    """The backend answers each request at once, until the test ends."""
    backend.settimeout(None)

    def serve():
        while True:
            try:
                server = backend.accept()[0]
            except OSError:
                return
            with server:
                server.settimeout(GUARD)
                if server.recv(1 << 16):
                    server.sendall(HEAD + b"ok")

    threading.Thread(target=serve, daemon=True).start()
    return backend


def answer(netns):
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(GET)
        return read_all(client)


@pytest.fixture
def descriptors():
    """The tests' own table holds all the clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * SLOW:
        pytest.skip(f"the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slowloris(world, answering, descriptors):
    """1,000 requests of one namespace come byte by byte: those of another are
    answered all the same, and in the end the slow ones are, too."""
    slow, other = world.netns("slow"), world.netns("other")
    berthd = world.berthd(forward(to(answering), options={
        "max_connections": SLOW, "http": {"request_timeout": "1h"}}))
    clients = []
    for _ in range(SLOW):
        client = world.close_later(slow.connect("127.0.0.1", 8080))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        clients.append(client)
    wait_equal(lambda: [row["state"] for row in
                        berthd.ctl("connections")["connections"]],
               ["reading"] * SLOW, "requests to be read")
    for _ in range(10):
        for client in clients:
            client.sendall(b"x")
        assert answer(other) == HEAD + b"ok"
    for client in clients[::50]:
        client.sendall(b"\r\n\r\n")
        assert read_all(client) == HEAD + b"ok"


@pytest.mark.parametrize("begin, drip", [
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n", b"x"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"1\r\nx\r\n"),
], ids=["head", "body", "chunks"])
def test_bytes_that_come_win_no_time(world, backend, begin, drip):
    """The time is for the whole request, however much of it comes."""
    netns = world.netns("blue")
    world.berthd(forward(to(backend), options={
        "http": {"request_timeout": "500ms"}}))
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(begin)
        # Fewer bytes than would be too many.
        for _ in range(6000):
            if select.select([client], [], [], 0.01)[0]:
                break
            try:
                client.sendall(drip)
            except ConnectionError:
                break  # it is closed behind the answer
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408 ")
    assert not select.select([backend], [], [], 0)[0]


def asked(netns, backend):
    """A client that asks, and its connection at the backend."""
    client = netns.connect("127.0.0.1", 8080)
    client.sendall(GET)
    server = backend.accept()[0]
    server.settimeout(GUARD)
    assert server.recv(1 << 16)
    return client, server


def test_answer_that_never_ends(world, backend):
    """It is passed on while the client reads, others are answered meanwhile,
    and it ends when the client goes."""
    blue, other = world.netns("blue"), world.netns("other")
    berthd = world.berthd(rules(rule(forward={"to": to(backend), "http": {}})))
    client, server = asked(blue, backend)
    failed = threading.Event()

    def talk():
        try:
            server.sendall(HEAD)
            while True:
                server.sendall(b"x" * (1 << 16))
        except OSError:
            failed.set()

    with client, server:
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        got = 0
        while got < 1 << 24:
            got += len(client.recv(1 << 16))
        second, answered = asked(other, backend)
        with second:
            with answered:
                answered.sendall(HEAD + b"ok")
            assert read_all(second) == HEAD + b"ok"
        assert not failed.is_set()
        client.close()
        wait_for(failed.is_set, "the backend to be told")
        thread.join(GUARD)
    wait_equal(lambda: berthd.ctl("connections")["connections"], [],
               "no connection")


def test_answer_that_stops(world, backend):
    """What was begun and goes on no more is ended after idle_timeout."""
    netns = world.netns("blue")
    world.berthd(forward(to(backend), options={
        "idle_timeout": "500ms", "http": {"response_timeout": "1h"}}))
    client, server = asked(netns, backend)
    with client, server:
        server.sendall(HEAD + b"half")
        got = b""
        while len(got) < len(HEAD + b"half"):
            got += client.recv(1 << 16)
        assert got == HEAD + b"half"
        assert ended(client)
        assert ended(server)

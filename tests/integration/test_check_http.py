# SPDX-License-Identifier: Apache-2.0
"""test_check_http.py - checks that ask a backend by HTTP."""

import os
import socket
import threading

import pytest

from harness.rules import forward, rule, rules
from harness.wait import wait_equal, wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OFTEN = {"every": "100ms", "rise": 2, "fall": 3}
# Time enough for each answer: a reason is asserted.
SLOW = {"every": "1s", "rise": 1, "fall": 1}


class Backend:
    """Answers each request with the same bytes, None: with nothing."""

    def __init__(self, listener, answer=OK):
        self.answer = answer
        self.requests = []
        self._listener = listener
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                conn = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,),
                             daemon=True).start()

    def _serve(self, conn):
        """Until the check ends the connection."""
        data = b""
        try:
            while not data.endswith(b"\r\n\r\n"):
                more = conn.recv(4096)
                if not more:
                    return
                data += more
            self.requests.append(data)
            if self.answer is not None:
                conn.sendall(self.answer)
                if self.answer == b"":
                    return
            while conn.recv(4096):
                pass
        except OSError:
            pass
        finally:
            conn.close()


@pytest.fixture
def netns(world):
    return world.netns("n")


def row_of(berthd, name):
    rows = {row["backend"]: row for row in berthd.ctl("backends")["backends"]}
    return rows.get(name, {})


def wait_row(berthd, name, **expected):
    """Returns the row that was as expected."""
    seen = {}

    def read():
        seen.update(row_of(berthd, name))
        return {key: seen.get(key) for key in expected}

    wait_equal(read, expected, f"what is known of {name}")
    return seen


def test_status(world, netns):
    """The status decides, and what is said is what failed last."""
    listener = world.close_later(world.host.listen())
    name = "{}:{}".format(*listener.getsockname())
    backend = Backend(listener)
    berthd = world.berthd(forward(
        name, options={"check": {**SLOW, "http": "/healthz"}}))
    wait_row(berthd, name, state="up", checked=True, http_status=None)
    assert wait_for(lambda: backend.requests, "a request")[0].startswith(
        f"GET /healthz HTTP/1.1\r\nHost: {name}\r\n".encode())
    backend.answer = b"HTTP/1.1 503 Busy\r\n\r\n"
    row = wait_row(berthd, name, state="down", error="EPROTO",
                   http_status=503)
    assert f"the backend {name} answered with status 503" in row["reason"]
    wait_for(lambda: "HTTP 503" in berthd.ctl_text("backends"),
             "the status in the table")
    berthd.wait_log(f"rule 'web': checking '{name}' failed 1 times: it "
                    "answered with status 503; leaving it out")
    backend.answer = b"SSH-2.0-OpenSSH\r\n"
    wait_row(berthd, name, error="EPROTO", http_status=None)
    backend.answer = b""
    wait_row(berthd, name, error="ECONNRESET", state="down")
    backend.answer = None
    wait_row(berthd, name, error="ETIMEDOUT", state="down")
    backend.answer = (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                      b"HTTP/1.0 302 Found\r\n\r\n")
    wait_row(berthd, name, state="up", failures=0)
    # Clients still get what the backend says, whatever the check asked for.
    with netns.connect("127.0.0.1", 8080) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 103")


def test_what_is_asked_for(world, netns):
    """Path, host and statuses of a rule; two that ask for other things check
    the same backend twice, and a header of the PROXY protocol says that it is
    no client."""
    path = os.fspath(world.base / "backend")
    listener = world.close_later(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen(16)
    os.chmod(path, 0o666)
    backend = Backend(listener, b"HTTP/1.1 404 Not Found\r\n\r\n")
    http = {"path": "/a?b", "host": "www.example.org", "status": "404-410"}
    berthd = world.berthd(rules(
        rule(forward={"to": f"unix:{path}", "proxy_protocol": "v2",
                      "check": {**OFTEN, "http": http}}),
        rule(name="other", port=8081,
             forward={"to": f"unix:{path}", "check": {
                 **OFTEN, "http": {"path": "/", "status": 200}}})))
    wait_equal(lambda: {row["rule"]: row["state"]
                        for row in berthd.ctl("backends")["backends"]},
               {"web": "up", "other": "down"}, "what both find")
    local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
    said = wait_for(lambda: [request for request in backend.requests
                             if request.startswith(local)], "a request")[0]
    assert said[16:].startswith(
        b"GET /a?b HTTP/1.1\r\nHost: www.example.org\r\n")
    assert any(request.startswith(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
               for request in backend.requests)

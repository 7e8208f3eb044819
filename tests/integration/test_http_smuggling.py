# SPDX-License-Identifier: Apache-2.0
"""test_http_smuggling.py - requests that mean two things, and spoofed headers.

The same bytes go through berth and through the HAProxy that Neutron starts, to
one kind of backend, which keeps every byte that it gets.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import wsgiref.simple_server

import pytest

from harness.netns import read_all
from harness.rules import forward
from harness.smuggling import CASES, WAITS, chunked, get
from harness.wait import GUARD, wait_for

ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
          b"ok")
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
SET = {"X-Forwarded-For": "${client}", "X-OVN-Network-ID": "${namespace}"}


class Recorder:
    """A backend that keeps what each connection brings, one after the other."""

    def __init__(self, world, name):
        self.listener, self.path = world.unix_listen(name)
        self.listener.settimeout(None)
        self.records = []
        threading.Thread(target=self._serve, daemon=True).start()

    def take(self):
        """What came since the last time."""
        taken, self.records = self.records, []
        return taken

    def _serve(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            with conn:
                conn.settimeout(2 * GUARD)
                self.records.append(self._record(conn))

    def _record(self, conn):
        data = b""
        answered = False
        try:
            while more := conn.recv(1 << 16):
                data += more
                if not answered and is_whole(data):
                    answered = True
                    conn.sendall(ANSWER)
                    conn.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return data


def is_whole(data):
    """By the first framing that a lenient server finds."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return chunks_are_whole(body)
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return len(body) >= (int(length.group(1)) if length else 0)


def chunks_are_whole(body):
    while True:
        line, end, rest = body.partition(b"\r\n")
        if not end:
            return False
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return rest == b"\r\n" or rest.endswith(b"\r\n\r\n")
        if len(rest) < size + 2:
            return False
        body = rest[size + 2:]


def statuses(sock, data, passed):
    """The statuses that a client gets who sends this. It ends when it has as
    many answers of the backend as are to be passed on, or at once."""
    got = b""
    ended = False
    with sock:
        try:
            sock.sendall(data)
            while True:
                if not ended and found(got).count(200) >= passed:
                    sock.shutdown(socket.SHUT_WR)
                    ended = True
                more = sock.recv(1 << 16)
                if not more:
                    break
                got += more
        except (ConnectionError, socket.timeout):
            pass  # what came before counts
    return found(got)


def found(answers):
    return [int(code) for code in STATUS.findall(answers)]


def sent_on(connect, recorder, data, passed):
    """Return: the statuses, and what the backend got of this."""
    got = statuses(connect(), data, passed)
    # The backend serves one connection after the other, so that when this one
    # is answered it has got all that it will get.
    last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert statuses(connect(), last, 1) == [200], data
    wait_for(lambda: any(b"/last" in record for record in recorder.records),
             "the last request")
    return got, [record for record in recorder.take() if b"/last" not in record]


def one_meaning(record):
    """What is wrong with what a backend got of one request, or None."""
    head, end, body = record.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not end or re.search(rb"[\r\n\0]", b"".join(lines)):
        return "its lines"
    if not re.fullmatch(rb"[A-Z]+ (/[!-~]*|\*) HTTP/1\.[01]", lines[0]):
        return "its first line"
    fields = {}
    for line in lines[1:]:
        field = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): (.*)", line)
        if not field:
            return f"the field {line!r}"
        fields.setdefault(field.group(1).lower(), []).append(field.group(2))
    if b"transfer-encoding" in fields or len(fields.get(b"host", [])) > 1:
        return "its framing"
    if fields.get(b"connection") != [b"close"] or b"upgrade" in fields:
        return "its connection"
    if fields.get(b"x-forwarded-for") != [b"127.0.0.1"]:
        return "its client"
    if [b"%d" % len(body)] != fields.get(b"content-length", [b"0"]):
        return "its length"
    return None


def program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def haproxy(world, recorder, port):
    """HAProxy as Neutron configures it, on a port of the host."""
    config = world.base / "haproxy.cfg"
    config.write_text("\n".join([
        "global", "  maxconn 1024", "  nbthread 2", "defaults", "  mode http",
        "  option http-server-close", "  option forwardfor", "  retries 3",
        "  timeout http-request 30s", "  timeout connect 30s",
        "  timeout client 32s", "  timeout server 32s",
        "  timeout http-keep-alive 30s",
        "listen listener", f"  bind 127.0.0.1:{port}",
        f"  server metadata {recorder.path}",
        "  http-request add-header X-OVN-Network-ID blue", ""]))
    world.popen(program("haproxy"), "-db", "-f", os.fspath(config),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
    wait_for(lambda: f"tcp 127.0.0.1:{port}" in world.host.listeners(),
             "HAProxy listens")


def tell(wrong):
    return "\n".join(f"{name}: {got}" for name, got in wrong.items())


def test_corpus_through_berth(world):
    """Refused, or one request arrives, which has one meaning."""
    netns = world.netns("blue")
    recorder = Recorder(world, "backend")
    world.berthd(forward(f"unix:{recorder.path}",
                         options={"http": {"set_headers": SET}}))
    wrong = {}
    for case in CASES:
        got, records = sent_on(lambda: netns.connect("127.0.0.1", 8080),
                               recorder, case.data, int(case.berth == 200))
        problems = [one_meaning(record) for record in records]
        if got != [case.berth] or len(records) != (case.berth == 200) \
                or any(problems):
            wrong[case.name] = got, problems
    assert not wrong, tell(wrong)


def test_corpus_through_haproxy(world):
    """What berth is compared with; each difference has its reason."""
    recorder = Recorder(world, "backend")
    haproxy(world, recorder, 7105)
    wrong = {}
    for case in CASES:
        if case.haproxy == WAITS:
            continue
        got, _ = sent_on(lambda: world.host.connect("127.0.0.1", 7105),
                         recorder, case.data, case.haproxy)
        if got.count(200) != case.haproxy:
            wrong[case.name] = got
    assert not wrong, tell(wrong)


# Spoofed headers, as a backend in Python sees them

SPOOFED = {
    "each copy": get(b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: 6.6.6.7",
                     b"X-OVN-Network-ID: red", b"X-Instance-ID: 1"),
    "in any case": get(b"x-forwarded-FOR: 6.6.6.6", b"X-oVN-nETWORK-iD: red",
                       b"x-INSTANCE-id: 1"),
    "with underscores": get(b"X_Forwarded_For: 6.6.6.6",
                            b"X_OVN_NETWORK_ID: red", b"X-Instance_ID: 1"),
    "without white space": get(b"X-Forwarded-For:6.6.6.6",
                               b"X-OVN-Network-ID:red", b"X-Instance-ID:1"),
    "without a value": get(b"X-Forwarded-For:", b"X-OVN-Network-ID:",
                           b"X-Instance-ID:"),
    "ours as options": get(b"Connection: X-Forwarded-For, X-OVN-Network-ID"),
    "as trailers": chunked(b"1\r\na\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n"
                           b"X-OVN-Network-ID: red\r\nX-Instance-ID: 1\r\n"
                           b"\r\n"),
    "in a second request": get() + get(b"X-Forwarded-For: 6.6.6.6"),
    "in HTTP/1.0": get(b"X-Forwarded-For: 6.6.6.6", b"X_OVN_Network_ID: red",
                       version="1.0"),
}


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def wsgi_backend(world):
    """A WSGI server that answers with what its application is told."""
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({name: value for name, value in environ.items()
                            if name.startswith("HTTP_X_")}).encode()]

    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, application, handler_class=QuietHandler)
    threading.Thread(target=server.serve_forever, args=(0.02,),
                     daemon=True).start()
    world.defer(server.server_close)
    world.defer(server.shutdown)
    return server.server_port


def told(sock, data):
    with sock:
        sock.sendall(data)
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert STATUS.match(head).group(1) == b"200", head
    return json.loads(body)


@pytest.mark.parametrize("how", SPOOFED)
def test_spoofed_headers_never_arrive(world, how):
    netns = world.netns("blue")
    port = wsgi_backend(world)
    world.berthd(forward(f"127.0.0.1:{port}", options={"http": {
        "set_headers": SET, "remove_headers": ["X-Instance-ID"]}}))
    assert told(netns.connect("127.0.0.1", 8080), SPOOFED[how]) == {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1", "HTTP_X_OVN_NETWORK_ID": "blue"}

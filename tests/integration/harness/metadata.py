# SPDX-License-Identifier: Apache-2.0
"""metadata.py - a metadata service, and two ways to it from a network

Nova is a small server here; in front of it stands Neutron's metadata proxy, in
a program of its own (neutron_metadata.py), behind a UNIX socket. The two ways
to that socket are haproxy, with the configuration that Neutron writes, and
berth. Each has a namespace of its own with an instance beside it; both are
called the same and have the same addresses, so that what arrives can be
compared.
"""

import contextlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from . import kernel
from .wait import GUARD, wait_for

PROGRAM = Path(__file__).with_name("neutron_metadata.py")
PYTHON = "/usr/bin/python3"
# A user that each Debian has plays the part of the agent's own.
NEUTRON = "proxy"
AS_ROOT = ["setpriv", f"--regid={NEUTRON}", "--clear-groups"]
AS_NEUTRON = [*AS_ROOT, f"--reuid={NEUTRON}"]
METADATA4, METADATA6 = "169.254.169.254", "fe80::a9fe:a9fe"
INSTANCE4, STRANGER4 = "10.0.0.5", "10.0.0.66"
# Link-local as the kernel makes it of this MAC.
MAC, INSTANCE6 = "fa:16:3e:11:22:33", "fe80::f816:3eff:fe11:2233"
PASSWORD = "/openstack/2013-04-04/password"
META = {"uuid": "i-0123", "name": "red", "hostname": "red.example",
        "public_keys": {"key": "ssh-ed25519 AAAA"}}
PAGES = {
    "/": "latest\n", "/openstack": "2012-08-10\n2018-08-27\nlatest",
    "/openstack/2018-08-27/meta_data.json": json.dumps(META),
    "/openstack/2018-08-27/user_data": "#cloud-config\n{}\n",
    "/openstack/2018-08-27/network_data.json": json.dumps(
        {"links": [], "networks": [], "services": []}),
    "/latest/meta-data/": "instance-id\nhostname",
    "/latest/meta-data/instance-id": "i-0123",
    "/latest/meta-data/hostname": "red.example",
    "/large": "0123456789abcdef" * (1 << 16),
}


class Nova(http.server.ThreadingHTTPServer):
    """The metadata service; `requests` is what came to it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _NovaHandler)
        self.requests = []
        self.held = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def close(self):
        self.held.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _NovaHandler(http.server.BaseHTTPRequestHandler):
    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append((
            self.command, self.path, self.headers["X-Instance-ID"],
            self.headers["X-Forwarded-For"], self.rfile.read(length)))
        code = re.fullmatch(r"/status/(\d+)", self.path)
        if self.path == "/held":
            self.server.held.wait(GUARD)
        text = PAGES.get(self.path.partition("?")[0])
        if self.command == "POST":
            text = ""
        status = int(code[1]) if code else 200 if text is not None else 404
        body = (text or "").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def log_message(self, *_):
        pass


class Neutron:
    """The agent's metadata proxy, as a user of its own, who alone may use its
    socket; or as root, when the users of its group may."""

    def __init__(self, world, kind, nova, proxies, as_root=False):
        self.base = world.mkdir(f"neutron-{kind}")
        shutil.chown(self.base, NEUTRON, NEUTRON)
        self.socket = self.base / "metadata_proxy"
        spec = {"kind": kind, "base": str(self.base), "macs": [MAC],
                "nova_port": nova.server_port, "proxies": proxies,
                "addresses": [INSTANCE4],
                "mode": "group" if as_root else "user"}
        # Given as text, because that user may not see where the file is.
        self.program = world.popen(
            *(AS_ROOT if as_root else AS_NEUTRON), PYTHON, "-c",
            PROGRAM.read_text(), json.dumps(spec), cwd="/",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "HOME": "/"})
        said = []
        for line in self.program.stdout:
            said.append(line)
            if line == "ready\n":
                break
        assert self.socket.exists(), "".join(said) + self.log()
        self.program.stdout.close()
        self._read = 0

    def log(self):
        path = self.base / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def config(self, uuid):
        return next(self.base.glob(f"*/{uuid}.conf"))

    def arrived(self):
        """What reached the handler since the last call."""
        path = self.base / "requests.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        new, self._read = lines[self._read:], len(lines)
        return [json.loads(line) for line in new]


class Network:
    """The namespace of a network (or router), and an instance in it."""

    def __init__(self, world, name, directory):
        self.netns = world.netns(name, directory)
        self.instance = world.netns("instance", world.mkdir(
            f"instance-of-{name[:8]}-{directory.name}"))
        world.veth(self.netns, "tap1", self.instance, "eth0", dad=False)
        self.instance.ip_batch([
            "link set eth0 down", f"link set eth0 address {MAC}",
            "link set eth0 addrgenmode none", "link set eth0 up",
            f"addr add {INSTANCE4}/24 dev eth0",
            f"addr add {STRANGER4}/24 dev eth0",
            f"addr add {INSTANCE6}/64 dev eth0 nodad",
            f"route add {METADATA4}/32 dev eth0 src {INSTANCE4}"])
        self.netns.ip_batch([
            "addr add 10.0.0.2/24 dev tap1",
            f"addr add {METADATA4}/32 dev tap1",
            f"addr add {METADATA6}/64 dev tap1 nodad"])

    def connect(self, address=METADATA4, port=80, source=None):
        if address == METADATA6:
            with self.instance.entered():
                address += f"%{socket.if_nametoindex('eth0')}"
        if source is None:
            return self.instance.connect(address, port)
        sock = self.instance.new_socket()
        sock.bind((source, 0))
        sock.connect((address, port))
        return sock

    def ask(self, request, **where):
        """Return: an Answer."""
        with self.connect(**where) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(request)  # what is refused is not read
            return read_answer(sock, request.startswith(b"HEAD"))


class Answer:
    """The first answer that is in the data, but for 100 Continue."""

    def __init__(self, data, is_head=False):
        head, end, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        self.status = int(words[1]) if end and len(words) > 1 else None
        self.headers = {name.lower(): value.strip() for name, _, value in
                        (line.partition(":") for line in lines[1:] if end)}
        length = self.headers.get("content-length")
        self.length = 0 if is_head else length and int(length)
        self.body = rest[:self.length]
        if self.status == 100:
            self.__dict__.update(Answer(rest, is_head).__dict__)

    def is_whole(self):
        """Does it say how long it is, and is it all there?"""
        return (self.status is not None and self.length is not None
                and len(self.body) == self.length)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:200]!r}"


def read_answer(sock, is_head=False):
    """Until the answer is whole, or the connection ends."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while not (answer := Answer(data, is_head)).is_whole():
            # No more than this answer: another one may follow.
            more = sock.recv(1 if answer.status is None else 1 << 16
                             if answer.length is None
                             else answer.length - len(answer.body))
            if not more:
                break
            data += more
    return Answer(data, is_head)


def start_haproxy(world, network, config):
    """Neutron's haproxy, in the network's namespace, in the foreground."""
    before = len(network.netns.listeners())
    with network.netns.entered():
        program = subprocess.Popen(
            ["haproxy", "-db", "-f", config], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=kernel.die_with_parent)
    world.defer(program.wait)
    world.defer(program.kill)
    binds = config.read_text().count("\n    bind ")
    wait_for(lambda: len(network.netns.listeners()) == before + binds,
             "haproxy to listen")
    return program

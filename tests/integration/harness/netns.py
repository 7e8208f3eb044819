# SPDX-License-Identifier: Apache-2.0
"""netns.py - network namespaces with a name, and what happens inside them."""

import errno
import ipaddress
import itertools
import json
import os
import socket
import subprocess
from contextlib import contextmanager

from . import kernel
from .wait import GUARD


# Below the kernel's range of ephemeral ports, above those that tests name.
_ports = itertools.cycle(range(20000, 32000))


class Place:
    """A network namespace that code can be run in."""

    def open_fd(self):
        """A descriptor, which keeps it alive until the caller closes it."""
        raise NotImplementedError

    @contextmanager
    def entered(self):
        fd = self.open_fd()
        try:
            with kernel.inside(fd):
                yield
        finally:
            os.close(fd)

    def run(self, *argv, check=True, stdin=None):
        """Runs a program inside. Return: what it wrote to stdout."""
        with self.entered():
            process = subprocess.run(argv, input=stdin, text=True,
                                     capture_output=True, check=False)
        if check and process.returncode:
            raise AssertionError(f"{' '.join(argv)}: exit "
                                 f"{process.returncode}: {process.stderr}")
        return process.stdout

    def popen(self, *argv, **kwargs):
        with self.entered():
            return subprocess.Popen(argv, **kwargs)

    def ip(self, *args):
        return self.run("ip", *args)

    def ip_batch(self, lines):
        return self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def up(self, ifname="lo"):
        with self.entered():
            kernel.set_link_up(ifname)
        return self

    def down(self, ifname="lo"):
        with self.entered():
            kernel.set_link_up(ifname, False)

    def addr_add(self, prefix, dev="lo", *options):
        if ":" in prefix and dev != "lo" and "nodad" not in options \
                and "dad" not in options:
            options += ("nodad",)
        self.ip("addr", "add", prefix, "dev", dev,
                *(o for o in options if o != "dad"))

    def addr_del(self, prefix, dev="lo"):
        self.ip("addr", "del", prefix, "dev", dev)

    def addresses(self):
        """What `ip -j addr` shows: dicts with ifname and ifindex added."""
        found = []
        for link in json.loads(self.run("ip", "-j", "addr")):
            for addr in link.get("addr_info", []):
                if "local" in addr:
                    found.append(dict(addr, ifname=link["ifname"],
                                      ifindex=link["ifindex"]))
        return found

    def sysctl(self, key, value):
        # The file shows the namespace of the thread that opens it.
        with self.entered():
            with open("/proc/sys/" + key.replace(".", "/"), "w",
                      encoding="ascii") as file:
                file.write(str(value))

    def new_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM,
                   proto=0):
        """A socket born inside; it is used from outside ever after."""
        with self.entered():
            sock = socket.socket(family, kind, proto)
        sock.settimeout(GUARD)
        return sock

    def connect(self, address, port, timeout=GUARD):
        sock = self.new_socket(_family(address))
        sock.settimeout(timeout)
        try:
            sock.connect(_sockaddr(address, port))
        except BaseException:
            sock.close()
            raise
        sock.settimeout(GUARD)
        return sock

    def refuses(self, address, port):
        """Is a TCP connect refused?"""
        try:
            self.connect(address, port).close()
        except (ConnectionRefusedError, OSError):
            return True
        return False

    def ask(self, address, port, data=b""):
        """Connects, sends, shuts down. Return: all that came back."""
        with self.connect(address, port) as sock:
            if data:
                sock.sendall(data)
                try:
                    sock.shutdown(socket.SHUT_WR)
                except OSError as error:
                    if error.errno != errno.ENOTCONN:
                        raise
                    raise ConnectionResetError(*error.args) from error
            return read_all(sock)

    def listen(self, address="127.0.0.1", port=0, backlog=64,
               kind=socket.SOCK_STREAM):
        """A server's socket inside; its port is getsockname()[1].

        Without a port it gets one that no other server of this session has
        had and that connect(2) never picks: who closes it finds it free.
        """
        sock = self.new_socket(_family(address), kind)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(_sockaddr(address, port or next(_ports)))
        if kind == socket.SOCK_STREAM:
            sock.listen(backlog)
        return sock

    def listeners(self):
        """What ss shows to be open: {"tcp *:80", "udp [::1]:53", ...}."""
        return {f"{proto} {local}" for proto, local, _ in self._ss()}

    def listener_inodes(self):
        """{"tcp *:80": inode}: another inode is another socket."""
        found = {}
        for proto, local, rest in self._ss("-e"):
            for word in rest:
                if word.startswith("ino:"):
                    found[f"{proto} {local}"] = int(word[4:])
        return found

    def _ss(self, *options):
        rows = []
        for line in self.run("ss", "-HnltuM", *options).splitlines():
            words = line.split()
            if not words or words[1] not in ("LISTEN", "UNCONN"):
                continue
            rows.append((words[0], words[4], words[6:]))
        mptcp = {local for proto, local, _ in rows if proto == "mptcp"}
        # The kernel lists an MPTCP listener's own subflow socket too.
        return [row for row in rows if row[0] != "tcp" or row[1] not in mptcp]

    def cookie(self):
        with self.new_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            return kernel.cookie(sock)


class HostNetns(Place):
    """The session's own namespace, which berthd takes for the host's."""

    def open_fd(self):
        return os.dup(kernel.Host.fd)


class Netns(Place):
    """A named namespace, made and removed in the order of ip-netns(8)."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self.name = os.path.basename(self.path)

    def open_fd(self):
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def create_file(self):
        """The first step of `ip netns add`: a file that is no namespace."""
        os.close(os.open(self.path,
                         os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                         0))
        return self

    def mount(self):
        """The second step: a new namespace is mounted over the file."""
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            kernel.mount("/proc/thread-self/ns/net", self.path,
                         flags=kernel.MS_BIND)
        finally:
            kernel.setns(kernel.Host.fd)
        return self

    def create(self):
        return self.create_file().mount()

    def bind(self, other):
        """A second name for the namespace that `other` names."""
        self.create_file()
        kernel.mount(other.path, self.path, flags=kernel.MS_BIND)
        return self

    def unmount(self):
        kernel.umount(self.path)

    def unlink(self):
        os.unlink(self.path)

    def delete(self):
        self.unmount()
        self.unlink()

    def destroy(self):
        """For clean-up: whatever is left of it."""
        try:
            if not os.path.islink(self.path):
                kernel.umount(self.path)
        except OSError:
            pass
        try:
            os.unlink(self.path)
        except OSError:
            pass


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _sockaddr(address, port):
    if ":" not in address:
        return (address, port)
    address, _, scope = address.partition("%")
    return (address, port, 0, int(scope or 0))


def endpoint(protocol, address, port):
    """An address as ss prints it."""
    if address in ("*", "any"):
        return f"{protocol} *:{port}"
    if ipaddress.ip_address(address.partition("%")[0]).version == 6:
        host, percent, scope = address.partition("%")
        return f"{protocol} [{host}]{percent}{scope}:{port}"
    return f"{protocol} {address}:{port}"


def read_all(sock):
    """Reads until the peer's end."""
    chunks = []
    while True:
        data = sock.recv(65536)
        if not data:
            return b"".join(chunks)
        chunks.append(data)


def read_exactly(sock, size):
    chunks = []
    while size:
        data = sock.recv(min(size, 1 << 20))
        if not data:
            raise AssertionError(f"ended with {size} bytes missing")
        chunks.append(data)
        size -= len(data)
    return b"".join(chunks)

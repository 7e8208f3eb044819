# SPDX-License-Identifier: Apache-2.0
"""world.py - what one test makes, and what is left of it removed again."""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from . import kernel, process
from .berthd import Berthd
from .netns import HostNetns, Netns
from .wait import GUARD, wait_equal

_numbers = itertools.count()


class World:
    """A directory for one test with namespaces, links and daemons in it."""

    def __init__(self, guard=GUARD):
        self._guard = guard
        self._host_before = host_state()
        self.base = Path(tempfile.mkdtemp(prefix="berth-it-"))
        # The relay runs as another user and reaches backends in here.
        self.base.chmod(0o755)
        self.dir = self.mkdir("netns")
        self.host = HostNetns()
        self.daemons = []
        self._undo = []

    def defer(self, function, *args):
        """Has the function called when the test is over."""
        self._undo.append((function, args))

    def mkdir(self, name):
        path = self.base / name
        path.mkdir()
        return path

    # Namespaces

    def name(self, name, directory=None):
        """A name that leads nowhere yet, to be made step by step."""
        netns = Netns((directory or self.dir) / name)
        self.defer(netns.destroy)
        return netns

    def netns(self, name, directory=None, up=True):
        """A namespace, with its loopback interface up."""
        netns = self.name(name, directory).create()
        return netns.up() if up else netns

    def symlink(self, target, name, directory=None):
        netns = Netns((directory or self.dir) / name)
        os.symlink(os.fspath(target), netns.path)
        self.defer(netns.destroy)
        return netns

    def veth(self, place, ifname, peer_place, peer_ifname, dad=True):
        """A pair of interfaces between two places, both up.

        dad=False: their addresses are not looked for elsewhere, and need no
        second or two before they can be used.

        An end on the host is deleted with the test: the kernel takes its time
        to delete a pair with the other end's namespace, and until then the
        name is not free for the next test.
        """
        number = next(_numbers)
        near, far = f"bt{number}a", f"bt{number}b"
        kernel_fds = []
        try:
            for where in (place, peer_place):
                kernel_fds.append(where.open_fd())
            _ip("link", "add", near, "type", "veth", "peer", "name", far)
            self.defer(_ip_quiet, "link", "del", near)
            for which, new_name, fd, where in (
                    (near, ifname, kernel_fds[0], place),
                    (far, peer_ifname, kernel_fds[1], peer_place)):
                if where is not self.host:
                    _move_link(which, fd)
                where.ip("link", "set", which, "name", new_name)
                if where is self.host:
                    self.defer(_ip_quiet, "link", "del", new_name)
                if not dad:
                    where.sysctl(f"net.ipv6.conf.{new_name}.accept_dad", 0)
                where.up(new_name)
        finally:
            for fd in kernel_fds:
                os.close(fd)

    # Daemons

    def berthd(self, rules=None, start=True, netns_dirs=None, rules_dirs=None,
               args=(), kind=Berthd, **kwargs):
        """A berthd on this world's directory with the rules given.

        rules: text of 50-test.yaml, or {file name: text}, or None.
        """
        base = self.mkdir(f"berthd{len(self.daemons)}")
        if rules_dirs is None:
            rules_dirs = [base / "rules"]
            rules_dirs[0].mkdir()
        daemon = kind(base, netns_dirs or [self.dir], rules_dirs, args,
                      **kwargs)
        self.daemons.append(daemon)
        if isinstance(rules, str):
            rules = {"50-test.yaml": rules}
        for name, text in (rules or {}).items():
            daemon.write_rules(name, text)
        return daemon.start() if start else daemon

    # Witnesses and other programs

    def popen(self, *argv, **kwargs):
        """A program that is ended with the test."""
        program = subprocess.Popen(argv, preexec_fn=kernel.die_with_parent,
                                   **kwargs)
        self.defer(_end, program)
        return program

    def close_later(self, thing):
        self.defer(thing.close)
        return thing

    def unix_listen(self, name, backlog=64):
        """A UNIX socket that the relay's user may connect to."""
        path = self.base / name
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(15)
        sock.bind(os.fspath(path))
        path.chmod(0o666)
        sock.listen(backlog)
        return self.close_later(sock), path

    # The end

    def close(self):
        """Ends all; raises the first thing that was not as it should be."""
        problems = []
        for daemon in self.daemons:
            try:
                daemon.stop()
            except AssertionError as error:
                problems.append(error)
        for function, args in reversed(self._undo):
            try:
                function(*args)
            except OSError as error:
                problems.append(error)
        process.reap_orphans("berthd", "berth-relay")
        shutil.rmtree(self.base, ignore_errors=True)
        try:
            # Whatever names one test leaves there disturb the next one.
            wait_equal(host_state, self._host_before,
                       "the host's interfaces, addresses, routes and rules",
                       self._guard)
        except AssertionError as error:
            problems.append(error)
        if problems:
            raise problems[0]


def host_state():
    """What a test could leave behind in the session's own namespace."""
    state = [name for _, name in socket.if_nameindex()]
    for family, objects in (("-4", "addr\nroute show table all\nrule\n"),
                            ("-6", "rule\n")):
        state += subprocess.run(
            ["ip", family, "-o", "-batch", "-"], check=True, text=True,
            capture_output=True, input=objects).stdout.splitlines()
    return state


def _ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


def _ip_quiet(*args):
    subprocess.run(["ip", *args], check=False, capture_output=True)


def _move_link(ifname, netns_fd):
    # ip-link(8) takes a pid or a name: a child that is inside is both.
    child = subprocess.Popen(
        ["sleep", "60"], preexec_fn=lambda: kernel.setns(netns_fd))
    try:
        _ip("link", "set", ifname, "netns", str(child.pid))
    finally:
        _end(child)


def _end(program):
    if program.poll() is None:
        program.kill()
    program.wait()
    for stream in (program.stdin, program.stdout, program.stderr):
        if stream:
            stream.close()

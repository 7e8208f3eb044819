# SPDX-License-Identifier: Apache-2.0
"""chaos.py - random operations on a world, and what they should lead to.

The model keeps what was done: names, own servers, rules files with their last
good version. Addresses are read from `ip addr`, because the kernel adds and
removes some by itself.
"""

import os
import signal
from contextlib import nullcontext

import yaml

from . import oracle, process
from .netns import Netns
from .rules import rules
from .wait import wait_equal

NAMES = [f"{colour}-{i}" for colour in ("red", "blue", "green")
         for i in range(3)]
PORTS = list(range(1000, 1006))
FILES = [f"{i}0.yaml" for i in range(1, 6)]
V4 = [f"10.{i}.0.1/32" for i in range(4)] + ["192.0.2.1/32"]
V6 = [f"fd00:{i}::1/128" for i in range(1, 5)]
PATTERNS = ["*", "red-*", "blue-*", ["*", "!red-*"], ["red-*", "green-1"],
            "/(red|green)-[01]/", "?????-[!0]", "blue-2"]
NETS = ["10.0.0.0/8", "fd00::/8", ["10.0.0.0/8", "!10.1.0.0/16"],
        ["192.0.2.1", "fd00:1::/32"], "10.2.0.1"]


def differences(actual, expected):
    """What is missing, and what is too much."""
    return sorted(expected - actual), sorted(actual - expected)


class Chaos:
    """One run from one seed."""

    def __init__(self, world, random):
        self.world = world
        self.random = random
        self.history = []
        self.links = {}  # name: the name it leads to
        self.mounts = {}  # name: number of the namespace
        self.files = {}  # name: [parsed rules in force or None, settled]
        self.servers = []  # (number of the namespace, address, port, socket)
        self.numbers = 0
        self.restarts = 0
        self.berthd = world.berthd(args=["--log-level", "info"])
        world.defer(self._close_servers)

    # Operations. Each returns what it did, or None if it could not.

    def netns_create(self):
        name = self.random.choice(NAMES)
        if name in self.mounts or name in self.links:
            return None
        netns = self.path(name).create()
        self.world.defer(netns.destroy)
        if self.random.random() < 0.8:
            netns.up()
        self.numbers += 1
        self.mounts[name] = self.numbers
        return f"create {name}"

    def netns_delete(self):
        if len(self.mounts) < 3:
            return None
        name = self._mounted()
        self.path(name).delete()
        number = self.mounts.pop(name)
        if number not in self.mounts.values():
            self._close_servers(number)
        return f"delete {name}"

    def netns_recreate(self):
        if not self.mounts:
            return None
        name = self._mounted()
        number = self.mounts[name]
        with_stop = self.random.random() < 0.5
        with process.stopped(self.berthd.pid) if with_stop else nullcontext():
            self.path(name).delete()
            self.path(name).create()
        self.numbers += 1
        self.mounts[name] = self.numbers
        if number not in self.mounts.values():
            self._close_servers(number)
        return f"recreate {name}{' in one batch' if with_stop else ''}"

    def second_name(self):
        name = self.random.choice(NAMES)
        if name in self.mounts or name in self.links or not self.mounts:
            return None
        other = self._mounted()
        netns = self.path(name).bind(self.path(other))
        self.world.defer(netns.destroy)
        self.mounts[name] = self.mounts[other]
        return f"second name {name} for {other}"

    def link_create(self):
        name, target = self.random.sample(NAMES, 2)
        if name in self.mounts or name in self.links:
            return None
        self.world.symlink(target, name)
        self.links[name] = target
        return f"link {name} -> {target}"

    def link_delete(self):
        if not self.links:
            return None
        name = self.random.choice(sorted(self.links))
        self.path(name).unlink()
        del self.links[name]
        return f"delete link {name}"

    def link_rename(self):
        if not self.links:
            return None
        name = self.random.choice(sorted(self.links))
        new = self.random.choice(NAMES)
        target = self.links[name]
        if new in self.mounts or new == name:
            return None
        os.rename(self.path(name).path, self.path(new).path)
        del self.links[name]
        self.links[new] = target
        return f"rename link {name} to {new}"

    def address_add(self):
        if not self.mounts:
            return None
        netns = self.path(self._mounted())
        address = self.random.choice(V4 + V6)
        if address.partition("/")[0] in {
                a["local"] for a in netns.addresses()}:
            return None
        netns.addr_add(address)
        return f"{netns.name}: add {address}"

    def address_delete(self):
        if not self.mounts:
            return None
        netns = self.path(self._mounted())
        present = [f"{a['local']}/{a['prefixlen']}"
                   for a in netns.addresses()]
        known = sorted(set(present) & set(V4 + V6))
        if not known:
            return None
        address = self.random.choice(known)
        netns.addr_del(address)
        return f"{netns.name}: delete {address}"

    def link_down_or_up(self):
        if not self.mounts:
            return None
        netns = self.path(self._mounted())
        if self.random.random() < 0.3:
            netns.down()
            return f"{netns.name}: lo down"
        netns.up()
        return f"{netns.name}: lo up"

    def own_server(self):
        """A program in the namespace takes a port before berth, if it can."""
        if not self.mounts or len(self.servers) > 2:
            return None
        name = self._mounted()
        address = self.random.choice(["0.0.0.0", "::", "10.1.0.1"])
        port = self.random.choice(PORTS)
        try:
            sock = self.path(name).listen(address, port)
        except OSError:
            return None
        self.servers.append((self.mounts[name], address, port, sock))
        return f"{name}: own server on {address} port {port}"

    def own_server_leaves(self):
        if not self.servers:
            return None
        server = self.servers.pop(self.random.randrange(len(self.servers)))
        server[3].close()
        return f"own server on port {server[2]} leaves"

    def rules_write(self):
        name = self.random.choice(FILES)
        text = self._random_rules(name)
        if self.random.random() < 0.5:
            self.berthd.write_rules(name, text)
        else:
            path = self.berthd.rules_dirs[0] / name
            path.write_text(text, encoding="ascii")
        self.files[name] = [yaml.safe_load(text), False]
        return f"write {name}:\n{text}"

    def rules_delete(self):
        if len(self.files) < 2:
            return None
        name = self.random.choice(sorted(self.files))
        self.berthd.remove_rules(name)
        del self.files[name]
        return f"delete {name}"

    def rules_break(self):
        """Only what berthd has surely read has a last good version."""
        settled = sorted(n for n, state in self.files.items() if state[1])
        if not settled:
            return None
        name = self.random.choice(settled)
        self.berthd.write_rules(name, self.random.choice([
            "rules: [", "rules:\n  - nonsense: 1\n", "- just\n- a list\n"]))
        return f"break {name}"

    def reload(self):
        self.berthd.send_signal(signal.SIGHUP)
        return "SIGHUP"

    def relay_kill(self):
        self.berthd.kill_relay()
        return "kill the relay"

    def berthd_kill(self):
        if self.restarts >= 6:
            return None
        self.restarts += 1
        self.berthd.kill9()
        for name in list(self.files):
            path = self.berthd.rules_dirs[0] / name
            try:
                assert "rules" in yaml.safe_load(path.read_text())
                assert "nonsense" not in path.read_text()
            except (yaml.YAMLError, AssertionError):
                # Nothing outlives berthd: there is no good version now.
                self.files[name] = [None, True]
        self.berthd.start()
        return "kill -9 berthd and start it again"

    # The run

    WEIGHTS = {
        netns_create: 10, netns_delete: 5, netns_recreate: 4, second_name: 3,
        link_create: 3, link_delete: 2, link_rename: 3, address_add: 14,
        address_delete: 8, link_down_or_up: 3, own_server: 1,
        own_server_leaves: 1, rules_write: 8, rules_delete: 2,
        rules_break: 2, reload: 1, relay_kill: 1, berthd_kill: 1,
    }

    def step(self):
        operations = list(self.WEIGHTS)
        while True:
            operation, = self.random.choices(operations,
                                             list(self.WEIGHTS.values()))
            done = operation(self)
            if done is not None:
                self.history.append(done)
                return

    def check(self):
        """Everything is exactly as the oracle says."""
        groups = self._groups()
        for number, names in groups.items():
            netns = self.path(self._mounted_name(number))
            try:
                # What is expected changes: addresses stop being tentative.
                wait_equal(lambda: differences(
                    netns.listeners(), self._expected(number, names)),
                    ([], []), "missing, and too many listeners of "
                    f"namespace {number} {names}")
            except AssertionError:
                self._explain(netns)
                raise
        cookies = {self.path(self._mounted_name(n)).cookie(): sorted(names)
                   for n, names in groups.items()}
        wait_equal(lambda: {
            n["id"]: sorted(name["name"] for name in n["names"])
            for n in self.berthd.namespaces() if not n["host"]}, cookies,
            "berthd's namespaces and their names")
        wait_equal(lambda: {row["namespace_id"]
                            for row in self.berthd.listeners()}
                   <= set(cookies), True, "no listener of others")
        for state in self.files.values():
            state[1] = True

    def _explain(self, netns):
        """What berthd thinks, for who reads a failure."""
        print("in force:", {name: state[0] for name, state
                            in sorted(self.files.items())})
        print("own servers:", self.servers)
        print("addresses:", netns.addresses())
        print(self.berthd.ctl_text("explain", netns.name))

    def _expected(self, number, names):
        """Own servers keep berth's sockets away, and are seen by ss."""
        addresses = self.path(self._mounted_name(number)).addresses()
        files = [self.files[name][0] for name in sorted(self.files)
                 if self.files[name][0]]
        expected = oracle.wanted(files, names, addresses)
        for owner, address, port, _ in self.servers:
            if owner != number:
                continue
            expected = {
                text for text in expected if not (
                    text.startswith("tcp ") and text.endswith(f":{port}")
                    and oracle.addresses_collide(
                        text[4:].rpartition(":")[0].strip("[]"), address))}
        for owner, address, port, _ in self.servers:
            if owner == number:
                host = f"[{address}]" if ":" in address else address
                expected.add(f"tcp {host}:{port}")
        return expected

    def _groups(self):
        groups = {}
        for name, number in self.mounts.items():
            groups.setdefault(number, []).append(name)
        for name in self.links:
            target = self._resolve(name)
            if target in self.mounts:
                groups[self.mounts[target]].append(name)
        return groups

    def _resolve(self, name):
        """Follows links to links; a loop leads nowhere."""
        seen = set()
        while name in self.links and name not in seen:
            seen.add(name)
            name = self.links[name]
        return name

    def _mounted_name(self, number):
        return next(n for n, m in self.mounts.items() if m == number)

    def _mounted(self):
        return self.random.choice(sorted(self.mounts))

    def path(self, name):
        return Netns(self.world.dir / name)

    def _close_servers(self, number=None):
        for server in list(self.servers):
            if number in (None, server[0]):
                server[3].close()
                self.servers.remove(server)

    def _random_rules(self, file_name):
        pick = self.random.choice
        made = []
        for index in range(self.random.randint(1, 3)):
            match = {"namespace": pick(PATTERNS)}
            if self.random.random() < 0.4:
                match["address"] = pick(NETS)
            if self.random.random() < 0.15:
                match["family"] = pick(["ipv4", "ipv6"])
            if self.random.random() < 0.1:
                match["interface"] = pick(["lo", "eth*", ["l?", "!eth0"]])
            if self.random.random() < 0.1:
                match["scope"] = pick(["host", "global"])
            listen = [{
                "protocol": pick(["tcp", "tcp", "udp", ["tcp", "udp"]]),
                "address": pick(["any", "any4", "any6", "each", "each",
                                 "each", "10.1.0.1", "fd00:1::1",
                                 ["10.3.0.1", "fd00:3::1"]]),
                "port": pick([*PORTS, "1000-1002", [1003, 1005]]),
            } for _ in range(self.random.randint(1, 2))]
            made.append({"name": f"{file_name[0]}-{index}", "match": match,
                         "listen": listen, "respond": "ack"})
        return rules(*made)

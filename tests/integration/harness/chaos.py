# SPDX-License-Identifier: Apache-2.0
"""chaos.py - random operations on a world, and what they should lead to.

The model keeps what was done: names, processes that links lead to, own
servers, rules files with their last good version. Addresses are read from `ip
addr`, because the kernel adds and removes some by itself.
"""

import os
import signal
import socket
from contextlib import contextmanager

import yaml

from . import oracle, process
from .netns import Netns, read_exactly
from .pids import Sandbox
from .rules import rule, rules
from .wait import wait_equal, wait_for

NAMES = [f"{colour}-{i}" for colour in ("red", "blue", "green")
         for i in range(3)]
PORTS = list(range(1000, 1006))
FILES = [f"{i}0.yaml" for i in range(1, 6)]
# A listener that is always there, for operations that send something.
ECHO_FILE, ECHO_PORT = "00.yaml", 1100
ECHO = rules(rule(name="echo", port=ECHO_PORT, address="any4",
                  respond="echo"))
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
        self.links = {}  # name: the name it leads to, or a sandbox's number
        self.sandboxes = {}  # number of the namespace: Sandbox
        self.starved = []  # (pid, its soft limit of descriptors before)
        self.mounts = {}  # name: number of the namespace
        self.files = {}  # name: [parsed rules in force or None, settled]
        self.servers = []  # (number of the namespace, address, port, socket)
        self.numbers = 0
        self.restarts = 0
        self.berthd = world.berthd({ECHO_FILE: ECHO},
                                   args=["--log-level", "info"])
        self.files[ECHO_FILE] = [yaml.safe_load(ECHO), True]
        world.defer(self._close_servers)
        world.defer(self._end_sandboxes)

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
        with self._perhaps_stopped() as how:
            self.path(name).delete()
            self.path(name).create()
        self.numbers += 1
        self.mounts[name] = self.numbers
        if number not in self.mounts.values():
            self._close_servers(number)
        return f"recreate {name}{how}"

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

    def sandbox_start(self):
        """A namespace whose only name is a link to its process."""
        name = self.random.choice(NAMES)
        if name in self.mounts or name in self.links \
                or len(self.sandboxes) > 2:
            return None
        return self._sandbox(name, Sandbox())

    def sandbox_end(self):
        if not self.sandboxes:
            return None
        number = self.random.choice(sorted(self.sandboxes))
        self.sandboxes.pop(number).end()
        return f"end the process of namespace {number}"

    def sandbox_pid_again(self):
        """Another process gets the number that links still name.

        The links are looked at before: berthd cannot know of a process that
        ended before it saw the link.
        """
        if not self.sandboxes:
            return None
        self.check()
        number = self.random.choice(sorted(self.sandboxes))
        sandbox = self.sandboxes.pop(number)
        pid = sandbox.pid
        with self._perhaps_stopped() as how:
            sandbox.end()
            try:
                stranger = Sandbox(pid)
            except FileExistsError:
                return f"end process {pid}: somebody else has its number"
        done = f"process {pid} is another one{how}"
        names = [n for n in NAMES
                 if n not in self.mounts and n not in self.links]
        if names and self.random.random() < 0.5:
            return f"{done}; {self._sandbox(names[0], stranger)}"
        self.world.defer(stranger.end)
        return done

    def _sandbox(self, name, sandbox):
        self.world.symlink(sandbox.path, name)
        self.numbers += 1
        self.sandboxes[self.numbers] = sandbox
        self.links[name] = self.numbers
        return f"link {name} -> {sandbox.path}, namespace {self.numbers}"

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
        dev = self.random.choice(_interfaces(netns))
        address = self.random.choice(V4 + V6)
        if (address.partition("/")[0], dev) in {
                (a["local"], a["ifname"]) for a in netns.addresses()}:
            return None
        netns.addr_add(address, dev)
        return f"{netns.name}: add {address} to {dev}"

    def address_delete(self):
        if not self.mounts:
            return None
        netns = self.path(self._mounted())
        known = sorted(_known_addresses(netns))
        if not known:
            return None
        address, dev = self.random.choice(known)
        netns.addr_del(address, dev)
        return f"{netns.name}: delete {address} from {dev}"

    def interface_create(self):
        if not self.mounts:
            return None
        netns = self.path(self._mounted())
        if "eth0" in _interfaces(netns):
            return None
        netns.ip_batch(_ETH0)
        return f"{netns.name}: create eth0"

    def interface_anew(self):
        """Another interface of the same name with the same addresses."""
        if not self.mounts:
            return None
        netns = self.path(self._mounted())
        if "eth0" not in _interfaces(netns):
            return None
        lines = ["link del eth0", *_ETH0]
        for address, dev in sorted(_known_addresses(netns)):
            if dev == "eth0":
                lines.append(f"addr add {address} dev eth0"
                             + (" nodad" if ":" in address else ""))
        with self._perhaps_stopped() as how:
            netns.ip_batch(lines)
        return f"{netns.name}: make eth0 anew{how}"

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
        names = sorted(self.files.keys() - {ECHO_FILE})
        if not names:
            return None
        name = self.random.choice(names)
        self.berthd.remove_rules(name)
        del self.files[name]
        return f"delete {name}"

    def rules_break(self):
        """Only what berthd has surely read has a last good version."""
        settled = sorted(n for n, state in self.files.items()
                         if state[1] and n != ECHO_FILE)
        if not settled:
            return None
        name = self.random.choice(settled)
        self.berthd.write_rules(name, self.random.choice([
            "rules: [", "rules:\n  - nonsense: 1\n", "- just\n- a list\n"]))
        return f"break {name}"

    def reload(self):
        self.berthd.send_signal(signal.SIGHUP)
        return "SIGHUP"

    def starve(self):
        """One of the processes gets no descriptor more for a while."""
        if self.starved:
            return None
        of_berthd = self.random.random() < 0.5
        pid = self.berthd.pid if of_berthd else self.berthd.relay_pid()
        room = self.random.choice([0, 0, 1, 2, 5])
        number = max(process.descriptors(pid)) + 1 + room
        self.starved.append((pid, process.limit_descriptors(pid, number)))
        return (f"room for {room} descriptors more in "
                f"{'berthd' if of_berthd else 'the relay'}")

    def feed(self):
        """Ends every shortage; a process may be another one by now."""
        if not self.starved:
            return None
        for pid, number in self.starved:
            try:
                process.limit_descriptors(pid, number)
            except (ProcessLookupError, FileNotFoundError):
                pass
        self.starved.clear()
        return "room for descriptors again"

    def urgent_data(self):
        """Comes back from `respond: echo` whole and in order, marks too."""
        if not self.mounts:
            return None
        self.feed()
        netns = self.path(self._mounted())
        netns.up()
        wait_for(lambda: f"tcp 0.0.0.0:{ECHO_PORT}" in netns.listeners(),
                 f"the echo listener of {netns.name}")
        parts = [self.random.randbytes(self.random.choice([1, 700, 90000]))
                 for _ in range(self.random.randint(2, 6))]
        with netns.connect("127.0.0.1", ECHO_PORT) as sock:
            for part in parts:
                _send_all_urgent(sock, part)
            sock.shutdown(socket.SHUT_WR)
            whole = b"".join(parts)
            assert read_exactly(sock, len(whole)) == whole
            assert sock.recv(1) == b""
        return f"{netns.name}: {len(whole)} bytes with urgent ones"

    def relay_kill(self):
        self.berthd.kill_relay()
        return "kill the relay"

    def berthd_kill(self):
        if self.restarts >= 6:
            return None
        self.restarts += 1
        self.feed()
        self._forget_dead_links()
        # With its relay, or without; killed, or told to end.
        how = self.random.choice((None, signal.SIGKILL, signal.SIGTERM))
        if how is None:
            self.berthd.kill9()
        else:
            self.berthd.leave(how)
        for name in list(self.files):
            path = self.berthd.rules_dirs[0] / name
            try:
                assert "rules" in yaml.safe_load(path.read_text())
                assert "nonsense" not in path.read_text()
            except (yaml.YAMLError, AssertionError):
                # Nothing outlives berthd: there is no good version now.
                self.files[name] = [None, True]
        self.berthd.start()
        return f"end berthd ({how or 'both killed'}) and start it again"

    # The run

    WEIGHTS = {
        netns_create: 10, netns_delete: 5, netns_recreate: 4, second_name: 3,
        link_create: 3, link_delete: 2, link_rename: 3, sandbox_start: 4,
        sandbox_end: 2, sandbox_pid_again: 2, address_add: 14,
        address_delete: 8, interface_create: 3, interface_anew: 4,
        link_down_or_up: 3, own_server: 1, own_server_leaves: 1,
        rules_write: 8, rules_delete: 2, rules_break: 2, reload: 1,
        starve: 2, feed: 3, urgent_data: 2, relay_kill: 1, berthd_kill: 1,
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
        self.feed()
        groups = self._groups()
        for number, names in groups.items():
            netns = self._place(number)
            try:
                # What is expected changes: addresses stop being tentative.
                wait_equal(lambda: differences(
                    netns.listeners(), self._expected(number, names)),
                    ([], []), "missing, and too many listeners of "
                    f"namespace {number} {names}")
            except AssertionError:
                self._explain(netns)
                raise
        cookies = {self._place(n).cookie(): sorted(names)
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
        print(self.berthd.ctl_text("namespaces"))
        print(self.berthd.ctl_text("explain", str(netns.cookie())))

    def _expected(self, number, names):
        """Own servers keep berth's sockets away, and are seen by ss."""
        addresses = self._place(number).addresses()
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
                        oracle.address_of(text), address))}
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
            if target in self.sandboxes:
                groups.setdefault(target, []).append(name)
            elif target in self.mounts:
                groups[self.mounts[target]].append(name)
        return groups

    def _resolve(self, name):
        """Follows links to links; a loop leads nowhere.

        Return: a name, or the number of a sandbox, living or not.
        """
        seen = set()
        while name in self.links and name not in seen:
            seen.add(name)
            name = self.links[name]
        return name

    def _place(self, number):
        if number in self.sandboxes:
            return Netns(self.sandboxes[number].path)
        return self.path(next(n for n, m in self.mounts.items()
                              if m == number))

    def _forget_dead_links(self):
        """The next berthd cannot know which process a link was made for."""
        for name, target in list(self.links.items()):
            if isinstance(target, int) and target not in self.sandboxes:
                self.path(name).unlink()
                del self.links[name]

    @contextmanager
    def _perhaps_stopped(self):
        """Half of the time berthd hears of all at once; tells which half."""
        if self.random.random() < 0.5:
            yield ""
            return
        with process.stopped(self.berthd.pid):
            yield " in one batch"

    def _mounted(self):
        return self.random.choice(sorted(self.mounts))

    def path(self, name):
        return Netns(self.world.dir / name)

    def _end_sandboxes(self):
        for sandbox in self.sandboxes.values():
            sandbox.end()

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
            listen = [self._random_listen()
                      for _ in range(self.random.randint(1, 2))]
            made.append({"name": f"{file_name[0]}-{index}", "match": match,
                         "listen": listen, "respond": "ack"})
        return rules(*made)

    def _random_listen(self):
        pick = self.random.choice
        listen = {
            "protocol": pick(["tcp", "tcp", "udp", ["tcp", "udp"]]),
            "address": pick(["any", "any4", "any6", "each", "each", "each",
                             "10.1.0.1", "fd00:1::1",
                             ["10.3.0.1", "fd00:3::1"]]),
            "port": pick([*PORTS, "1000-1002", [1003, 1005]]),
        }
        if listen["address"] == "each" and self.random.random() < 0.3:
            listen["interface_bound"] = True
        return listen


# Both ends in one namespace: it has a link without a bridge elsewhere.
_ETH0 = ["link add eth0 type veth peer name peer0", "link set peer0 up",
         "link set eth0 up"]


def _interfaces(netns):
    with netns.entered():
        return [name for _, name in socket.if_nameindex() if name != "peer0"]


def _known_addresses(netns):
    """Those that this run added: {(address with its length, interface)}."""
    return {(f"{a['local']}/{a['prefixlen']}", a["ifname"])
            for a in netns.addresses()
            if f"{a['local']}/{a['prefixlen']}" in V4 + V6}


def _send_all_urgent(sock, data):
    """The last byte is urgent data."""
    sock.sendall(data[:-1])
    while sock.send(data[-1:], socket.MSG_OOB) != 1:
        pass

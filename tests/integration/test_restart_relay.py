# SPDX-License-Identifier: Apache-2.0
"""test_restart_relay.py - a new relay takes over, and nobody notices."""

import os
import signal
import socket
import threading

import pytest

from harness.berthd import RELAY
from harness.netns import read_all
from harness.rules import ack, forward, rule, rules
from harness.traffic import ended, pair, works
from harness.wait import GUARD, wait_equal, wait_exit, wait_for


@pytest.fixture
def netns(world):
    return world.netns("n")


def restart(berthd):
    """Return: the pids of the earlier relay and the one that took over."""
    relay = berthd.relay_pid()
    berthd.wait_delivered()
    berthd.ctl("restart-relay")
    new = berthd.relay_pid(other_than=relay)
    wait_equal(lambda: berthd.status()["consumers"][0]["pid"], new,
               "the new relay's connection")
    berthd.wait_delivered()
    return relay, new


def to(backend):
    return f"127.0.0.1:{backend.getsockname()[1]}"


class Clients:
    """Threads that connect to berth's listeners until they are told to end,
    and note what was not answered."""

    def __init__(self, places, threads=4):
        self.answered = 0
        self.problems = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, daemon=True,
                             args=(places[i % len(places)],))
            for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self, place):
        while not self._end.is_set():
            try:
                with place.connect("127.0.0.1", 8081) as sock:
                    answer = read_all(sock)
            except OSError as error:
                answer = error
            with self._lock:
                self.answered += 1
                if answer != b"ack":
                    self.problems.append(answer)

    def wait_more(self, n):
        """Waits until n more were answered."""
        goal = self.answered + n
        wait_for(lambda: self.answered >= goal or self.problems,
                 f"{n} more answers")

    def end(self):
        self._end.set()
        for thread in self._threads:
            thread.join(GUARD)
            assert not thread.is_alive()


def test_under_load(world, backend):
    """Connections go on, and no client is refused or waits for ever."""
    made = [world.netns(f"n{i}") for i in range(4)]
    berthd = world.berthd(rules(
        rule(name="long", forward={"to": to(backend)}),
        rule(name="short", port=8081)))
    pairs = [pair(place, backend) for place in made for _ in range(5)]
    listeners = [place.listener_inodes() for place in made]
    clients = Clients(made)
    try:
        for _ in range(4):
            clients.wait_more(20)
            restart(berthd)
            for client, server in pairs:
                works(client, server)
        clients.wait_more(20)
    finally:
        clients.end()
    assert not clients.problems
    assert [place.listener_inodes() for place in made] == listeners
    assert berthd.status()["consumers"][0]["delivered"] == 8
    for client, server in pairs:
        client.close()
        server.close()
    wait_equal(lambda: len(berthd.relays()), 1, "the earlier relays to end")
    assert "was ended by signal" not in berthd.log(), \
        "berthd killed a relay that had ended"


def test_namespace_goes_while_the_earlier_one_drains(world, netns, backend):
    """Both relays let go of it, and the kernel frees it."""
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    earlier, _ = restart(berthd)
    pidfd = os.pidfd_open(earlier)
    works(client, server)
    late_client, late_server = pair(netns, backend)
    netns.delete()
    for sock in (client, server, late_client, late_server):
        assert ended(sock)
        sock.close()
    assert wait_exit(pidfd), "the earlier relay has nothing, and runs on"
    os.close(pidfd)
    wait_equal(lambda: berthd.ctl("namespaces")["lingering"], [],
               "the namespace to be freed")


def test_new_relay_crashes(world, netns, backend):
    """It loses only what it accepted itself."""
    berthd = world.berthd(forward(to(backend)))
    old_pair = pair(netns, backend)
    earlier, new = restart(berthd)
    client, server = pair(netns, backend)
    os.kill(new, signal.SIGKILL)
    assert ended(client) and ended(server)
    works(*old_pair)
    assert berthd.relay_pid(other_than=new)
    wait_for(lambda: berthd.relay_now() not in (new, earlier), "a new relay")
    next_pair = pair(netns, backend)
    works(*next_pair)
    works(*old_pair)
    for sock in (client, server, *old_pair, *next_pair):
        sock.close()


def test_earlier_relay_crashes(world, netns, backend):
    """It has no listener any more, and is not started again."""
    berthd = world.berthd(forward(to(backend)))
    old_pair = pair(netns, backend)
    earlier, new = restart(berthd)
    new_pair = pair(netns, backend)
    os.kill(earlier, signal.SIGKILL)
    assert ended(old_pair[0]) and ended(old_pair[1])
    works(*new_pair)
    berthd.wait_log(r"another one has taken over from, was ended by signal 9")
    assert berthd.relays() == [new]
    for sock in (*old_pair, *new_pair):
        sock.close()


def test_udp_is_answered(world, netns):
    """A question on its way, and those that follow."""
    backend = world.close_later(world.host.new_socket(kind=socket.SOCK_DGRAM))
    backend.bind(("127.0.0.1", 0))
    berthd = world.berthd(forward(to(backend), protocol="udp"))
    with netns.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 8080))
        client.send(b"before")
        data, session = backend.recvfrom(100)
        assert data == b"before"
        restart(berthd)
        backend.sendto(b"the answer", session)
        assert client.recv(100) == b"the answer"
        client.send(b"after")
        data, session = backend.recvfrom(100)
        assert data == b"after"
        backend.sendto(b"another", session)
        assert client.recv(100) == b"another"


def test_counts_of_both(world, netns, backend):
    """What the earlier relay counts is not lost."""
    berthd = world.berthd(forward(to(backend)))
    client, server = pair(netns, backend)
    restart(berthd)
    with netns.connect("127.0.0.1", 8080) as other:
        backend.accept()[0].close()
        assert ended(other)
    client.close()
    server.close()
    wait_equal(lambda: berthd.ctl("stats")["total"]["accepted"], 2,
               "both connections to be counted")


def test_too_many(world, netns, backend):
    """Relays that let their clients finish are bounded."""
    berthd = world.berthd(forward(to(backend)))
    pairs = []
    for _ in range(4):
        pairs.append(pair(netns, backend))
        restart(berthd)
    pairs.append(pair(netns, backend))
    assert "too many" in berthd.ctl_process("restart-relay").stderr
    assert len(berthd.relays()) == 5
    for one in pairs:
        works(*one)
        for sock in one:
            sock.close()
    wait_equal(lambda: len(berthd.relays()), 1, "the earlier relays to end")
    restart(berthd)


def test_no_program(world, netns):
    """What ran goes on when there is no program to start."""
    program = world.mkdir("bin") / "berth-relay"
    program.write_bytes(RELAY.read_bytes())
    program.chmod(0o755)
    berthd = world.berthd(ack(), args=["--relay-program", program])
    relay = berthd.relay_pid()
    program.unlink()
    done = berthd.ctl_process("restart-relay")
    assert done.returncode == 1
    assert "No such file" in done.stderr
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.relays() == [relay]

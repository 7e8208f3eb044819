# SPDX-License-Identifier: Apache-2.0
"""test_consumers.py - the consumers of contrib/consumers, which are there to
be copied: each serves namespaces that come and go, and lives on without
berthd."""

import os
import re
import socket
import sys

import pytest

from harness import example, kernel
from harness.example import StandIn, curl
from harness.rules import rule, rules
from harness.traffic import ended, was_reset
from harness.wait import GUARD, wait_exit, wait_for

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture(params=example.NAMES)
def name(request):
    return request.param


class Served:
    """A consumer, and what stands in for berthd."""

    def __init__(self, world, name, **options):
        self.berthd = StandIn(world, **options)
        self.program = example.start(world, name, self.berthd.path)
        self.hello = self.berthd.welcome()

    def ended(self):
        """Waits for its end. Return: its exit status."""
        pidfd = os.pidfd_open(self.program.pid)
        try:
            assert wait_exit(pidfd), "the consumer runs on"
        finally:
            os.close(pidfd)
        return self.program.wait()


@pytest.fixture
def served(world, name):
    return Served(world, name)


def open_client(netns, port=8080):
    """A connection that had an answer and is kept."""
    client = netns.connect("127.0.0.1", port)
    client.sendall(GET)
    answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(f"\r\n\r\n{netns.name}\n".encode())
    return client


def test_namespaces_come_and_go(world, served, monitor):
    berthd = served.berthd
    assert served.hello["version"] == 1 and served.hello.get("held", 0) == 0
    for number in range(1, 6):
        netns = world.netns(f"blue-{number}")
        berthd.give(number, netns)
        assert curl(netns) == netns.name
        with open_client(netns) as client:
            gone = monitor.track(netns)
            netns.delete()
            released = berthd.withdraw(number, abort=True)
            assert released["accepted"] == 2
            assert released.get("active", 0) == 0
            assert was_reset(client)
        monitor.wait_freed(gone)


def test_load(world, served):
    netns = world.netns("blue")
    served.berthd.give(1, netns)
    report = netns.run("wrk", "--threads", "1", "--connections", "8",
                       "--duration", "1s", "http://127.0.0.1:8080/")
    assert int(re.search(r"(\d+) requests in", report)[1]) > 0
    assert "Non-2xx" not in report and "Socket errors" not in report, report
    served.berthd.say(type="stats", request=7)
    answer, _ = served.berthd.hear("stats")
    counts = answer["listeners"][0]
    assert (answer["request"], counts["id"]) == (7, 1)
    assert counts["accepted"] >= 8
    assert counts["bytes_in"] > 0 and counts["bytes_out"] > 0


def test_datagrams(world, served):
    netns = world.netns("blue")
    served.berthd.give(1, netns, protocol="udp")
    with netns.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.sendto(b"who?", ("127.0.0.1", 8080))
        assert client.recv(100) == b"blue\n"
    released = served.berthd.withdraw(1, abort=True)
    assert (released["messages_in"], released["messages_out"]) == (1, 1)


def test_another_name(world, served):
    netns = world.netns("blue")
    sock = served.berthd.give(1, netns)
    served.berthd.tell(1, "green", kernel.cookie(sock))
    wait_for(lambda: curl(netns) == "green", "the new name")


def test_a_request_may_finish(world, served):
    netns = world.netns("blue")
    served.berthd.give(1, netns)
    with netns.connect("127.0.0.1", 8080) as client, \
            open_client(netns) as idle:
        client.sendall(GET[:10])
        served.berthd.listeners.pop(1).close()
        served.berthd.say(type="withdraw", id=1)
        assert ended(idle)
        wait_for(lambda: netns.refuses("127.0.0.1", 8080), "a refusal")
        client.sendall(GET[10:])
        assert client.recv(4096).endswith(b"\r\n\r\nblue\n")
        assert ended(client)
    released, _ = served.berthd.hear("released")
    assert released["accepted"] == 2


def test_berthd_restarts(world, served, monitor):
    berthd = served.berthd
    places = {number: world.netns(f"blue-{number}") for number in (1, 2)}
    cookies = {number: kernel.socket_cookie(berthd.give(number, netns))
               for number, netns in places.items()}
    clients = {number: open_client(netns)
               for number, netns in places.items()}
    berthd.stop()
    for netns in places.values():
        assert curl(netns) == netns.name

    # One namespace went while nobody was there to say so.
    tracked = monitor.track(places[2])
    places[2].delete()
    berthd.open()
    hello = berthd.welcome()
    assert hello["held"] == 2
    for _ in places:
        held, fd = berthd.hear("held")
        with socket.socket(fileno=fd) as sock:
            assert kernel.socket_cookie(sock) == cookies[held["id"]]
            assert held["netns"] == kernel.cookie(sock)
            assert (held["protocol"], held["address"], held["port"]) == \
                ("tcp", "127.0.0.1", 8080)
            assert held.get("accepted", 2) == 2  # or it is asked later
            if held["id"] == 1:
                berthd.tell(1, "blue-1", held["netns"])
    berthd.withdraw(2, abort=True)
    with clients[2]:
        assert was_reset(clients[2])
    monitor.wait_freed(tracked)
    with clients[1]:
        clients[1].sendall(GET)
        assert clients[1].recv(4096).endswith(b"\r\n\r\nblue-1\n")
    assert curl(places[1]) == "blue-1"


def test_takeover(world, name, served):
    berthd = served.berthd
    netns = world.netns("blue")
    sock = berthd.give(1, netns)
    fresh = netns.connect("127.0.0.1", 8080)
    wait_for(lambda: counted(berthd)["accepted"] == 1, "the connection")
    first = berthd.conn
    successor = example.start(world, name, berthd.path, "--takeover")
    hello = berthd.welcome()
    assert hello["takeover"] is True
    berthd.tell(1, "blue", kernel.cookie(sock), fd=sock.fileno())
    second, berthd.conn = berthd.conn, first
    berthd.say(type="taken_over")
    berthd.say(type="withdraw", id=1)

    # What it has accepted is served, all that is new by the other.
    assert curl(netns) == "blue"
    fresh.sendall(GET)
    assert fresh.recv(4096).endswith(b"\r\n\r\nblue\n")
    fresh.close()
    released, _ = berthd.hear("released")
    assert released["id"] == 1
    assert served.ended() == 0
    first.close()
    berthd.conn = second
    assert curl(netns) == "blue"
    assert successor.poll() is None


def counted(berthd):
    berthd.say(type="stats", request=1)
    return {"accepted": 0, **berthd.hear("stats")[0]["listeners"][0]}


def test_nobody_comes_back(world, name, monitor):
    served = Served(world, name, orphan_timeout_ms=200)
    netns = world.netns("blue")
    served.berthd.give(1, netns)
    with open_client(netns) as client:
        tracked = monitor.track(netns)
        netns.delete()
        served.berthd.stop()
        assert was_reset(client)
    monitor.wait_freed(tracked)
    served.berthd.open()
    for _ in range(served.berthd.welcome()["held"]):
        held, fd = served.berthd.hear("held")
        assert fd is None and held["draining"] is True


def test_denied(world, name):
    berthd = StandIn(world)
    program = example.start(world, name, berthd.path)
    berthd.conn, _ = berthd.door.accept()
    berthd.conn.settimeout(GUARD)
    berthd.hear("hello")
    berthd.say(type="denied", version=1, reason="busy",
               error="consumer 'test' is connected already")
    assert program.wait(GUARD) == 1


# With a real berthd

CONFIG = """\
consumers:
  front: { user: nobody }
"""


@pytest.fixture
def berthd(world):
    config = world.base / "berthd.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return world.berthd(rules(rule(handoff="front")),
                        args=["--config", str(config)])


def door(berthd):
    return berthd.runtime / "consumers" / "front.sock"


def wait_answer(netns):
    wait_for(lambda: not netns.refuses("127.0.0.1", 8080), "a listener")
    return curl(netns)


def test_berthd_hands_off(world, name, berthd, monitor):
    """Namespaces that were there, and that come and go."""
    first = world.netns("green")
    program = example.start(world, name, door(berthd))
    for number in range(5):
        netns = world.netns(f"blue-{number}")
        berthd.wait_state(netns.cookie(), "listening")
        assert curl(netns) == netns.name
        with open_client(netns) as client:
            gone = monitor.track(netns)
            netns.delete()
            assert was_reset(client)
        monitor.wait_freed(gone)
    assert curl(first) == "green"
    berthd.remove_rules("50-test.yaml")
    wait_for(lambda: first.refuses("127.0.0.1", 8080), "the listener's end")
    assert program.poll() is None


def test_consumer_is_killed(world, name, berthd):
    """Clients wait in the backlog until it is there again."""
    netns = world.netns("blue")
    berthd.wait_state(netns.cookie(), "listening")
    for _ in range(2):
        program = example.start(world, name, door(berthd))
        assert curl(netns) == "blue"
        program.kill()
        program.wait()
        with netns.connect("127.0.0.1", 8080) as client:
            client.sendall(GET)
            program = example.start(world, name, door(berthd))
            assert client.recv(4096).endswith(b"\r\n\r\nblue\n")
        program.kill()
        program.wait()


def test_consumer_takes_over(world, name, berthd):
    netns = world.netns("blue")
    first = example.start(world, name, door(berthd))
    with open_client(netns):
        second = example.start(world, name, door(berthd), "--takeover")
        assert first.wait(GUARD) == 0
    assert curl(netns) == "blue"
    assert second.poll() is None


def test_readme_consumer(world):
    """The consumer that README shows, word by word."""
    readme = (example.SOURCES.parents[1] / "README.md").read_text("utf-8")
    program, = re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S)
    rule_text, = re.findall(r"^```yaml\n(rules:\n  - name: ask.*?)^```",
                            readme, re.M | re.S)
    berthd = world.berthd(rule_text)
    path = "/run/berth/consumers/who.sock"
    assert path in program
    netns = world.netns("blue")
    berthd.wait_state(netns.cookie(), "listening", port=8080)
    world.popen(sys.executable, "-c", program.replace(
        path, str(berthd.runtime / "consumers" / "who.sock")))
    assert netns.ask("127.0.0.1", 8080) == b"blue\n"


def test_berthd_is_killed(world, name, berthd, monitor):
    """The next berthd adopts what the consumer has, without a connection
    being cut, and the consumer lets go of what went while there was none."""
    stays, goes = world.netns("blue"), world.netns("green")
    program = example.start(world, name, door(berthd))
    for netns in (stays, goes):
        assert wait_answer(netns) == netns.name
    listener = berthd.listener(stays.cookie())["id"]
    client = open_client(stays)
    berthd.kill9()
    assert curl(stays) == "blue"
    tracked = monitor.track(goes)
    goes.delete()
    berthd.start()
    assert berthd.listener(stays.cookie())["id"] == listener
    monitor.wait_freed(tracked)
    client.sendall(GET)
    assert client.recv(4096).endswith(b"\r\n\r\nblue\n")
    client.close()
    comes = world.netns("red")
    for netns in (stays, comes):
        assert wait_answer(netns) == netns.name
    assert program.poll() is None

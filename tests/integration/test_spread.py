# SPDX-License-Identifier: Apache-2.0
"""test_spread.py - which of the relay's workers serve what comes."""

import itertools
import os
import threading
import time

import pytest

from harness import process
from harness.netns import read_exactly
from harness.rules import forward, rule, rules
from harness.traffic import pair
from harness.wait import GUARD, SLOWNESS, wait_for

pytestmark = pytest.mark.alone

PORTS = range(8001, 8005)
ECHO = 8080
SENDERS = 4
CLIENTS = 50
LONG = 300  # that stay open
LIMIT = 150
LEAVING = 40
PROOFS = 10  # that nobody helps
TURNS = 20  # of a connection that is to be seen at work


@pytest.fixture
def netns(world):
    return world.netns("n")


@pytest.fixture
def workers(world, netns):
    """The ids of two worker threads, idle by now."""
    listen = [{"protocol": "tcp", "address": "any", "port": port}
              for port in PORTS]
    berthd = world.berthd(
        rules(rule(name="sink", listen=listen, respond="discard"),
              rule(name="echo", port=ECHO, respond="echo")),
        args=["--workers", "2"])
    berthd.wait_delivered()
    relay = berthd.relay_pid()
    for port in [*PORTS, ECHO]:
        talk(netns, port)
    return [f"{relay}/task/{task}"
            for task in sorted(os.listdir(f"/proc/{relay}/task"), key=int)
            if int(task) != relay][:2]


def sleeps(worker):
    return int(process.status(worker, "voluntary_ctxt_switches"))


def talk(netns, port):
    """One byte there, and back if that is what the port does."""
    with netns.connect("127.0.0.1", port) as client:
        for _ in range(TURNS):
            client.sendall(b"x")
            if port == ECHO:
                assert read_exactly(client, 1) == b"x"


def who_works(workers, work):
    """The worker that woke up at least as often as there were turns."""
    before = [sleeps(worker) for worker in workers]
    work()
    did = [sleeps(worker) - was for worker, was in zip(workers, before)]
    found = [worker for worker, n in zip(workers, did) if n >= TURNS]
    return found[0] if len(found) == 1 else None


def begins_with(netns, workers, port):
    """The worker that serves the port as long as it has time."""
    return wait_for(lambda: who_works(workers, lambda: talk(netns, port)),
                    f"one worker to serve port {port}")


def test_long_connections_are_dealt_out(world, netns, workers):
    """Although each came when nobody was busy."""
    clients = [world.close_later(netns.connect("127.0.0.1", ECHO))
               for _ in range(LONG)]

    def ask_all():
        for client in clients:
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"

    ask_all()
    before = [sleeps(worker) for worker in workers]
    ask_all()
    woken = [sleeps(worker) - was for worker, was in zip(workers, before)]
    assert min(woken) > sum(woken) / 8, woken


def test_room_made_by_another_worker(world, netns):
    """Who waits at the limit does not wait for the next look at it."""
    backend = world.close_later(world.host.listen(backlog=LIMIT))
    world.berthd(forward(f"127.0.0.1:{backend.getsockname()[1]}",
                         options={"max_connections": LIMIT}),
                 args=["--workers", "2"])
    wait_for(netns.listeners, "the listener")
    pairs = [pair(netns, backend) for _ in range(LIMIT)]
    waits = []
    # The last ones were dealt out to both workers, by turns.
    for client, server in pairs[-LEAVING:]:
        world.close_later(netns.connect("127.0.0.1", ECHO))
        started = time.monotonic()
        client.close()
        server.close()
        world.close_later(backend.accept()[0])
        waits.append(time.monotonic() - started)
    for sock in itertools.chain(*pairs):
        sock.close()
    # A listener that rests is looked at every 100 ms; half of them would wait
    # for that.
    assert sorted(waits)[LEAVING * 3 // 4] < 0.025 * SLOWNESS, waits


def reads_from(netns, port, worker):
    """Is it this worker that reads what is sent to the port?"""
    before = process.cpu_ns(worker)
    with netns.connect("127.0.0.1", port) as client:
        for _ in range(16):
            client.sendall(bytes(1 << 20))
    return process.cpu_ns(worker) - before > 1_000_000


def blast(client, stop):
    data = bytes(1 << 20)
    try:
        while not stop.is_set():
            client.send(data)
    except OSError:
        pass  # closed at the end of the test


def test_quiet_listener_has_one_worker(netns, workers):
    """Whoever sleeps goes on sleeping, however many clients come by turns."""
    first = begins_with(netns, workers, ECHO)
    other = next(worker for worker in workers if worker != first)

    def few_wakeups():
        before = sleeps(other)
        for _ in range(CLIENTS):
            talk(netns, ECHO)
        return sleeps(other) - before < CLIENTS * TURNS / 4

    # Where processors are short the first one may be late, and be helped.
    wait_for(few_wakeups, "one worker to serve clients that come by turns")


def tell_helped(netns, first, other):
    """Whether the other one served a client of the first one's listener.

    Return: None if the first one had time, or the other one had none. That the
    first one did not sleep since before a client came until the client went,
    and the other one did not run meanwhile, is proof of the contrary.
    """
    deadline = time.monotonic() + GUARD
    was_busy = False
    proofs = 0
    while time.monotonic() < deadline and proofs < PROOFS:
        slept, woken = sleeps(first), sleeps(other)
        ran = process.cpu_ns(other)
        talk(netns, ECHO)
        if sleeps(other) - woken >= TURNS:
            return True
        busy = sleeps(first) == slept
        idle = process.cpu_ns(other) == ran
        proofs = proofs + (busy and was_busy) if idle else 0
        was_busy = busy
    return False if proofs == PROOFS else None


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2,
                    reason="on one processor nobody can help")
def test_busy_worker_is_helped(netns, workers):
    """While it has more than it can do, the other one serves its listener."""
    first = begins_with(netns, workers, ECHO)
    other = next(worker for worker in workers if worker != first)
    sink = next((port for port in PORTS
                 if reads_from(netns, port, first)), None)
    assert sink, "listeners are dealt out to all workers"
    stop = threading.Event()
    clients = [netns.connect("127.0.0.1", sink) for _ in range(SENDERS)]
    threads = [threading.Thread(target=blast, args=(client, stop))
               for client in clients]
    for thread in threads:
        thread.start()
    try:
        helped = tell_helped(netns, first, other)
    finally:
        stop.set()
        for client in clients:
            client.close()
        for thread in threads:
            thread.join()
    if helped is None:
        pytest.skip("the senders got too little of the processors to keep a "
                    "worker busy")
    assert helped
    # And when it has time again, it serves its listener alone.
    wait_for(lambda: who_works(workers, lambda: talk(netns, ECHO)) == first,
             "the helper to leave")

# SPDX-License-Identifier: Apache-2.0
"""test_fd_store.py - under systemd the listeners outlive berthd, even if no
program has them meanwhile: the service manager does."""

import json
import os
import re
import resource
import signal
import socket

import pytest

from harness import kernel, process
from harness.consumer import Consumer
from harness.manager import ManagedBerthd
from harness.netns import read_all
from harness.rules import ack, rule, rules
from harness.wait import GUARD, wait_for


@pytest.fixture
def netns(world):
    return world.netns("n")


def managed(world, text, **kwargs):
    return world.berthd(text, kind=ManagedBerthd, **kwargs)


def ids(berthd):
    return {(row["namespace_id"], row["protocol"], row["address"],
             row["port"]): row["id"] for row in berthd.wanted_listeners()
            if row["state"] == "listening"}


def wait_listening(berthd, n):
    wait_for(lambda: len(ids(berthd)) == n, f"{n} listeners")
    return ids(berthd)


def stored_everything(manager, n):
    """n listeners, with a message for each name, and then the barrier."""
    kept = [message for message in manager.messages if "FDSTORE" in message]
    assert len(manager.store) == n
    assert {message["FDNAME"] for message in kept} == set(manager.names())
    assert all(message["FDPOLL"] == "0" for message in kept)
    assert "BARRIER" in manager.messages[-1]
    return True


def pending(netns, *addresses, port=8080):
    """Clients that connect while nobody is there to accept them."""
    clients = [netns.connect(address, port) for address in addresses]
    for client in clients:
        client.sendall(b"hello")
    return clients


def test_clients_wait_while_nobody_lives(world, netns):
    berthd = managed(world, rules(
        rule(name="any"), rule(name="four", address="any4", port=8081),
        rule(name="six", address="any6", port=8082),
        rule(name="one", address="127.0.0.1", port=8083),
        rule(name="mptcp", protocol="mptcp", port=8084)))
    before = wait_listening(berthd, 5)
    assert berthd.manager.store == []  # it pins no namespace meanwhile
    berthd.down()
    assert stored_everything(berthd.manager, 5)
    clients = [*pending(netns, "127.0.0.1", "::1"),
               *pending(netns, "127.0.0.1", port=8081),
               *pending(netns, "::1", port=8082),
               *pending(netns, "127.0.0.1", port=8083),
               *pending(netns, "127.0.0.1", port=8084)]
    berthd.start()
    assert ids(berthd) == before
    for client in clients:
        with client:
            assert read_all(client) == b"ack"
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_manager_forgets_before_ready(world, netns):
    berthd = managed(world, rules(rule(), rule(name="b", port=8081)))
    wait_listening(berthd, 2)
    berthd.down()
    names = berthd.manager.names()
    assert set(names) == {"berth.any.relay"} and len(names) == 2
    berthd.start()
    said = berthd.manager.messages
    removed = [message["FDNAME"] for message in said
               if "FDSTOREREMOVE" in message]
    assert removed == [names[0]]
    assert "READY" in said[-1]
    assert berthd.manager.store == []


def test_relay_lives_on(world, netns):
    """It hands back the very listeners that the manager has kept."""
    berthd = managed(world, rules(rule(), rule(name="udp", protocol="udp")))
    before = wait_listening(berthd, 2)
    berthd.wait_delivered()
    relay = berthd.relay_pid()
    berthd.leave()
    assert stored_everything(berthd.manager, 2)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    berthd.start()
    assert ids(berthd) == before
    assert berthd.relay_pid() == relay
    berthd.wait_delivered()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    assert berthd.manager.store == []


def test_udp(world, netns):
    """Datagrams that came while nobody was there are answered."""
    berthd = managed(world, ack(protocol="udp"))
    before = wait_listening(berthd, 1)
    berthd.down()
    with netns.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 8080))
        client.send(b"hello")
        berthd.start()
        client.settimeout(GUARD)
        assert client.recv(100) == b"ack"
    assert ids(berthd) == before


def test_twice(world, netns):
    """What came out of the store goes into it again."""
    berthd = managed(world, ack())
    before = wait_listening(berthd, 1)
    for _ in range(2):
        berthd.down()
        client, = pending(netns, "127.0.0.1")
        berthd.start()
        with client:
            assert read_all(client) == b"ack"
        assert ids(berthd) == before


def connect_soon(world, berthd, hello):
    """A berthd that starts waits for this."""
    def connect():
        try:
            return Consumer(berthd, "c", hello=hello)
        except OSError:
            return None

    return world.close_later(wait_for(connect, "berthd's socket").welcome())


def test_consumer_hands_back_the_same(world, netns):
    """A consumer that lived on has the very listener that the manager kept:
    it gets it as adopted."""
    berthd = managed(world, rules(rule(handoff="c")))
    wait_for(lambda: ids(berthd), "a listener")
    consumer = world.close_later(Consumer(berthd, "c").welcome())
    listener, = consumer.until_listening()
    message, _ = consumer.listeners.popitem()[1]
    before = ids(berthd)
    berthd.down()
    assert stored_everything(berthd.manager, 1)
    client, = pending(netns, "127.0.0.1")
    berthd.spawn()
    hello = {"type": "hello", "version": 1, "name": "harness", "held": 1}
    consumer = connect_soon(world, berthd, hello)
    held = {key: message[key] for key in
            ("id", "protocol", "address", "port", "rule")}
    socket.send_fds(consumer.socket, [json.dumps(dict(
        held, type="held", netns=netns.cookie())).encode()],
        [listener.fileno()])
    answer = consumer.expect("listener")
    assert answer["id"] == message["id"]
    assert consumer.listeners[answer["id"]][1] is None  # it has it
    berthd.wait_ready()
    accepted, _ = listener.accept()
    with accepted, client, listener:
        assert accepted.recv(100) == b"hello"
    assert ids(berthd) == before


def test_namespace_goes_meanwhile(world, netns, monitor):
    """The store must not keep it: neither when berthd has started, nor
    before it says so."""
    other = world.netns("other")
    berthd = managed(world, ack())
    before = wait_listening(berthd, 2)
    berthd.down()
    tracked = monitor.track(other)
    other.delete()
    berthd.start()
    monitor.wait_freed(tracked)
    assert ids(berthd) == {key: value for key, value in before.items()
                           if key[0] == netns.cookie()}


def test_rules_change_meanwhile(world, netns):
    """What no rule wants is closed, and its port is free for what one
    wants, before berthd is ready."""
    berthd = managed(world, rules(
        rule(name="gone"), rule(name="wide", port=8081),
        rule(name="stays", port=8082)))
    before = wait_listening(berthd, 3)
    berthd.down()
    berthd.write_rules("50-test.yaml", rules(
        rule(name="narrow", address="127.0.0.1", port=8081),
        rule(name="stays", port=8082)))
    berthd.start()
    after = ids(berthd)
    assert sorted((key[2], key[3]) for key in after) == \
        [("*", 8082), ("127.0.0.1", 8081)]
    stays = (netns.cookie(), "tcp", "*", 8082)
    assert after[stays] == before[stays]
    assert netns.refuses("127.0.0.1", 8080)


def test_another_consumer_meanwhile(world, netns):
    """The one that had the listener may still have its socket: the other one
    gets a socket of its own."""
    berthd = managed(world, rules(rule(handoff="one")))
    before = wait_listening(berthd, 1)
    berthd.down()
    berthd.write_rules("50-test.yaml", rules(rule(handoff="two")))
    berthd.start()
    after = wait_listening(berthd, 1)
    assert after.keys() == before.keys()
    assert after != before
    assert berthd.manager.store == []


def garbage(netns):
    """[(name, descriptor)] of what is no listener of berth."""
    found = []
    with netns.listen("127.0.0.1", 9000) as sock:
        for name in ("berth.any.relay", "berth.none.relay", "berth.addr.",
                     "stored", "a.socket"):
            found.append((name, os.dup(sock.fileno())))
    with netns.new_socket() as sock:
        found.append(("berth.any.relay", os.dup(sock.fileno())))
        sock.bind(("127.0.0.1", 9001))
        found.append(("berth.addr.relay", os.dup(sock.fileno())))
    with netns.new_socket(kind=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9002))
        found.append(("berth.addr.relay", os.dup(sock.fileno())))
    reader, writer = os.pipe()
    found += [("berth.any.relay", reader), ("berth.all.relay", writer),
              ("berth.addr.relay", os.open("/dev/null", os.O_RDONLY))]
    return found


def test_garbage(world, netns):
    """Descriptors that are no listeners of berth are closed, once said, and
    forgotten by the manager."""
    berthd = managed(world, ack(), start=False)
    found = garbage(netns)
    for name, fd in found:
        berthd.manager.put(name, fd)
    berthd.start()
    assert berthd.manager.store == []
    line, = re.findall(r".*descriptors that berthd was started with.*",
                       berthd.log())
    assert re.search(rf"\b{len(found)} of the descriptors", line)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    # Nor does the relay have one: the backlog of none of them answers.
    assert netns.refuses("127.0.0.1", 9000)


def test_ten_thousand_descriptors(world, netns):
    reader, writer = os.pipe()
    os.close(writer)
    pipe = f"pipe:[{os.fstat(reader).st_ino}]"
    berthd = managed(world, ack(), start=False)
    berthd.manager.put("x", reader)
    berthd.manager.repeat = 10000
    berthd.start()
    for pid in (berthd.pid, berthd.relay_pid()):
        assert pipe not in process.descriptors(pid).values()
    assert len(re.findall("10000 of the descriptors that berthd was started "
                          "with", berthd.log())) == 1
    assert berthd.manager.said("FDSTOREREMOVE") == ["1"]
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_more_than_the_next_can_be_started_with(world, netns):
    """systemd gives no process more descriptors than its limit is, which
    berthd itself raises."""
    berthd = managed(world, rules(
        *(rule(name=f"r{port}", port=port) for port in range(8080, 8100))),
        limits={resource.RLIMIT_NOFILE: (76, 4096)})
    wait_listening(berthd, 20)
    berthd.down()
    assert stored_everything(berthd.manager, 6)


def test_more_than_one_message_carries(world, netns):
    """253 descriptors."""
    berthd = managed(world, rules(
        *(rule(name=f"r{port}", port=port) for port in range(8000, 8260))),
        start=False)
    berthd.manager.store_max = 1000
    berthd.env["FDSTORE"] = "1000"
    berthd.start()
    before = wait_listening(berthd, 260)
    berthd.down()
    assert stored_everything(berthd.manager, 260)
    assert len(berthd.manager.said("FDSTORE")) == 2
    berthd.start()
    assert berthd.manager.said("FDSTOREREMOVE") == ["1"]
    assert ids(berthd) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_only_sigterm_leaves_anything(world, netns, number):
    berthd = managed(world, ack())
    wait_listening(berthd, 1)
    if number == signal.SIGKILL:
        berthd.kill9()
    else:
        berthd.down(number)
    assert berthd.manager.said("FDSTORE") == []
    assert berthd.manager.store == []


def test_more_than_fits(world, netns):
    """Of what the manager cannot take berthd leaves nothing there, and what
    only berthd has goes first."""
    berthd = managed(world, rules(
        *(rule(name=f"r{port}", port=port) for port in range(8080, 8090)),
        *(rule(name=f"h{port}", port=port, handoff="absent")
          for port in range(8090, 8094))), start=False)
    berthd.env["FDSTORE"] = "6"
    berthd.start()
    before = wait_listening(berthd, 14)
    berthd.wait_delivered()
    berthd.down()
    assert stored_everything(berthd.manager, 6)
    assert berthd.manager.names() == \
        4 * ["berth.any.absent"] + 2 * ["berth.any.relay"]
    berthd.start()
    after = wait_listening(berthd, 14)
    assert sum(after[key] == before[key] for key in after) == 6


def test_manager_that_does_not_tell_its_size(world, netns):
    """systemd before 254."""
    berthd = managed(world, ack(), tell_max=False)
    before = wait_listening(berthd, 1)
    berthd.down()
    assert len(berthd.manager.store) == 1
    berthd.start()
    assert ids(berthd) == before


def test_manager_without_a_store(world, netns):
    """It closes what it gets, and the next berthd opens anew."""
    berthd = managed(world, ack())
    berthd.manager.store_max = 0
    before = wait_listening(berthd, 1)
    berthd.down()
    berthd.start()
    assert ids(berthd).keys() == before.keys()
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_manager_that_hangs(world, netns):
    """berthd does not wait for it for ever."""
    berthd = managed(world, rules(
        *(rule(name=f"r{port}", port=port) for port in range(8080, 8100))))
    wait_listening(berthd, 20)
    berthd.manager.reading.clear()
    try:
        berthd.down()
    finally:
        berthd.manager.reading.set()
    assert "cannot leave all listeners with the service manager" \
        in berthd.log()


def test_failed_start_keeps_the_store(world, netns):
    """A berthd that fails before it is ready leaves all to the next one."""
    berthd = managed(world, ack())
    before = wait_listening(berthd, 1)
    berthd.down()
    berthd.args = ["--relay-user", "nobody-has-this-name"]
    berthd.spawn()
    berthd.wait_failure()
    assert len(berthd.manager.store) == 1
    client, = pending(netns, "127.0.0.1")
    berthd.args = []
    berthd.start()
    with client:
        assert read_all(client) == b"ack"
    assert ids(berthd) == before


def test_relay_does_not_inherit(world, netns):
    """Neither descriptors nor LISTEN_* reach berth-relay."""
    berthd = managed(world, ack())
    wait_listening(berthd, 1)
    berthd.down()
    berthd.start()
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    relay = berthd.relay_pid()
    with open(f"/proc/{relay}/environ", "rb") as file:
        assert b"LISTEN_" not in file.read()
    found = list(process.descriptors(relay).values())
    assert [found.count(f"socket:[{inode}]")
            for inode in netns.listener_inodes().values()] == [1]

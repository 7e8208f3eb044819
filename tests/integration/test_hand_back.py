# SPDX-License-Identifier: Apache-2.0
"""test_hand_back.py - a consumer hands back what it has to a berthd that was
started anew; word by word, as doc/consumer-protocol.md has it."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import kernel
from harness.consumer import Consumer
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for


def handoff(name="web", to="front", **kwargs):
    return rule(name=name, handoff=to, **kwargs)


@pytest.fixture
def netns(world):
    return world.netns("n")


def begin(world, text, n=1, name="front"):
    """Return: berthd, and a consumer that has n listeners."""
    berthd = world.berthd(text)
    # Else it may be on its way still, with copies of what berthd has.
    berthd.relay_pid()
    consumer = world.close_later(Consumer(berthd, name).welcome())
    consumer.until_listening(n)
    return berthd, consumer


def restart(berthd, *consumers):
    """berthd is killed and started, and everybody hands back all."""
    berthd.kill9()
    berthd.spawn()
    for consumer in consumers:
        consumer.again().welcome()
    for consumer in consumers:
        consumer.hand_back_all()


def adopted(berthd, consumer):
    """Waits until each listener that the consumer has was told of again, as
    one of its own, and berthd is ready."""
    had = {number: kernel.socket_cookie(sock)
           for number, (_, sock) in consumer.listeners.items()}
    for _ in had:
        again = consumer.expect("listener")
        assert again["id"] in had
    assert {number: kernel.socket_cookie(sock)
            for number, (_, sock) in consumer.listeners.items()} == had
    berthd.wait_ready()


def accepts(netns, listener, port=8080, address="127.0.0.1"):
    """Does a client get an answer from this very socket?"""
    with netns.connect(address, port) as client:
        listener.setblocking(True)
        server, _ = listener.accept()
        with server:
            server.sendall(b"here")
        return client.recv(16) == b"here"


def sockets(consumer):
    return {told["port"]: sock for told, sock in consumer.listeners.values()}


@pytest.mark.parametrize("protocol,address", [
    ("tcp", "any"), ("tcp", "127.0.0.1"), ("tcp", "two"), ("udp", "any"),
    ("udp", "each"), ("mptcp", "any"), ("tcp", "any6"), ("udp", "127.0.0.1")])
def test_all_is_adopted(world, netns, protocol, address):
    """The same sockets with the same ids, of every kind."""
    if address == "two":
        address = ["127.0.0.1", "127.0.0.2"]
    berthd, consumer = begin(
        world, rules(handoff(protocol=protocol, address=address)),
        1 if isinstance(address, str) and address != "each" else 2)
    for _ in range(2):
        restart(berthd, consumer)
        adopted(berthd, consumer)


def test_no_client_is_lost(world, netns):
    """Clients wait in the same backlog all the time."""
    berthd, consumer = begin(world, rules(handoff()))
    listener = sockets(consumer)[8080]
    waiting = [netns.connect("127.0.0.1", 8080)]
    berthd.kill9()
    waiting.append(netns.connect("127.0.0.1", 8080))
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    waiting.append(netns.connect("127.0.0.1", 8080))
    adopted(berthd, consumer)
    waiting.append(netns.connect("127.0.0.1", 8080))
    listener.setblocking(True)
    for client in waiting:
        server, peer = listener.accept()
        with server, client:
            assert peer[1] == client.getsockname()[1]


def test_what_nobody_wants(world, netns):
    """The rule has gone meanwhile; another one's port is free then."""
    berthd, consumer = begin(world, rules(
        handoff(port=9001), handoff("other", port=9002)), 2)
    berthd.write_rules("50-test.yaml", rules(
        handoff("other", port=9002), rule(name="ack", port=9001)))
    wait_for(lambda: consumer.receive()[0]["type"] == "withdraw", "the change")
    restart(berthd, consumer)
    kept = [number for number, (told, _) in consumer.listeners.items()
            if told["port"] == 9002]
    consumer.until(lambda: consumer.closed)
    consumer.release(consumer.until_withdrawn()[0])
    assert list(consumer.closed.values()) == [False]
    assert list(consumer.reasons.values()) == [
        "its rule gives it to another consumer"]
    assert list(consumer.listeners) == kept
    berthd.wait_ready()
    assert netns.ask("127.0.0.1", 9001) == b"ack"
    assert accepts(netns, sockets(consumer)[9002], 9002)


def test_namespace_has_gone(world, netns):
    """It is freed before berthd says ready."""
    gone = world.netns("gone")
    berthd, consumer = begin(world, rules(handoff()), 2)
    berthd.kill9()
    with gone.new_socket() as sock:
        cookie = kernel.cookie(sock)
    gone.delete()
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    number, = consumer.until_withdrawn()
    assert consumer.closed[number] is True
    assert not berthd.is_ready()
    consumer.release(number)
    berthd.wait_ready()
    assert cookie not in [entry["id"] for entry in
                          berthd.ctl("namespaces")["lingering"]]
    assert accepts(netns, sockets(consumer)[8080])


def test_address_has_moved(world, netns):
    """The listener on the address that went is withdrawn, the other stays."""
    for address in ("10.1.1.1/32", "10.1.1.2/32"):
        netns.addr_add(address)
    berthd, consumer = begin(world, rules(handoff(
        listen=[{"protocol": "tcp", "port": 8080, "address": "each"}],
        match={"address": "10.0.0.0/8"})), 2)
    berthd.kill9()
    netns.addr_del("10.1.1.1/32")
    netns.addr_add("10.1.1.3/32")
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    number, = consumer.until_withdrawn()
    consumer.release(number)
    consumer.until(lambda: {told["address"] for told, _ in
                            consumer.listeners.values()} ==
                   {"10.1.1.2", "10.1.1.3"})
    berthd.wait_ready()
    for told, sock in consumer.listeners.values():
        assert accepts(netns, sock, address=told["address"])


def with_options(options):
    return handoff(listen=[{"protocol": "tcp", "address": "any", "port": 8080,
                            **options}])


@pytest.mark.parametrize("options,check", [
    ({"mark": 7}, lambda sock: sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_MARK) == 7),
    ({"keepalive": "30s"}, lambda sock: sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1),
    ({"dscp": 46}, lambda sock: sock.getsockopt(
        socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2),
])
def test_rule_has_other_options(world, netns, options, check):
    """They are set on the socket that is there, and taken back again."""
    berthd, consumer = begin(world, rules(handoff()))
    listener = sockets(consumer)[8080]
    for wanted in (options, {}):
        berthd.kill9()
        berthd.write_rules("50-test.yaml", rules(with_options(wanted)))
        berthd.spawn()
        consumer.again().welcome().hand_back_all()
        adopted(berthd, consumer)
        assert check(listener) == bool(wanted)
    assert accepts(netns, listener)


@pytest.mark.parametrize("before,after", [
    ({"protocol": "tcp"}, {"protocol": "mptcp"}),
    ({"protocol": "mptcp"}, {"protocol": "tcp"}),
    ({"address": "any"}, {"address": "any6"}),
    ({"address": "any"}, {"address": "127.0.0.1"}),
])
def test_rule_wants_another_socket(world, netns, before, after):
    """What is handed back does not do for it: it is opened anew."""
    berthd, consumer = begin(world, rules(handoff(**before)))
    old, = consumer.listeners
    berthd.kill9()
    berthd.write_rules("50-test.yaml", rules(handoff(**after)))
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    assert consumer.until_withdrawn() == [old]
    assert consumer.reasons[old]
    consumer.release(old)
    consumer.until_listening()
    berthd.wait_ready()
    new, = consumer.listeners
    assert new != old
    address = "::1" if after.get("address") == "any6" else "127.0.0.1"
    assert accepts(netns, sockets(consumer)[8080], address=address)


def test_bound_to_an_interface(world, netns):
    """The same interface, and then another one."""
    world.veth(netns, "d0", netns, "d1")
    netns.addr_add("10.1.1.1/32", "d0")

    berthd, consumer = begin(world, rules(handoff(listen=[
        {"protocol": "tcp", "port": 8080, "address": "each",
         "interface_bound": True}], match={"address": "10.0.0.0/8"})))
    restart(berthd, consumer)
    adopted(berthd, consumer)
    old, = consumer.listeners
    berthd.kill9()
    netns.addr_del("10.1.1.1/32", "d0")
    netns.addr_add("10.1.1.1/32", "d1")
    berthd.spawn()
    consumer.again().welcome().hand_back_all()
    assert consumer.until_withdrawn() == [old]
    consumer.release(old)
    consumer.until_listening()
    berthd.wait_ready()
    device = sockets(consumer)[8080].getsockopt(socket.SOL_SOCKET, 25, 16)
    assert device.rstrip(b"\0") == b"d1"


def test_rule_gives_it_to_another(world, netns):
    """The other gets a socket of its own, when the first has let go."""
    berthd, one = begin(world, rules(handoff(to="one")), name="one")
    old, = one.listeners
    cookie = kernel.socket_cookie(sockets(one)[8080])
    berthd.kill9()
    berthd.write_rules("50-test.yaml", rules(
        handoff(to="two"), handoff("more", to="one", port=9001)))
    berthd.spawn()
    one.again().welcome().hand_back_all()
    two = world.close_later(Consumer(berthd, "two").welcome())
    one.until(lambda: old in one.closed)
    one.release(old)
    two.until_listening()
    assert kernel.socket_cookie(sockets(two)[8080]) != cookie
    assert accepts(netns, sockets(two)[8080])


def test_rule_is_changed_to_another(world, netns):
    """Without a restart: what one consumer has is never another's, which
    could not know who else accepts from it, or by what filter."""
    berthd, one = begin(world, rules(handoff(to="one")), name="one")
    old, = one.listeners
    cookie = kernel.socket_cookie(sockets(one)[8080])
    kept = sockets(one)[8080].dup()
    berthd.write_rules("50-test.yaml", rules(
        handoff(to="two"), handoff("more", to="one", port=9001)))
    assert one.until_withdrawn() == [old]
    row = berthd.wait_state(netns.cookie(), "waiting", port=8080)
    assert row["reason"].startswith("one has not let go")
    two = world.close_later(Consumer(berthd, "two").welcome())
    kept.close()
    one.release(old)
    two.until_listening()
    assert kernel.socket_cookie(sockets(two)[8080]) != cookie
    assert accepts(netns, sockets(two)[8080])


def test_nobody_had_it_yet(world, netns):
    """Then the same socket serves another, and clients wait in it."""
    berthd = world.berthd(rules(handoff(to="one")))
    number = berthd.wait_state(netns.cookie(), "listening")["id"]
    with netns.connect("127.0.0.1", 8080) as client:
        berthd.write_rules("50-test.yaml", rules(handoff(to="two")))
        wait_for(lambda: (berthd.runtime / "consumers/two.sock").exists(),
                 "the change")
        with Consumer(berthd, "two").welcome() as two:
            two.until_listening()
            assert list(two.listeners) == [number]
            sockets(two)[8080].setblocking(True)
            server, peer = sockets(two)[8080].accept()
            assert peer[1] == client.getsockname()[1]
            server.close()


def test_two_consumers(world, netns):
    """Each with what is its own."""
    berthd, one = begin(world, rules(
        handoff("a", "one", port=9001), handoff("b", "two", port=9002)),
        name="one")
    two = world.close_later(Consumer(berthd, "two").welcome())
    two.until_listening()
    restart(berthd, one, two)
    for consumer in (one, two):
        assert consumer.expect("listener")["id"] in consumer.listeners
    berthd.wait_ready()
    assert accepts(netns, sockets(one)[9001], 9001)
    assert accepts(netns, sockets(two)[9002], 9002)


def test_never_says_held(world, netns):
    """berthd does not wait for ever; what is there is not opened twice."""
    berthd, consumer = begin(world, rules(
        handoff(), rule(name="ack", port=9001)))
    berthd.kill9()
    berthd.spawn()
    consumer.again().welcome()
    berthd.wait_ready()
    berthd.wait_log("consumer 'front' does not hand back what it had in time")
    assert netns.ask("127.0.0.1", 9001) == b"ack"
    # It comes late, but is as good.
    consumer.hand_back_all()
    old, = consumer.listeners
    assert consumer.expect("listener")["id"] == old
    assert accepts(netns, sockets(consumer)[8080])


def test_says_fewer(world, netns):
    """What it said and what it did not: one is adopted, one is not there."""
    berthd, consumer = begin(world, rules(
        handoff(port=9001), handoff("other", port=9002)), 2)
    berthd.kill9()
    berthd.spawn()
    consumer.again(n_held=3).welcome()
    kept, lost = consumer.listeners
    consumer.hand_back(kept)
    assert consumer.expect("listener")["id"] == kept
    berthd.wait_ready()
    consumer.listeners.pop(lost)[1].close()
    consumer.until_listening(2)
    assert lost not in consumer.listeners
    for port, sock in sockets(consumer).items():
        assert accepts(netns, sock, port)


@pytest.mark.parametrize("n_held", [0, 1])
def test_says_more(world, netns, n_held):
    """More than hello said: the connection is over, and the next is served."""
    berthd, consumer = begin(world, rules(
        handoff(port=9001), handoff("other", port=9002)), 2)
    berthd.kill9()
    berthd.spawn()
    consumer.again(n_held=n_held).welcome().hand_back_all()
    assert consumer.was_ended()
    berthd.wait_ready()
    consumer.close()
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening(2)
        for port, sock in sockets(consumer).items():
            assert accepts(netns, sock, port)


def test_says_one_twice(world, netns):
    berthd, consumer = begin(world, rules(handoff()))
    berthd.kill9()
    berthd.spawn()
    number, = consumer.listeners
    consumer.again(n_held=2).welcome()
    consumer.hand_back(number)
    consumer.hand_back(number)
    assert consumer.was_ended()
    berthd.wait_ready()
    consumer.close()
    with Consumer(berthd, "front").welcome() as consumer:
        consumer.until_listening()
        assert accepts(netns, sockets(consumer)[8080])


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_counts_go_on(world, netns, protocol):
    """What the consumer counted before is part of what berthctl shows."""
    berthd, consumer = begin(world, rules(handoff(protocol=protocol)))
    number, = consumer.listeners
    counts = {"accepted": 5, "active": 2, "bytes_in": 100,
              "messages_in": 7 if protocol == "udp" else 0}

    def total():
        with ThreadPoolExecutor() as pool:
            shown = pool.submit(berthd.ctl, "stats")
            request = consumer.expect("stats")["request"]
            consumer.say(type="stats", request=request,
                         listeners=[{"id": number, **counts}])
            return shown.result()["total"]

    before = total()
    assert before["accepted"] == 5
    restart(berthd, consumer)
    adopted(berthd, consumer)
    counts.update(accepted=6, active=1)
    after = total()
    assert (after["accepted"], after["active"], after["bytes_in"]) == \
        (6, 1, 100)
    assert after["messages_in"] == counts["messages_in"]
    berthd.remove_rules("50-test.yaml")
    consumer.until_withdrawn()
    consumer.release(number, accepted=8, bytes_in=200)
    consumer.close()
    wait_for(lambda: not berthd.status()["consumers"][1]["connected"],
             "its end")
    after = berthd.ctl("stats")["total"]
    assert (after["accepted"], after["bytes_in"]) == (8, 200)


def test_draining(world, netns):
    """A listener that was withdrawn before: its connections are tracked on,
    and end with their namespace."""
    berthd, consumer = begin(world, rules(
        handoff(), handoff("other", port=9001)), 2)
    number = next(number for number, (told, _) in consumer.listeners.items()
                  if told["port"] == 8080)
    berthd.write_rules("50-test.yaml", rules(handoff("other", port=9001)))
    assert consumer.until_withdrawn() == [number]
    berthd.kill9()
    berthd.spawn()
    consumer.again(n_held=2).welcome()
    consumer.say(type="held", id=number, netns=netns.cookie(), rule="web",
                 draining=True)
    consumer.hand_back_all()
    consumer.closed.clear()
    assert consumer.until_withdrawn() == [number]
    assert consumer.closed[number] is False
    berthd.wait_ready()
    wait_equal(lambda: berthd.status()["consumers"][1]["withdrawn"], 1,
               "what drains")
    netns.destroy()
    consumer.until(lambda: consumer.closed[number] and
                   not consumer.listeners)
    for one in list(consumer.closed):
        consumer.release(one, accepted=1)
    wait_for(lambda: berthd.status()["freed"]["count"] > 0,
             "the namespace to be freed")
    consumer.close()
    wait_for(lambda: not berthd.status()["consumers"][1]["connected"],
             "its end")
    assert berthd.ctl("stats")["total"]["accepted"] == 2


def test_taken_over(world, netns):
    """The connection that drains loses berthd: it comes back beside the one
    that took over, and both have what is theirs."""
    berthd, first = begin(world, rules(handoff()))
    number, = first.listeners
    told, _ = first.listeners[number]
    second = world.close_later(
        Consumer(berthd, "front", takeover=True).welcome())
    second.until_listening()
    first.until_withdrawn()
    restart(berthd, second)
    adopted(berthd, second)
    # The older one: nothing but a draining listener, of the same id.
    first.closed.clear()
    first.again(n_held=1, draining=True).welcome()
    first.hand_back(number, [], draining=True, netns=told["netns"]["id"],
                    rule=told["rule"])
    assert first.until_withdrawn() == [number]
    first.release(number)
    assert accepts(netns, sockets(second)[8080])
    assert list(second.listeners) == [number]


def test_taken_over_while_it_hands_back(world, netns):
    """berthd was killed while another one took over, which has only a part:
    what the first one has still goes to it, backlogs included."""
    berthd, first = begin(world, rules(
        *(handoff(f"r{port}", port=port) for port in (9001, 9002, 9003))), 3)
    numbers = set(first.listeners)
    second = world.close_later(
        Consumer(berthd, "front", takeover=True).welcome())
    second.until_listening(3)
    for number in sorted(numbers)[1:]:
        second.listeners.pop(number)[1].close()
    berthd.kill9()
    berthd.spawn()
    first.again().welcome()
    second.again().welcome()
    second.hand_back_all()
    first.hand_back_all()
    second.until_listening(3)
    assert set(second.listeners) == numbers
    assert set(first.until_withdrawn(3)) == numbers
    assert set(first.reasons.values()) == {None}
    for number in numbers:
        first.release(number)
    berthd.wait_ready()
    for port, listener in sockets(second).items():
        assert accepts(netns, listener, port)


def test_without_restart(world, netns):
    """Only the connection was lost: berthd has the very sockets."""
    berthd, consumer = begin(world, rules(handoff()))
    consumer.again(takeover=True).welcome().hand_back_all()
    number, = consumer.listeners
    assert consumer.expect("listener")["id"] == number
    assert consumer.listeners[number][0]["rule"] == "web"
    assert accepts(netns, sockets(consumer)[8080])


def test_known_file_is_no_help(world, netns):
    """It is only trusted for waiting: whatever stands in it, berthd starts."""
    berthd, consumer = begin(world, rules(
        handoff(), rule(name="ack", port=9001)))
    path = berthd.runtime / "consumers.json"
    entry, = [entry for entry in json.loads(path.read_text())["consumers"]
              if entry["name"] == "front"]
    assert entry["pid"] == os.getpid()
    consumer.close()
    for text in CONTENTS:
        berthd.kill9()
        path.write_bytes(text(entry))
        berthd.start()
        assert netns.ask("127.0.0.1", 9001) == b"ack"
        with Consumer(berthd, "front").welcome() as fresh:
            fresh.until_listening()
            assert accepts(netns, sockets(fresh)[8080])


def _list(*entries):
    return json.dumps({"consumers": entries}).encode()


CONTENTS = [
    lambda entry: b"",
    lambda entry: b"\0\xff garbage",
    lambda entry: b"[" * 100000,
    lambda entry: b" " * (2 * 1024 * 1024),
    lambda entry: b"[]",
    lambda entry: b'{"consumers":{}}',
    lambda entry: _list({"name": "../../x", "pid": 1, "started": 1}),
    lambda entry: _list(dict(entry, name="x" * 1000)),
    lambda entry: _list(dict(entry, pid=-1)),
    lambda entry: _list(dict(entry, pid=1 << 40)),
    lambda entry: _list(*[entry] * 100000),
    # Another process has its number: nobody is waited for.
    lambda entry: _list(dict(entry, started=entry["started"] + 1)),
]

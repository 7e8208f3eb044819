# SPDX-License-Identifier: Apache-2.0
"""test_log.py - what the log says of backends that fail, and of how many
failures it does not."""

import os
import socket

import pytest

from harness.rules import forward, rule, rules
from harness.wait import wait_for

DGRAM = socket.SOCK_DGRAM


@pytest.fixture
def netns(world):
    return world.netns("n")


def fail(netns, port, times=1):
    for _ in range(times):
        with pytest.raises(ConnectionResetError):
            netns.ask("127.0.0.1", port)


def test_one_rule_does_not_silence_another(world, netns):
    """Each backend of each rule has its own limit; what is above it is
    counted, and told without another failure."""
    nothing = f"unix:{world.base}/nothing"
    berthd = world.berthd(rules(
        rule("first", port=7001, forward={"to": "127.0.0.1:1"}),
        rule("second", port=7002, forward={"to": [nothing]})),
        args=("--workers", "1"))
    fail(netns, 7001, times=8)
    fail(netns, 7002)
    berthd.wait_log(f"rule 'second': .* cannot connect to '{nothing}': No such"
                    " file or directory; resetting the client")
    assert berthd.log().count("rule 'first': tcp") == 5
    berthd.wait_log("rule 'first': '127.0.0.1:1': 3 similar messages were not "
                    "printed")


def test_taken_ports_of_one_rule_do_not_silence_another(world, netns):
    """The same of listeners that cannot be opened."""
    first, second = range(7001, 7016), 7100
    for port in (*first, second):
        world.close_later(netns.listen(port=port))
    berthd = world.berthd(rules(
        rule("first", port=f"{first[0]}-{first[-1]}"),
        rule("second", port=second)))
    berthd.wait_log(f"rule 'second': cannot listen on .*:{second} in netns 'n'")
    assert berthd.log().count("rule 'first': cannot listen on") == 10
    berthd.wait_log("rule 'first': cannot listen: 5 similar messages were not "
                    "printed")


def client_of(world, netns):
    sock = world.close_later(netns.new_socket(kind=DGRAM))
    sock.connect(("127.0.0.1", 8080))
    return sock


def answered(client, backend):
    client.send(b"?")
    backend.settimeout(0.1)
    try:
        while True:
            backend.sendto(b"!", backend.recvfrom(100)[1])
            client.settimeout(0.1)
            return client.recv(100) == b"!"
    except socket.timeout:
        return False


@pytest.mark.parametrize("kind", ["address", "unix"])
def test_udp_backend_that_is_not_there(world, netns, kind):
    """It is named, and so is that it is back."""
    if kind == "unix":
        path = os.fspath(world.base / "backend")
        where, why = f"unix:{path}", "No such file or directory"
    else:
        gone = world.host.listen(kind=DGRAM)
        address, port = gone.getsockname()
        gone.close()
        where, why = f"{address}:{port}", "Connection refused"
    berthd = world.berthd(forward(where, protocol="udp"))
    client = client_of(world, netns)
    client.send(b"lost")
    berthd.wait_log(f"rule 'web': udp .* in 'n': cannot connect to '{where}': "
                    f"{why}; dropping datagrams")
    assert "is back again" not in berthd.log()
    if kind == "unix":
        backend = world.close_later(socket.socket(socket.AF_UNIX, DGRAM))
        backend.bind(path)
        os.chmod(path, 0o666)
    else:
        backend = world.close_later(world.host.listen(port=port, kind=DGRAM))
    wait_for(lambda: answered(client, backend), "an answer")
    berthd.wait_log(f"rule 'web': udp .* in 'n': '{where}' is back again")


def test_udp_backend_that_another_stands_in_for(world, netns):
    there = world.close_later(world.host.listen(kind=DGRAM))
    gone = world.host.listen(kind=DGRAM)
    names = [f"127.0.0.1:{sock.getsockname()[1]}" for sock in (gone, there)]
    gone.close()
    berthd = world.berthd(forward(names, protocol="udp"))
    for _ in range(2):
        client = client_of(world, netns)
        wait_for(lambda: answered(client, there), "an answer")
    berthd.wait_log(f"cannot connect to '{names[0]}': Connection refused; "
                    "trying the next")


def test_tcp_backend_that_is_back(world, netns):
    gone = world.host.listen()
    address, port = gone.getsockname()
    gone.close()
    berthd = world.berthd(forward(f"{address}:{port}"))
    fail(netns, 8080)
    berthd.wait_log(f"cannot connect to '{address}:{port}': Connection refused"
                    "; resetting the client")
    back = world.close_later(world.host.listen(port=port))
    for _ in range(2):
        with netns.connect("127.0.0.1", 8080):
            back.accept()[0].close()
    berthd.wait_log(f"rule 'web': tcp .* in 'n': '{address}:{port}' is back "
                    "again")
    assert berthd.log().count("is back again") == 1

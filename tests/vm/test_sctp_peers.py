# SPDX-License-Identifier: Apache-2.0
"""test_sctp_peers.py - programs that speak SCTP, at both ends of the relay,
and backends that do not speak it"""
import json
import os
import re
import socket
import subprocess

import pytest

import sctp
from harness.netns import read_all, read_exactly
from harness.rules import forward
from harness.wait import GUARD, wait_for
from sctp import Message
from test_sctp import BOTH, MESSAGES, netns  # noqa: F401

PORT = 9899


def background(world, *argv, **kwargs):
    """A backend; what it prints goes line by line to a file, which is
    returned."""
    output = world.base / f"{argv[0]}.out"
    with output.open("wb") as file:
        world.popen("stdbuf", "-oL", *argv, stdout=file, stderr=subprocess.STDOUT, **kwargs)
    return output


def wait_sctp_listener(world, port=PORT):
    wait_for(lambda: f":{port} " in world.host.run("ss", "-HlSn"),
             f"a backend on port {port}")


def run(netns, *argv, **kwargs):
    """A program inside. Return: what it printed."""
    process = netns.popen(*argv, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **kwargs)
    try:
        return process.communicate(timeout=4 * GUARD)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it goes on: {process.communicate()[0]}") \
            from None


@BOTH
def test_sctp_test(world, netns, protocol):
    """Messages of many sizes, as lksctp's own test program sends them."""
    output = background(world, "sctp_test", "-H", "127.0.0.1", "-P",
                        str(PORT), "-l")
    wait_sctp_listener(world)
    berthd = world.berthd(forward(f"127.0.0.1:{PORT}", protocol=protocol))
    berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    said = run(netns, "sctp_test", "-H", "127.0.0.1", "-P", "0", "-h",
               "127.0.0.1", "-p", "8080", "-s", "-c", "2", "-x", "3",
               stdin=subprocess.DEVNULL)
    sent = [int(size) for size in
            re.findall(r"sendmsg\(sk=\d+, assoc=\d+\)\s+(\d+) bytes", said)]
    assert sent, said

    def received():
        return [int(size) for size in
                re.findall(r"Data (\d+) bytes", output.read_text())]

    assert wait_for(lambda: len(received()) >= len(sent) and received(),
                    f"{sent} in {output.read_text()}") == sent


@BOTH
def test_sctp_darn(world, netns, protocol):
    output = background(world, "sctp_darn", "-H", "127.0.0.1", "-P",
                        str(PORT), "-l")
    wait_sctp_listener(world)
    berthd = world.berthd(forward(f"127.0.0.1:{PORT}", protocol=protocol))
    berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    reading, writing = os.pipe()
    sender = netns.popen("sctp_darn", "-H", "127.0.0.1", "-P", "0", "-h",
                         "127.0.0.1", "-p", "8080", "-s", stdin=reading,
                         stdout=subprocess.DEVNULL)
    try:
        os.close(reading)
        os.write(writing, b"through the relay\n")
        wait_for(lambda: "through the relay" in output.read_text(),
                 "the message at sctp_darn's other end")
    finally:
        os.close(writing)
        sender.kill()
        sender.wait()


@BOTH
def test_socat(world, netns, protocol):
    background(world, "socat", f"SCTP4-LISTEN:{PORT},fork,reuseaddr",
               "EXEC:cat")
    wait_sctp_listener(world)
    berthd = world.berthd(forward(f"127.0.0.1:{PORT}", protocol=protocol))
    berthd.wait_state(netns.cookie(), "listening", protocol=protocol)
    client = netns.popen("socat", "-", "SCTP4-CONNECT:127.0.0.1:8080",
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with client:
        for line in (b"one\n", b"two\n"):
            client.stdin.write(line)
            client.stdin.flush()
            assert client.stdout.readline() == line
        client.stdin.close()
        assert client.wait(GUARD) == 0


@BOTH
@pytest.mark.parametrize("direction", [(), ("-R",)])
def test_iperf3(world, netns, protocol, direction):
    """Bulk, each way; its control connection is TCP."""
    world.popen("iperf3", "-s", "-p", str(PORT), stdout=subprocess.DEVNULL)
    wait_for(lambda: f":{PORT} " in world.host.run("ss", "-Hltn"), "iperf3")
    berthd = world.berthd(forward(f"127.0.0.1:{PORT}",
                                  protocol=["tcp", protocol]))
    for each in ("tcp", protocol):
        berthd.wait_state(netns.cookie(), "listening", protocol=each)
    said = json.loads(run(netns, "iperf3", "-c", "127.0.0.1", "-p", "8080",
                          "--sctp", "-n", "4M", "-l", "16K", "-J",
                          *direction))
    assert "error" not in said, said["error"]
    # What is on its way when iperf3 stops its clock is not counted.
    assert said["end"]["sum_received"]["bytes"] > 2 << 20


@BOTH
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_stream_as_backend(world, netns, protocol, kind):
    """The client's bytes arrive in order, without their bounds; what the
    backend says comes as messages on stream 0."""
    if kind == "tcp":
        backend = world.close_later(world.host.listen())
        target = f"tcp://127.0.0.1:{backend.getsockname()[1]}"
    else:
        backend, path = world.unix_listen("backend.sock")
        target = f"unix:{path}"
    berthd = world.berthd(forward(target, protocol=protocol))
    idle = berthd.idle_relay_descriptors()
    client = sctp.connect(netns)
    server, _ = backend.accept()
    with client, server:
        for message in MESSAGES:
            sctp.send(client, message)
        everything = b"".join(message.data for message in MESSAGES)
        assert read_exactly(server, len(everything)) == everything
        server.sendall(everything)
        got = b""
        while len(got) < len(everything):
            message = sctp.receive(client)
            assert message[1:] == (0, 0, False)
            got += message.data
        assert got == everything
        sctp.send(client, Message(b"goodbye"))
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"goodbye"
    wait_for(lambda: berthd.relay_descriptors() == idle,
             "the relay's descriptors")


@BOTH
def test_a_stream_that_ends_first(world, netns, protocol):
    """Its last words arrive; then the client's association ends."""
    backend = world.close_later(world.host.listen())
    berthd = world.berthd(forward(
        f"tcp://127.0.0.1:{backend.getsockname()[1]}", protocol=protocol))
    idle = berthd.idle_relay_descriptors()
    client = sctp.connect(netns)
    server, _ = backend.accept()
    with client:
        server.sendall(b"last words")
        server.close()
        assert sctp.receive(client) == Message(b"last words")
        assert sctp.receive(client) is None
    wait_for(lambda: berthd.relay_descriptors() == idle,
             "the relay's descriptors")


@BOTH
def test_a_stream_that_is_reset(world, netns, protocol):
    backend = world.close_later(world.host.listen())
    world.berthd(forward(f"tcp://127.0.0.1:{backend.getsockname()[1]}",
                         protocol=protocol))
    client = sctp.connect(netns)
    server, _ = backend.accept()
    with client:
        sctp.abort(server)
        assert sctp.was_aborted(client)

# SPDX-License-Identifier: Apache-2.0
"""test_register_hostile.py - messages and descriptors that are to harm berthd,
or others, by Register: clear errors, bounded, and nobody else is affected."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from harness.berthd import SANITIZED
from harness.rules import rule, rules
from harness.user import (AS_USER, GROUP, OTHER, USER, Caller, UserSandbox,
                          let_in)
from harness.wait import GUARD, wait_for

# Of one uid, and how many it gets (watcher/shares.h).
FLOOD, SHARE = (20_000 if SANITIZED else 100_000), 512
# Of one uid in one namespace (watcher/registrations.h).
IN_ONE = 32


@pytest.fixture
def berthd(world):
    let_in(world)
    path = world.base / "berthd.yaml"
    path.write_text(f"control: {{ group: {GROUP}, mode: 0660 }}\n")
    return world.berthd(rules(
        {**rule("users", namespace=None, port=9000,
                match={"labels": "app=web"}), "unprivileged": True}),
        args=["--config", path])


def error_of(message):
    assert "error" in message, message
    return message["error"].rpartition(".")[2]


@pytest.mark.parametrize("uid", [0, USER])
def test_parameters_that_lie(berthd, uid):
    caller = Caller(berthd, uid)
    pid = os.getpid()
    for parameters in (
            {}, {"name": "a"}, {"pid": pid}, {"name": "", "pid": pid},
            {"name": 1, "pid": pid}, {"name": "a", "pid": "1"},
            {"name": "a", "pid": 0}, {"name": "a", "pid": -1},
            {"name": "a", "pid": 2**40}, {"name": "a", "pid": 1.5},
            {"name": "a", "pid": True}, {"name": "a", "fd": 0},
            {"name": "a", "fd": 7}, {"name": "a", "path": "relative"},
            {"name": "a", "path": ""}, {"name": "a", "path": ["/"]},
            {"name": "a", "path": "/x", "fd": 0},
            {"name": "a", "pid": pid, "labels": []},
            {"name": "a", "pid": pid, "labels": {"k": 1}},
            {"name": "a", "pid": pid, "labels": {"": "v"}},
            {"name": "a", "pid": pid, "labels": {"k": {"k": "v"}}},
            {"name": "a", "pid": pid,
             "labels": {f"k{i}": "" for i in range(300)}},
            {"name": "a" * 600, "pid": pid},
            {"name": "a", "pid": pid, "wait_ms": -1},
            {"name": "a", "pid": pid, "wait_ms": 2**31},
            {"name": "a", "pid": pid, "end_with_connection": 1},
            {"name": "a", "pid": pid, "netns": "/run/netns/x"}):
        message = caller.message("Register", **parameters)
        assert error_of(message) == "InvalidParameter", (parameters, message)
        assert message["parameters"]["parameter"], message
    caller.close()
    assert berthd.status()["containers"] == 0


@pytest.mark.parametrize("text", [
    b"\xff\xfe\0", b"{\0", b"[]\0", b"\0", b'{"method": "io.berth.Register", '
    b'"parameters": {"name": "a", "name": "b", "pid": 1}}\0',
    b'{"method": "io.berth.Register", "parameters": {"name": "\xff", '
    b'"pid": 1}}\0',
    b'{"method": "io.berth.Register", "parameters": {"name": "\\u0000", '
    b'"pid": 1}}\0',
    b"[" * 60000 + b"\0", b"a" * 100_000,
    b'{"method": "io.berth.Register", "parameters": {"name": "a", "labels": '
    b'{"k": "' + b"v" * 70_000 + b'"}}}\0'],
    ids=["not UTF-8", "half", "list", "empty", "twice", "name not UTF-8",
         "NUL", "deep", "no end", "huge"])
def test_messages_that_are_none(berthd, text):
    """One clear answer, and the connection ends; others' go on."""
    caller, other = Caller(berthd), Caller(berthd, OTHER)
    try:
        caller.sock.sendall(text)
        caller.sock.shutdown(socket.SHUT_WR)
    except BrokenPipeError:
        pass
    assert error_of(caller.receive()) in ("InvalidRequest",
                                          "InvalidParameter")
    assert other.call("ListNamespaces")["namespaces"] == []
    caller.close()
    other.close()


def test_half_a_message(berthd, world):
    """Whoever waits in the middle of one has no answer, and others have."""
    sandbox = UserSandbox(world)
    halves = [Caller(berthd, OTHER) for _ in range(8)]
    for half in halves:
        half.sock.sendall(b'{"method": "io.berth.Register", "para')
    caller = Caller(berthd)
    assert caller.call("Register", pid=sandbox.pid, name="a",
                       labels={"app": "web"}, wait_ms=30000)["ready"]
    for connection in (*halves, caller):
        connection.close()


def test_labels_of_any_bytes(berthd, world):
    sandbox, caller = UserSandbox(world), Caller(berthd)
    labels = {"../../etc": "..", "a\nb": "\x1b[31m", "ä": "\U0001f600",
              "${namespace}": "${label.x}", "app": "web",
              "k" * 300: "v" * 9000}
    caller.call("Register", pid=sandbox.pid, name="../a\x07b", labels=labels,
                wait_ms=30000)
    container, = berthd.ctl("explain", str(sandbox.cookie()))[
        "namespace"]["containers"]
    assert container["labels"] == labels
    text = berthd.ctl_text("explain", str(sandbox.cookie()))
    assert "\x1b" not in text and "\x07" not in text
    assert sandbox.listeners() == {"tcp *:9000"}
    caller.close()


def lingering():
    """A connected socket whose last close waits for its peer."""
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, 60))
    client.setblocking(False)
    try:
        while True:
            client.send(b"x" * 65536)
    except BlockingIOError:
        pass
    return client, server


def test_descriptors_of_other_kinds(berthd, world):
    caller = Caller(berthd)
    pair = socket.socketpair()
    client, server = lingering()
    ended = subprocess.Popen([*AS_USER, f"--reuid={USER}", "true"])
    ended_fd = os.pidfd_open(ended.pid)
    ended.wait()
    read, write = os.pipe()
    kinds = [os.open("/dev/null", os.O_RDWR), read, pair[0].fileno(),
             client.fileno(), os.open("/", os.O_RDONLY | os.O_DIRECTORY),
             os.open("/proc/self/ns/net", os.O_PATH),
             os.open("/proc/self/ns/user", os.O_RDONLY),
             os.open("/proc/self/ns/mnt", os.O_RDONLY),
             os.memfd_create("x"), os.eventfd(0), ended_fd,
             os.open(world.base, os.O_PATH)]
    for fd in kinds:
        error, parameters = caller.fails("Register", [fd], fd=0, name="a")
        assert error == "NotPermitted", (fd, error, parameters)
    # The last copy of this one is berthd's, and its close would wait a minute.
    other, second = lingering()
    caller.send("Register", {"fd": 0, "name": "a"}, [other.fileno()])
    other.close()
    assert error_of(caller.receive()) == "NotPermitted"
    # Nobody takes what comes with another call.
    caller.call("ListNamespaces", [read])
    for fd in kinds:
        if fd not in (client.fileno(), pair[0].fileno()):
            os.close(fd)
    wait_for(lambda: broken(write), "berthd to close what it got")
    os.close(write)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, 0))
    for sock in (*pair, client, server, second):
        sock.close()
    caller.close()


def broken(write):
    """Has nobody the reading end of the pipe any more?"""
    try:
        os.write(write, b"x")
    except BrokenPipeError:
        return True
    return False


@pytest.mark.parametrize("n", [2, 253])
def test_many_descriptors(berthd, n):
    berthd.wait_log("consumer 'relay' is here")
    before = len(os.listdir(f"/proc/{berthd.pid}/fd"))
    for _ in range(3):
        caller = Caller(berthd)
        read, write = os.pipe()
        caller.send("Register", {"fd": 0, "name": "a"}, [read] * n)
        os.close(read)
        assert error_of(caller.receive()) == "InvalidRequest"
        caller.close()
        wait_for(lambda w=write: broken(w), "berthd to close what it got")
        os.close(write)
    wait_for(lambda: len(os.listdir(f"/proc/{berthd.pid}/fd")) <= before,
             "no descriptor to be left")


def test_a_process_that_is_gone_or_another(berthd, world):
    caller = Caller(berthd)
    gone = UserSandbox(world)
    gone.end()
    answers = {repr(caller.fails("Register", pid=pid, name="a"))
               for pid in (gone.pid, os.getpid(), 2**22 - 1)}
    assert len(answers) == 1, answers
    # It ends in the very moment: either answer is right, nothing lingers.
    for _ in range(5):
        sandbox = UserSandbox(world)
        caller.send("Register", {"pid": sandbox.pid, "name": "a"})
        sandbox.end()
        message = caller.receive()
        assert "parameters" in message, message
    wait_for(lambda: berthd.status()["containers"] == 0, "nothing to be left")
    caller.close()


def test_a_path_that_is_replaced(berthd, world):
    """Root's own program, misled: what is no namespace is never opened."""
    blue = world.netns("blue")
    fifo = world.base / "fifo"
    os.mkfifo(fifo)
    path = world.base / "path"
    path.symlink_to(blue.path)
    stop = threading.Event()

    def replace():
        targets = [fifo, blue.path, "/dev/tty", world.base, "/nonexistent",
                   path]
        for i in range(10**6):
            if stop.is_set():
                return
            fresh = world.base / "fresh"
            fresh.symlink_to(targets[i % len(targets)])
            os.rename(fresh, path)

    thread = threading.Thread(target=replace)
    thread.start()
    root = Caller(berthd, 0)
    try:
        for i in range(300):
            message = root.message("Register", path=str(path), name=f"a{i}")
            assert "error" not in message or \
                error_of(message) == "NoSuchNamespace", message
            root.call("Unregister", name=f"a{i}")
    finally:
        stop.set()
        thread.join()
    root.close()
    assert berthd.status()["containers"] == 0


def test_callers_that_vanish(berthd, world):
    sandbox = UserSandbox(world)
    for i in range(50):
        caller = Caller(berthd)
        caller.send("Register", {"pid": sandbox.pid, "name": f"a{i}",
                                 "end_with_connection": True,
                                 "wait_ms": 60000})
        caller.close()
    wait_for(lambda: berthd.status()["containers"] == 0, "none to be left")
    # Without that, what was told holds, also if nobody waits for the answer.
    caller = Caller(berthd)
    caller.send("Register", {"pid": sandbox.pid, "name": "b",
                             "labels": {"app": "web"}, "wait_ms": 60000})
    caller.close()
    wait_for(lambda: sandbox.listeners() == {"tcp *:9000"}, "its listener")


FLOODER = """
import json, socket, sys
path, n, pids = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
counts, data = {}, b""
sent = got = 0
sys.stdout.write("begun\\n")
sys.stdout.flush()
while got < n:
    batch = min(n - sent, 200)
    sock.sendall(b"".join(
        b'{"method": "io.berth.Register", "parameters": {"pid": %s, "name": '
        b'"c%d", "labels": {"app": "web"}}}\\0'
        % (pids[(sent + i) % len(pids)].encode(), sent + i)
        for i in range(batch)))
    sent += batch
    while got < sent:
        data += sock.recv(1 << 20)
        *whole, data = data.split(b"\\0")
        for message in whole:
            error = b"LimitReached" in message or \\
                json.loads(message).get("error", "")
            counts[error] = counts.get(error, 0) + 1
        got += len(whole)
print(json.dumps(counts))
"""


def test_flood_of_one_uid(berthd, world):
    """It gets its share, and another user and root are answered meanwhile."""
    sandboxes = [UserSandbox(world) for _ in range(SHARE // IN_ONE + 1)]
    theirs = UserSandbox(world, OTHER)
    other, root = Caller(berthd, OTHER), Caller(berthd, 0)
    flood = subprocess.Popen(
        [*AS_USER, f"--reuid={USER}", sys.executable, "-c", FLOODER,
         str(berthd.runtime / "control.sock"), str(FLOOD),
         *(str(sandbox.pid) for sandbox in sandboxes)],
        stdout=subprocess.PIPE, text=True)
    assert flood.stdout.readline() == "begun\n"
    took = []
    while flood.poll() is None:
        for connection in (other, root):
            begin = time.monotonic()
            connection.call("Register", pid=theirs.pid, name="mine",
                            labels={"app": "web"}, wait_ms=30000)
            took.append(time.monotonic() - begin)
    counts = json.loads(flood.stdout.read())  # keys: an error, true, or ""
    flood.stdout.close()
    assert flood.returncode == 0
    assert counts == {"": SHARE, "true": FLOOD - SHARE}
    assert max(took) < GUARD
    took.sort()
    print(f"{len(took)} calls of others meanwhile: median "
          f"{took[len(took) // 2] * 1e6:.0f} us, most {took[-1] * 1e3:.1f} ms")
    assert theirs.listeners() == {"tcp *:9000"}
    assert berthd.status()["containers"] == SHARE + 2
    for connection in (other, root):
        connection.close()


def test_one_uid_has_a_share(berthd, world):
    sandboxes = [UserSandbox(world) for _ in range(SHARE // IN_ONE + 1)]
    caller, other = Caller(berthd), Caller(berthd, OTHER)
    for i in range(SHARE):
        caller.call("Register", pid=sandboxes[i // IN_ONE].pid, name=f"c{i}")
    error, parameters = caller.fails("Register", pid=sandboxes[-1].pid,
                                     name="more")
    assert error == "LimitReached"
    assert "that one user may" in str(parameters)
    theirs = UserSandbox(world, OTHER)
    other.call("Register", pid=theirs.pid, name="c0")
    for connection in (caller, other):
        connection.close()


def test_connections_of_one_uid(berthd, world):
    """They fill their share; another user, and root, still come in."""
    held = []
    sandbox = UserSandbox(world)
    with pytest.raises((AssertionError, ConnectionError)):
        for _ in range(1000):
            held.append(Caller(berthd))
            # None of them is idle: each waits for what never comes.
            held[-1].send("Wait", {"name": "never", "timeout_ms": 60000})
            held[-1].sock.settimeout(0.05)
            try:
                held[-1].receive()
            except socket.timeout:
                pass
    assert len(held) > 4
    other, root = Caller(berthd, OTHER), Caller(berthd, 0)
    assert other.call("ListNamespaces")["namespaces"] == []
    root.call("GetStatus")
    assert sandbox.listeners() == set()
    for connection in (*held, other, root):
        connection.close()

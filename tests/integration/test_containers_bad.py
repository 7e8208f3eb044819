# SPDX-License-Identifier: Apache-2.0
"""test_containers_bad.py - files that tell of containers, and should not be
believed, or not be read: a clear problem, within bounds, and nobody else is
affected."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from harness.pids import fork_as
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for

LABELS = {"app": "web"}
MIB = 1 << 20
ERRORS_MAX = 20  # RULES_ERRORS_MAX


@pytest.fixture
def berthd(world):
    return world.berthd(rules(rule(namespace=None,
                                   match={"labels": "app=web"})))


def place(berthd, name="x.json"):
    return berthd.runtime / "containers.d" / name


def write(berthd, told, name="x.json"):
    """A file, whole: of any bytes, or of what is to be JSON."""
    temporary = place(berthd, ".new")
    temporary.write_bytes(told if isinstance(told, bytes)
                          else json.dumps(told).encode())
    os.rename(temporary, place(berthd, name))


def container(netns=None, name="web-1", **more):
    where = {} if netns is None else {"netns": str(netns.path)}
    return dict(where, name=name, labels=LABELS, **more)


def problems(berthd):
    return [f"{p['file'].rpartition('/')[2]}:{p['line']}:{p['column']}: "
            f"{p['message']}"
            for file in berthd.status()["container_files"]
            for p in file["problems"]]


def wait_problem(berthd, start):
    wait_for(lambda: any(p.startswith(start) for p in problems(berthd)),
             f"the problem {start!r}")


def pending(berthd):
    return {c["name"]: c["reason"]
            for c in berthd.ctl("namespaces")["pending_containers"]}


def is_open(netns):
    return netns.listeners() == {"tcp *:8080"}


def check_others(world, berthd):
    """Another file, and another namespace, are served as ever."""
    other = world.netns("other")
    write(berthd, container(other, "other"), "other.json")
    wait_for(lambda: is_open(other), "the other namespace to be served")
    assert other.ask("127.0.0.1", 8080) == b"ack"


def at(line, column, message):
    return f"x.json:{line}:{column}: {message}"


def many(one, n):
    return b"[" + b",\n".join([one] * n) + b"]"


TEXTS = {
    "cut off": (b'{"netns": "/run/netns/a", "name": "we',
                at(1, 38, "the text ends here, expected a double quote")),
    "cut in a character": (b'{"pid": 1, "name": "\xe2\x82',
                           at(1, 21, "byte 0xe2 is no UTF-8")),
    "latin-1": (b'{"pid": 1,\n "labels": {"a": "\xe9"}, "name": "x"}',
                at(2, 19, "byte 0xe9 is no UTF-8")),
    "overlong": (b'{"pid": 1, "name": "\xc0\xaf"}',
                 at(1, 21, "byte 0xc0 is no UTF-8")),
    "utf-16": ('{"pid": 1, "name": "x"}'.encode("utf-16"),
               at(1, 1, "found byte 0xff, expected a value")),
    "NUL": (b'{"pid": 1, "name": "x\0y"}',
            at(1, 22, "byte 0x00 within a text")),
    "NUL behind": (b'{"pid": 1, "name": "x"}\0',
                   at(1, 24, "found byte 0x00")),
    "NUL in a label": (b'{"pid": 1, "name": "x", "labels": {"a": "\\u0000"}}',
                       at(1, 44, "\\u0000 is in no text")),
    "half a character": (b'{"pid": 1, "name": "\\ud800"}',
                         at(1, 23, "the first half of a character")),
    "newline": (b'{"pid": 1, "name": "x\ny"}',
                at(1, 22, "byte 0x0a within a text")),
    "two": (b'{"pid": 1, "name": "x"} {"pid": 1, "name": "y"}',
            at(1, 25, 'found "{"')),
    "deep lists": (b"[" * 100000, at(1, 17, "more than 16 levels")),
    "deep objects": (b'{"labels":' * 50000, at(1, 161, "more than 16 levels")),
    "label of a list": (b'{"pid": 1, "name": "x", "labels": {"a": ["b"]}}',
                        at(1, 41, 'label "a" is a list')),
    "label of a number": (b'{"pid": 1, "name": "x", "labels": {"a": 1}}',
                          at(1, 41, 'label "a" is "1"')),
    "label twice": (b'{"pid": 1, "name": "x", "labels": {"a": "b",\n'
                    b'"a": "c"}}', at(2, 1, 'label "a" stands twice')),
    "key twice": (b'{"pid": 1, "name": "x",\n"name": "y"}',
                  at(2, 1, 'key "name" stands twice in a container, first on line 1')),
    "empty key": (b'{"pid": 1, "name": "x", "labels": {"": "b"}}',
                  at(1, 36, "an empty key in labels")),
    "257 labels": (json.dumps(dict(
        pid=1, name="x", labels={f"k{i}": "" for i in range(257)})).encode(),
        at(1, 35, "labels has 257 labels, expected at most 256")),
    "64 KiB of labels": (json.dumps(dict(
        pid=1, name="x", labels={"k": "v" * 65536})).encode(),
        at(1, 1, 'the container "x" takes ')),
    "long name": (json.dumps(dict(pid=1, name="n" * 513)).encode(),
                  at(1, 20, "name is a text of 513 bytes")),
    "long path": (json.dumps(dict(netns="/" + "n" * 4096, name="x")).encode(),
                  at(1, 11, "netns is ")),
    "negative pid": (b'{"pid": -1, "name": "x"}', at(1, 9, "pid is ")),
    "pid 0": (b'{"pid": 0, "name": "x"}', at(1, 9, "pid is ")),
    "huge pid": (b'{"pid": 99999999999999999999, "name": "x"}',
                 at(1, 9, "pid is ")),
    "pid of a fraction": (b'{"pid": 1.5, "name": "x"}', at(1, 9, "pid is ")),
    "10 MiB": (b" " * (10 * MIB), "x.json:0:0: is larger than 1024 KiB"),
    "100,000 values": (many(b"{}", 100000),
                       at(100000, 1, "more than 100000 values")),
    "100,000 numbers": (b"[" + b"1," * 99990 + b"1]",
                        at(1, 2, 'a container is "1"')),
}


@pytest.mark.parametrize("part", range(4))
def test_texts(world, berthd, part):
    """Place and expectation are told; what the file said stays in force."""
    blue = world.netns("blue")
    for text, problem in list(TEXTS.values())[part::4]:
        write(berthd, container(blue))
        wait_equal(lambda: problems(berthd), [], "no problem")
        wait_for(lambda: is_open(blue), "the listener")
        write(berthd, text)
        wait_problem(berthd, problem)
        assert len(problems(berthd)) <= ERRORS_MAX
        assert is_open(blue)
    check_others(world, berthd)


def test_no_more_problems_than_people_read(world, berthd):
    """Ten thousand containers without a name."""
    write(berthd, many(b'{"pid": 1}', 10000))
    wait_problem(berthd, at(1, 2, 'a container needs "name"'))
    assert len(problems(berthd)) == ERRORS_MAX
    check_others(world, berthd)


def test_sparse_file(world, berthd):
    """Of a terabyte that takes no room, no more is read than of any other."""
    path = place(berthd)
    with open(place(berthd, ".new"), "wb") as file:
        file.truncate(1 << 33)
    os.rename(place(berthd, ".new"), path)
    wait_problem(berthd, "x.json:0:0: is larger than 1024 KiB")
    check_others(world, berthd)


def make_socket(path, _):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_link(path, target):
    os.symlink(target, path)


KINDS = {
    "FIFO": (lambda path, _: os.mkfifo(path), None, "is not a regular file"),
    "socket": (make_socket, None, "is not a regular file"),
    "directory": (lambda path, _: path.mkdir(), None,
                  "is a directory, expected a file"),
    "link to nowhere": (make_link, "nowhere", "does not exist, or is a "
                        "symbolic link to nowhere"),
    "link to itself": (make_link, "x.json", "Too many levels of "
                       "symbolic links"),
    "link to a directory": (make_link, "/", "is a directory"),
    "link to /dev/zero": (make_link, "/dev/zero",
                          "is not a regular file"),
    "link to a terminal": (make_link, "/dev/ptmx",
                           "is not a regular file"),
    "link to memory": (make_link, "/proc/self/mem",
                       "Input/output error"),
    "link to nothing": (make_link, "/dev/null",
                        "the text ends here, expected a value"),
}


def test_kinds_of_files(world, berthd):
    """What is no file is named, and is never waited for."""
    for make, target, problem in KINDS.values():
        make(place(berthd), target)
        wait_for(lambda: any(problem in p for p in problems(berthd)),
                 f"the problem {problem!r}")
        assert all(p.startswith("x.json:") for p in problems(berthd))
        path = place(berthd)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        wait_equal(lambda: problems(berthd), [], "no problem")
    check_others(world, berthd)


def test_a_namespace_that_is_named_twice(world, berthd):
    """By one file, by two, and the very same twice: all count, none harms
    another, and the namespace has the rule as long as one of them does."""
    blue = world.netns("blue")
    write(berthd, [container(blue), container(blue), container(blue, "web-2"),
                   dict(container(blue), labels={"app": "db"})])
    write(berthd, container(blue), "y.json")
    wait_for(lambda: berthd.status()["containers"] == 5, "all of them")
    wait_for(lambda: is_open(blue), "the listener")
    names = [c["name"] for n in berthd.namespaces() for c in n["containers"]]
    assert names == ["web-1"] * 4 + ["web-2"]
    place(berthd).unlink()
    wait_for(lambda: berthd.status()["containers"] == 1, "one of them")
    assert is_open(blue)
    place(berthd, "y.json").unlink()
    wait_for(lambda: not blue.listeners(), "the listener to go")
    assert problems(berthd) == []


def test_more_than_a_namespace_may_have(world, berthd):
    """64 count, the first by name; the others say so. A namespace that a
    hostile file floods keeps them in this order."""
    blue = world.netns("blue")
    write(berthd, [dict(container(blue, f"c{i:04}"),
                        labels={"app": "web" if i == 0 else "x"})
                   for i in range(3000)][::-1])
    wait_for(lambda: berthd.status()["containers"] == 3000, "all of them")
    assert is_open(blue)
    names = [c["name"] for n in berthd.namespaces() for c in n["containers"]]
    assert len(names) == 64
    assert set(pending(berthd).values()) == {
        "its namespace has the most containers that are kept for one"}
    check_others(world, berthd)


def test_pid_and_path_that_contradict_each_other(world, berthd):
    """The path says which namespace is meant; a process of another changes
    nothing, and leads to no container."""
    blue, red = world.netns("blue"), world.netns("red")
    sleeper = red.popen("sleep", "1000")
    write(berthd, container(blue, pid=sleeper.pid))
    wait_for(lambda: is_open(blue), "the listener")
    assert red.listeners() == set()
    assert berthd.ctl("explain", "web-1")["namespace"]["id"] == blue.cookie()
    # By a process, its own namespace is found: the kernel knows that.
    assert berthd.ctl("explain", "--pid", str(sleeper.pid))[
        "namespace"]["id"] == red.cookie()
    # Nor does its end change anything.
    sleeper.kill()
    sleeper.wait()
    write(berthd, container(blue, "again"), "y.json")
    wait_for(lambda: berthd.status()["containers"] == 2, "the other file")
    assert is_open(blue)


def test_pid_that_is_reused(world, berthd):
    """The number of the container's process goes to one elsewhere: the
    container is not there."""
    blue, red = world.netns("blue"), world.netns("red")
    first = blue.popen("sleep", "1000")
    write(berthd, container(pid=first.pid))
    wait_for(lambda: is_open(blue), "the listener")
    first.kill()
    first.wait()
    blue.delete()
    wait_equal(lambda: pending(berthd), {"web-1": "its process has ended"},
               "the end of the process")
    with red.entered():
        second = fork_as(first.pid)
    if second == 0:
        os.execvp("sleep", ["sleep", "1000"])
    world.defer(end, second)
    world.netns("green")  # so that it is looked at again
    wait_for(lambda: "green" in berthd.names(), "the namespace")
    assert pending(berthd) == {"web-1": "its process has ended"}
    assert red.listeners() == set()


def end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


def test_path_that_is_replaced_while_it_is_looked_at(world, berthd):
    """Elsewhere than in a watched directory, and never the same for long: a
    namespace, a FIFO, a directory, nothing."""
    elsewhere = world.mkdir("elsewhere")
    blue = world.netns("blue")
    targets = [blue.path, elsewhere / "fifo", "/", "nowhere", "/dev/ptmx"]
    os.mkfifo(targets[1])
    link, ended = elsewhere / "link", threading.Event()

    def replace():
        while not ended.is_set():
            for target in targets:
                os.symlink(target, elsewhere / "new")
                os.rename(elsewhere / "new", link)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for i in range(200):
            write(berthd, {"netns": str(link), "name": f"c{i}",
                           "labels": LABELS})
        check_others(world, berthd)
    finally:
        ended.set()
        thread.join()
    os.unlink(link)
    os.symlink(blue.path, link)
    write(berthd, {"netns": str(link), "name": "last", "labels": LABELS})
    wait_for(lambda: is_open(blue), "the listener")


def test_path_with_another_namespace_after_a_restart(world, berthd):
    """What was told is checked against the kernel: the file says the name,
    and another namespace has it now."""
    blue = world.netns("blue")
    write(berthd, container(blue))
    wait_for(lambda: is_open(blue), "the listener")
    berthd.stop()
    blue.delete()
    blue = world.netns("blue")
    berthd.start()
    wait_for(lambda: is_open(blue), "the listener")
    assert berthd.listeners()[0]["namespace_id"] == blue.cookie()


def test_half_written_and_never_closed(world, berthd):
    """Others are read meanwhile; what was written is read when the writer
    dies."""
    blue = world.netns("blue")
    text = json.dumps(container(blue))
    writer = subprocess.Popen(
        ["sh", "-c", f"exec 3>{place(berthd)}; printf '%s' '{text[:30]}' >&3;"
         f" echo; read line; printf '%s' '{text[30:]}' >&3"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    world.defer(writer.kill)
    writer.stdout.readline()
    check_others(world, berthd)
    assert problems(berthd) == []
    writer.communicate("\n")
    wait_for(lambda: is_open(blue), "the listener")


def test_file_that_nobody_may_read(world, berthd):
    """Root may; who runs berthd without that right is told."""
    blue = world.netns("blue")
    write(berthd, container(blue))
    place(berthd).chmod(0)
    write(berthd, container(blue, "again"), "y.json")
    wait_for(lambda: is_open(blue), "the listener")
    assert problems(berthd) == []

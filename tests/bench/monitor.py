# SPDX-License-Identifier: Apache-2.0
"""monitor.py - what it costs to tell others what happens

Two berthds with the same rule, measured by turns: nobody monitors one of them,
and ten clients the other, all events. The clients take what comes and throw it
away: what they do with it is not berthd's.
"""
import contextlib
import json
import os
import select
import socket
import subprocess
import sys

from turns import take_turns

PORT = 7101
READERS = 10
# Of the time until a namespace answers.
RATIO = 1.1
RULES = f"""\
rules:
  - name: hello
    match: {{ namespace: "*" }}
    listen: [ {{ protocol: tcp, address: any, port: {PORT} }} ]
    respond: ack
"""
CALL = json.dumps({"method": "io.berth.Monitor", "more": True}).encode() + b"\0"


def read_all(path):
    """The readers, in a process of their own: says how much they have read
    when its standard input ends."""
    epoll, total = select.epoll(), 0
    sockets = {}
    for _ in range(READERS):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        connection.sendall(CALL)
        assert b'"continues":true' in connection.recv(65536)
        sockets[connection.fileno()] = connection
        epoll.register(connection, select.EPOLLIN)
    epoll.register(0, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in epoll.poll():
            if fd == 0:
                print(total, flush=True)
                return
            piece = sockets[fd].recv(1 << 20)
            assert piece, "berthd ended the connection"
            total += len(piece)


@contextlib.contextmanager
def readers(path, cpus):
    with subprocess.Popen(
            [sys.executable, __file__, path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus)) as process:
        if process.stdout.readline() != "ready\n":
            sys.exit("nobody can monitor berthd")
        yield process
        process.stdin.close()
        if int(process.stdout.readline()) == 0:
            sys.exit("nothing was told to those that monitor")


def bench_monitor(bench, args):
    block, rounds = 25, 4 if args.quick else 40
    cpus = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        stack.enter_context(bench.steady())
        sides = {}
        for name in ("floor", "berth"):
            directory = stack.enter_context(bench.namespaces(name))
            sides[name] = (stack.enter_context(
                bench.berthd(directory, RULES, name=name)), directory)
        stack.enter_context(
            readers(f"{bench.top}/run-berth/control.sock", cpus))
        samples = take_turns(
            sides, rounds,
            lambda name, directory, number: bench.samples_us(
                "measure_appears", "names", directory, PORT, number * block,
                block, 50))
    bench.report.compare(
        f"a namespace appears, answers: {READERS} monitor beside nobody",
        "us", samples, RATIO)


FIGURES = {"monitor": bench_monitor}

if __name__ == "__main__":
    read_all(sys.argv[1])

# SPDX-License-Identifier: Apache-2.0
"""containers.py - figures of containers by label

One container in each of ten thousand namespaces, a hundred rules, of which
each serves one namespace in a hundred. berthd starts:

  by name	the rules have patterns for the namespace, and no container
		is told of
  no labels	the containers have no labels, the rules have patterns for
		their names
  labels	each container has ten labels, the rules have selectors

With "lists" a thousand containers stand in a file, else each has its own.
"""
import contextlib
import json
import os
import time

import berthd as control

PORT = 7101
RULES = 100
LABELS = 10  # the two that rules ask for among them
IN_LIST = 1000
TIMEOUT_S = 30


def rules(match):
    return "rules:\n" + "".join(
        f"  - name: r{k}\n"
        f"    match: {{ {match(k)} }}\n"
        f"    listen: [ {{ protocol: tcp, address: any, port: {PORT} }} ]\n"
        f"    respond: ack\n" for k in range(RULES))


def by_pattern(key, first):
    """first: the letter that the names begin with. Of n7 too: no rule is left
    out for the first ten."""
    return rules(lambda k: f'{key}: ["{first}*{k:02}"'
                 + (f', "{first}{k}"]' if k < 10 else "]"))


BY_NAME = by_pattern("namespace", "n")
BY_CONTAINER = by_pattern("container", "c")
BY_LABELS = rules(
    lambda k: f'labels: "app=a{k}, tier in (front,back), !canary"')


def labels(i):
    return {"app": f"a{i % RULES}", "tier": "front"} | {
        f"com.example.label{j}": f"value-{i}-{j}" for j in range(LABELS - 2)}


def container(directory, i, with_labels):
    told = {"netns": f"{directory}/n{i}", "name": f"c{i}",
            "id": f"{i:064x}", "runtime": "bench"}
    return told | {"labels": labels(i)} if with_labels else told


def write(path, told):
    with open(f"{path}.new", "w") as stream:
        json.dump(told, stream)
    os.rename(f"{path}.new", path)


def write_files(files_dir, told, in_list):
    """Return: the directory."""
    for k in range(0, len(told), in_list):
        write(f"{files_dir}/f{k}.json",
              told[k] if in_list == 1 else told[k:k + in_list])
    return files_dir


@contextlib.contextmanager
def in_place(bench, files_dir):
    """The directory is where berthd looks."""
    place = f"{bench.directory('run')}/containers.d"
    os.rename(files_dir, place)
    try:
        yield place
    finally:
        os.rename(place, files_dir)


@contextlib.contextmanager
def started(bench, directory, text, n):
    """A berthd; gives its ms from exec to READY, and those on a CPU."""
    with bench.berthd(directory, text) as berthd:
        cpu_ms = control.cpu_ms(berthd.pid)
        with control.Control(f"{bench.top}/run") as connection:
            status = connection.call("GetStatus")
        if status["listeners"]["open"] != n:
            bench.report.check(f"listeners of {n}", False)
        yield (berthd.ready_ns - berthd.exec_ns) / 1e6, cpu_ms


def one_label_changes(bench, files_dir, directory):
    """How many namespaces are planned for it, until the binder has opened
    what another rule wants."""
    one = container(directory, 7, with_labels=True)
    other = one | {"labels": one["labels"] | {"app": "a8"}}
    with control.Control(f"{bench.top}/run") as connection:
        before = now = connection.call("GetStatus")
        write(f"{files_dir}/f7.json", other)
        deadline = time.monotonic() + TIMEOUT_S
        while now["listeners"]["opened_total"] == \
                before["listeners"]["opened_total"]:
            if time.monotonic() > deadline:
                break
            now = connection.call("GetStatus")
        write(f"{files_dir}/f7.json", one)
    return now["events"]["planned"] - before["events"]["planned"]


def bench_containers(bench, args):
    n, runs = (1000, 3) if args.quick else (10000, 7)
    ready, cpu = {}, {}
    with bench.namespaces("s") as directory:
        bench.run("world", "make", directory, n)
        plain, labelled = ([container(directory, i, with_labels)
                            for i in range(n)]
                           for with_labels in (False, True))
        subjects = [
            (name, text, write_files(bench.directory(f"files {name}"),
                                     told, in_list))
            for name, text, told, in_list in (
                ("by name", BY_NAME, [], 1),
                ("no labels", BY_CONTAINER, plain, 1),
                ("labels", BY_LABELS, labelled, 1),
                ("no labels, lists", BY_CONTAINER, plain, IN_LIST),
                ("labels, lists", BY_LABELS, labelled, IN_LIST))]
        for number in range(runs):
            for name, text, files_dir in subjects[::(-1) ** number]:
                with in_place(bench, files_dir) as place, \
                        started(bench, directory, text, n) as (ms, cpu_ms):
                    ready.setdefault(name, []).append(ms)
                    cpu.setdefault(name, []).append(cpu_ms)
                    if name == "labels" and number == 0:
                        planned = one_label_changes(bench, place, directory)
                        bench.report.check(
                            f"a label changes: {planned} namespace planned",
                            planned == 1)
    report(bench, n, ready, cpu)


def report(bench, n, ready, cpu):
    what = f"start-up, {n} containers with {LABELS} labels"
    for name, title in (("labels", "a file each"),
                        ("labels, lists", f"{IN_LIST} in a file")):
        for floor, beside in ((f"no {name}", "the same without labels"),
                              ("by name", "no containers")):
            bench.report.compare(f"{what}, {title}, beside {beside}", "ms",
                                 {"berth": ready[name],
                                  "floor": ready[floor]}, 1.5)
            bench.report.compare("  its time on a CPU", "ms",
                                 {"berth": cpu[name], "floor": cpu[floor]})


FIGURES = {"containers": bench_containers}

# SPDX-License-Identifier: Apache-2.0
"""test_containers.py - rules choose namespaces by what files tell of their
containers."""

import json
import os
import shutil
import subprocess

import pytest

from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for


def write(berthd, name, *containers):
    """Writes a file as people should: whole, and renamed into place."""
    directory = berthd.runtime / "containers.d"
    temporary = directory / f".{name}.new"
    whole = list(containers) if len(containers) != 1 else containers[0]
    temporary.write_text(json.dumps(whole))
    os.rename(temporary, directory / f"{name}.json")


def write_text(berthd, name, text):
    """As write(), of any bytes."""
    directory = berthd.runtime / "containers.d"
    temporary = directory / f".{name}.new"
    temporary.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.rename(temporary, directory / f"{name}.json")


def remove(berthd, name):
    (berthd.runtime / "containers.d" / f"{name}.json").unlink()


def container(netns=None, name="web-1", **more):
    made = {"name": name}
    if netns is not None:
        made["netns"] = str(netns.path)
    made.update(more)
    return made


def by_labels(labels="app=web", port=8080, **match):
    return rule(namespace=None, port=port, match={"labels": labels, **match})


def wait_open(netns, *ports):
    wait_equal(netns.listeners, {f"tcp *:{port}" for port in ports},
               "the listeners")


def test_labels_come_change_and_go(world):
    blue, red = world.netns("blue"), world.netns("red")
    berthd = world.berthd(rules(by_labels()))
    assert blue.listeners() == red.listeners() == set()
    write(berthd, "a", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)
    assert blue.ask("127.0.0.1", 8080) == b"ack"
    write(berthd, "b", container(red, labels={"app": "db"}))
    write(berthd, "a", container(blue, labels={"app": "db"}))
    wait_open(blue)
    write(berthd, "b", container(red, labels={"app": "web"}))
    wait_open(red, 8080)
    assert blue.listeners() == set()
    remove(berthd, "b")
    wait_open(red)


def test_told_before_the_namespace(world):
    berthd = world.berthd(rules(by_labels()))
    blue = world.name("blue")
    write(berthd, "a", container(blue, labels={"app": "web"}))
    blue.create()
    wait_open(blue, 8080)
    # The namespace goes, freed by berthd, and another gets the name.
    before = berthd.status()["freed"]["count"]
    blue.delete()
    wait_for(lambda: berthd.status()["freed"]["count"] > before,
             "the kernel to free it")
    blue.create()
    wait_open(blue, 8080)


def test_survives_a_restart(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels()))
    write(berthd, "a", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)
    berthd.stop()
    wait_open(blue)
    berthd.start()
    wait_open(blue, 8080)


def test_one_container_satisfies_all(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(
        by_labels(port=1000, container="db-*"),
        dict(by_labels(port=2000, container="web-*", pod_namespace="shop"),
             name="both")))
    write(berthd, "a", container(blue, "web-1", labels={"app": "web"},
                                 pod_namespace="shop"),
          container(blue, "db-1", labels={"app": "db"}, pod_namespace="shop"))
    wait_open(blue, 2000)


def test_by_pid_and_by_other_paths(world):
    blue, red, green = (world.netns(n) for n in ("blue", "red", "green"))
    berthd = world.berthd(rules(by_labels()))
    labels = {"app": "web"}
    sleeper = blue.popen("sleep", "1000")
    write(berthd, "pid", container(pid=sleeper.pid, labels=labels))
    wait_open(blue, 8080)
    other = red.popen("sleep", "1000")
    write(berthd, "proc", dict(container(labels=labels),
                               netns=f"/proc/{other.pid}/ns/net"))
    wait_open(red, 8080)
    link = world.base / "linked"
    link.symlink_to(world.dir)
    write(berthd, "alias", dict(container(labels=labels),
                                netns=str(link / "green")))
    wait_open(green, 8080)
    # The end of the process is not that of its namespace.
    sleeper.kill()
    sleeper.wait()
    write(berthd, "other", container(name="x", pid=other.pid))
    wait_open(blue, 8080)
    # Nor is the namespace held for it.
    before = berthd.status()["freed"]["count"]
    blue.delete()
    wait_for(lambda: berthd.status()["freed"]["count"] > before,
             "the kernel to free it")


def test_a_pid_before_its_name(world):
    """The process is there, the name of its namespace comes later."""
    berthd = world.berthd(rules(by_labels()))
    elsewhere = world.mkdir("elsewhere")
    hidden = world.netns("hidden", directory=elsewhere)
    sleeper = hidden.popen("sleep", "1000")
    write(berthd, "pid", container(pid=sleeper.pid, labels={"app": "web"}))
    blue = world.name("blue")
    blue.bind(hidden)
    wait_open(blue, 8080)


def problems(berthd):
    return [f"{p['file'].rpartition('/')[2]}:{p['line']}:{p['column']}: "
            f"{p['message']}"
            for file in berthd.status()["container_files"]
            for p in file["problems"]]


BAD = [
    ("", "x.json:1:1: the text ends here, expected a value"),
    ('{"netns": "/x", "name":', "x.json:1:24: the text ends here"),
    ('{"name": "x"}', 'x.json:1:1: a container needs "netns"'),
    ('{\n "pid": "a",\n "name": "x"}', 'x.json:2:9: pid is the text "a"'),
    ('{"netns": "x", "name": "x"}', 'x.json:1:11: netns is "x", expected an '
     "absolute path"),
    ('{"pid": 1, "name": "x", "lables": {}}',
     'x.json:1:25: unknown key "lables" in a container; did you mean '
     '"labels"?'),
    (b'{"pid": 1, "name": "\xff"}', "x.json:1:21: byte 0xff is no UTF-8"),
    ("[" * 100000, "x.json:1:17: more than 16 levels"),
    (" " * (1 << 20) + " ", "x.json:0:0: is larger than 1024 KiB"),
]


@pytest.mark.parametrize("text,problem", BAD, ids=range(len(BAD)))
def test_bad_file_leaves_the_last_good_version(world, text, problem):
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels()))
    write(berthd, "x", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)
    write_text(berthd, "x", text)
    wait_for(lambda: any(p.startswith(problem) for p in problems(berthd)),
             "the problem")
    assert blue.listeners() == {"tcp *:8080"}
    berthd.wait_log("stays in force")
    assert "x.json" in berthd.ctl_text("check", code=1)
    # The others go on, and the file is mended.
    write(berthd, "y", container(blue, "y"))
    write(berthd, "x", container(blue, labels={"app": "db"}))
    wait_open(blue)
    assert problems(berthd) == []
    remove(berthd, "x")


USER = 65533


def test_file_of_another_user_counts_for_nothing(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels(), rule(
        "db", namespace=None, port=8081, match={"labels": "app=db"})))
    path = berthd.runtime / "containers.d" / "a.json"
    write(berthd, "a", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)
    # Somebody gives it away, and its new owner writes.
    for uid, mode, problem in [
            (USER, 0o644, f"belongs to uid {USER}, expected root"),
            (0, 0o666, "has mode 0666, with which everybody may write it")]:
        os.chown(path, uid, -1)
        path.chmod(mode)
        path.write_text(json.dumps(container(blue, labels={"app": "db"})))
        wait_for(lambda p=problem: p in berthd.log(), problem)
        assert blue.listeners() == {"tcp *:8080"}
    # By a link, what counts is the file that it leads to.
    other = berthd.runtime / "theirs.json"
    other.write_text(json.dumps(container(blue, labels={"app": "db"})))
    os.chown(other, USER, -1)
    (berthd.runtime / "containers.d" / "b.json").symlink_to(other)
    wait_for(lambda: f"b.json: belongs to uid {USER}" in berthd.log(),
             "the link's file")
    os.chown(path, 0, -1)
    path.chmod(0o644)
    berthd.ctl("reload")
    wait_open(blue, 8081)


def test_half_written_file_waits_for_its_writer(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels()))
    text = json.dumps(container(blue, labels={"app": "web"}))
    path = berthd.runtime / "containers.d" / "a.json"
    with open(path, "w", encoding="ascii") as file:
        file.write(text[:20])
        file.flush()
        # Another file is read meanwhile: this one was not.
        write(berthd, "b", container(blue, "b", labels={"app": "web"}))
        wait_open(blue, 8080)
        assert problems(berthd) == []
        file.write(text[20:])
    remove(berthd, "b")
    wait_equal(lambda: [c["name"] for n in berthd.namespaces()
                        for c in n["containers"]], ["web-1"],
               "the container of the file")
    wait_open(blue, 8080)


def test_links_are_swapped_as_in_a_volume(world):
    """A ConfigMap volume: files are links through one link, "..data"."""
    blue, red = world.netns("blue"), world.netns("red")
    berthd = world.berthd(rules(by_labels()))
    directory = berthd.runtime / "containers.d"
    for version, netns in (("..1", blue), ("..2", red)):
        (directory / version).mkdir()
        (directory / version / "a.json").write_text(
            json.dumps(container(netns, labels={"app": "web"})))
    os.symlink("..1", directory / "..data")
    os.symlink("..data/a.json", directory / "a.json")
    wait_open(blue, 8080)
    os.symlink("..2", directory / "..new")
    os.rename(directory / "..new", directory / "..data")
    wait_open(red, 8080)
    wait_open(blue)


def test_directory_goes_and_comes_back(world):
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels()))
    directory = berthd.runtime / "containers.d"
    write(berthd, "a", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)
    shutil.rmtree(directory)
    wait_open(blue)
    directory.mkdir()
    write(berthd, "a", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)


LIES = [
    ({"netns": "/etc/passwd"}, "not a namespace (no mount over it yet)"),
    ({"netns": "/proc/self/ns/mnt"}, "a namespace, but not of networks"),
    ({"netns": "/no/where"}, "there is no such path"),
    ({"pid": 4194304}, "there is no such process"),
]


@pytest.mark.parametrize("where,reason", LIES, ids=range(len(LIES)))
def test_what_leads_to_no_namespace(world, where, reason):
    """Says so, and is still looked at when namespaces come."""
    berthd = world.berthd(rules(by_labels()))
    write(berthd, "a", dict(container(labels={"app": "web"}), **where))

    def pending():
        return [(c["name"], c["reason"])
                for c in berthd.ctl("namespaces")["pending_containers"]]

    wait_equal(pending, [("web-1", reason)], "the pending container")
    assert reason in berthd.ctl_text("namespaces")
    world.netns("blue")
    wait_for(lambda: "blue" in berthd.names(), "the namespace")
    assert pending() == [("web-1", reason)]


def test_fifo_and_device_are_not_opened(world):
    """Neither as a file in the directory nor as a namespace."""
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels()))
    fifo = world.base / "fifo"
    os.mkfifo(fifo)
    os.mkfifo(berthd.runtime / "containers.d" / "f.json")
    write(berthd, "a", dict(container(labels={"app": "web"}),
                            netns=str(fifo)))
    write(berthd, "b", container(blue, labels={"app": "web"}))
    wait_open(blue, 8080)
    assert any("is not a regular file" in p for p in problems(berthd))


def test_labels_of_any_bytes(world):
    """Any text is compared as it is, and shown so that it harms nothing."""
    blue = world.netns("blue")
    odd = {"a b": "c\n\x1b[31md", "ü,=()!": "", "x": "é" * 2000}
    berthd = world.berthd(rules(
        rule(namespace=None, match={"labels": {k: v for k, v in odd.items()
                                               if "\x1b" not in v}})))
    write(berthd, "a", container(blue, "näme €", labels=odd))
    wait_open(blue, 8080)
    shown = berthd.ctl_text("explain", "blue") + berthd.ctl_text("namespaces")
    assert "\x1b" not in shown
    assert [n["containers"][0]["labels"] for n in berthd.namespaces()
            if n["containers"]] == [odd]


def test_templates(world):
    """Paths with what the container is called; what cannot be filled in is
    refused, with the reason."""
    blue = world.netns("blue")
    backend, path = world.unix_listen("web-1.front.1")
    berthd = world.berthd(rules(rule(
        namespace=None,
        match={"labels": "app=web", "container": "/web-(?<n>[0-9]+)/"},
        forward={"to": f"unix:{path.parent}/${{container}}"
                       ".${label.tier}.${container.n}"})))
    write(berthd, "a", container(blue, labels={"app": "web",
                                               "tier": "front"}))
    wait_open(blue, 8080)
    with blue.connect("127.0.0.1", 8080) as client:
        client.sendall(b"x")
        conn, _ = backend.accept()
        with conn:
            assert conn.recv(1) == b"x"
    write(berthd, "a", container(blue, labels={"app": "web"}))
    wait_equal(lambda: [(l["state"], l["reason"])
                        for l in berthd.listeners()],
               [("refused", "the container has no value for a label, or no "
                            "pod namespace, that the backend's path needs")],
               "the refusal")


def test_found_by_what_people_call_it(world):
    blue, red = world.netns("blue"), world.netns("red")
    berthd = world.berthd(rules(by_labels()))
    write(berthd, "a", container(blue, "web-1", id="0123456789ab",
                                 pod_namespace="shop", runtime="podman",
                                 labels={"app": "web"}))
    write(berthd, "b", container(red, "db"), container(red, "twice"),
          container(blue, "twice"), dict(container(name="nowhere"),
                                              netns="/no/where"))
    wait_open(blue, 8080)
    wait_for(lambda: berthd.status()["containers"] == 5, "the containers")
    sleeper = blue.popen("sleep", "1000")

    def explained(*words):
        return berthd.ctl("explain", *words)["namespace"]["id"]

    for words in (["web-1"], ["shop/web-1"], ["0123456789ab"],
                  ["--pid", str(sleeper.pid)],
                  [f"/proc/{sleeper.pid}/ns/net"], [str(blue.path)]):
        assert explained(*words) == blue.cookie()
    assert explained("db") == red.cookie()
    assert [l["namespace"] for l in berthd.ctl("listeners", "web-1")
            ["listeners"]] == ["blue"]
    text = berthd.ctl_text("explain", "web-1")
    assert "container web-1, pod namespace shop, podman, labels app=web" \
        in text
    assert "container web-1 matches" in text
    process = berthd.ctl_process("explain", "twice")
    assert process.returncode == 1
    assert str(blue.path) in process.stderr and \
        str(red.path) in process.stderr
    process = berthd.ctl_process("explain", "nowhere")
    assert process.returncode == 1
    assert "container 'nowhere' is in no network namespace: there is no " \
        "such path (/no/where)" in process.stderr
    assert berthd.ctl("explain", "--pid", str(os.getpid()))[
        "namespace"]["host"]
    for words in (["status", "--pid", "1"], ["explain", "--pid", "x"],
                  ["explain", "--pid", "1", "blue"]):
        assert berthd.ctl_process(*words).returncode == 2
    assert "twice web-1" in berthd.ctl_text("namespaces")


def test_listed_with_the_container_that_matched(world):
    """Its name follows the files; the listener stays the same."""
    blue = world.netns("blue")
    backend, path = world.unix_listen("backend")
    berthd = world.berthd(rules(
        rule(namespace=None, match={"labels": "app=web"},
             forward={"to": f"unix:{path}"}),
        rule(name="all", port=9090)))
    write(berthd, "a", container(blue, "db-1", labels={"app": "db"}),
          container(blue, "web-1", labels={"app": "web"}))
    wait_open(blue, 8080, 9090)

    def listed():
        return {(l["port"], l["id"], l.get("container"))
                for l in berthd.listeners()}

    ids = {l["port"]: l["id"] for l in berthd.listeners()}
    assert listed() == {(8080, ids[8080], "web-1"), (9090, ids[9090], None)}
    assert "web-1" in berthd.ctl_text("listeners")
    with blue.connect("127.0.0.1", 8080):
        conn, _ = backend.accept()
        with conn:
            assert [c["container"] for c in
                    berthd.ctl("connections")["connections"]] == ["web-1"]
            assert "web-1" in berthd.ctl_text("connections")
    write(berthd, "a", container(blue, "web-2", labels={"app": "web"}))
    wait_equal(listed, {(8080, ids[8080], "web-2"), (9090, ids[9090], None)},
               "the container's new name")
    remove(berthd, "a")
    wait_open(blue, 9090)
    assert "CONTAINER" not in berthd.ctl_text("listeners")


def planned(berthd):
    return berthd.status()["events"]["planned"]


def test_one_label_of_many(world):
    """In a file of many containers the label of one changes: one namespace
    is looked at."""
    netns = [world.netns(f"n{i}", up=False) for i in range(20)]
    berthd = world.berthd(rules(by_labels()))
    write(berthd, "all", *(container(n, f"c{i}", labels={"app": "db"})
                           for i, n in enumerate(netns)))
    wait_for(lambda: berthd.status()["containers"] == 20, "the containers")
    before = planned(berthd)
    write(berthd, "all", *(container(n, f"c{i}", labels={
        "app": "web" if i == 7 else "db"}) for i, n in enumerate(netns)))
    wait_open(netns[7], 8080)
    assert planned(berthd) == before + 1
    assert [n.listeners() for n in netns].count(set()) == 19


def test_one_file_of_many(world):
    """As before, in files of their own; the same again is no change."""
    netns = [world.netns(f"n{i}", up=False) for i in range(20)]
    berthd = world.berthd(rules(by_labels()))
    for i, n in enumerate(netns):
        write(berthd, f"f{i}", container(n, f"c{i}", labels={"app": "db"}))
    wait_for(lambda: berthd.status()["containers"] == 20, "the containers")
    before = planned(berthd)
    write(berthd, "f3", container(netns[3], "c3", labels={"app": "db"}))
    write(berthd, "f7", container(netns[7], "c7", labels={"app": "web"}))
    wait_open(netns[7], 8080)
    assert planned(berthd) == before + 1


def test_many_files_come_and_go(world):
    """Each is read; those that go in one batch are all gone."""
    netns = [world.netns(f"n{i}", up=False) for i in range(5)]
    berthd = world.berthd(rules(by_labels()))
    for i in range(200):
        write(berthd, f"f{i}", container(netns[i % 5], f"c{i}",
                                         labels={"app": "web"}))
    wait_for(lambda: berthd.status()["containers"] == 200, "the containers")
    for n in netns:
        wait_open(n, 8080)
    for i in range(200):
        remove(berthd, f"f{i}")
    for n in netns:
        wait_open(n)
    assert berthd.status()["containers"] == 0


def test_reload_reads_the_files_again(world):
    """A bind mount over a file is no event of the directory."""
    blue = world.netns("blue")
    berthd = world.berthd(rules(by_labels()))
    write(berthd, "a", container(blue, labels={"app": "db"}))
    wait_for(lambda: berthd.status()["containers"] == 1, "the container")
    other = world.base / "other.json"
    other.write_text(json.dumps(container(blue, labels={"app": "web"})))
    path = berthd.runtime / "containers.d" / "a.json"
    subprocess.run(["mount", "--bind", other, path], check=True)
    world.defer(subprocess.run, ["umount", path])
    berthd.ctl_text("reload")
    wait_open(blue, 8080)


def reasons(berthd, name):
    """Why each rule matches, or does not."""
    return {row["name"]: row["reason"]
            for row in berthd.ctl("explain", name)["rules"]}


def test_a_container_opts_out(world):
    """Each change of a label acts at once, both ways; of two containers in a
    namespace one is enough."""
    blue = world.netns("blue")
    berthd = world.berthd(rules(
        rule("all"),
        rule("own", port=2000, match={"unless_labels": "canary"}),
        dict(by_labels("berth.io/skip=true", port=3000), name="still")))
    wait_open(blue, 8080, 2000)
    write(berthd, "a", container(blue, labels={"app": "web"}))
    write(berthd, "b", container(blue, "side", labels={"canary": "1"}))
    wait_open(blue, 8080)
    assert reasons(berthd, "blue")["own"] == \
        'unless_labels: container side meets "canary"'
    write(berthd, "a", container(blue, labels={"berth.io/skip": "true"}))
    wait_open(blue, 3000)
    skipped = 'skip: container web-1 has the label "berth.io/skip=true"'
    assert reasons(berthd, "blue")["all"] == skipped
    assert reasons(berthd, "blue")["own"] == skipped
    write(berthd, "a", container(blue, labels={"berth.io/skip": "false"}))
    remove(berthd, "b")
    wait_open(blue, 8080, 2000)

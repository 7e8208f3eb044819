# SPDX-License-Identifier: Apache-2.0
"""test_reload.py - rules files change, break, are mended, override, mask."""

import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from harness import process
from harness.rules import ack, forward, rule, rules
from harness.traffic import echo_backend, works
from harness.wait import GUARD, SLOWNESS, stays, wait_equal, wait_for

BROKEN = """\
rules:
  - name: web
    match: { namespace: "*" }
    lissten: [ { protocol: tcp, port: 8080 } ]
    respond: ack
"""


@pytest.fixture
def netns(world):
    return world.netns("n")


def wait_open(netns, *ports):
    wait_equal(netns.listeners, {f"tcp *:{port}" for port in ports},
               "the listeners")


def problems(berthd):
    return [p for f in berthd.status()["files"] for p in f["problems"]]


def test_files_come_change_and_go(world, netns):
    berthd = world.berthd()
    assert netns.listeners() == set()
    berthd.write_rules("a.yaml", ack(port=1000))
    wait_open(netns, 1000)
    berthd.write_rules("b.yaml", ack(name="b", port=2000))
    wait_open(netns, 1000, 2000)
    berthd.write_rules("a.yaml", ack(port=1001))
    wait_open(netns, 1001, 2000)
    berthd.remove_rules("b.yaml")
    wait_open(netns, 1001)
    os.rename(berthd.rules_dirs[0] / "a.yaml", berthd.rules_dirs[0] / "a.off")
    wait_open(netns)
    os.rename(berthd.rules_dirs[0] / "a.off", berthd.rules_dirs[0] / "a.yaml")
    wait_open(netns, 1001)


def test_written_in_place(world, netns):
    berthd = world.berthd(ack(port=1000))
    path = berthd.rules_dirs[0] / "50-test.yaml"
    for port in range(1001, 1010):
        path.write_text(ack(port=port), encoding="ascii")
        wait_open(netns, port)
    assert problems(berthd) == []


def test_slow_writer_is_waited_for(world, netns):
    """Half a file is not read: the writer has not closed it."""
    berthd = world.berthd(ack(port=1000))
    text = BROKEN.replace("lissten", "listen")
    cut = text.index("port: 8080")
    mark = len(berthd.log())
    with open(berthd.rules_dirs[0] / "50-test.yaml", "w",
              encoding="ascii") as file:
        file.write(text[:cut])
        file.flush()
        stays(lambda: netns.listeners() == {"tcp *:1000"}, "the rule", 0.7)
        file.write(text[cut:])
        file.flush()
    wait_open(netns, 8080)
    assert ":4:" not in berthd.log()[mark:], "half a file was reported"


def test_rapid_writes_end_in_the_last(world, netns):
    berthd = world.berthd(ack(port=1000))
    path = berthd.rules_dirs[0] / "50-test.yaml"
    for number in range(300):
        if number % 3:
            path.write_text(ack(port=1000 + number), encoding="ascii")
        else:
            berthd.write_rules("50-test.yaml", ack(port=1000 + number))
    wait_open(netns, 1299)
    assert problems(berthd) == []
    stays(lambda: netns.listeners() == {"tcp *:1299"}, "the last", 0.5)


def test_unending_writes_do_not_starve_the_reload(world, netns):
    """Somebody writes another file all the time."""
    berthd = world.berthd(ack(port=1000))
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            (berthd.rules_dirs[0] / "noise.yaml").write_text(
                ack(name="noise", port=5000 + number % 100))
            time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        berthd.write_rules("50-test.yaml", ack(port=1001))
        wait_for(lambda: "tcp *:1001" in netns.listeners(), "the change",
                 5 * SLOWNESS)
    finally:
        stop.set()
        writer.join()


def configmap(directory, version, files):
    """As a kubelet does: files, ..data -> ..version, swapped by rename."""
    real = directory / f"..{version}"
    real.mkdir()
    for name, text in files.items():
        (real / name).write_text(text)
    os.symlink(real.name, directory / "..data_tmp")
    previous = os.readlink(directory / "..data") \
        if (directory / "..data").is_symlink() else None
    os.rename(directory / "..data_tmp", directory / "..data")
    for name in files:
        if not (directory / name).is_symlink():
            os.symlink(f"..data/{name}", directory / name)
    if previous:
        shutil.rmtree(directory / previous)


def test_configmap_swap(world, netns):
    """The names never change, and no file in the directory is written."""
    directory = world.mkdir("configmap")
    configmap(directory, "v1", {"web.yaml": ack(port=1000)})
    berthd = world.berthd(rules_dirs=[directory])
    wait_open(netns, 1000)
    for version in range(2, 6):
        configmap(directory, f"v{version}", {
            "web.yaml": ack(port=1000 + version),
            "two.yaml": ack(name="two", port=2000 + version)})
        wait_open(netns, 1000 + version, 2000 + version)
    configmap(directory, "v6", {"web.yaml": BROKEN,
                                "two.yaml": ack(name="two", port=2006)})
    wait_open(netns, 1005, 2006)
    assert 4 in [p["line"] for p in problems(berthd)]


def test_configmap_mounted_late(world, netns):
    directory = world.base / "late"
    world.berthd(rules_dirs=[directory])
    directory.mkdir()
    configmap(directory, "v1", {"web.yaml": ack(port=1000)})
    wait_open(netns, 1000)
    configmap(directory, "v2", {"web.yaml": ack(port=1001)})
    wait_open(netns, 1001)


def test_rules_directory_missing_at_start_and_vanishing(world, netns):
    directory = world.base / "p" / "rules.d"
    berthd = world.berthd(rules_dirs=[directory])
    for port in (1000, 1001):
        directory.mkdir(parents=True)
        berthd.write_rules("a.yaml", ack(port=port))
        wait_open(netns, port)
        shutil.rmtree(world.base / "p")
        wait_open(netns)


def test_override_and_mask(world, netns):
    """A file name in an earlier directory hides it in the later ones."""
    etc, run, lib = (world.mkdir(n) for n in ("etc", "run", "lib"))
    (lib / "web.yaml").write_text(ack(port=3))
    (lib / "lib.yaml").write_text(ack(name="lib", port=30))
    berthd = world.berthd(rules_dirs=[etc, run, lib])
    wait_open(netns, 3, 30)
    berthd.write_rules("web.yaml", ack(port=2), directory=1)
    wait_open(netns, 2, 30)
    berthd.write_rules("web.yaml", ack(port=1), directory=0)
    wait_open(netns, 1, 30)
    berthd.write_rules("web.yaml", ack(port=4), directory=2)
    berthd.remove_rules("web.yaml", directory=1)
    stays(lambda: netns.listeners() == {"tcp *:1", "tcp *:30"},
          "the highest", 0.3)
    berthd.remove_rules("web.yaml", directory=0)
    wait_open(netns, 4, 30)
    # Masked by an empty file, and by a link to /dev/null.
    (etc / "web.yaml").write_text("")
    wait_open(netns, 30)
    os.symlink("/dev/null", run / "lib.yaml")
    wait_open(netns)
    os.unlink(run / "lib.yaml")
    wait_open(netns, 30)
    os.unlink(etc / "web.yaml")
    wait_open(netns, 4, 30)
    assert problems(berthd) == []


def test_order_is_by_file_name_over_all_directories(world, netns):
    etc, lib = world.mkdir("etc"), world.mkdir("lib")
    (etc / "20.yaml").write_text(ack(name="etc", respond="etc"))
    (lib / "10.yaml").write_text(ack(name="lib", respond="lib"))
    berthd = world.berthd(rules_dirs=[etc, lib])
    assert netns.ask("127.0.0.1", 8080) == b"lib"
    assert [r["name"] for r in berthd.ctl("rules")["rules"]] \
        == ["lib", "etc"]


def test_broken_file_keeps_its_last_good_version(world, netns):
    berthd = world.berthd({"a.yaml": ack(port=1000),
                           "b.yaml": ack(name="b", port=2000)})
    before = netns.listener_inodes()
    mark = len(berthd.log())
    path = berthd.write_rules("a.yaml", BROKEN)
    berthd.wait_log(rf"{re.escape(str(path))}:4:5: .*lissten.*listen", mark)
    wait_for(lambda: problems(berthd), "the problem in status")
    problem = next(p for p in problems(berthd) if "lissten" in p["message"])
    assert (problem["file"], problem["line"], problem["column"]) \
        == (str(path), 4, 5)
    assert [f["last_good"] for f in berthd.status()["files"]
            if f["path"] == str(path)] == [True]
    assert netns.listener_inodes() == before
    shown = berthd.ctl_text("explain", netns.name)
    assert shown.index("Problems") < shown.index("lissten")
    assert "last good version" in shown.splitlines()[-1]
    # Other files go on changing meanwhile.
    berthd.write_rules("b.yaml", ack(name="b", port=2001))
    wait_open(netns, 1000, 2001)
    berthd.write_rules("a.yaml", ack(port=1001))
    wait_open(netns, 1001, 2001)
    assert problems(berthd) == []
    assert "roblem" not in berthd.ctl_text("explain", netns.name)


def test_broken_at_the_start(world, netns):
    """There is no good version of it; everything else works."""
    berthd = world.berthd({"a.yaml": BROKEN,
                           "b.yaml": ack(name="b", port=2000)})
    wait_open(netns, 2000)
    assert "a.yaml:4:5" in berthd.log()
    berthd.write_rules("a.yaml", ack(port=1000))
    wait_open(netns, 1000, 2000)


def test_broken_file_removed(world, netns):
    """Its last good version goes with it."""
    berthd = world.berthd({"a.yaml": ack(port=1000)})
    berthd.write_rules("a.yaml", BROKEN)
    wait_for(lambda: problems(berthd), "the problem")
    berthd.remove_rules("a.yaml")
    wait_open(netns)
    assert problems(berthd) == []


def test_broken_and_mended_while_traffic_runs(world, netns):
    """No connection is lost and none is refused."""
    backend = echo_backend(world)
    good = forward(f"127.0.0.1:{backend.port}")
    berthd = world.berthd(good)
    stop = threading.Event()
    failures = []
    done = [0]

    def traffic():
        lasting = netns_connect()
        while not stop.is_set():
            try:
                lasting.sendall(b"lasting")
                assert lasting.recv(100) == b"lasting"
                with netns_connect() as fresh:
                    fresh.sendall(b"fresh")
                    assert fresh.recv(100) == b"fresh"
                done[0] += 1
            except (OSError, AssertionError) as error:
                failures.append(repr(error))
                return
        lasting.close()

    def netns_connect():
        # setns acts on the calling thread: nothing else is moved.
        return netns.connect("127.0.0.1", 8080)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        for text in (BROKEN, "rules: [", "\0\1\2", "- a\n", good + "\n# x\n",
                     BROKEN, good) * 4:
            berthd.write_rules("50-test.yaml", text)
            count = done[0]
            wait_for(lambda c=count: done[0] > c + 2 or failures, "traffic")
    finally:
        stop.set()
        thread.join(GUARD)
    assert failures == []
    assert done[0] > 50
    wait_equal(lambda: problems(berthd), [], "no problem")


def test_unchanged_listeners_are_not_touched(world, netns):
    berthd = world.berthd({
        "a.yaml": rules(rule(name="stays", port=1000),
                        rule(name="goes", port=2000))})
    before = netns.listener_inodes()
    row = berthd.listener(netns.cookie(), port=1000)
    # Reordered, renamed to another file, with another rule in front.
    berthd.write_rules("0.yaml", rules(
        rule(name="new", port=3000), rule(name="stays2", port=4000)))
    berthd.write_rules("a.yaml", rules(rule(name="stays", port=1000)))
    wait_open(netns, 1000, 3000, 4000)
    assert netns.listener_inodes()["tcp *:1000"] == before["tcp *:1000"]
    assert berthd.listener(netns.cookie(), port=1000)["id"] == row["id"]


def test_same_text_written_again_changes_nothing(world, netns):
    berthd = world.berthd(ack())
    berthd.wait_delivered()
    before = netns.listener_inodes()

    def rows():
        return [{key: value for key, value in row.items() if key != "age_us"}
                for row in berthd.listeners()]

    listed = rows()
    for _ in range(5):
        berthd.write_rules("50-test.yaml", ack())
    berthd.ctl_text("reload")
    assert rows() == listed
    assert netns.listener_inodes() == before


def test_another_answer_on_the_same_socket(world, netns):
    berthd = world.berthd(ack(respond="one"))
    before = netns.listener_inodes()
    berthd.write_rules("50-test.yaml", ack(respond="two"))
    wait_equal(lambda: netns.ask("127.0.0.1", 8080), b"two", "the answer")
    assert netns.listener_inodes() == before


def asked(netns, protocol):
    """What a listener of either protocol says."""
    if protocol == "tcp":
        return netns.ask("127.0.0.1", 8080)
    with netns.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 8080))
        client.send(b"?")
        return client.recv(100)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_wildcard_for_an_address_while_the_relay_holds_the_port(
        world, netns, protocol):
    """One address's listener makes way for a wildcard on its port, and back.
    The kernel lets no two of them exist, and the relay has the old one until
    it hears of the change: the new one waits, and then it is there."""
    berthd = world.berthd(ack(protocol=protocol, address="127.0.0.1",
                              respond="0"))
    berthd.wait_delivered()
    for number, (address, shown) in enumerate([
            ("any", "*"), ("127.0.0.1", "127.0.0.1"), ("any4", "0.0.0.0"),
            ("127.0.0.1", "127.0.0.1")], 1):
        with process.stopped(berthd.relay_pid()):
            berthd.write_rules("50-test.yaml", ack(
                protocol=protocol, address=address, respond=str(number)))
            row = berthd.wait_state(netns.cookie(), "waiting",
                                    address=shown, protocol=protocol)
            assert row["error"] == "EADDRINUSE"
            assert "berth-relay has not let go" in row["reason"]
        berthd.wait_state(netns.cookie(), "listening", address=shown,
                          protocol=protocol)
        assert netns.listeners() == {f"{protocol} {shown}:8080"}
        assert asked(netns, protocol) == str(number).encode()
    assert "cannot listen" not in berthd.log()


def test_rule_name_twice(world, netns):
    berthd = world.berthd({"a.yaml": ack(port=1000)})
    berthd.write_rules("b.yaml", ack(port=2000))
    wait_for(lambda: problems(berthd), "the problem")
    problem = problems(berthd)[0]
    assert problem["file"].endswith("b.yaml")
    assert "web" in problem["message"] and "a.yaml" in problem["message"]
    wait_open(netns, 1000)
    berthd.remove_rules("a.yaml")
    wait_open(netns, 2000)
    assert problems(berthd) == []


def test_things_that_are_no_readable_files(world, netns):
    """Reported, not fatal, and nothing blocks."""
    berthd = world.berthd({"good.yaml": ack()})
    directory = berthd.rules_dirs[0]
    (directory / "folder.yaml").mkdir()
    os.mkfifo(directory / "fifo.yaml")
    os.symlink("nowhere", directory / "dangling.yaml")
    os.symlink("loop.yaml", directory / "loop.yaml")
    sock = world.close_later(socket.socket(socket.AF_UNIX))
    sock.bind(str(directory / "socket.yaml"))
    berthd.write_rules("later.yaml", ack(name="later", port=9000))
    wait_open(netns, 8080, 9000)
    done = berthd.ctl("reload", code=1)
    assert (done["rules"], done["problems"]) == (2, 5)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    reported = {os.path.basename(p["file"]) for p in problems(berthd)}
    assert {"folder.yaml", "fifo.yaml", "dangling.yaml", "loop.yaml",
            "socket.yaml"} <= reported


def test_other_files_are_ignored(world, netns):
    berthd = world.berthd()
    directory = berthd.rules_dirs[0]
    for name in ("README", "a.yaml~", ".a.yaml.swp", "#a.yaml#", "a.yaml.bak",
                 "a.yml.rpmsave", ".hidden.yaml"):
        (directory / name).write_text("this: is: no rules file")
    berthd.write_rules("a.yaml", ack())
    wait_open(netns, 8080)
    assert problems(berthd) == []


def test_other_ending_is_told(world, netns):
    """The file is not read, and everything that could say so does."""
    berthd = world.berthd()
    path = berthd.rules_dirs[0] / "10-web.yml"
    path.write_text(ack())
    berthd.wait_log("10-web.yml: is not read")
    assert [problem["file"] for problem in problems(berthd)] == [str(path)]
    for command in (("check",), ("status",), ("rules",),
                    ("explain", netns.name)):
        assert "must end in .yaml" in berthd.ctl_text(
            *command, code=int(command == ("check",)))
    path.rename(path.with_suffix(".yaml"))
    wait_open(netns, 8080)
    assert problems(berthd) == []


def test_yaml_bomb(world, netns):
    """Aliases of aliases cost neither memory nor time."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        items = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{items}]")
    berthd = world.berthd(ack())
    berthd.write_rules("bomb.yaml", "\n".join(lines) + "\n")
    wait_for(lambda: problems(berthd), "the problem")
    assert netns.ask("127.0.0.1", 8080) == b"ack"


def test_deep_and_large_files(world, netns):
    berthd = world.berthd(ack())
    berthd.write_rules("deep.yaml", "rules: " + "[" * 20000)
    berthd.write_rules("large.yaml", "# " + "x" * (32 << 20) + "\n")
    wait_for(lambda: problems(berthd), "the problem", guard=30)
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    berthd.write_rules("ok.yaml", ack(name="ok", port=9000))
    wait_open(netns, 8080, 9000)


def test_sighup_reloads(world, netns):
    """Also what no event tells: here, a file behind a link."""
    real = world.mkdir("elsewhere") / "real.yaml"
    real.write_text(ack(port=1000))
    berthd = world.berthd()
    os.symlink(real, berthd.rules_dirs[0] / "link.yaml")
    wait_open(netns, 1000)
    temporary = real.with_suffix(".new")
    temporary.write_text(ack(port=1001))
    os.rename(temporary, real)
    berthd.send_signal(signal.SIGHUP)
    wait_open(netns, 1001)
    assert netns.ask("127.0.0.1", 1001) == b"ack"


def test_berthctl_reload(world, netns):
    real = world.mkdir("elsewhere") / "real.yaml"
    real.write_text(ack(port=1000))
    berthd = world.berthd()
    os.symlink(real, berthd.rules_dirs[0] / "link.yaml")
    wait_open(netns, 1000)
    temporary = real.with_suffix(".new")
    temporary.write_text(ack(port=1001))
    os.rename(temporary, real)
    done = berthd.ctl("reload")
    assert (done["rules"], done["problems"]) == (1, 0)
    wait_open(netns, 1001)


def test_sighup_in_a_storm(world, netns):
    """Signals while files and namespaces change end nothing."""
    berthd = world.berthd(ack())
    extra = world.name("extra")
    for number in range(100):
        berthd.send_signal(signal.SIGHUP)
        if number % 2:
            extra.delete()
        else:
            extra.create()
            berthd.write_rules("b.yaml", ack(name="b", port=9000 + number))
    wait_open(netns, 8080, 9098)


def test_templates_cannot_leave_their_path(world):
    """A link's name may be "a..b"; what it expands to stays inside."""
    inner = world.mkdir("inner")
    outside, _ = world.unix_listen("x.sock")
    berthd = world.berthd(forward(f"unix:{inner}/${{namespace}}/x.sock"))
    names = [world.netns(name) for name in ("...", "a..b", "..a")]
    wait_equal(berthd.names, sorted(n.name for n in names), "the names")
    outside.settimeout(0.5)
    for place in names:
        try:
            place.connect("127.0.0.1", 8080).close()
        except OSError:
            pass
    with pytest.raises(socket.timeout):
        outside.accept()


def test_metadata_rule_as_people_write_it(world, netns):
    backend, path = world.unix_listen("metadata.sock")
    world.berthd(f"""\
rules:
  - name: metadata
    match:
      namespace: ["n*", "!n-test-*"]
    listen:
      - {{ protocol: tcp, address: 169.254.169.254, port: 80 }}
    forward:
      to: unix:{path}
""")
    other = world.netns("n-test-1")
    netns.addr_add("169.254.169.254/32")
    with netns.connect("169.254.169.254", 80) as client:
        server, _ = backend.accept()
        with server:
            assert works(client, server)
    assert other.listeners() == set()

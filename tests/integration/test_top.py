# SPDX-License-Identifier: Apache-2.0
"""test_top.py - `berthctl top`, in a terminal."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from unicodedata import east_asian_width

import pytest

from harness.berthd import BERTHCTL
from harness.rules import ack, forward, rule, rules
from harness.terminal import Terminal
from harness.traffic import pair
from harness.wait import GUARD, wait_equal, wait_exit, wait_for


@pytest.fixture
def backend(world):
    server = world.close_later(world.host.listen())
    server.settimeout(GUARD)
    return server


@pytest.fixture
def berthd(world):
    world.netns("blue")
    world.netns("red")
    return world.berthd(rules(rule(name="web"),
                              rule(name="dns", namespace="red", port=53)))


def top(world, berthd, *words, **kwargs):
    """It asks ten times a second: quick, and often enough to be in the way."""
    return world.close_later(Terminal(
        [BERTHCTL, "--runtime-dir", berthd.runtime, "top", "--interval",
         "100ms", *words], **kwargs))


def rows(shown):
    """The first words of the lines, without those above and below."""
    return [line.split()[0] for line in shown.screen().split("\n")[3:-2]
            if line.strip()]


def wait_rows(shown, *names):
    wait_equal(lambda: rows(shown)[:len(names)], list(names), "the rows")


def test_views(world, berthd):
    shown = top(world, berthd, "--sort", "name")
    shown.wait_screen("^NAMESPACE .*LISTENING .*CONN/s")
    wait_rows(shown, "blue", "host", "red")
    shown.wait_screen(r"^red +listening +2 ")
    shown.wait_screen(r"^q quit .*filter")
    shown.keys("Tab")
    shown.wait_screen("^CONTAINER ")
    shown.keys("3")
    shown.wait_screen(r"^tcp \*:53 +red +dns +listening ")
    shown.wait_screen(r"^tcp \*:8080 +blue +web +listening ")
    shown.keys("BTab", "BTab")
    shown.wait_screen("^NAMESPACE ")


def test_orders(world, backend):
    """By connections and, at first, by their rate: at the top stands where
    something happens."""
    quiet, busy = world.netns("a-quiet"), world.netns("b-busy")
    del quiet
    berthd = world.berthd(
        forward("{}:{}".format(*backend.getsockname())))
    shown = top(world, berthd)
    ends = []

    def happens():
        ends.append(pair(busy, backend))
        return rows(shown)[:1] == ["b-busy"]

    wait_for(happens, "what is busy to be the first")
    shown.keys("n")
    wait_rows(shown, "a-quiet", "b-busy", "host")
    shown.keys("n")
    wait_rows(shown, "host", "b-busy", "a-quiet")
    shown.keys("c")
    wait_rows(shown, "b-busy", "a-quiet", "host")
    shown.wait_screen(rf"^b-busy +listening +1 +{len(ends)} ")
    shown.wait_screen(r"4 backends +3 by connections$")
    shown.keys("a", "a")
    wait_rows(shown, "host")
    shown.keys("a")
    wait_for(lambda: rows(shown)[-1:] == ["host"], "the oldest to be the last")
    shown.keys("s")
    wait_rows(shown, "a-quiet", "b-busy", "host")


def test_rate(world, backend):
    """It comes up while there are new connections, and goes again."""
    busy = world.netns("busy")
    berthd = world.berthd(
        forward("{}:{}".format(*backend.getsockname())))
    shown = top(world, berthd)
    rate = r"^busy +listening +1 +\d+ +{} "

    def more():
        for end in pair(busy, backend):
            end.close()
        return re.search(rate.format(r"[1-9]\d*(\.\d)?"), shown.screen(), re.M)

    wait_for(more, "a rate")
    shown.wait_screen(rate.format(r"0\.0"))


def test_filter(world, berthd):
    shown = top(world, berthd, "listeners", "--sort", "name")
    wait_rows(shown, "tcp", "tcp", "tcp")
    shown.keys("/", "DNx")
    shown.wait_screen("^filter: DNx_")
    shown.wait_screen(" 0 by name")
    shown.keys("BSpace")
    shown.wait_screen(" 1 by name")
    shown.keys("Enter")
    shown.wait_screen(r"1 by name  filter: DN$")
    assert len(rows(shown)) == 1
    shown.keys("Escape")
    wait_rows(shown, "tcp", "tcp", "tcp")


def test_containers(world, berthd):
    path = berthd.runtime / "containers.d" / ".new"
    path.write_text(json.dumps([
        {"name": "web-1", "netns": str(world.dir / "blue")}]))
    os.rename(path, path.with_name("a.json"))
    shown = top(world, berthd, "containers")
    shown.wait_screen(r"^web-1 +blue +listening +1 +0 ")
    shown.keys("1")
    shown.wait_screen(r"^blue .* web-1$")


def test_backends(world):
    """What fails is at the top of the list by state, and says why."""
    netns = world.netns("n")
    with world.host.listen() as server:
        address = "{}:{}".format(*server.getsockname())
    berthd = world.berthd(forward(address))
    shown = top(world, berthd, "backends", "--sort", "state", columns=140)
    shown.wait_screen("^BACKEND .* CLIENTS .* FAILURES .* DETAIL")
    with suppress(ConnectionResetError):  # as soon as it is accepted
        netns.connect("127.0.0.1", 8080).close()
    shown.wait_screen(rf"^{address} +web +down +0 +1 .*refused")


def test_states(world, berthd):
    """What waits is not hidden among what works."""
    taken = world.netns("taken")
    world.close_later(taken.listen("0.0.0.0", 53))
    berthd.write_rules("b.yaml", ack(name="late", namespace="taken", port=53))
    shown = top(world, berthd, "--sort", "state", columns=160)
    shown.wait_screen("^taken +waiting +1 ")
    wait_rows(shown, "taken")
    shown.keys("3")
    shown.wait_screen(r"^tcp \*:53 +taken +late +waiting ")
    shown.wait_screen("the port is taken")


def lengths(shown):
    return [len(line) for line in shown.screen().split("\n")]


@pytest.mark.parametrize("columns,lines", [(40, 10), (9, 4), (3, 2), (1, 1),
                                           (200, 50)])
def test_resize(world, berthd, columns, lines):
    """It fits into any size, and back."""
    shown = top(world, berthd, "--sort", "name")
    wait_rows(shown, "blue", "host", "red")
    shown.resize(columns, lines)
    if lines > 4:
        shown.wait_screen("^blue")
        shown.wait_screen("^q quit")
    elif columns > 1:
        shown.wait_screen("^q" if lines < 3 else "^q quit")
    assert max(lengths(shown)) <= columns
    shown.resize(100, 30)
    shown.wait_screen("^q quit .*interval")
    wait_rows(shown, "blue", "host", "red")
    shown.keys("q")
    assert shown.exit_status() == 0


def test_quits_and_leaves_the_terminal_as_it_was(world, berthd):
    command = (f"{BERTHCTL} --runtime-dir {berthd.runtime} top; "
               "echo left $?; stty -a")
    shown = world.close_later(Terminal(["sh", "-c", command]))
    shown.wait_screen("^NAMESPACE ")
    assert not shown.is_restored()
    shown.keys("q")
    shown.wait_screen("^left 0$")
    shown.wait_screen(r"(?<!-)icanon")
    shown.wait_screen(r"(?<!-)\becho ")
    assert shown.is_restored()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_quits_on_a_signal(world, berthd, number):
    shown = top(world, berthd)
    shown.wait_screen("^NAMESPACE ")
    os.kill(shown.pid(), number)
    assert shown.exit_status() == 0
    assert shown.is_restored()


def test_quits_on_the_key_that_interrupts(world, berthd):
    shown = top(world, berthd)
    shown.wait_screen("^NAMESPACE ")
    shown.keys("C-c")
    assert shown.exit_status() == 0
    assert shown.is_restored()


def test_terminal_that_goes(world, berthd):
    """As with a lost connection of ssh."""
    # See Terminal._kill().
    shown = top(world, berthd, env={"ASAN_OPTIONS": "detect_leaks=0"})
    shown.wait_screen("^NAMESPACE ")
    pidfd = os.pidfd_open(shown.pid())
    shown.hang_up()
    try:
        assert wait_exit(pidfd)
    finally:
        os.close(pidfd)


def test_berthd_that_goes_and_comes(world, berthd):
    shown = top(world, berthd, "--sort", "name")
    wait_rows(shown, "blue", "host", "red")
    berthd.leave()
    shown.wait_screen("^berthd cannot be reached: .*; trying again$")
    wait_rows(shown, "blue", "host", "red")
    shown.keys("3")
    shown.wait_screen("^LISTENER ")
    berthd.start()
    shown.wait_screen("^berthctl top ")
    wait_rows(shown, "tcp", "tcp", "tcp")


def test_berthd_that_does_not_answer(world, berthd):
    """Keys are heeded all the same."""
    shown = top(world, berthd)
    shown.wait_screen("^NAMESPACE ")
    berthd.send_signal(signal.SIGSTOP)
    try:
        shown.keys("Tab")
        shown.wait_screen("^CONTAINER ")
        shown.keys("q")
        assert shown.exit_status() == 0
    finally:
        berthd.send_signal(signal.SIGCONT)


def cells(text):
    """How wide a text is on a terminal."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def test_odd_names(world):
    """Nothing that a name holds gets to the terminal, and no line is shifted
    by wide characters."""
    names = ["\u6f22\u5b57" * 3, "u\u0308ber", "\x1b[2J\x1b[31m", "a\nb\tc",
             "\udcff\udcfe", "\u202eabc", "x" * 200, "\u6f22" * 80]
    for name in names:
        world.netns(name)
    berthd = world.berthd(ack(namespace="*"))
    shown = top(world, berthd, "--sort", "name", columns=90)
    shown.wait_screen(r"x{10}~? ")
    wait_for(lambda: len(re.findall(r"listening", shown.screen()))
             == len(names), "all of them")
    screen = shown.screen()
    assert r"\x1b[2J\x1b[31m" in screen and r"a\x0ab\x09c" in screen
    assert r"\xff\xfe" in screen and "\u6f22\u5b57" * 3 in screen
    places = {cells(line[:line.index("listening")])
              for line in screen.split("\n") if " listening " in line}
    assert len(places) == 1, screen
    assert "~" in screen
    assert max(cells(line) for line in screen.split("\n")) <= 90


def test_many_rows(world):
    """Only those that are shown are drawn; the last one is a key away."""
    for name in "abc":
        world.netns(name)
    berthd = world.berthd(ack(port="10000-10999"))
    shown = top(world, berthd, "listeners", "--sort", "name", lines=12)
    shown.wait_screen(" 3000 by name")
    wait_for(lambda: berthd.status()["listeners"]["open"] == 3000, "all")
    assert "tcp *:10000 " in shown.screen()
    shown.keys("End")
    shown.wait_screen(r"^tcp \*:10999 +c ")
    shown.keys("PPage", "Home")
    shown.wait_screen(r"^tcp \*:10000 +a ")


def test_colours(world, berthd):
    shown = top(world, berthd)
    shown.wait_screen("listening")
    assert re.search(r"\x1b\[[0-9;]*32m *listening", shown.attributes())
    for words, env in (["--color", "never"], {}), ([], {"NO_COLOR": "1"}):
        plain = top(world, berthd, *words, env=env)
        plain.wait_screen("listening")
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain.attributes())


def run(berthd, *words, **env):
    return subprocess.run(
        [BERTHCTL, "--runtime-dir", berthd.runtime, "top", *words], text=True,
        check=False, timeout=GUARD, capture_output=True,
        stdin=subprocess.DEVNULL, env=dict(os.environ, **env))


def test_json(world, backend):
    """Without a terminal: one sample, with the rates of one interval."""
    busy = world.netns("busy")
    berthd = world.berthd(
        forward("{}:{}".format(*backend.getsockname())))
    ends = pair(busy, backend)
    wait_for(lambda: berthd.ctl("stats")["total"]["accepted"] == 1, "a client")
    done = run(berthd, "--json", "--interval", "100ms")
    assert (done.returncode, done.stderr) == (0, "")
    sample = json.loads(done.stdout)
    assert sample["seconds"] >= 0.1
    namespace, = (n for n in sample["namespaces"] if n["name"] == "busy")
    listener, = sample["listeners"]
    for row in namespace, listener, sample["total"]:
        assert row["counters"]["active"] == row["counters"]["accepted"] == 1
        assert row["per_second"]["accepted"] == 0
        assert row["state"] == "listening"
    assert listener["namespace"] == "busy" and listener["rule"] == "web"
    assert sample["containers"] == []
    assert [row["clients"] for row in sample["backends"]] == [1]
    for end in ends:
        end.close()


def test_refusals(world, berthd):
    """What is wrong is said, on a terminal as it was."""
    for words, code, said in (
            ([], 1, "no terminal"),
            (["bogus"], 2, "bogus"),
            (["--sort", "bogus"], 2, "bogus"),
            (["--interval", "1ms"], 2, "100ms"),
            (["--interval", "bogus"], 2, "bogus"),
            (["listeners", "more"], 2, "more")):
        done = run(berthd, *words)
        assert (done.returncode, done.stdout) == (code, ""), words
        assert said in done.stderr, words
    done = subprocess.run([BERTHCTL, "--runtime-dir", world.base, "top"],
                          text=True, check=False, capture_output=True)
    assert done.returncode == 3 and "is berthd running" in done.stderr


@pytest.mark.parametrize("term,said", [
    ("no-such-terminal", "not known"), ("", "not set"),
    ("dumb", "cannot move its cursor")])
def test_terminals_that_cannot_show_it(world, berthd, term, said):
    shown = world.close_later(Terminal(
        ["env", f"TERM={term}", BERTHCTL, "--runtime-dir", berthd.runtime,
         "top"]))
    assert shown.exit_status() == 1
    assert said in shown.screen()
    assert shown.is_restored()

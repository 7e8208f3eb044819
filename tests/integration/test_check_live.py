# SPDX-License-Identifier: Apache-2.0
"""test_check_live.py - what rule files would do to the namespaces there are."""

import re
import subprocess

import pytest

from harness.berthd import BERTHCTL, BERTHD
from harness.rules import rule, rules

FILE = "50-test.yaml"


@pytest.fixture
def berthd(world):
    for name in ("blue", "ct-1", "red"):
        world.netns(name)
    berthd = world.berthd(rules(rule(name="old", namespace="blue", port=80),
                                rule(name="all", port=81)))
    berthd.wait_delivered()
    return berthd


def run(*argv):
    return subprocess.run([str(arg) for arg in argv], text=True,
                          capture_output=True, check=False, timeout=60)


def check(berthd, *paths):
    return run(*berthd.command(), "--check", "--live", *paths)


def changes(done):
    """The lines of listeners, in any order."""
    assert done.returncode == 0, done.stderr
    return {line for line in done.stdout.splitlines() if line[0] in "+-~"}


def write(world, *made, name="new.yaml"):
    path = world.base / name
    path.write_text(rules(*made))
    return path


def test_new_file(world, berthd):
    path = write(world, rule(name="new", namespace="ct-*", port="90-91"))
    done = check(berthd, path)
    assert changes(done) == {"+ tcp *:90 in ct-1 (rule 'new')",
                             "+ tcp *:91 in ct-1 (rule 'new')"}
    assert "rule 'new' holds in 1 of 4 namespaces: ct-1\n" in done.stdout
    assert "2 listeners would be opened, 0 closed" in done.stdout
    # Nothing was done.
    assert {row["port"] for row in berthd.listeners()} == {80, 81}


def test_file_that_takes_the_place_of_one(world, berthd):
    path = write(world, rule(name="more", namespace="blue", port="79-80"),
                 name=FILE)
    done = check(berthd, path)
    assert changes(done) == {
        "+ tcp *:79 in blue (rule 'more')",
        "~ tcp *:80 in blue (rule 'old' -> 'more')",
        *(f"- tcp *:81 in {name} (rule 'all')"
          for name in ("blue", "ct-1", "red"))}


def test_rule_that_holds_nowhere(world, berthd):
    done = check(berthd, write(world, rule(name="new", namespace="x-*")))
    assert changes(done) == set()
    assert "new.yaml:2:1: warning: rule 'new' holds in none of the 4 " \
        "namespaces" in done.stderr


def test_what_is_not_known_is_said(world, berthd):
    """Nobody asked for addresses by now, so berthd has not looked at them."""
    done = check(berthd, write(world, rule(name="new", address="each", match={
        "address": "10.0.0.0/8"})))
    assert changes(done) == set()
    assert re.search(r"the addresses of \d namespaces are not known yet",
                     done.stdout) or berthd_knows_addresses(berthd)


def berthd_knows_addresses(berthd):
    return all(netns["addresses_known"]
               for netns in berthd.ctl("namespaces")["namespaces"])


def test_by_address_and_label(world):
    """What berthd knows of namespaces counts as it does for berthd."""
    blue = world.netns("blue")
    world.netns("red").addr_add("10.0.0.7/8")
    blue.addr_add("192.0.2.1/32")
    berthd = world.berthd(rules(rule(
        name="look", port=82, address="each",
        match={"address": ["10.0.0.0/8", "192.0.2.0/24"]})))
    berthd.wait_delivered()
    berthd.ctl("register", "--netns", str(blue.path), "--name", "web-1",
               "--label", "app=web")
    done = check(berthd, write(
        world, rule(name="ten", port=83, address="each",
                    match={"address": "10.0.0.0/8"}),
        rule(name="web", port=84, match={"labels": "app=web"})))
    assert changes(done) == {"+ tcp 10.0.0.7:83 in red (rule 'ten')",
                             "+ tcp *:84 in blue (rule 'web')"}


def test_rules_as_they_are(berthd):
    done = check(berthd)
    assert changes(done) == set()
    assert "rule 'old' holds in 1 of 4 namespaces: blue\n" in done.stdout
    assert "rule 'all' holds in 3 of 4 namespaces: " in done.stdout


def test_file_with_an_error(world, berthd):
    path = world.base / "bad.yaml"
    path.write_text("rules:\n  - nam: x\n")
    done = check(berthd, path)
    assert done.returncode == 1
    assert "bad.yaml:2:5: " in done.stderr
    assert "would be opened" not in done.stdout


def test_no_berthd(world, berthd):
    berthd.stop()
    done = check(berthd, write(world, rule(name="new")))
    assert done.returncode == 1
    assert f"cannot ask berthd at {berthd.runtime}/control.sock" in done.stderr


def test_berthctl(world, berthd):
    path = write(world, rule(name="new", namespace="ct-*", port=90))
    ctl = [BERTHCTL, "--runtime-dir", berthd.runtime]
    done = run(*ctl, "check", "--live", path)
    assert done.returncode == 0, done.stderr
    assert "+ tcp *:90 in ct-1 (rule 'new')\n" in done.stdout
    for args in (["--json", "check", "--live"], ["status", "--live"]):
        assert run(*ctl, *args).returncode == 2
    assert run(BERTHD, "--live").returncode == 2

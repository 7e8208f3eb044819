# SPDX-License-Identifier: Apache-2.0
"""test_log_format.py - the log as text, as entries of the journal, as JSON.

The run has a /run of its own, so a socket there stands in for the journal.
"""

import json
import os
import re
import socket
from pathlib import Path

import pytest

from harness.rules import ack
from harness.wait import wait_for
from test_commandline import TIME

JOURNAL = Path("/run/systemd/journal/socket")
GOOD = ack()
BROKEN = GOOD.replace("listen:", "lissten:")


def fields_of(datagram):
    """The fields of an entry, by the journal's native protocol."""
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(datagram[:8], "little")
            value = datagram[8:8 + length]
            assert datagram[8 + length:9 + length] == b"\n"
            datagram = datagram[9 + length:]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", name), name
        assert name not in fields, name
        fields[name.decode()] = value.decode()
    return fields


class Journal:
    """Stands in for systemd-journald."""

    def __init__(self):
        self.entries = []
        JOURNAL.parent.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(JOURNAL))
        os.chmod(JOURNAL, 0o666)
        self.socket.setblocking(False)

    def read(self):
        while True:
            try:
                self.entries.append(fields_of(self.socket.recv(65536)))
            except BlockingIOError:
                return self.entries

    def wait(self, text):
        """Waits for an entry whose message the expression is found in."""
        return wait_for(
            lambda: next((entry for entry in self.read()
                          if re.search(text, entry["MESSAGE"])), None),
            f"an entry like {text!r} in {self.entries}")

    def close(self):
        self.socket.close()
        JOURNAL.unlink(missing_ok=True)


@pytest.fixture
def journal():
    made = Journal()
    yield made
    made.close()


def as_service(berthd):
    """Its standard error leads to the journal, it is told."""
    berthd.log_path.touch()
    stat = berthd.log_path.stat()
    berthd.env["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
    return berthd


def test_journal(world, journal):
    world.netns("n")
    berthd = as_service(world.berthd({"a.yaml": GOOD, "b.yaml": BROKEN},
                                     start=False))
    berthd.start()
    wrong = journal.wait("lissten")
    assert wrong["PRIORITY"] == "3"
    assert wrong["SYSLOG_IDENTIFIER"] == "berthd"
    assert journal.wait("berthd .*ready|ready")["PRIORITY"] == "6"
    assert berthd.log() == ""


def test_journal_has_fields(world, journal):
    """What a line is about can be searched for."""
    netns = world.netns("n")
    with netns.listen("127.0.0.1", 8080):
        berthd = world.berthd(GOOD, start=False,
                              args=["--log-format", "journal"])
        berthd.start()
        waits = journal.wait("cannot listen")
    assert waits["RULE"] == "web"
    assert waits["NETNS"] == "n"
    assert waits["LISTENER"] == "tcp *:8080"
    assert "CONTAINER" not in waits


def test_journal_of_the_relay(world, journal):
    """It has given up all rights by then."""
    world.netns("n")
    berthd = as_service(world.berthd(GOOD, start=False,
                                     args=["--log-level", "debug"]))
    berthd.start()
    wait_for(lambda: [entry for entry in journal.read()
                      if entry["SYSLOG_IDENTIFIER"] == "berth-relay"],
             "an entry of berth-relay")
    assert berthd.log() == ""


def test_journal_stream_of_another(world, journal):
    """The variable was inherited, but standard error leads elsewhere."""
    world.netns("n")
    berthd = world.berthd({"a.yaml": GOOD, "b.yaml": BROKEN}, start=False)
    berthd.env["JOURNAL_STREAM"] = "1:2"
    berthd.start()
    for line in berthd.log().splitlines():
        assert re.match(TIME + " berth(d|-relay): ", line), line
    assert "lissten" in berthd.log()
    assert journal.read() == []


def test_journal_that_is_away(world):
    """Lines go to standard error, and to the journal once it is there."""
    world.netns("n")
    berthd = world.berthd(BROKEN, args=["--log-format", "journal"])
    for line in berthd.log().splitlines():
        assert re.match(r"<[34567]>\S", line), line
    assert "lissten" in berthd.log()
    made = Journal()
    world.defer(made.close)
    before = berthd.log()
    berthd.write_rules("b.yaml", BROKEN.replace("lissten", "listten"))
    made.wait("listten")
    assert "listten" not in berthd.log()[len(before):]


def test_journal_that_is_full(world, journal):
    """Nobody waits for it; what it did not take is counted, and told."""
    world.netns("n")
    berthd = world.berthd(BROKEN, args=["--log-format", "journal"])
    # More files with an error than datagrams have room in its queue.
    with open("/proc/sys/net/unix/max_dgram_qlen", encoding="ascii") as file:
        n = 2 * (int(file.read()) + 8)
    for i in range(n):
        berthd.write_rules(f"x{i}.yaml", BROKEN)
        if i % 64 == 0:
            berthd.ctl("rules")
    berthd.ctl("reload", code=1)
    assert berthd.names() == ["n"]
    taken = len(journal.read())
    assert 0 < taken < n
    berthd.write_rules("last.yaml", BROKEN.replace("lissten", "listten"))
    journal.wait("listten")
    lost = journal.wait("lines were lost")
    assert int(lost["LOST"]) > 0 and lost["PRIORITY"] == "4"
    assert lost["MESSAGE"].startswith(lost["LOST"] + " lines were lost")


def test_json(world):
    world.netns("n")
    berthd = world.berthd({"a.yaml": GOOD, "b.yaml": BROKEN},
                          args=["--log-format", "json",
                                "--log-level", "debug"])
    wait_for(lambda: '"program":"berth-relay"' in berthd.log(),
             "a line of berth-relay")
    lines = [json.loads(line) for line in berthd.log().splitlines()]
    for line in lines:
        assert re.fullmatch(TIME, line["time"])
        assert line["level"] in ("error", "warning", "info", "debug")
        assert line["program"] in ("berthd", "berth-relay")
    assert [line for line in lines
            if line["level"] == "error" and "lissten" in line["message"]]


def test_format_changes_at_reload(world):
    config = world.base / "berthd.yaml"
    config.write_text("log_format: text\n")
    berthd = world.berthd(GOOD, args=["--config", str(config)])
    config.write_text("log_format: json\n")
    before = len(berthd.log())
    assert berthd.ctl("reload")["changed"] == ["log_format"]
    lines = berthd.log()[before:].splitlines()
    assert json.loads(lines[-1])["program"] == "berthd"

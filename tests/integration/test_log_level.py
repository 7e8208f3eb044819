# SPDX-License-Identifier: Apache-2.0
"""test_log_level.py - how much berthd and berth-relay log, while they run."""

from harness.rules import ack

USAGE = 2


def told(berthd, level):
    berthd.wait_log(f"berth-relay: the log level is '{level}' now")


def test_log_level(world):
    berthd = world.berthd(ack())
    berthd.wait_delivered()
    assert berthd.ctl_text("log-level") == "info\n"
    assert berthd.ctl_text("log-level", "debug") == \
        "debug; berth-relay is told\n"
    told(berthd, "debug")
    world.netns("blue")
    berthd.wait_log("berthd: rule 'web': listening on tcp \\*:8080 in netns "
                    "'blue'")
    # A berth-relay that comes later has it, too.
    berthd.kill_relay()
    berthd.relay_pid()
    assert berthd.ctl("log-level") == {"level": "debug", "relay_told": False}
    berthd.ctl("log-level", "error")
    told(berthd, "error")
    assert "berthd refuses 'level'" in \
        berthd.ctl_process("log-level", "loud").stderr
    assert berthd.ctl_process("log-level", "loud").returncode == USAGE
    assert berthd.ctl_text("log-level") == "error\n"


def test_reload_tells_the_relay(world):
    path = world.base / "berthd.yaml"
    path.write_text("log_level: info\n")
    berthd = world.berthd(ack(), args=["--config", path])
    berthd.wait_delivered()
    path.write_text("log_level: debug\n")
    berthd.ctl("reload")
    told(berthd, "debug")

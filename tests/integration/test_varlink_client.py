# SPDX-License-Identifier: Apache-2.0
"""test_varlink_client.py - a Varlink client that others wrote: Debian's
golang-github-varlink-go-dev."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.rules import ack

SOURCE = Path(__file__).with_name("varlink_client.go")
GOCODE = Path("/usr/share/gocode")
ROOT_BUILD = Path(__file__).resolve().parents[2] / "build"
BUILD = ROOT_BUILD / "tests" / "go"
# What the example in Go has compiled already.
CACHE = ROOT_BUILD / "contrib/consumers/go/cache"
GO_SECONDS = 300


def client():
    """Built once for all sessions, without network."""
    go = shutil.which("go")
    if not go or not (GOCODE / "src/github.com/varlink/go").exists():
        pytest.skip("needs Go and its Varlink: contrib/install-dependencies "
                    "test")
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            [go, "build", "-o", BUILD / "varlink_client", SOURCE], check=True,
            timeout=GO_SECONDS,
            env=dict(os.environ, GO111MODULE="off", GOPATH=str(GOCODE),
                     GOPROXY="off", CGO_ENABLED="0",
                     GOCACHE=str(CACHE)))
    return BUILD / "varlink_client"


def test_foreign_client(world):
    program = client()
    world.netns("blue")
    berthd = world.berthd(ack())
    process = subprocess.Popen([program, berthd.runtime / "control.sock"],
                               stdout=subprocess.PIPE, text=True)
    world.defer(process.wait)
    world.defer(process.kill)

    def said():
        return json.loads(process.stdout.readline())

    described = said()
    assert described["product"] == "berthd"
    assert {"org.varlink.service", "io.berth"} <= set(described["interfaces"])
    assert described["name"] == "io.berth"
    assert {"GetStatus", "Monitor", "Register"} <= set(described["methods"])
    assert said() == {"settled": True}
    assert said() == {"error": "io.berth.NoSuchNamespace"}
    assert said() == {"names": ["blue"]}
    assert said() == {"events": []}
    world.netns("red")
    event, = said()["events"]
    assert (event["event"], event["namespace"]) == \
        ("namespace.appeared", "red")
    process.stdout.close()

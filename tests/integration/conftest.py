# SPDX-License-Identifier: Apache-2.0
"""conftest.py - a world for each test, on namespaces of the run's own."""

import os
import signal
import socket

import pytest

pytest.register_assert_rewrite("harness")

from harness import berthd, kernel  # noqa: E402
from harness.fixtures import (  # noqa: E402, F401
    back, backend, datagrams, front, monitor)
from harness.report import pytest_runtest_makereport  # noqa: E402, F401
from harness.wait import GUARD  # noqa: E402
from harness.world import World  # noqa: E402

_REASONS = []


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "kernel: the outcome can depend on the kernel; make "
        "check-vm runs it under the others, too (tests/README.md)")
    config.addinivalue_line(
        "markers", "alone: needs every processor, or changes a limit of the "
        "whole machine; nothing may run beside it (tests/README.md)")


def pytest_sessionstart(session):
    del session
    if os.geteuid() != 0:
        _REASONS.append("needs root: namespaces are made and mounted")
        return
    missing = [path for path in (berthd.BERTHD, berthd.BERTHCTL, berthd.RELAY)
               if not path.exists()]
    if missing:
        raise pytest.UsageError(f"run make first, there is no {missing[0]}")
    kernel.Host.enter_private_world()
    # A shell has the programs that it starts in the background ignore it, and
    # they theirs: berthd too, for the first moments.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Accepted sockets have it too: no test waits for ever.
    socket.setdefaulttimeout(GUARD)


def pytest_report_header(config):
    del config
    kind = "with sanitizers" if berthd.SANITIZED else "plain"
    return f"berth: {berthd.BUILD} ({kind})"


def pytest_collection_modifyitems(config, items):
    del config
    for reason in _REASONS:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()

# SPDX-License-Identifier: Apache-2.0
"""conftest.py - which tests run inside the machine and which on its host"""
import os
import pathlib
import socket
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "integration"))
pytest.register_assert_rewrite("harness", "sctp")

from harness import kernel  # noqa: E402
from harness.fixtures import back, front, monitor  # noqa: E402, F401
from harness.report import pytest_runtest_makereport  # noqa: E402, F401
from harness.wait import GUARD  # noqa: E402
from harness.world import World  # noqa: E402

HOST_FILES = ("test_run.py", "test_systemd.py")
NO_SCTP_FILES = ("test_no_sctp.py",)


def sctp_loaded():
    return pathlib.Path("/sys/module/sctp").exists()


def reason_to_skip(name):
    """Why a test file cannot run here; None if it can."""
    inside = "BERTH_VM" in os.environ
    if name in HOST_FILES:
        return "runs on the host of the machines" if inside else None
    if not inside:
        return "runs in a virtual machine: tests/vm/run"
    if name in NO_SCTP_FILES and sctp_loaded():
        return "needs a kernel without SCTP: tests/vm/run --without-sctp"
    return None


def is_for_this_kernel(item):
    """KERNELS: under which the tests run that are started along with this
    run, see tests/README.md; unset: everything runs here. The first of them
    has the integration tests to run, so what is not marked "kernel" is left
    to the last."""
    kernels = os.environ.get("KERNELS", "").split()
    here = os.environ.get("BERTH_VM")
    return here not in kernels or item.get_closest_marker("kernel") \
        or kernels[-1] == here


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "kernel: the outcome can depend on the kernel; make "
        "check-vm runs it under each of them (tests/README.md)")


def pytest_collection_modifyitems(config, items):
    others = [item for item in items if not is_for_this_kernel(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    for item in items:
        reason = reason_to_skip(item.path.name)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def private_world():
    kernel.Host.enter_private_world()
    socket.setdefaulttimeout(GUARD)


@pytest.fixture
def world(private_world):
    """As in the integration tests."""
    del private_world
    made = World()
    yield made
    made.close()

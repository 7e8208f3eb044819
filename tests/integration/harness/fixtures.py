# SPDX-License-Identifier: Apache-2.0
"""fixtures.py - what tests on the host and in virtual machines begin with.

A conftest imports them; the fixture `world` is its own.
"""
import socket

import pytest

from .witness import NsidMonitor


@pytest.fixture
def monitor(world):
    return NsidMonitor(world)


@pytest.fixture
def front(world):
    """Where clients are."""
    return world.netns("front")


@pytest.fixture
def back(world):
    """Where their backends are."""
    return world.netns("back")


@pytest.fixture
def backend(world):
    """A listening socket of TCP on the host."""
    return world.close_later(world.host.listen())


@pytest.fixture
def datagrams(world):
    """A socket of UDP on the host."""
    return world.close_later(world.host.listen(kind=socket.SOCK_DGRAM))

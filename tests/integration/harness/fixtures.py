# SPDX-License-Identifier: Apache-2.0
"""fixtures.py - what tests on the host and in virtual machines begin with.

A conftest imports them; the fixture `world` is its own.
"""
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

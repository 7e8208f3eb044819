# SPDX-License-Identifier: Apache-2.0
"""conftest.py - one build outside the tree that several tests look at"""
import pytest

from make import HARD, make


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder of that build."""
    build = tmp_path_factory.mktemp("berth-build") / "build"
    make(f"BUILD={build}", "CI=1", f"CFLAGS={HARD}", "all")
    return build

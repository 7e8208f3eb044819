# SPDX-License-Identifier: Apache-2.0
"""conftest.py - a build and packages that several tests look at"""
import os
import shutil
import subprocess

import pytest

from make import HARD, ROOT, make


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder of that build."""
    build = tmp_path_factory.mktemp("berth-build") / "build"
    make(f"BUILD={build}", "CI=1", f"CFLAGS={HARD}", "all")
    return build


@pytest.fixture(scope="session")
def packages():
    """The folder with the Debian packages of this tree, built once for these
    tests and tests/vm/test_systemd.py."""
    if not shutil.which("dh"):
        pytest.skip("no debhelper: contrib/install-dependencies test")
    folder = ROOT / os.environ.get("BERTH_BUILD", "build") / "package"
    done = subprocess.run([ROOT / "contrib/build-package", folder], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return folder

# SPDX-License-Identifier: Apache-2.0
"""test_systemd.py - the Debian package under systemd as process 1: installed,
upgraded, and purged, with clients that must not notice before that

Runs on the host, once: one boot of one kernel, in which guest_systemd.py does
it all. What it depends on is systemd, which is the machine's own.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = (ROOT / os.environ.get("BERTH_BUILD", "build")).resolve()
STEPS = ["install", "rule", "reload", "restart", "watchdog", "upgrade",
         "relay", "purge"]
BUILD_GUARD = 600
GUARD = 1200  # booting and eight steps take some four minutes on an idle machine


def newer_package(package, folder):
    """The same files with a higher version: to systemd and dpkg, whose part
    this is about, that is all an upgrade is."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 0.2.0",
                              control.read_text(), flags=re.M))
    newer = folder / "berth_0.2.0.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, newer],
                   check=True, stdout=subprocess.DEVNULL)
    return newer


def test_service_under_systemd():
    if not shutil.which("dh") or not os.path.exists("/lib/systemd/systemd"):
        pytest.skip("no debhelper or systemd: contrib/install-dependencies "
                    "build test vm")
    packages = BUILD / "package"
    subprocess.run([ROOT / "contrib/build-package", packages], check=True,
                   timeout=BUILD_GUARD, stdout=subprocess.DEVNULL)
    first, = packages.glob("berth_*.deb")
    # Below the build folder, which the machine sees wherever it is.
    folder = packages / "newer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    second = newer_package(first, folder)
    done = subprocess.run(
        [HERE / "run", "--systemd", "--kernel", "6.1", "--timeout",
         str(GUARD), "--", sys.executable, HERE / "guest_systemd.py", first,
         second], text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:]
    assert re.findall(r"^ok: step_(\w+)", done.stdout, re.M) == STEPS

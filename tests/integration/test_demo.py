# SPDX-License-Identifier: Apache-2.0
"""test_demo.py - what README says first: make demo shows the main job."""

import os
import subprocess
from pathlib import Path

from harness.berthd import BUILD

ROOT = Path(__file__).resolve().parents[2]


def test_demo():
    done = subprocess.run([ROOT / "contrib" / "demo"], cwd=ROOT, text=True,
                          capture_output=True, check=False, timeout=120,
                          env=dict(os.environ, BERTH_BUILD=str(BUILD)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no process, no socket on port" in done.stdout

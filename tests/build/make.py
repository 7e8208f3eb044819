# SPDX-License-Identifier: Apache-2.0
"""make.py - runs make as a user would"""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Quick to build: what the optimizer warns of is seen by every other build.
HARD = "-O0"


def make(*args, check=True):
    """Runs make as from a user's shell, without the outer make's flags."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CI")}
    result = subprocess.run(["make", f"-j{os.cpu_count()}", *args], cwd=ROOT,
                            env=env, text=True, capture_output=True)
    if check and result.returncode != 0:
        pytest.fail(f"make {' '.join(args)}:\n{result.stdout}{result.stderr}")
    return result

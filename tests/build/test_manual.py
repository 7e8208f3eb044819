# SPDX-License-Identifier: Apache-2.0
"""test_manual.py - the manual pages are right, and all of them are installed."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "doc").glob("*.[1-8]"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing(page):
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(page)],
                          text=True, capture_output=True, check=False,
                          timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_all_are_installed():
    installed = (ROOT / "contrib" / "install-files").read_text()
    assert PAGES
    for page in PAGES:
        assert f"doc/{page.name} $MANDIR/man{page.suffix[1]}/{page.name}" \
            in installed

# SPDX-License-Identifier: Apache-2.0
"""report.py - what a failed test shows; a conftest.py imports it."""

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the logs of the daemons of a test that failed."""
    del call
    report = (yield).get_result()
    made = getattr(item, "funcargs", {}).get("world")
    if report.failed and made is not None:
        for daemon in made.daemons:
            if daemon.log_path.exists():
                report.sections.append(
                    (f"log of {daemon.base.name}", daemon.log()[-8000:]))

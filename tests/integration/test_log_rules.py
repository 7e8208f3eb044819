# SPDX-License-Identifier: Apache-2.0
"""test_log_rules.py - each reload says what it changed."""

import re

from harness.rules import rule, rules


def test_what_changes(world):
    world.netns("n")
    berthd = world.berthd({"a.yaml": rules(rule(name="stays", port=1),
                                           rule(name="moves", port=2),
                                           rule(name="goes", port=3))})
    berthd.wait_log("3 rules in force$")
    assert berthd.names() == ["n"]
    berthd.write_rules("a.yaml", rules(
        rule(name="stays", port=1), rule(name="moves", port=4),
        *(rule(name=f"new{i}", port=10 + i) for i in range(7))))
    berthd.wait_log(re.escape(
        "9 rules in force: 7 added ('new0', 'new1', 'new2', 'new3', 'new4', "
        "and 2 more), 1 changed ('moves'), 1 gone ('goes'); "
        "8 listeners opened, 2 closed") + "$")
    before = len(berthd.log())
    berthd.write_rules("a.yaml", rules(rule(name="stays", port=1)))
    berthd.wait_log(r"1 rule in force: 8 gone \('moves', 'new0', 'new1', "
                    r"'new2', 'new3', and 3 more\); 0 listeners opened, "
                    r"8 closed$", before)

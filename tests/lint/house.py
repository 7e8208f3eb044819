#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""house.py - the house's own rules, that no linter knows

usage: tests/lint/house.py [ROOT]

Each rule is a file beside this one, with a function check(tree) that finds
what breaks it; source.py reads the tree. Prints file:line: message for each
violation; exit status 1 if there is one.
"""
import sys

sys.dont_write_bytecode = True

import circles  # noqa: E402
import comments  # noqa: E402
import contracts  # noqa: E402
import form  # noqa: E402
import layers  # noqa: E402
import members  # noqa: E402
import pages  # noqa: E402
import source  # noqa: E402

RULES = [form, layers, circles, comments, members, contracts, pages]


def violations(tree):
    """The messages, in order of their places."""
    problems = {problem for rule in RULES for problem in rule.check(tree)}
    return [f"{name}:{line}: {message}"
            for name, line, message in sorted(problems)]


def main():
    tree = source.Tree(sys.argv[1] if len(sys.argv) > 1 else ".")
    problems = violations(tree)
    print("\n".join(problems + [
        f"house rules: {len(tree.files)} files, {len(problems)} violations"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

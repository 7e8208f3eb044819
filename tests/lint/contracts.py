# SPDX-License-Identifier: Apache-2.0
"""contracts.py - each prototype in a header has its contract

A contract is a comment "/** name() - what it does" that ends right above the
prototype of that name.
"""
import re

import layers

PROTOTYPE = re.compile(
    r"^(?!typedef\b|static\b)(?:__attribute__\s*\(\(.*?\)\)\s*)?"
    r"[A-Za-z_][\w \t*]*?(?:\s|\*)(\w+)\s*\([^;{}]*;", re.M)
CONTRACT = re.compile(r"/\*\*[\s*]+(\w+)\(\) - \S")


def check(tree):
    for source in tree.c_files:
        if not source.is_header or not layers.layer(source.name):
            continue
        ends = {begin + len(text): text for begin, text in source.comments}
        for match in PROTOTYPE.finditer(source.code):
            above = len(source.text[:match.start()].rstrip())
            contract = CONTRACT.match(ends.get(above, ""))
            name = match.group(1)
            if not contract or contract.group(1) != name:
                yield source.name, source.line(match.start(1)), (
                    f"{name}() has no contract: expected "
                    f'"/** {name}() - what it does" right above')

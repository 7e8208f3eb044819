# SPDX-License-Identifier: Apache-2.0
"""form.py - license line, first comment, length of functions and files, and
two calls that are easily forgotten"""
import os
import re

import layers

MAX_FUNCTION = 100
MAX_FILE = 800
SPDX = "SPDX-License-Identifier: Apache-2.0"
# Input of tests, where a line more would be another test.
DATA = re.compile(r"^tests/(?:.*/)?(golden|data|corpus)/|\.in\.yaml$")

# What the relay sets on sockets, and what its filter of system calls allows.
CONFINE = "relay/confine.c"
OPTION_SET = re.compile(r"\bsetsockopt\(\s*[^,]+,\s*(\w+),\s*(\w+)")
OPTION_ALLOWED = re.compile(r"\{\s*((?:SOL|IPPROTO)_\w+),\s*(\w+)\s*\}")
OPTION_ANY = {"IPPROTO_SCTP"}


def is_source(source):
    """Must this file carry the license line?"""
    if DATA.search(source.name) or not source.text:
        return False
    return (source.name.endswith((".c", ".h", ".py", ".yaml", ".service"))
            or source.base == "Makefile" or source.text.startswith("#!"))


def check_head(source):
    """License line, first comment, length of the file."""
    length = len(source.lines) - 1
    if not any(SPDX in line for line in source.lines[:2]):
        yield 1, f'expected "{SPDX}" in the first two lines'
    if length > MAX_FILE:
        yield length, f"file of {length} lines; over {MAX_FILE} is refused"
    if source.is_c and (len(source.lines) < 2 or not
                        source.lines[1].startswith(f"/* {source.base} - ")):
        yield 2, f'expected "/* {source.base} - what it is for"'


def check_functions(source):
    """The length of functions: what stands between braces in column 1."""
    begin = None
    for number, line in enumerate(source.code.split("\n"), 1):
        if line.startswith("{"):
            begin = number
        elif line.startswith("}") and begin:
            length = number - begin - 1
            if length > MAX_FUNCTION:
                yield begin, (f"function of {length} lines; "
                              f"over {MAX_FUNCTION} is refused")
            begin = None


def check_uthash(source):
    """Without this uthash calls exit(3) when memory is out."""
    at = source.text.find("#include <uthash.h>")
    if layers.layer(source.name) and at >= 0 \
            and "#define HASH_NONFATAL_OOM 1" not in source.text[:at]:
        yield source.line(at), \
            "define HASH_NONFATAL_OOM before uthash.h, or it calls exit()"


def check_options(tree, source):
    """A socket option that the filter does not know fails only in a build
    without sanitizers, and maybe in no test."""
    if not source.name.startswith("relay/") or source.name == CONFINE:
        return
    confine = tree.files.get(CONFINE)
    allowed = set(OPTION_ALLOWED.findall(confine.text) if confine else ())
    for match in OPTION_SET.finditer(source.code):
        if match.group(1) not in OPTION_ANY \
                and match.groups() not in allowed:
            yield source.line(match.start()), (
                f"{CONFINE} does not allow setsockopt("
                f"{match.group(1)}, {match.group(2)})")


def check(tree):
    for source in filter(is_source, tree.files.values()):
        problems = list(check_head(source))
        if source.is_c:
            problems += [*check_functions(source), *check_uthash(source),
                         *check_options(tree, source)]
        for line, message in problems:
            yield source.name, line, message

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""house.py - the house's own rules, that no linter knows

usage: tests/lint/house.py [ROOT]

Layers: who may include whom. Kernel contact: each subject in one file. Form:
license line, first comment, length of functions and files. Prints
file:line: message for each violation; exit status 1 if there is one.
"""
import os
import re
import subprocess
import sys

# Folder: which folders' headers its files may include (its own always).
LAYERS = {
    "common": set(),
    "watcher": {"common"},
    "rules": {"common"},
    "binder": {"common"},
    "daemon": {"common", "watcher", "rules", "binder", "lib",
               "daemon/consumers", "daemon/control"},
    "daemon/consumers": {"common", "watcher", "rules", "binder", "lib",
                         "daemon"},
    "daemon/control": {"common", "watcher", "rules", "binder", "lib",
                       "daemon", "daemon/consumers"},
    "lib": set(),
    "relay": {"common", "lib", "relay/core", "relay/tcp", "relay/udp",
              "relay/sctp"},
    "relay/core": {"common", "lib"},
    "relay/backend": {"common", "relay/core"},
    "relay/tcp": {"common", "relay/core", "relay/backend"},
    "relay/udp": {"common", "relay/core", "relay/backend"},
    "relay/sctp": {"common", "relay/core", "relay/backend"},
    "ctl": {"common", "lib"},
}

# rules is pure: of the kernel it may know addresses, nothing more. Their
# scopes and flags are in the two headers of linux/ that are let through.
RULES_FORBIDDEN = re.compile(
    r"<(linux/(?!rtnetlink\.h|if_addr\.h)|asm/|sched\.h|sys/(epoll|inotify|ioctl|mount|signalfd|"
    r"timerfd|eventfd)\.h)")

# Contact with the kernel for one subject sits in one file.
ONE_FILE = [
    (re.compile(r"\bsetns\s*\("), {"common/netns_enter.c"},
     "only common/netns_enter.c enters a namespace"),
    (re.compile(r"\binotify_(init1?|add_watch)\s*\("), {"common/dirwatch.c"},
     "only common/dirwatch.c speaks to inotify"),
]

# What the relay sets on sockets, and what its filter of system calls allows.
CONFINE = "relay/confine.c"
OPTION_SET = re.compile(r"\bsetsockopt\(\s*[^,]+,\s*(\w+),\s*(\w+)")
OPTION_ALLOWED = re.compile(r"\{\s*((?:SOL|IPPROTO)_\w+),\s*(\w+)\s*\}")
OPTION_ANY = {"IPPROTO_SCTP"}

MAX_FUNCTION = 100
MAX_FILE = 800

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
SPDX = "SPDX-License-Identifier: Apache-2.0"
# Input of tests, where a line more would be another test.
DATA = re.compile(r"^tests/(?:.*/)?(golden|data|corpus)/|\.in\.yaml$")


def tracked_files(root):
    """Files under version control, and those about to be."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"],
            cwd=root, check=True, capture_output=True).stdout.decode()
        names = set(filter(None, listing.split("\0")))
    except (OSError, subprocess.CalledProcessError):
        names = set()
        for folder, dirs, files in os.walk(root):
            dirs[:] = [d for d in dirs if d not in (".git", "build")]
            names |= {os.path.relpath(os.path.join(folder, f), root)
                      for f in files}
    return sorted(n for n in names
                  if os.path.isfile(os.path.join(root, n)))


def strip_comments(lines):
    """The same lines with comments and strings blanked out."""
    text = "\n".join(lines)
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'
                       r"'(?:\\.|[^'\\\n])*'", re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                     text).split("\n")


def layer(path):
    """The layer of a file: the folder that it is in, if that is a layer."""
    folder = os.path.dirname(path)
    return folder if folder in LAYERS else None


def check_include(name, number, line):
    """Where one #include line breaks the layers."""
    folder = layer(name)
    match = INCLUDE.match(line)
    if not match or not folder:
        return
    kind, path = match.groups()
    target = layer(path)
    if kind == '"' and not target:
        yield number, f'"{path}": name it from the top: "folder/file.h"'
    elif kind == "<" and target:
        yield number, f'<{path}> is ours: write "{path}"'
    elif target and target != folder \
            and target not in LAYERS[folder]:
        yield number, f"layer rule: {folder}/ may not include {target}/"
    elif folder == "rules" and RULES_FORBIDDEN.search(line):
        yield number, f"layer rule: rules/ is pure and has no use for {path}"


def check_code(name, code):
    """Kernel contact and the length of functions, on comment-free lines."""
    begin = None
    for number, line in enumerate(code, 1):
        for pattern, homes, message in ONE_FILE:
            if layer(name) and name not in homes \
                    and pattern.search(line):
                yield number, message
        if line.startswith("{"):
            begin = number
        elif line.startswith("}") and begin:
            if number - begin - 1 > MAX_FUNCTION:
                yield begin, (f"function of {number - begin - 1} lines; "
                              f"over {MAX_FUNCTION} is refused")
            begin = None


def check_uthash(name, lines):
    """Without this uthash calls exit(3) when memory is out."""
    text = "\n".join(lines)
    at = text.find("#include <uthash.h>")
    if layer(name) and at >= 0 \
            and "#define HASH_NONFATAL_OOM 1" not in text[:at]:
        yield text[:at].count("\n") + 1, \
            "define HASH_NONFATAL_OOM before uthash.h, or it calls exit()"


def check_c(name, lines):
    """All that concerns one .c or .h file."""
    base = os.path.basename(name)
    if len(lines) < 2 or not lines[1].startswith(f"/* {base} - "):
        yield 2, f'expected "/* {base} - what it is for"'
    for number, line in enumerate(lines, 1):
        yield from check_include(name, number, line)
    yield from check_uthash(name, lines)
    yield from check_code(name, strip_comments(lines))


def options_allowed(root):
    """The pairs of level and option in the relay's filter."""
    try:
        with open(os.path.join(root, CONFINE), encoding="utf-8") as stream:
            return set(OPTION_ALLOWED.findall(stream.read()))
    except OSError:
        return set()


def check_options(root, name, lines):
    """A socket option that the filter does not know fails only in a build
    without sanitizers, and maybe in no test."""
    if not name.startswith("relay/") or name == CONFINE:
        return
    text = "\n".join(strip_comments(lines))
    for match in OPTION_SET.finditer(text):
        if match.group(1) not in OPTION_ANY \
                and match.groups() not in options_allowed(root):
            yield text[:match.start()].count("\n") + 1, (
                f"{CONFINE} does not allow setsockopt("
                f"{match.group(1)}, {match.group(2)})")


def is_source(name, lines):
    """Must this file carry the license line?"""
    if DATA.search(name) or lines == [""]:
        return False
    return (name.endswith((".c", ".h", ".py", ".yaml", ".service"))
            or os.path.basename(name) == "Makefile"
            or bool(lines and lines[0].startswith("#!")))


def check_file(root, name):
    with open(os.path.join(root, name), encoding="utf-8",
              errors="replace") as stream:
        lines = stream.read().split("\n")
    if not is_source(name, lines):
        return
    if not any(SPDX in line for line in lines[:2]):
        yield 1, f'expected "{SPDX}" in the first two lines'
    if len(lines) - 1 > MAX_FILE:
        yield len(lines) - 1, (f"file of {len(lines) - 1} lines; "
                               f"over {MAX_FILE} is refused")
    if name.endswith((".c", ".h")):
        yield from check_c(name, lines)
        yield from check_options(root, name, lines)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    names = tracked_files(root)
    problems = [f"{name}:{number}: {message}" for name in names
                for number, message in check_file(root, name)]
    print("\n".join(problems + [
        f"house rules: {len(names)} files, {len(problems)} violations"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

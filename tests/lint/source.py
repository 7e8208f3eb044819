# SPDX-License-Identifier: Apache-2.0
"""source.py - the tree that the house rules look at

Every rule sees the same files, read once: their lines, their code without
comments and texts, and what each includes.
"""
import functools
import os
import re
import subprocess

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
# A comment (the group) or a text; a comment may stand in no text, and a text
# in no comment.
COMMENT_OR_TEXT = re.compile(
    r"""(//[^\n]*|/\*.*?\*/)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


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


def blank(match):
    """As many spaces, so that lines and columns stay what they are."""
    return re.sub(r"[^\n]", " ", match.group(0))


def end_of_brackets(text, begin):
    """Where the bracket that opens at begin is closed, or the text's end."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    opens, closes = text[begin], pairs[text[begin]]
    depth = 0
    for match in re.compile(rf"[{re.escape(opens + closes)}]").finditer(
            text, begin):
        depth += 1 if match.group(0) == opens else -1
        if depth == 0:
            return match.start()
    return len(text)


class Source:
    """One file."""

    def __init__(self, root, name):
        with open(os.path.join(root, name), encoding="utf-8",
                  errors="replace") as stream:
            self.text = stream.read()
        self.name = name
        self.folder, self.base = os.path.split(name)
        self.is_c = name.endswith((".c", ".h"))
        self.is_header = name.endswith(".h")

    @functools.cached_property
    def lines(self):
        return self.text.split("\n")

    @functools.cached_property
    def code(self):
        """The text with comments and texts blanked out."""
        return COMMENT_OR_TEXT.sub(blank, self.text)

    @functools.cached_property
    def comments(self):
        """Each comment with the place where it begins."""
        return [(match.start(), match.group(1))
                for match in COMMENT_OR_TEXT.finditer(self.text)
                if match.group(1)]

    @functools.cached_property
    def includes(self):
        """(line, bracket or quote, path) of each #include."""
        return [(self.line(match.start(1)), *match.groups())
                for match in INCLUDE.finditer(self.text)]

    def line(self, position):
        """The number of the line that holds this position of the text."""
        return self.text.count("\n", 0, position) + 1


class Tree:
    """All files below one folder."""

    def __init__(self, root):
        self.root = root
        self.files = {name: Source(root, name)
                      for name in tracked_files(root)}

    @functools.cached_property
    def c_files(self):
        return [source for source in self.files.values() if source.is_c]

    def included(self, source):
        """(line, file) for each #include of a file of this tree."""
        for line, kind, path in source.includes:
            if kind == '"' and path in self.files:
                yield line, self.files[path]

    @functools.cached_property
    def includers(self):
        """By name of a file: the names of all that include it, by way of
        others too, and its own."""
        direct = {name: set() for name in self.files}
        for source in self.c_files:
            for _, target in self.included(source):
                direct[target.name].add(source.name)
        return {name: reach(direct, name) for name in direct}


def reach(graph, begin):
    """All nodes that can be reached from one, and itself."""
    found, new = {begin}, [begin]
    while new:
        for node in graph[new.pop()]:
            if node not in found:
                found.add(node)
                new.append(node)
    return found

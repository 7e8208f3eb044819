# SPDX-License-Identifier: Apache-2.0
"""comments.py - a comment names no function that does not exist

name() in a comment must be the name of something that code of this tree
defines, declares or calls; so functions of libraries resolve when somebody
calls them, and others are written as their pages of the manual: name(3). A
function of the kernel stands in one comment with its file: tcp_done() in
net/ipv4/tcp.c. _new() means each function whose name ends so.
"""
import re

NAMED = re.compile(r"(?<![\w.%])([A-Za-z_]\w*)\(\)")
CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
KERNEL_FILE = re.compile(
    r"\b(?:block|drivers|fs|include|kernel|lib|mm|net|security)/"
    r"[\w/-]+\.[ch]\b")


def check(tree):
    known = set()
    for source in tree.c_files:
        known.update(CALLED.findall(source.code))
    ends = {name[i:] for name in known for i, char in enumerate(name)
            if char == "_"}
    for source in tree.c_files:
        for begin, text in source.comments:
            if any(path not in tree.files
                   for path in KERNEL_FILE.findall(text)):
                continue
            for match in NAMED.finditer(text):
                name = match.group(1)
                if name not in known and \
                        not (name.startswith("_") and name in ends):
                    yield (source.name,
                           source.line(begin + match.start()),
                           f"there is no {name}()")

# SPDX-License-Identifier: Apache-2.0
"""pages.py - doc/architecture.md says what each file is for

Its table of folders names each module: `name` is name.c and name.h, `name*`
each whose name begins so. An x_internal.h belongs to x.
"""
import fnmatch
import re

import circles
import layers

PAGE = "doc/architecture.md"
ROW = re.compile(r"^\|((?: ?`[\w/]+/`,?)+) \|([^|]*)\|", re.M)
QUOTED = re.compile(r"`([^`]+)`")


def named(page):
    """By folder: what its row names."""
    names = {}
    for folders, files in ROW.findall(page.text):
        for folder in QUOTED.findall(folders):
            names[folder.rstrip("/")] = QUOTED.findall(files)
    return names


def check(tree):
    page = tree.files.get(PAGE)
    if not page:
        return
    names = named(page)
    for source in tree.c_files:
        name = circles.module(source.base)
        if layers.layer(source.name) and not any(
                fnmatch.fnmatchcase(name, pattern)
                for pattern in names.get(source.folder, [])):
            yield source.name, 1, (
                f"{PAGE} does not say what {name} is for: name it in the "
                f"row of {source.folder}/")

# SPDX-License-Identifier: Apache-2.0
"""layers.py - who may include whom, and which file speaks to the kernel"""
import os
import re

# Folder: which folders' headers its files may include (its own always).
LAYERS = {
    "common": set(),
    "watcher": {"common"},
    "rules": {"common"},
    "binder": {"common"},
    "daemon": {"common", "watcher", "rules", "binder", "lib", "client",
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
    "relay/http": {"common"},
    "relay/tcp": {"common", "relay/core", "relay/backend", "relay/http"},
    "relay/udp": {"common", "relay/core", "relay/backend"},
    "relay/sctp": {"common", "relay/core", "relay/backend"},
    "client": {"common"},
    "ctl": {"common", "lib", "client", "ctl/top"},
    "ctl/top": {"common", "client", "ctl"},
    "hook": {"common", "client"},
    "hook/follow": {"common", "client"},
    "web": {"common", "client"},
    # Built as its copies are, from <berth.h> alone.
    "contrib/consumers/c": set(),
}

# rules is pure: of the kernel it may know addresses, nothing more. Their
# scopes and flags are in the two headers of linux/ that are let through.
RULES_FORBIDDEN = re.compile(
    r"^(linux/(?!rtnetlink\.h|if_addr\.h)|asm/|sched\.h|"
    r"sys/(epoll|inotify|ioctl|mount|signalfd|timerfd|eventfd)\.h)")

# Contact with the kernel for one subject sits in one file.
ONE_FILE = [
    (re.compile(r"\bsetns\s*\("), "common/netns_enter.c",
     "only common/netns_enter.c enters a namespace"),
    (re.compile(r"\binotify_(?:init1?|add_watch)\s*\("), "common/dirwatch.c",
     "only common/dirwatch.c speaks to inotify"),
]


def layer(path):
    """The layer of a file: the folder that it is in, if that is a layer."""
    folder = os.path.dirname(path)
    return folder if folder in LAYERS else None


def check_include(source, kind, path):
    """What is wrong with one #include of a file of a layer, or None."""
    folder, target = source.folder, layer(path)
    if kind == '"' and not target:
        return f'"{path}": name it from the top: "folder/file.h"'
    if kind == "<" and target:
        return f'<{path}> is ours: write "{path}"'
    if target and target != folder and target not in LAYERS[folder]:
        return f"layer rule: {folder}/ may not include {target}/"
    if folder == "rules" and RULES_FORBIDDEN.search(path):
        return f"layer rule: rules/ is pure and has no use for {path}"
    return None


def check(tree):
    """Each C file is in a layer, and includes and calls what that one may."""
    for source in tree.c_files:
        if not layer(source.name):
            if source.name.split("/")[0] != "tests":
                yield source.name, 1, (
                    f"layer rule: {source.folder or 'the top'}/ is no layer: "
                    "add it to LAYERS in tests/lint/layers.py")
            continue
        for line, kind, path in source.includes:
            message = check_include(source, kind, path)
            if message:
                yield source.name, line, message
        for pattern, home, message in ONE_FILE:
            for match in pattern.finditer(source.code):
                if source.name != home:
                    yield source.name, source.line(match.start()), message

# SPDX-License-Identifier: Apache-2.0
"""test_lint.py - each rule of the lint refuses what it is there to refuse"""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOUSE = ROOT / "tests/lint/house.py"
COMMITS = ROOT / "tests/lint/commits"


def c_file(name, *lines):
    return "\n".join(["// SPDX-License-Identifier: Apache-2.0",
                      f"/* {name} - for the test */", *lines, ""])


def house(root):
    result = subprocess.run([HOUSE, root], text=True, capture_output=True)
    return result.returncode, result.stdout


def violations(tmp_path, path, text):
    """Lints a tree that consists of this one file."""
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    code, output = house(tmp_path)
    found = [line for line in output.splitlines()
             if not line.startswith("house rules:")]
    assert code == (1 if found else 0)
    return found


@pytest.mark.parametrize("path, include", [
    ("watcher/a.c", "rules/rules.h"),
    ("watcher/a.c", "binder/binder.h"),
    ("watcher/a.c", "daemon/reconcile.h"),
    ("watcher/a.h", "rules/rules.h"),
    ("rules/a.c", "watcher/watcher.h"),
    ("rules/a.c", "binder/binder.h"),
    ("binder/a.c", "rules/plan.h"),
    ("binder/a.c", "watcher/watcher.h"),
    ("relay/a.c", "daemon/consumers.h"),
    ("relay/a.c", "binder/binder.h"),
    ("ctl/a.c", "daemon/control.h"),
    ("lib/a.c", "common/util.h"),
    ("common/a.c", "watcher/watcher.h"),
    ("common/a.h", "lib/berth.h"),
    ("daemon/a.c", "relay/relay.h"),
])
def test_layer_rule_refuses(tmp_path, path, include):
    name = os.path.basename(path)
    found = violations(tmp_path, path, c_file(name, f'#include "{include}"'))
    assert len(found) == 1
    assert found[0].startswith(f"{path}:3: layer rule:")


@pytest.mark.parametrize("path, include", [
    ("watcher/a.c", "common/netns.h"),
    ("watcher/a.c", "watcher/watcher.h"),
    ("daemon/a.c", "watcher/watcher.h"),
    ("daemon/a.c", "binder/binder.h"),
    ("daemon/a.c", "rules/plan.h"),
    ("relay/a.c", "lib/berth.h"),
    ("ctl/a.c", "common/log.h"),
    ("tests/unit/a.c", "watcher/watcher.h"),
])
def test_layer_rule_allows(tmp_path, path, include):
    text = c_file(os.path.basename(path), f'#include "{include}"')
    assert violations(tmp_path, path, text) == []


@pytest.mark.parametrize("line, message", [
    ('#include "rules.h"', "name it from the top"),
    ('#include "../watcher/watcher.h"', "name it from the top"),
    ("#include <watcher/watcher.h>", "is ours"),
    ("#include <linux/netlink.h>", "rules/ is pure"),
    ("#include <sys/inotify.h>", "rules/ is pure"),
    ("# include <sched.h>", "rules/ is pure"),
])
def test_includes_of_rules(tmp_path, line, message):
    found = violations(tmp_path, "rules/a.c", c_file("a.c", line))
    assert len(found) == 1
    assert message in found[0]


def test_addresses_are_all_that_rules_know_of_the_kernel(tmp_path):
    text = c_file("a.c", "#include <net/if.h>", "#include <sys/socket.h>",
                  "#include <linux/rtnetlink.h>")
    assert violations(tmp_path, "rules/a.c", text) == []


def test_one_file_enters_namespaces(tmp_path):
    body = ["static int f(int fd)", "{", "\treturn setns(fd, 0);", "}"]
    found = violations(tmp_path, "binder/a.c", c_file("a.c", *body))
    assert "only common/netns_enter.c" in found[0]


def test_names_in_comments_and_texts_are_no_calls(tmp_path):
    text = c_file("a.c", "/* setns(2) is elsewhere */",
                  'const char *a = "setns(";', "// inotify_init1(2)")
    assert violations(tmp_path, "binder/a.c", text) == []


def test_uthash_must_not_exit(tmp_path):
    include = "#include <uthash.h>"
    found = violations(tmp_path, "relay/a.c", c_file("a.c", include))
    assert "a.c:3: define HASH_NONFATAL_OOM" in found[0]
    text = c_file("a.c", "#define HASH_NONFATAL_OOM 1", include)
    assert violations(tmp_path, "relay/a.c", text) == []


@pytest.mark.parametrize("level, name, refused", [
    ("SOL_SOCKET", "SO_LINGER", False),
    ("SOL_SOCKET", "SO_PRIORITY", True),
    ("IPPROTO_TCP", "SO_LINGER", True),
    ("IPPROTO_SCTP", "name", False),
    ("IPPROTO_IP", "name", True),
])
def test_the_relay_sets_the_options_that_its_filter_allows(
        tmp_path, level, name, refused):
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay/confine.c").write_text(
        c_file("confine.c", "\t{ SOL_SOCKET, SO_LINGER },"))
    text = c_file("a.c", f"int r = setsockopt(fd, {level},",
                  f"\t{name}, &on, sizeof(on));")
    found = violations(tmp_path, "relay/a.c", text)
    assert bool(found) == refused
    assert not refused or found[0].startswith("relay/a.c:3: relay/confine.c")


@pytest.mark.parametrize("path", ["daemon/a.c", "common/a.h", "tests/a.py",
                                  "contrib/rules.d/a.yaml", "Makefile"])
def test_license_line(tmp_path, path):
    name = os.path.basename(path)
    found = violations(tmp_path, path, f"\n/* {name} - no license */\n")
    assert len(found) == 1
    assert "SPDX" in found[0]


def test_license_line_of_scripts_by_their_first_line(tmp_path):
    assert "SPDX" in violations(tmp_path, "contrib/x", "#!/bin/sh\n")[0]


def test_golden_input_needs_no_license(tmp_path):
    assert violations(tmp_path, "tests/rules/01.in.yaml", "rules: []\n") == []


@pytest.mark.parametrize("second", ["/* b.c - wrong name */", "int x;",
                                    "/* what it is for */"])
def test_first_comment(tmp_path, second):
    text = f"// SPDX-License-Identifier: Apache-2.0\n{second}\n"
    assert "what it is for" in violations(tmp_path, "daemon/a.c", text)[0]


@pytest.mark.parametrize("lines, refused", [(100, False), (101, True)])
def test_length_of_functions(tmp_path, lines, refused):
    text = c_file("a.c", "int f(void)", "{", *["\tx();"] * lines, "}")
    found = violations(tmp_path, "daemon/a.c", text)
    assert bool(found) == refused


def test_tables_may_be_long(tmp_path):
    text = c_file("a.c", "static const int t[] = {", *["\t1,"] * 200, "};")
    assert violations(tmp_path, "daemon/a.c", text) == []


@pytest.mark.parametrize("lines, refused", [(800, False), (801, True)])
def test_length_of_files(tmp_path, lines, refused):
    text = c_file("a.c", *["int x;"] * (lines - 2))
    assert bool(violations(tmp_path, "daemon/a.c", text)) == refused


def test_every_disabled_tidy_check_has_a_reason():
    text = (ROOT / ".clang-tidy").read_text()
    comments = "\n".join(line for line in text.splitlines()
                         if line.startswith("#"))
    disabled = re.findall(r"^  -([\w.-]+)", text, re.M)
    assert disabled
    missing = [check for check in disabled
               if not re.search(rf"\b{re.escape(check)}\b", comments)]
    assert missing == []


@pytest.fixture
def repository(tmp_path):
    def git(*args):
        subprocess.run(["git", "-c", "user.name=t", "-c",
                        "user.email=t@localhost", *args], cwd=tmp_path,
                       check=True, capture_output=True)
    git("init", "-q")
    return git


@pytest.mark.parametrize("message, refused", [
    ("binder: Close before opening", False),
    ("binder: Close before opening\n\nThe port may be the same.", False),
    ("binder: " + "x" * 64, False),
    ("binder: " + "x" * 65, True),
    ("binder: " + "ü" * 64, False),
    ("fixup! binder: Close before opening", True),
    ("squash! binder: Close before opening", True),
    ("WIP binder: Close before opening", True),
    ("binder: Close (WIP)", True),
    ("binder: Close WIPED namespaces", False),
    ("binder: Close\nbefore opening", True),
])
def test_commit_messages(repository, tmp_path, message, refused):
    repository("commit", "-q", "--allow-empty", "--cleanup=verbatim",
               "-m", message)
    result = subprocess.run([COMMITS], cwd=tmp_path, text=True,
                            capture_output=True)
    assert bool(result.returncode) == refused, result.stdout


def test_commit_messages_without_history(tmp_path):
    result = subprocess.run([COMMITS], cwd=tmp_path, text=True,
                            capture_output=True,
                            env=dict(os.environ, GIT_DIR="/nonexistent"))
    assert result.returncode == 0
    assert "nothing to check" in result.stdout

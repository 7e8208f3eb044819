# SPDX-License-Identifier: Apache-2.0
"""test_lint.py - each rule of the lint refuses what it is there to refuse"""
import os
import pathlib
import re
import subprocess

import pytest

import house
import source

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOUSE = ROOT / "tests/lint/house.py"
COMMITS = ROOT / "tests/lint/commits"


def c_file(name, *lines):
    return "\n".join(["// SPDX-License-Identifier: Apache-2.0",
                      f"/* {name} - for the test */", *lines, ""])


def test_house_prints_violations_and_fails(tmp_path):
    (tmp_path / "a.py").write_text("pass\n")
    result = subprocess.run([HOUSE, tmp_path], text=True, capture_output=True)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        'a.py:1: expected "SPDX-License-Identifier: Apache-2.0" in the first '
        "two lines", "house rules: 1 files, 1 violations"]
    (tmp_path / "a.py").unlink()
    result = subprocess.run([HOUSE, tmp_path], text=True, capture_output=True)
    assert result.returncode == 0
    assert result.stdout == "house rules: 0 files, 0 violations\n"


def tree_violations(tmp_path, files):
    """Lints a tree that consists of these files; of C files only the lines
    after the first two are given."""
    for path, text in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, list):
            text = c_file(target.name, *text)
        target.write_text(text)
    return house.violations(source.Tree(tmp_path))


def violations(tmp_path, path, text):
    """Lints a tree that consists of this one file."""
    return tree_violations(tmp_path, {path: text})


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
    ("relay/core/a.c", "relay/tcp/tcp.h"),
    ("relay/core/a.h", "relay/udp/udp.h"),
    ("relay/core/a.c", "relay/sctp/sctp.h"),
    ("relay/core/a.c", "relay/backend/failover.h"),
    ("relay/tcp/a.c", "relay/udp/udp.h"),
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
    ("relay/tcp/a.c", "relay/core/worker.h"),
    ("ctl/a.c", "common/log.h"),
    ("tests/unit/a.c", "watcher/watcher.h"),
])
def test_layer_rule_allows(tmp_path, path, include):
    text = c_file(os.path.basename(path), f'#include "{include}"')
    assert violations(tmp_path, path, text) == []


@pytest.mark.parametrize("path", ["relay/other/a.c", "relay/core/in/a.h",
                                  "other/a.c", "a.c"])
def test_each_folder_is_a_layer(tmp_path, path):
    """A file below a layer, or beside all of them, is not let pass."""
    found = violations(tmp_path, path, c_file(os.path.basename(path)))
    assert len(found) == 1
    assert "is no layer" in found[0]


def include(*paths):
    return [f'#include "{path}"' for path in paths]


CIRCLES = [
    ("two", {"binder/a.h": include("binder/b.h"),
             "binder/b.h": include("binder/a.h")},
     "binder/a.h:3: include circle: binder/a -> binder/b -> binder/a"),
    ("by way of the .c files", {"binder/a.h": [], "binder/b.h": [],
                                "binder/a.c": include("binder/a.h",
                                                      "binder/b.h"),
                                "binder/b.c": include("binder/a.h")},
     "binder/a.c:4: include circle: binder/a -> binder/b -> binder/a"),
    ("three", {"rules/a.h": include("rules/b.h"),
               "rules/b.h": include("rules/c.h"),
               "rules/c.h": include("rules/a.h")},
     "rules/a.h:3: include circle: rules/a -> rules/b -> rules/c -> rules/a"),
    ("two folders", {"daemon/a.h": include("daemon/consumers/b.h"),
                     "daemon/consumers/b.c": include("daemon/a.h"),
                     "daemon/consumers/b.h": []},
     "daemon/a.h:3: include circle: daemon/a -> daemon/consumers/b -> "
     "daemon/a"),
    ("of tests, beside one another", {"tests/unit/a.h": include("b.h"),
                                      "tests/unit/b.h": include("a.h")},
     "tests/unit/a.h:3: include circle: tests/unit/a -> tests/unit/b -> "
     "tests/unit/a"),
]


@pytest.mark.parametrize("files, message", [circle[1:] for circle in CIRCLES],
                         ids=[circle[0] for circle in CIRCLES])
def test_include_circle(tmp_path, files, message):
    assert tree_violations(tmp_path, files) == [message]


def test_each_circle_is_told_once(tmp_path):
    files = {"binder/a.h": include("binder/b.h"),
             "binder/b.h": include("binder/a.h", "binder/c.h"),
             "binder/c.h": include("binder/b.h"),
             "rules/a.h": include("rules/b.h"),
             "rules/b.h": include("rules/a.h")}
    assert [line.split(":")[0] for line in tree_violations(tmp_path, files)] \
        == ["binder/a.h", "rules/a.h"]


def test_what_is_no_circle(tmp_path):
    """A .c and its .h, the header that a module's files share, two ways to
    one header, and a header of the system with the name of ours."""
    assert tree_violations(tmp_path, {
        "binder/a.c": include("binder/a_internal.h", "binder/b.h"),
        "binder/a.h": [],
        "binder/a_internal.h": include("binder/a.h", "binder/c.h"),
        "binder/a_more.c": include("binder/a_internal.h"),
        "binder/b.h": include("binder/c.h"),
        "binder/c.h": ["#include <a.h>"]}) == []


FUNCTION = ["static int own(void)", "{", "\treturn other() + OURS(1);", "}"]


@pytest.mark.parametrize("comment, refused", [
    ("/* own() does */", None),
    ("/* as other() says */", None),
    ("// as OURS() expands", None),
    ("/* strchr() would */", "strchr"),
    ("/* strchr(3) would */", None),
    ("/* see gone() */", "gone"),
    ("// see gone()", "gone"),
    ("/** gone() - no prototype follows */", "gone"),
    ("/* each that ends in _wn() */", None),
    ("/* the _own() of each */", "_own"),
    ("/* tcp_done() wakes us */", "tcp_done"),
    ("/* tcp_done() in net/ipv4/tcp.c wakes us */", None),
    ("/* gone() in binder/a.c */", "gone"),
    ('static const char *t = "gone()";', None),
])
def test_names_of_functions_in_comments(tmp_path, comment, refused):
    body = FUNCTION + ["#define wn own_wn(1)"]
    found = violations(tmp_path, "binder/a.c",
                       c_file("a.c", *body, "", comment))
    assert found == ([f"binder/a.c:9: there is no {refused}()"]
                     if refused else [])


def test_a_call_in_a_comment_defines_nothing(tmp_path):
    text = c_file("a.c", "/* gone(1), or */", "/* gone() */")
    assert violations(tmp_path, "binder/a.c", text) \
        == ["binder/a.c:4: there is no gone()"]


@pytest.mark.parametrize("line, read", [
    ("p->x = 1;", False),
    ("p->x = q->x = 1;", False),
    ("s.x = 1;", False),
    ("struct s t = { .x = 1 };", False),
    ("p->x++;", False),
    ("--p->x;", False),
    ("p->x += 2;", False),
    ("if (p) p->x |= 2;", False),
    ("for (;; p->x++) f();", False),
    ("list[i].down->x[2] = 1;", False),
    ("atomic_store(&p->x, 1);", False),
    ("atomic_fetch_add(&p->x, 1);", False),
    ("x = 1;", False),
    ("y = p->x;", True),
    ("p->x == 1;", True),
    ("return p->x++;", True),
    ("y = p->x++;", True),
    ("y = ++p->x;", True),
    ("f(p->x += 1);", True),
    ("*p->x = 1;", True),
    ("p->x->y = 1;", True),
    ("f(&p->x);", True),
    ("y = atomic_load(&p->x);", True),
    ("y = atomic_fetch_add(&p->x, 1);", True),
    ("HASH_ADD(hh, table, x, sizeof(int), p);", True),
    ("q = container_of(p, struct s, x);", True),
])
def test_members_that_nobody_reads(tmp_path, line, read):
    found = violations(tmp_path, "binder/a.c", c_file(
        "a.c", "struct s {", "\tint x;", "};", "void f(void)", "{",
        "\t" + line, "}"))
    assert found == ([] if read else
                     ["binder/a.c:4: nobody reads the member 'x': remove it"])


@pytest.mark.parametrize("member", [
    "char *x;", "int y, x;", "int x[4];", "unsigned int x : 3;",
    "int (*x)(int y);", "struct { int x; } in;", "TAILQ_ENTRY(s) x;",
])
def test_each_form_of_a_member_is_seen(tmp_path, member):
    other = "static int f(struct s *p) { return p->y + p->in; }"
    found = violations(tmp_path, "binder/a.c", c_file(
        "a.c", "struct s {", "\t" + member, "};", other))
    assert found == ["binder/a.c:4: nobody reads the member 'x': remove it"]


def test_a_member_is_read_by_who_knows_the_struct(tmp_path):
    """A member of the same name elsewhere, or in tests, does not count; a file
    that gets the header by way of another one does."""
    files = {"binder/a.h": ["struct s {", "\tint x;", "};"],
             "binder/b.h": include("binder/a.h"),
             "binder/c.c": ["int f(struct t *p) { return p->x; }"],
             "tests/unit/d.c": [*include("binder/a.h"),
                                "int f(struct s *p) { return p->x; }"]}
    message = "binder/a.h:4: nobody reads the member 'x': remove it"
    assert tree_violations(tmp_path, files) == [message]
    files["binder/c.c"] = include("binder/b.h") + files["binder/c.c"]
    assert tree_violations(tmp_path, files) == []


CONTRACTS = [
    (["int x_open(int fd);"], True),
    (["/** x_open() - opens */", "int x_open(int fd);"], False),
    (["/**", " * x_open() - opens", " */", "int x_open(int fd,", "int y);"],
     False),
    (["/** x_open() - opens */", "__attribute__((noreturn))",
      "void x_open(int fd);"], False),
    (["/* x_open() - opens */", "int x_open(int fd);"], True),
    (["/** x_close() - opens */", "int x_open(int fd);",
      "/** x_close() - closes */", "int x_close(int fd);"], True),
    (["/** x_open() */", "int x_open(int fd);"], True),
    (["/** x_close() - closes */", "int x_close(int fd);",
      "struct x *x_open(int fd);"], True),
    (["/** x_open() - opens */", "", "struct x;", "int x_open(int fd);"],
     True),
    (["struct x *", "x_open(int fd);"], True),
    (["typedef void (*x_open)(int fd);"], False),
    (["typedef void x_open(int fd);"], False),
    (["struct x {", "int (*x_open)(int fd);", "};", "#define Y 1",
      "/* int x_open(int fd); */"], False),
    (["static inline int x_open(int fd)", "{", "\treturn other(fd);", "}"],
     False),
]


@pytest.mark.parametrize("lines, refused", CONTRACTS)
def test_each_prototype_has_its_contract(tmp_path, lines, refused):
    files = {"lib/x.h": lines,
             "lib/x.c": [*include("lib/x.h"),
                         "int f(struct x *p) { return p->x_open(x_close()); }"]}
    found = tree_violations(tmp_path, files)
    assert len(found) == refused
    assert not refused or "x_open() has no contract" in found[0]


def test_only_headers_of_layers_hold_contracts(tmp_path):
    assert tree_violations(tmp_path, {
        "tests/unit/x.h": ["int x_open(int fd);"],
        "lib/x.c": ["int x_open(int fd);"]}) == []


PAGE = """\
| folder | files | includes |
| --- | --- | --- |
| `binder/` | `a` (what it does), `more*` | |
| `relay/tcp/`, `relay/udp/` | `b` | |
"""


@pytest.mark.parametrize("path, named", [
    ("binder/a.c", True), ("binder/a.h", True), ("binder/a_internal.h", True),
    ("binder/more_of_it.c", True), ("relay/tcp/b.c", True),
    ("relay/udp/b.h", True), ("tests/unit/c.c", True),
    ("binder/b.c", False), ("binder/a_more.c", False),
    ("relay/tcp/a.c", False), ("watcher/a.c", False),
])
def test_the_page_of_architecture_names_each_file(tmp_path, path, named):
    found = tree_violations(tmp_path, {path: [],
                                       "doc/architecture.md": PAGE})
    assert len(found) == (not named)
    assert named or "doc/architecture.md does not say" in found[0]


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

# SPDX-License-Identifier: Apache-2.0
"""test_build.py - the build itself: targets, clean, install, compilers"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from make import HARD, ROOT, make

PROGRAMS = ["berthd", "berth-relay", "berthctl", "berth-follow",
            "berth-hook", "berth-web", "libberth.a", "libberth.so.1"]


def tree(top):
    """All files and links below top, as paths from it."""
    return sorted(str(p.relative_to(top)) for p in top.rglob("*")
                  if not p.is_dir() or p.is_symlink())


def test_all_makes_every_program(built):
    for name in PROGRAMS:
        assert (built / name).is_file(), name


def test_second_make_does_nothing(built):
    result = make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", "all")
    assert "CC" not in result.stdout
    assert "LD" not in result.stdout


def test_other_flags_rebuild(tmp_path):
    """Stale objects with another prefix compiled in would be a trap."""
    def log_is_compiled(*args):
        done = make(f"BUILD={tmp_path}", "CI=1", f"CFLAGS={HARD}", *args,
                    f"{tmp_path}/common/log.o")
        return "common/log.c" in done.stdout

    assert log_is_compiled()
    assert not log_is_compiled()
    assert log_is_compiled("PREFIX=/elsewhere")


def test_quiet_unless_asked(built):
    (built / "common/log.o").unlink()
    quiet = make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", "all").stdout
    assert "-Wall" not in quiet
    (built / "common/log.o").unlink()
    loud = make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", "V=1", "all")
    assert "-Wall" in loud.stdout


def test_no_name_is_exported_twice(built):
    """One archive holds all objects for the unit tests: of two functions with
    one name a test would get either."""
    objects = [path for path in built.glob("*/*.o") if path.name != "main.o"]
    table = subprocess.run(["nm", "--defined-only", "--extern-only",
                            "--format=posix", *objects], text=True,
                           capture_output=True, check=True).stdout
    names = [line.split()[0] for line in table.splitlines()
             if len(line.split()) > 2]
    assert len(names) > 100
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_clean_leaves_nothing(built, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    make(f"BUILD={copy}", "clean")
    assert not copy.exists()


def test_build_writes_only_below_build(built):
    """Nothing but ignored files appears in the source tree."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git history here")
    status = subprocess.run(["git", "status", "--porcelain", "--ignored"],
                            cwd=ROOT, text=True, capture_output=True)
    ignored = [line[3:] for line in status.stdout.splitlines()
               if line.startswith("!!")]
    assert [name for name in ignored
            if not name.startswith(("build/", ".")) and
            "__pycache__" not in name] == []


def test_install_and_uninstall(built, tmp_path):
    args = [f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", f"DESTDIR={tmp_path}"]
    make(*args, "install")
    installed = tree(tmp_path)
    for path in ["usr/local/sbin/berthd", "usr/local/bin/berthctl",
                 "usr/local/libexec/berth/berth-relay",
                 "usr/local/libexec/berth/berth-hook",
                 "usr/local/libexec/berth/berth-follow",
                 "usr/local/libexec/berth/berth-web",
                 "usr/local/include/berth.h", "usr/local/lib/libberth.a",
                 "usr/local/lib/libberth.so", "usr/local/lib/libberth.so.1",
                 "usr/local/lib/pkgconfig/berth.pc",
                 "usr/local/lib/systemd/system/berthd.service",
                 "usr/local/lib/systemd/system/berth-relay.service",
                 "usr/local/lib/systemd/system/berth-follow.service",
                 "usr/local/lib/systemd/system/berth-web.service",
                 "usr/local/lib/sysusers.d/berth.conf",
                 "usr/local/lib/tmpfiles.d/berth.conf"]:
        assert path in installed
    unit = (tmp_path / "usr/local/lib/systemd/system/berthd.service")
    assert "ExecStart=/usr/local/sbin/berthd" in unit.read_text()
    others = [unit.with_name(f"{name}.service")
              for name in ("berth-relay", "berth-follow", "berth-web")]
    for one in others:
        assert f"ExecStart=/usr/local/libexec/berth/{one.stem}" \
            in one.read_text()
    hook = tmp_path / "usr/local/share/doc/berth/hooks.d/berth.json"
    assert '"/usr/local/libexec/berth/berth-hook"' in hook.read_text()
    page = tmp_path / "usr/local/share/man/man8/berth-hook.8"
    for one in (unit, *others, hook, page):
        assert not re.search(r"@[A-Z]+@", one.read_text())
    make(*args, "uninstall")
    assert tree(tmp_path) == []
    assert [p for p in tmp_path.rglob("*berth*")] == []


def test_install_puts_each_page_where_man_looks(built, tmp_path):
    """All pages of doc/, so that none sends its reader to a missing one."""
    make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", f"DESTDIR={tmp_path}",
         "install")
    pages = {f"usr/local/share/man/man{page.suffix[1:]}/{page.name}"
             for page in (ROOT / "doc").glob("*.[1-8]")}
    assert pages and pages <= set(tree(tmp_path))


def test_uninstall_keeps_what_is_not_its_own(built, tmp_path):
    args = [f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", f"DESTDIR={tmp_path}"]
    make(*args, "install")
    other = tmp_path / "usr/local/share/doc/berth/notes"
    other.write_text("mine")
    make(*args, "uninstall")
    assert tree(tmp_path) == ["usr/local/share/doc/berth/notes"]
    make(*args, "uninstall")  # twice is no error


def printed_commands(text):
    return [line.split() for line in text.splitlines()
            if line.startswith("    ")]


def test_install_says_what_is_next(built, tmp_path):
    """Each path in it is there; a package (DESTDIR) is told nothing."""
    args = [f"BUILD={built}", "CI=1", f"CFLAGS={HARD}"]
    packaged = make(*args, f"DESTDIR={tmp_path}/package", "install").stdout
    assert "systemctl" not in packaged
    prefix = tmp_path / "prefix"
    # The prefix is compiled in: without this all would be built again.
    text = make(*args, "LIBEXECDIR=/usr/local/libexec/berth",
                f"PREFIX={prefix}", "-o", "all", "install").stdout
    commands = printed_commands(text)
    assert ["systemctl", "enable", "--now",
            f"{prefix}/lib/systemd/system/berthd.service"] in commands
    paths = [word for command in commands for word in command
             if word.startswith(str(prefix))]
    assert len(paths) >= 5
    assert [path for path in paths if not os.path.exists(path)] == []


def test_uninstall_says_what_it_leaves(built, tmp_path):
    args = [f"BUILD={built}", "CI=1", f"CFLAGS={HARD}",
            f"PREFIX={tmp_path}", f"LIBEXECDIR={tmp_path}/libexec",
            "-o", "all"]
    make(*args, "install")
    with subprocess.Popen([shutil.which("sleep"), "infinity"],
                          executable=shutil.copy(
                              shutil.which("sleep"),
                              tmp_path / "sbin/berthd")) as berthd:
        try:
            text = make(*args, "uninstall").stdout
        finally:
            berthd.kill()
    assert ["kill", "-INT", str(berthd.pid)] in printed_commands(text)
    assert str(berthd.pid) not in make(*args, "uninstall").stdout


def test_installed_berthd_runs(built, tmp_path):
    make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", f"DESTDIR={tmp_path}",
         "install")
    result = subprocess.run([tmp_path / "usr/local/sbin/berthd", "--version"],
                            text=True, capture_output=True)
    assert result.returncode == 0
    assert "0.1.0" in result.stdout


def test_each_header_compiles_alone(built):
    make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", "headers")


def compile_all(built, *flags, cc="gcc"):
    """Looks at every source of the programs, with the flags that it has."""
    objects = [path.relative_to(built) for path in built.glob("**/*.o")]
    sources = [str(path.with_suffix(".c")) for path in objects]
    assert len(sources) > 200
    command = shlex.split((built / "flags").read_text(encoding="utf-8"))
    assert "-Werror" in command
    its_flags = [word for word in command if word.startswith("-")]
    done = subprocess.run(
        [cc, *its_flags, *flags, "-fsyntax-only", *sources], cwd=ROOT,
        text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_assertions(built):
    """-DNDEBUG: no assert() does work, no variable is only for one."""
    compile_all(built, "-DNDEBUG")


def test_clang(built, tmp_path):
    """No warning anywhere, and a library that is whole."""
    if not shutil.which("clang"):
        pytest.skip("no clang: contrib/install-dependencies test")
    compile_all(built, cc="clang")
    make(f"BUILD={tmp_path}/build", "CI=1", f"CFLAGS={HARD}", "CC=clang",
         f"{tmp_path}/build/libberth.so.1")


def test_missing_libraries_are_named(tmp_path):
    """On a machine without them make says what to run."""
    env = dict(os.environ, PKG_CONFIG_LIBDIR="/nonexistent",
               PKG_CONFIG_PATH="")
    result = subprocess.run(["make", f"BUILD={tmp_path}/build", "all"],
                            cwd=ROOT, env=env, text=True, capture_output=True)
    assert result.returncode != 0
    assert "contrib/install-dependencies" in result.stderr


def test_makefile_is_short():
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert len(lines) < 150

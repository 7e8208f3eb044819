# SPDX-License-Identifier: Apache-2.0
"""test_package.py - the Debian packages: built, checked by lintian, looked at

tests/vm/test_systemd.py installs them. contrib/build-package builds them once
for both.
"""
import re
import shutil
import subprocess

import pytest

from make import ROOT

DEBIAN = ROOT / "contrib/debian"


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], cwd=ROOT,
                            text=True, capture_output=True, **options)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr
    return result.stdout


def package(packages, name):
    found, = packages.glob(f"{name}_*.deb")
    return found


def contents(packages, name):
    """{path: mode} of its files and links."""
    lines = run("dpkg-deb", "--contents", package(packages, name))
    return {line.split()[5][1:]: line[:10] for line in lines.splitlines()
            if line[0] != "d"}


def test_lintian_is_content(packages):
    if not shutil.which("lintian"):
        pytest.skip("no lintian: contrib/install-dependencies test")
    changes, = packages.glob("*.changes")
    assert run("lintian", "--allow-root", "--fail-on", "error,warning",
               changes) == ""


def test_second_build_does_nothing(packages):
    before = {path.name: path.stat().st_ino for path in packages.iterdir()}
    run("contrib/build-package", packages)
    assert before == {path.name: path.stat().st_ino
                      for path in packages.iterdir()}


def test_files_are_where_debian_has_them(packages):
    berth = contents(packages, "berth")
    for path in ("/usr/sbin/berthd", "/usr/bin/berthctl",
                 *(f"/usr/libexec/berth/berth-{name}"
                   for name in ("relay", "hook", "follow"))):
        assert berth[path] == "-rwxr-xr-x", path
    for path in ("/etc/berth/berthd.yaml", "/usr/lib/sysusers.d/berth.conf",
                 "/usr/lib/tmpfiles.d/berth.conf",
                 *(f"/lib/systemd/system/{unit.name}"
                   for unit in (ROOT / "contrib").glob("berth*.service")
                   if unit.name != "berth-web.service")):
        assert berth[path] == "-rw-r--r--", path
    assert "/usr/share/zsh/vendor-completions/_berth" in berth
    assert not [path for path in berth if "/local/" in path]
    assert "/usr/share/doc/berth/grafana/berth.json" in berth
    library = contents(packages, "libberth1")
    assert [path.rsplit("/", 1)[1] for path in library
            if "/lib/" in path] == ["libberth.so.1"]
    names = {path.rsplit("/", 1)[1]
             for path in contents(packages, "libberth-dev")}
    assert {"berth.h", "libberth.a", "libberth.so", "berth.pc",
            "berth.3.gz"} <= names


def test_installed_files_name_installed_files(packages, tmp_path):
    """Units and berthd.yaml: no path of make install's default prefix."""
    run("dpkg-deb", "--extract", package(packages, "berth"), tmp_path)
    text = "".join(path.read_text() for path in (
        *tmp_path.glob("lib/systemd/system/*"),
        tmp_path / "etc/berth/berthd.yaml"))
    named = set(re.findall(r"/usr/(?:sbin|bin|libexec)[\w/-]+", text))
    assert len(named) >= 4
    assert [path for path in named if not (tmp_path / path[1:]).exists()] == []
    assert "/usr/local" not in text
    version = run(tmp_path / "usr/sbin/berthd", "--version")
    assert makefile_version() in version


def makefile_version():
    return re.search(r"^VERSION = (\S+)", (ROOT / "Makefile").read_text(),
                     re.M)[1]


def test_changelog_has_the_version_of_the_tree():
    first = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"berth ({makefile_version()}) ")


def test_build_needs_what_the_dependencies_install():
    """Control names the libraries of group build, one list or the other
    would be forgotten."""
    text = (DEBIAN / "control").read_text().split("\n\n")[0]
    named = set(re.findall(r"\b(?:lib[\w.-]+-dev|uthash-dev)\b", text))
    script = (ROOT / "contrib/install-dependencies").read_text()
    group = re.search(r"^build=\((.*?)\)", script, re.M | re.S)[1].split()
    assert named == {name for name in group if name.endswith("-dev")
                     and name != "libc6-dev"}


def test_purge_knows_every_user(packages, tmp_path):
    run("dpkg-deb", "--control", package(packages, "berth"), tmp_path)
    users = re.search(r"for name in (.*?) *; do",
                      (tmp_path / "postrm").read_text())[1].split()
    made = {line.split()[1]
            for path in (ROOT / "contrib").glob("*.sysusers")
            for line in path.read_text().splitlines() if line[:2] in
            ("u ", "g ")}
    assert set(users) == made and "berth-relay" in made

# SPDX-License-Identifier: Apache-2.0
"""test_dependencies.py - contrib/install-dependencies, without a network

dpkg-query, apt-get and id are replaced by scripts that note how they were
called, so that a machine in any state can be played.
"""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "contrib/install-dependencies"


class Machine:
    """A PATH in front of the real one, and what was called from it."""

    def __init__(self, folder):
        self.folder = folder
        self.calls = folder / "calls"
        self.calls.write_text("")
        self.command("dpkg-query", 'for p in "$@"; do case $p in -*|'
                     'libyaml-dev) ;; *) echo "installed $p";; esac; done')
        self.command("id", "echo 0")
        self.command("apt-get", "exit 0")

    def command(self, name, body):
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n"
                        f'echo "{name} $*" >>{self.calls}\n{body}\n')
        path.chmod(0o755)

    def run(self, *groups, path=None):
        env = dict(os.environ, PATH=path or f"{self.folder}:/usr/bin:/bin")
        return subprocess.run([SCRIPT, *groups], env=env, text=True,
                              capture_output=True)

    def apt_calls(self):
        return [line for line in self.calls.read_text().splitlines()
                if line.startswith("apt-get")]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_nothing_missing_calls_no_apt(machine):
    machine.command("dpkg-query", 'for p in "$@"; do case $p in -*) ;; '
                    '*) echo "installed $p";; esac; done')
    result = machine.run("build", "test", "lint", "bench", "vm")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert machine.apt_calls() == []


def test_installs_only_what_is_missing(machine):
    result = machine.run("build")
    assert result.returncode == 0
    calls = machine.apt_calls()
    assert len(calls) == 1
    assert "update" not in calls[0]
    assert calls[0].split()[-1] == "libyaml-dev"
    assert "libjansson-dev" not in calls[0]


def test_updates_the_lists_once_when_install_fails(machine):
    machine.command("apt-get", f'[[ $1 == update ]] && touch '
                    f'{machine.folder}/updated; '
                    f'[[ -e {machine.folder}/updated ]]')
    assert machine.run("build").returncode == 0
    assert [call.split()[1] for call in machine.apt_calls()] == [
        "install", "update", "install"]


def test_says_why_apt_failed(machine):
    machine.command("apt-get", '[[ $1 == update ]] || '
                    '{ echo "E: no room" >&2; exit 100; }')
    result = machine.run("build")
    assert result.returncode == 1
    assert "E: no room" in result.stderr


def test_not_root(machine):
    machine.command("id", "echo 1000")
    result = machine.run("build")
    assert result.returncode == 1
    assert "libyaml-dev" in result.stderr
    assert "as root" in result.stderr
    assert machine.apt_calls() == []


def test_not_debian(machine, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for tool in ("bash", "sed", "sort", "comm", "id", "env"):
        (bare / tool).symlink_to(f"/usr/bin/{tool}")
    result = machine.run("build", path=str(bare))
    assert result.returncode == 1
    assert "no Debian system" in result.stderr


def test_unknown_group(machine):
    result = machine.run("bulid")
    assert result.returncode == 1
    assert "there are: build package test lint bench vm" in result.stderr

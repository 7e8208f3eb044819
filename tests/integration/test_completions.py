# SPDX-License-Identifier: Apache-2.0
"""test_completions.py - what bash and zsh offer for an unfinished line."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from harness.berthd import BUILD
from harness.rules import ack
from harness.terminal import Terminal
from harness.wait import GUARD

FOLDER = Path(__file__).resolve().parents[2] / "contrib/completions"
ENV = dict(os.environ, PATH=f"{BUILD}:{os.environ['PATH']}")
SHELLS = ["bash", "zsh"]
BASH = """
source {folder}/berth.bash
complete -p {program} | grep -q -- '-F _berth '
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }} # it may be called by a completion that bash has begun only
_berth
printf "%s\\n" "${{COMPREPLY[@]}}"
"""
# What zsh itself would offer, by the functions that a completion calls.
ZSH = """
function compadd {{
	while [[ $1 == -* ]]; do shift; done
	print -rl -- ${{(P)1}}
}}
function _describe {{ print -rl -- ${{${{(P)2}}%%:*}} }}
function _files {{ print -rl -- *(N) }}
function compset {{ words[CURRENT]=${{words[CURRENT]#*=}} }}
words=({words})
CURRENT=${{#words}}
unsetopt aliases
source {folder}/_berth | while IFS= read -r word; do
	[[ $word != ${{words[CURRENT]##*=}}* ]] || print -r -- $word
done
"""


def complete(shell, *words, cwd="/"):
    """What the shell offers for the last word."""
    script = {"bash": BASH, "zsh": ZSH}[shell].format(
        folder=FOLDER, program=words[0], words=shlex.join(words))
    argv = [shell, *(["-f"] if shell == "zsh" else ["--norc"]), "-c", script]
    done = subprocess.run(argv, text=True, check=True, env=ENV, cwd=cwd,
                          timeout=GUARD, capture_output=True)
    assert done.stderr == ""
    return done.stdout.split()


def help_of(program):
    return subprocess.run([BUILD / program, "--help"], text=True, check=True,
                          capture_output=True).stdout


def options_of(program):
    """All that begins a line of the help, or follows there after a comma."""
    heads = re.findall(r"^  (-.*?)(?:  |$)", help_of(program), re.M)
    return {word.split()[0] for head in heads for word in head.split(", ")}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", ["berthctl", "berthd"])
def test_every_option(shell, program):
    offered = complete(shell, program, "-")
    assert len(offered) == len(set(offered))
    assert set(offered) == options_of(program)
    assert {"-h", "--help", "--version", "--runtime-dir"} <= set(offered)
    assert complete(shell, program, "--runtime-") == ["--runtime-dir"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command(shell):
    part = help_of("berthctl").split("Commands:\n")[1].split("\n\n")[0]
    commands = re.findall(r"^  ([a-z][a-z-]*)", part, re.M)
    assert "listeners" in commands and "restart-relay" in commands
    assert complete(shell, "berthctl", "") == commands
    assert complete(shell, "berthctl", "--json", "conn") == ["connections"]
    assert "-h" in complete(shell, "berthctl", "listeners", "-")


@pytest.mark.parametrize("shell", SHELLS)
def test_values(shell, world):
    (world.base / "some.yaml").touch()
    (world.base / "some.d").mkdir()

    def offered(*words):
        return complete(shell, *words, cwd=world.base)

    assert offered("berthctl", "--color", "a") == ["auto", "always"]
    assert offered("berthctl", "status", "--color", "n") == ["never"]
    assert offered("berthd", "--relay", "") == ["own", "unit"]
    assert offered("berthd", "--log-level", "w") == ["warning"]
    assert set(offered("berthctl", "check", "some")) == {"some.yaml", "some.d"}
    assert "some.yaml" in offered("berthctl", "check", "a", "some")
    assert "some.d" in offered("berthctl", "--runtime-dir", "some")
    assert "some.yaml" in offered("berthd", "--config", "some")
    assert "some.yaml" in offered("berthd", "--check", "some")
    # Nobody but the user knows these; and a command takes one argument.
    for words in (["berthctl", "--timeout", ""],
                  ["berthctl", "register", "--name", ""],
                  ["berthctl", "status", ""], ["berthd", ""],
                  ["berthctl", "explain", "n", ""]):
        assert offered(*words) == []


def test_values_behind_an_equals_sign():
    """bash makes three words of them, zsh one."""
    assert complete("bash", "berthctl", "--color", "=") \
        == ["auto", "always", "never"]
    assert complete("bash", "berthctl", "--color", "=", "al") == ["always"]
    assert complete("bash", "berthctl", "--color", "=", "never", "listen") \
        == ["listeners"]
    assert complete("zsh", "berthctl", "--color=al") == ["always"]
    assert complete("zsh", "berthctl", "--color=never", "listen") \
        == ["listeners"]


@pytest.mark.parametrize("shell", SHELLS)
def test_what_berthd_knows(shell, world):
    netns = world.netns("n")
    berthd = world.berthd(ack())
    listener = str(berthd.listener(netns.cookie())["id"])

    def offered(*words):
        return complete(shell, "berthctl", "--runtime-dir",
                        str(berthd.runtime), *words)

    assert offered("connections", "") == ["host", "n", "web", listener]
    assert offered("drain", "") == ["web", listener]
    assert offered("undrain", "w") == ["web"]
    assert offered("explain", "") == ["host", "n"]
    assert offered("explain", "x") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_without_berthd(shell, world):
    """Nothing is offered, and nothing is printed."""
    assert complete(shell, "berthctl", "--runtime-dir", str(world.base),
                    "drain", "") == []


def test_names_that_a_shell_would_read(world):
    world.netns("a b$(x)")
    berthd = world.berthd(ack())
    done = complete("bash", "berthctl", "--runtime-dir", str(berthd.runtime),
                    "explain", "a")
    assert " ".join(done) == r"a\ b\$\(x\)"


def terminal(world, *argv):
    return world.close_later(Terminal(argv, env=dict(
        ENV, HOME=str(world.base), PS1="ready> ")))


def test_bash_in_a_terminal(world):
    """As bash itself calls it, when it is asked."""
    shown = terminal(world, "bash", "--norc", "-i")
    shown.wait_screen("ready>")
    shown.keys(f"source {FOLDER}/berth.bash; echo load''ed", "Enter")
    shown.wait_screen("^loaded$")
    shown.keys("berthctl restart", "Tab")
    shown.wait_screen(r"berthctl restart-relay ?$")


def test_zsh_in_a_terminal(world):
    """As compinit finds it: by its first line and its name."""
    shown = terminal(world, "zsh", "-f", "-i")
    shown.wait_screen("ready>")
    # All that Debian has for other programs is left out: reading it takes long.
    base = "/usr/share/zsh/functions/Completion"
    shown.keys(f"fpath=({FOLDER} {base} {base}/Base); autoload -Uz compinit; "
               f"compinit -u -d {world.base}/dump; echo load''ed", "Enter")
    shown.wait_screen("^loaded$")
    shown.keys("berthctl res", "Tab")
    shown.wait_screen(r"berthctl restart-relay ?$")
    shown.keys("C-u", "berthd --log-l", "Tab")
    shown.wait_screen(r"berthd --log-level ?$")

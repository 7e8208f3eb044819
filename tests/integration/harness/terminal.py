# SPDX-License-Identifier: Apache-2.0
"""terminal.py - a real terminal: tmux, which a program runs in."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from .wait import GUARD, wait_for


class Terminal:
    """One window of a tmux server of its own. The program's end does not end
    it: a shell says how the program ended, and the screen can be looked at."""

    _SHELL = ["sh", "-c", 'trap : INT; "$@"; echo "exit $?"; exec cat', "sh"]

    def __init__(self, argv, columns=100, lines=30, env=None):
        self._dir = tempfile.mkdtemp(prefix="berth-tty-")
        # Neither the user's settings nor another tmux around the tests.
        self._env = {key: os.environ[key] for key in os.environ
                     if key not in ("TMUX", "NO_COLOR")}
        self._env.update(LC_ALL="C.UTF-8", **(env or {}))
        config = os.path.join(self._dir, "config")
        with open(config, "w") as file:
            file.write("set -g default-terminal screen-256color\n"
                       "set -sg escape-time 0\n"
                       "set -g status off\n")
        self._tmux = ["tmux", "-u", "-S", os.path.join(self._dir, "tmux"),
                      "-f", config]
        self._run("new-session", "-d", "-x", str(columns), "-y", str(lines),
                  *self._SHELL, *map(str, argv))

    def _run(self, *args):
        done = subprocess.run([*self._tmux, *args], env=self._env, text=True,
                              check=False, capture_output=True, timeout=GUARD)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def _ask(self, what):
        return self._run("display-message", "-p", f"#{{{what}}}").strip()

    def screen(self):
        """The text of the screen."""
        return self._run("capture-pane", "-p")

    def attributes(self):
        """The same with the sequences that make colours."""
        return self._run("capture-pane", "-p", "-e")

    def wait_screen(self, pattern):
        """Waits for a screen that the regular expression is found in.
        Return: the match."""
        last = []

        def look():
            last[:] = [self.screen()]
            return re.search(pattern, last[0], re.M)

        try:
            return wait_for(look, f"{pattern!r} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{last[0]}") from None

    def keys(self, *keys):
        """Types: a key's name of tmux(1), or text."""
        self._run("send-keys", *keys)

    def resize(self, columns, lines):
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def pid(self):
        """Of the program, which runs."""
        shell = self._ask("pane_pid")
        path = f"/proc/{shell}/task/{shell}/children"

        def children():
            with open(path) as file:
                return file.read().split()

        return int(wait_for(children, "the program")[0])

    def exit_status(self):
        """Waits for the program's end."""
        return int(self.wait_screen(r"^exit (\d+)$")[1])

    def is_restored(self):
        """Is the screen the one from before the program, its cursor on?"""
        return self._ask("alternate_on") == "0" \
            and self._ask("cursor_flag") == "1"

    def hang_up(self):
        """Takes the terminal away from the program."""
        subprocess.run([*self._tmux, "kill-server"], env=self._env,
                       check=False, capture_output=True, timeout=GUARD)

    def _kill(self):
        """Ends a program that runs still, at once. As the terminal goes, the
        kernel continues whatever is stopped on it; a sanitizer that looks for
        leaks at that moment waits for ever, with a processor to itself."""
        shell = subprocess.run(
            [*self._tmux, "display-message", "-p", "#{pane_pid}"],
            env=self._env, text=True, check=False, capture_output=True,
            timeout=GUARD).stdout.strip()
        with contextlib.suppress(OSError):
            with open(f"/proc/{shell}/task/{shell}/children") as file:
                for pid in file.read().split():
                    os.kill(int(pid), signal.SIGKILL)

    def close(self):
        self._kill()
        self.hang_up()
        shutil.rmtree(self._dir)

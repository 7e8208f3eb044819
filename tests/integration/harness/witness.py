# SPDX-License-Identifier: Apache-2.0
"""witness.py - other programs that see what berthd should see."""

import re
import subprocess
import threading

from .nsid import give_nsid
from .wait import wait_for


class _Lines:
    """A program whose output is collected line by line."""

    def __init__(self, world, argv, stderr=subprocess.DEVNULL):
        self.lines = []
        self.program = world.popen(*argv, stdout=subprocess.PIPE,
                                   stderr=stderr, text=True,
                                   errors="surrogateescape", bufsize=1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.program.stdout:
                self.lines.append(line.rstrip("\n"))
        except ValueError:
            pass  # closed at the end of the test


class NsidMonitor(_Lines):
    """`ip monitor nsid`: tells when the kernel really freed a namespace.

    It hears only of namespaces that have an nsid; track() gives one.
    """

    def __init__(self, world):
        super().__init__(world, ["ip", "monitor", "nsid"])
        # The monitor is listening when it hears of a namespace of its own.
        probe = world.mkdir(f"probe{id(self)}")
        netns = world.netns("probe", probe, up=False)

        def heard():
            if not self.lines:
                give_nsid(netns)
                netns.delete()
                netns.create()
            return self.lines

        wait_for(heard, "ip monitor to hear something")
        netns.delete()

    def track(self, netns):
        """From now on freed() can tell. Return: what freed() wants."""
        mark = len(self.lines)
        return give_nsid(netns), mark

    def freed(self, tracked):
        """Numbers are used again: only what came after track() counts."""
        nsid, mark = tracked
        pattern = re.compile(rf"^Deleted nsid {nsid}\b")
        return any(pattern.match(line) for line in list(self.lines)[mark:])

    def wait_freed(self, tracked):
        wait_for(lambda: self.freed(tracked),
                 f"the kernel to free the namespace with nsid {tracked[0]}")


class InotifyWait(_Lines):
    """inotifywait on a directory: the names that should be there."""

    def __init__(self, world, directory):
        super().__init__(world, [
            "inotifywait", "-q", "-m", "-e",
            "create,delete,moved_to,moved_from", "--format", "%e %f",
            str(directory)])
        marker = directory / ".witness"

        def heard():
            marker.touch()
            marker.unlink()
            return self.lines

        wait_for(heard, "inotifywait to hear something")

    def names(self):
        present = set()
        for line in list(self.lines):
            event, _, name = line.partition(" ")
            if name == ".witness":
                continue
            if "CREATE" in event or "MOVED_TO" in event:
                present.add(name)
            else:
                present.discard(name)
        return present

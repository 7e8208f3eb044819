# SPDX-License-Identifier: Apache-2.0
"""sandbox.py - namespaces that have no name, and how they are registered."""

import os
import subprocess

from .netns import Netns
from .wait import wait_for

READY = 0


class Sandbox(Netns):
    """A process in a namespace that has no name."""

    def __init__(self, world):
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "inf"])
        super().__init__(f"/proc/{self.process.pid}/ns/net")
        world.defer(self.end)
        own = os.stat("/proc/self/ns/net").st_ino
        wait_for(lambda: os.path.exists(self.path) and
                 os.stat(self.path).st_ino != own and self._executed(),
                 "the sandbox")
        self.up()

    def _executed(self):
        return os.readlink(f"/proc/{self.pid}/exe").endswith("sleep")

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        self.process.kill()
        self.process.wait()


def register(berthd, code=READY, **options):
    args = []
    for key, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            args += [f"--{key.replace('_', '-')}", str(one)]
    return berthd.ctl("register", *args, code=code)


def wait_freed(berthd, n=1):
    wait_for(lambda: berthd.status()["freed"]["count"] >= n,
             "the kernel to free the namespace")

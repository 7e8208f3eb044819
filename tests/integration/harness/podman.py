# SPDX-License-Identifier: Apache-2.0
"""podman.py - podman, with all that it keeps in a directory of the test's."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import kernel
from .wait import GUARD

# The test may lack CAP_SYS_RESOURCE: podman's own limits are above ours.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
_PROGRAMS = ("podman", "runc", "conmon", "busybox")
_NETAVARK = ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark")
# In place of the machine's own. By default podman has its locks in /dev/shm,
# one set for the whole machine: a podman that starts frees all of them.
_CONFIG = "[engine]\nlock_type = \"file\"\n"


class Podman:
    """Containers of busybox. Their command is an applet of it."""

    def __init__(self, base):
        self.base = Path(base)
        self.hooks = self.base / "hooks.d"
        self.rootfs = self.base / "rootfs"
        for path in (self.hooks, *(self.rootfs / name for name in (
                "bin", "dev", "etc", "proc", "run", "sys", "tmp"))):
            path.mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), self.rootfs / "bin/busybox")
        # What podman mounts there; another user could not make the files.
        for name in ("etc/hostname", "etc/hosts", "etc/resolv.conf",
                     "run/.containerenv"):
            (self.rootfs / name).touch()
        (self.base / "containers.conf").write_text(_CONFIG)

    def command(self, *words):
        return ["env", f"CONTAINERS_CONF={self.base / 'containers.conf'}",
                "podman", "--root", self.base / "root",
                "--runroot", self.base / "runroot",
                "--tmpdir", self.base / "tmp",
                "--network-config-dir", self.base / "networks",
                "--cgroup-manager", "cgroupfs", "--runtime", "runc",
                "--events-backend", "none", "--hooks-dir", self.hooks,
                *words]

    def run_command(self, *words, network="none", annotations=None,
                    options=()):
        """The command that runs a container until it ends by itself."""
        annotated = [f"--annotation={key}={value}"
                     for key, value in (annotations or {}).items()]
        return self.command("run", "--rm", "--network", network,
                            "--log-driver", "none", *_LIMITS, *annotated,
                            *options, "--rootfs", self.rootfs, "/bin/busybox",
                            *words)

    def run(self, *words, check=True, **how):
        """Return: the process, with what the container and podman wrote."""
        process = subprocess.run(
            self.run_command(*words, **how), capture_output=True, text=True,
            check=False, timeout=4 * GUARD, stdin=subprocess.DEVNULL)
        assert not check or process.returncode == 0, process.stderr
        return process

    def popen(self, *words, **how):
        return subprocess.Popen(
            self.run_command(*words, **how), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)

    def containers(self):
        shown = subprocess.run(self.command("ps", "--all", "--quiet"),
                               check=True, capture_output=True, text=True)
        return shown.stdout.split()

    def hook(self, program, *args, stages=("createRuntime", "poststop"),
             when=None):
        """Installs a hook for all containers, or those that @when says."""
        (self.hooks / "berth.json").write_text(json.dumps({
            "version": "1.0.0",
            "hook": {"path": str(program),
                     "args": [program.name, *map(str, args)]},
            "when": when or {"always": True}, "stages": list(stages)}))

    def close(self):
        """Whatever is left of it."""
        subprocess.run(self.command("rm", "--all", "--force", "--time", "0"),
                       check=False, capture_output=True, timeout=4 * GUARD)
        for path in (self.base / "root/overlay", self.base / "root"):
            try:
                kernel.umount(os.fspath(path))
            except OSError:
                pass


@functools.lru_cache(maxsize=None)
def problem():
    """Why podman cannot run here, or None. It tries, without any hook."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if not any(os.path.exists(path) for path in _NETAVARK):
        missing.append("netavark")
    if missing:
        return f"no {', '.join(missing)}: contrib/install-dependencies test"
    with tempfile.TemporaryDirectory(prefix="berth-podman-",
                                     ignore_cleanup_errors=True) as base:
        podman = Podman(base)
        try:
            process = podman.run("true", check=False)
        except subprocess.TimeoutExpired:
            return "podman cannot run a container here: it hangs"
        finally:
            podman.close()
    if process.returncode:
        return f"podman cannot run a container here: {process.stderr.strip()}"
    return None

# SPDX-License-Identifier: Apache-2.0
"""guest_kernel.py - Debian's kernels, unpacked and never installed

A kernel of a series ("6.1") is the newest package of it that apt knows. It is
downloaded and unpacked once into the cache folder; everything stays in there.
"""
import contextlib
import fcntl
import lzma
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

# What stands between power-on and the root: the disk of the machine is 9p
# over virtio, its output a virtio port. The rest is loaded from the root.
BOOT_MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p",
                "overlay")


class BedError(Exception):
    """The machine could not be made ready or did not do its work."""


def command(argv, **options):
    """Runs a program; what it said, or a BedError that quotes it."""
    result = subprocess.run(argv, text=True, capture_output=True, **options)
    if result.returncode != 0:
        raise BedError(f"{shlex.join(map(str, argv))} failed:\n"
                       f"{result.stderr.strip()}")
    return result.stdout


def newest_package(series, apt_options):
    """The newest plain (no cloud, rt, unsigned) package of a series."""
    pattern = (rf"^linux-image-{re.escape(series)}\.[0-9.]+"
               r"(-[0-9]+|\+deb[0-9]+)-amd64$")
    lines = command(["apt-cache", *apt_options, "search", "--names-only",
                     pattern]).splitlines()
    names = [line.split()[0] for line in lines]
    return max(names, default=None,
               key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def download(series, folder):
    """The path of the package's file, downloaded into a folder."""
    own_lists = folder / "apt"
    (own_lists / "lists/partial").mkdir(parents=True)
    (own_lists / "archives/partial").mkdir(parents=True)
    private = ["-o", f"Dir::State::Lists={own_lists}/lists",
               "-o", f"Dir::Cache={own_lists}"]
    failure = f"apt knows no kernel {series}"
    # The machine's package lists may be missing or name files that are gone.
    for options in ([], private):
        # The folder is not for _apt, apt's own unprivileged user.
        options = ["-o", "APT::Sandbox::User=", *options]
        try:
            if private[1] in options:
                command(["apt-get", *options, "-qq", "update"])
            name = newest_package(series, options)
            if name:
                command(["apt-get", *options, "-qq", "download", name],
                        cwd=folder)
                return next(folder.glob("*.deb"))
        except BedError as error:
            failure = str(error)
    raise BedError(failure)


class GuestKernel:
    """One unpacked kernel package."""

    def __init__(self, folder):
        self.folder = folder.resolve()
        self.modules = self.folder / "lib/modules"
        self.version = next(self.modules.iterdir()).name
        self.image = self.folder / "boot" / f"vmlinuz-{self.version}"

    @classmethod
    def get(cls, series, cache):
        """The kernel of a series, from the cache if it is there."""
        folder = cache / series / "kernel"
        with locked(cache / f"{series}.lock"):
            if not folder.exists():
                folder.parent.mkdir(exist_ok=True)
                cls._unpack(series, folder)
        return cls(folder)

    @classmethod
    def _unpack(cls, series, folder):
        with scratch_folder(folder.parent) as scratch:
            package = download(series, scratch)
            tree = scratch / "tree"
            command(["dpkg", "-x", package, tree])
            command(["depmod", "-b", tree, cls(tree).version])
            tree.chmod(0o755)
            tree.rename(folder)

    def initramfs(self, folder, init, arguments):
        """Packs what boots this kernel; the path of the archive."""
        tree = folder / "initramfs"
        (tree / "modules").mkdir(parents=True)
        (tree / "bin").mkdir()
        shutil.copy(shutil.which("busybox"), tree / "bin")
        shutil.copy(init, tree / "init")
        (tree / "arguments").write_text(f"set -- {shlex.join(arguments)}\n")
        for number, path in enumerate(self._in_load_order(BOOT_MODULES)):
            copy_module(path, tree / "modules", f"{number:02}")
        archive = folder / "initramfs.cpio"
        names = ["."] + [str(path.relative_to(tree))
                         for path in sorted(tree.rglob("*"))]
        command(["busybox", "cpio", "-o", "-H", "newc", "-F", archive],
                cwd=tree, input="\n".join(names))
        shutil.rmtree(tree)
        return archive

    def _in_load_order(self, modules):
        lines = command(["modprobe", "-d", self.folder, "-S", self.version,
                         "--show-depends", "-a", *modules]).splitlines()
        paths = [line.split()[1] for line in lines
                 if line.startswith("insmod ")]
        return [pathlib.Path(path) for path in dict.fromkeys(paths)]


def copy_module(path, folder, prefix):
    """Copies a module, unpacked, since busybox hands it to the kernel whole."""
    target = folder / f"{prefix}-{path.name.removesuffix('.xz')}"
    if path.suffix == ".xz":
        with lzma.open(path) as packed, target.open("wb") as stream:
            shutil.copyfileobj(packed, stream)
    else:
        shutil.copy(path, target)


@contextlib.contextmanager
def locked(path):
    """Holds an exclusive lock: of two runs one downloads, the other waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch_folder(parent):
    """A folder that is gone afterwards, whatever happened."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)

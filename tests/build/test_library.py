# SPDX-License-Identifier: Apache-2.0
"""test_library.py - libberth as it is installed: symbols, pkg-config, and the
example of its man page, with the test as berthd"""
import array
import json
import os
import re
import socket
import subprocess

import pytest

from make import HARD, ROOT, make

GUARD_S = 30  # for what must come; a loaded machine is slow
PROTOTYPE = re.compile(r"\b(berth_\w+)\(")
VERSION = "LIBBERTH_1"
NEWER = {}  # the names of each later section


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Where everything is installed, in place of /."""
    top = tmp_path_factory.mktemp("berth-installed")
    make(f"BUILD={built}", "CI=1", f"CFLAGS={HARD}", f"DESTDIR={top}",
         "install")
    return top


def pkg_config(installed, *args):
    env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(installed),
               PKG_CONFIG_PATH=f"{installed}/usr/local/lib/pkgconfig")
    return subprocess.run(["pkg-config", *args, "berth"], env=env, text=True,
                          capture_output=True, check=True).stdout.split()


def compile_program(installed, source, program, *options):
    """As a user compiles it, with the flags of pkg-config."""
    flags = pkg_config(installed, "--cflags", "--libs", *options)
    if "--static" in options:  # but the C library is the system's own
        flags = [flag if flag != "-lberth" else "-l:libberth.a"
                 for flag in flags]
    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
                    source, *flags, "-o", program], check=True)


def declared():
    header = (ROOT / "lib/berth.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    return sorted(set(PROTOTYPE.findall(code)))


def test_exports_what_the_header_declares(built):
    """Each with the version of its section, and nothing else."""
    table = subprocess.run(["nm", "-D", "--defined-only",
                            built / "libberth.so.1"], text=True,
                           capture_output=True, check=True).stdout
    symbols = sorted(line.split()[-1] for line in table.splitlines())
    assert len(symbols) > 10
    versions = {name: version for version, names in NEWER.items()
                for name in names}
    assert symbols == sorted([VERSION, *NEWER] + [
        f"{name}@@{versions.get(name, VERSION)}" for name in declared()])


def test_needs_few_libraries(built):
    """No thread, and nothing of berthd's."""
    dynamic = subprocess.run(["readelf", "-d", built / "libberth.so.1"],
                             text=True, capture_output=True,
                             check=True).stdout
    needed = re.findall(r"NEEDED.*\[(\w+)", dynamic)
    assert sorted(needed) == ["libc", "libjansson"]
    assert re.findall(r"SONAME.*\[(.*)\]", dynamic) == ["libberth.so.1"]


def test_has_no_global_state(built):
    """Not one variable that can be written once it is loaded."""
    table = subprocess.run(["objdump", "-t", built / "libberth.a"], text=True,
                           capture_output=True, check=True).stdout
    objects = re.findall(r" O (\S+)\s+\S+\s+(\S+)", table)
    assert len(objects) > 3
    assert [name for section, name in objects
            if not section.startswith((".rodata", ".data.rel.ro"))] == []


def example():
    """The program in the man page."""
    page = (ROOT / "doc/berth.3").read_text()
    text = page.partition(".EX\n")[2].partition(".EE\n")[0]
    return text.replace(r"\-", "-").replace(r"\e", "\\")


class Berthd:
    """Its end of one connection."""

    def __init__(self, path):
        self.path = path
        path.unlink(missing_ok=True)
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.door.settimeout(GUARD_S)
        self.door.bind(str(path))
        self.door.listen()
        self.conn = None

    def accept(self):
        self.conn, _ = self.door.accept()
        self.conn.settimeout(GUARD_S)
        hello, fds = self.hear()
        assert hello["type"] == "hello" and hello["version"] == 1
        assert not fds
        self.say({"type": "welcome", "version": 1})
        return hello

    def say(self, message, fds=()):
        socket.send_fds(self.conn, [json.dumps(message).encode()], fds)

    def hear(self):
        text, fds, _, _ = socket.recv_fds(self.conn, 65536, 1)
        return json.loads(text), list(array.array("i", fds))

    def die(self):
        self.conn.close()
        self.door.close()


@pytest.mark.parametrize("options", [[], ["--static"]],
                         ids=["shared", "static"])
def test_example_survives_a_restart(installed, tmp_path, options):
    source, program = tmp_path / "me.c", tmp_path / "me"
    source.write_text(example())
    compile_program(installed, source, program, *options)
    berthd = Berthd(tmp_path / "me.sock")
    env = dict(os.environ, LD_LIBRARY_PATH=f"{installed}/usr/local/lib")
    with subprocess.Popen([program, berthd.path], env=env, text=True,
                          stdout=subprocess.PIPE) as consumer, \
            socket.create_server(("127.0.0.1", 0)) as listener:
        try:
            port = listener.getsockname()[1]
            assert "held" not in berthd.accept()
            berthd.say({"type": "listener", "id": 7, "netns": {"id": 9},
                        "protocol": "tcp", "port": port},
                       [listener.fileno()])
            assert consumer.stdout.readline() == f"port {port}\n"
            berthd.die()
            berthd = Berthd(berthd.path)
            assert berthd.accept()["held"] == 1
            held, fds = berthd.hear()
            assert (held["type"], held["id"]) == ("held", 7)
            with socket.socket(fileno=fds[0]) as handed_back:
                assert handed_back.getsockname()[1] == port
            berthd.say({"type": "withdraw", "id": 7})
            assert berthd.hear()[0] == {"type": "released", "id": 7}
        finally:
            consumer.kill()
            berthd.die()

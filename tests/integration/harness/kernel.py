# SPDX-License-Identifier: Apache-2.0
"""kernel.py - the system calls that Python 3.11 has no function for."""

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import contextmanager

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
SO_COOKIE = 57
SO_NETNS_COOKIE = 71

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(_libc, name)(*args) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def setns(fd):
    _call("setns", fd, CLONE_NEWNET)


def unshare(flags):
    _call("unshare", flags)


def mount(source, target, fstype=None, flags=0, data=None):
    def text(value):
        return None if value is None else os.fsencode(value)

    _call("mount", text(source), text(target), text(fstype),
          ctypes.c_ulong(flags), text(data))


def umount(target, flags=MNT_DETACH):
    _call("umount2", os.fsencode(target), flags)


def prctl(option, value):
    _call("prctl", option, ctypes.c_ulong(value), 0, 0, 0)


def die_with_parent():
    """For preexec_fn: a test run that is killed leaves no daemon behind."""
    prctl(PR_SET_PDEATHSIG, 9)


class Host:
    """The namespaces of the test session itself.

    Made once, by enter_private_world(): what the tests call the host is a
    network and a mount namespace of their own, so that nothing of the
    machine's is seen or touched, and a killed run leaves nothing mounted.
    """

    fd = -1

    @classmethod
    def enter_private_world(cls):
        unshare(CLONE_NEWNS | CLONE_NEWNET)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("tmpfs", "/run", "tmpfs", data="mode=755")
        if os.path.isdir("/etc/berth"):
            mount("tmpfs", "/etc/berth", "tmpfs", data="mode=755")
        cls.fd = os.open("/proc/thread-self/ns/net",
                         os.O_RDONLY | os.O_CLOEXEC)
        # A relay whose berthd was killed is ours to reap.
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        set_link_up("lo")


@contextmanager
def inside(fd):
    """The calling thread is in the namespace of fd, and back afterwards."""
    setns(fd)
    try:
        yield
    finally:
        setns(Host.fd)


def set_link_up(ifname, up=True):
    """Acts in the caller's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", ifname.encode(), 0)
        reply = fcntl.ioctl(sock, SIOCGIFFLAGS, request)
        flags, = struct.unpack_from("H", reply, 16)
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(sock, SIOCSIFFLAGS,
                    struct.pack("16sH14x", ifname.encode(), flags))


def cookie(sock):
    """Of the namespace that a socket is in."""
    return _cookie(sock, SO_NETNS_COOKIE)


def socket_cookie(sock):
    """The same for each copy of a socket, and for no other socket."""
    return _cookie(sock, SO_COOKIE)


def _cookie(sock, option):
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, option,
                                               8))[0]

# SPDX-License-Identifier: Apache-2.0
"""sock_diag.py - asks the kernel for listeners, and other processes' sockets.

sock_diag(7) is what ss uses, without a program for each namespace.
"""

import ctypes
import os
import socket
import struct

from . import kernel

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_REQUEST_DUMP = 0x301
_CLOSE, _LISTEN = 7, 10  # TCP states; an unconnected UDP socket is closed
_SYS_PIDFD_GETFD = 438

_libc = ctypes.CDLL(None, use_errno=True)


def listeners():
    """Of TCP and UDP, in the caller's namespace.

    Return: list of ((protocol, port), the socket's cookie).
    """
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                       _NETLINK_SOCK_DIAG) as sock:
        for protocol, number, state in (
                ("tcp", socket.IPPROTO_TCP, _LISTEN),
                ("udp", socket.IPPROTO_UDP, _CLOSE)):
            for family in (socket.AF_INET, socket.AF_INET6):
                for port, cookie in _dump(sock, family, number, state):
                    found.append(((protocol, port), cookie))
    return found


def _dump(sock, family, protocol, state):
    request = struct.pack("=BBBxI48x", family, protocol, 0, 1 << state)
    sock.send(struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY,
                          _REQUEST_DUMP, 1, 0) + request)
    while True:
        data = sock.recv(1 << 16)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                error = -struct.unpack_from("=i", data, 16)[0]
                raise OSError(error, f"sock_diag: {os.strerror(error)}")
            # struct inet_diag_msg: its ports, and the two halves of a cookie.
            yield (struct.unpack_from(">H", data, 20)[0],
                   struct.unpack_from("=Q", data, 60)[0])
            data = data[(length + 3) & ~3:]


def peers(pid):
    """Who is connected to the process, which should stand still: {(netns
    cookie, port of the peer)}."""
    found = set()
    pidfd = os.pidfd_open(pid)
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            fd = _libc.syscall(_SYS_PIDFD_GETFD, pidfd, int(number), 0)
            if fd < 0:
                error = ctypes.get_errno()
                raise OSError(error, f"pidfd_getfd: {os.strerror(error)}")
            try:
                with socket.socket(fileno=fd) as sock:
                    if sock.family in (socket.AF_INET, socket.AF_INET6):
                        found.add((kernel.cookie(sock),
                                   sock.getpeername()[1]))
            except OSError:
                pass  # no socket, or one without a peer
    finally:
        os.close(pidfd)
    return found

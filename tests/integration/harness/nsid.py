# SPDX-License-Identifier: Apache-2.0
"""nsid.py - gives namespaces the number by which rtnetlink tells of them."""

import errno
import os
import socket
import struct

_RTM_NEWNSID = 88
_RTM_GETNSID = 90
_NETNSA_NSID = 1
_NETNSA_FD = 3
_NLMSG_ERROR = 2
_NLM_F_REQUEST_ACK = 5


def give_nsid(netns):
    """Assigns an nsid as seen from the host, if it has none.

    Return: the nsid.
    """
    fd = netns.open_fd()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
            sock.bind((0, 0))
            wanted = struct.pack("=HHi", 8, _NETNSA_NSID, -1)
            error, _ = _ask(sock, _RTM_NEWNSID, fd, wanted)
            if error not in (0, errno.EEXIST):
                raise OSError(error, os.strerror(error))
            error, nsid = _ask(sock, _RTM_GETNSID, fd, b"")
            if error or nsid < 0:
                raise OSError(error, "no nsid")
            return nsid
    finally:
        os.close(fd)


def _ask(sock, kind, fd, more):
    """Return: (errno, nsid or -1)."""
    body = struct.pack("=B3xHHI", 0, 8, _NETNSA_FD, fd) + more
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, _NLM_F_REQUEST_ACK,
                          1, 0) + body)
    nsid = -1
    while True:
        data = sock.recv(8192)
        while data:
            length, kind, _, _, _ = struct.unpack_from("=IHHII", data)
            if kind == _NLMSG_ERROR:
                return -struct.unpack_from("=i", data, 16)[0], nsid
            nsid = _find_nsid(data[20:length])
            data = data[(length + 3) & ~3:]


def _find_nsid(attrs):
    while len(attrs) >= 4:
        length, kind = struct.unpack_from("=HH", attrs)
        if kind == _NETNSA_NSID:
            return struct.unpack_from("=i", attrs, 4)[0]
        attrs = attrs[(length + 3) & ~3:]
    return -1

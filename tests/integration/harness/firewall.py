# SPDX-License-Identifier: Apache-2.0
"""firewall.py - nftables without a program of it: all that leaves a namespace
is dropped."""

import errno
import socket
import struct

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, DELTABLE, NEWCHAIN = (NFNL_SUBSYS_NFTABLES << 8 | number
                                for number in (0, 2, 3))
REQUEST, ACK, CREATE = 1, 4, 0x400
NLMSG_ERROR = 2
LOCAL_OUT = 3
FAMILIES = {socket.AF_INET: 2, socket.AF_INET6: 10}
TABLE = b"berth-test\0"


class NoFirewall(Exception):
    """This kernel has no nftables."""


def _attr(kind, data):
    return (struct.pack("=HH", 4 + len(data), kind) + data
            + bytes(-len(data) % 4))


def _number(kind, value):
    return _attr(kind, struct.pack(">i", value))


def _message(kind, flags, family, resource, sequence, attrs=b""):
    body = struct.pack(">BBH", family, 0, resource) + attrs
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence,
                       0) + body


def _commit(place, *messages):
    """messages: (type, flags, family, attributes), all or none."""
    batch = _message(BATCH_BEGIN, REQUEST, 0, NFNL_SUBSYS_NFTABLES, 0)
    for sequence, (kind, flags, family, attrs) in enumerate(messages, 1):
        batch += _message(kind, REQUEST | ACK | flags, family, 0, sequence,
                          attrs)
    batch += _message(BATCH_END, REQUEST, 0, NFNL_SUBSYS_NFTABLES, 0)
    with place.entered():
        try:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                                 NETLINK_NETFILTER)
        except OSError as error:
            raise NoFirewall(error) from error
    with sock:
        sock.settimeout(5)
        sock.send(batch)
        acked = 0
        while acked < len(messages):
            data = sock.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                number = -struct.unpack_from("=i", data, 16)[0]
                if kind == NLMSG_ERROR and number in (
                        errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT):
                    raise NoFirewall(errno.errorcode[number])
                assert kind == NLMSG_ERROR and number == 0, (kind, number)
                acked += 1
                data = data[(length + 3) & ~3:]


def drop_output(place, family):
    """Whoever sends from there by that family is told EPERM."""
    family = FAMILIES[family]
    hook = _number(1, LOCAL_OUT) + _number(2, 0)
    chain = (_attr(1, TABLE) + _attr(3, b"out\0") + _attr(4 | 0x8000, hook)
             + _number(5, 0) + _attr(7, b"filter\0"))
    _commit(place, (NEWTABLE, CREATE, family, _attr(1, TABLE)),
            (NEWCHAIN, CREATE, family, chain))


def allow_output(place, family):
    """Takes back what drop_output() did."""
    _commit(place, (DELTABLE, 0, FAMILIES[family], _attr(1, TABLE)))

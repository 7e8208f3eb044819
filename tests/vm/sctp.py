# SPDX-License-Identifier: Apache-2.0
"""sctp.py - SCTP as Python's sockets can do it: labels, limits, aborts"""
import ipaddress
import socket
import struct
from typing import NamedTuple

import pytest

SO_SNDBUFFORCE = 32
SOL_SCTP = 132
SCTP_INITMSG = 2
SCTP_STATUS = 14
SCTP_RECVRCVINFO = 32
SCTP_BINDX_ADD = 100
SCTP_GET_PEER_ADDRS = 108
CMSG_SNDINFO = 2
CMSG_RCVINFO = 3
UNORDERED = 1
ABORT = 4
MSG_NOTIFICATION = 0x8000

SNDINFO = struct.Struct("=HHIIi")
RCVINFO = struct.Struct("=HHHxxIIIIi")
STATUS_STREAMS = struct.Struct("=iiIHHHH")


class Message(NamedTuple):
    """What must arrive as it was sent."""
    data: bytes
    sid: int = 0
    ppid: int = 0
    unordered: bool = False


def make(place, family=socket.AF_INET, kind=socket.SOCK_STREAM, streams=None):
    """A socket born in a namespace; streams: (out, most in)."""
    sock = place.new_socket(family, kind, socket.IPPROTO_SCTP)
    sock.setsockopt(SOL_SCTP, SCTP_RECVRCVINFO, 1)
    if streams:
        sock.setsockopt(SOL_SCTP, SCTP_INITMSG,
                        struct.pack("=HHHH", *streams, 0, 0))
    return sock


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(place, address="127.0.0.1", port=0, streams=None):
    sock = make(place, family_of(address), streams=streams)
    sock.bind((address, port))
    sock.listen(64)
    return sock


def connect(place, address="127.0.0.1", port=8080, streams=None,
            source=None):
    """source: (address, port) to connect from."""
    sock = make(place, family_of(address), streams=streams)
    try:
        if source:
            sock.bind(source)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def send(sock, message, flags=0, assoc=0):
    info = SNDINFO.pack(message.sid, flags | bool(message.unordered),
                        message.ppid, 0, assoc)
    sent = sock.sendmsg([message.data], [(SOL_SCTP, CMSG_SNDINFO, info)])
    assert sent == len(message.data)


def receive(sock, size=1 << 16):
    """The next whole message; None at the end. The label must not change
    from part to part."""
    parts, label = [], None
    while True:
        data, ancillary, flags, _ = sock.recvmsg(size, 256)
        if not data:
            assert not parts, "it ends within a message"
            return None
        assert not flags & MSG_NOTIFICATION
        assert [row[:2] for row in ancillary] == [(SOL_SCTP, CMSG_RCVINFO)]
        info = RCVINFO.unpack(ancillary[0][2])
        assert label in (None, info[:4])
        label = info[:4]
        parts.append(data)
        if flags & socket.MSG_EOR:
            sid, _, info_flags, ppid = label
            return Message(b"".join(parts), sid, ppid,
                           bool(info_flags & UNORDERED))


def stuff(sock):
    """Sends until nothing is taken any more."""
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            send(sock, Message(b"x" * 50000))
    sock.settimeout(15)


def streams(sock):
    """(in, out) of the association."""
    status = sock.getsockopt(SOL_SCTP, SCTP_STATUS, 200)
    return STATUS_STREAMS.unpack_from(status)[5:7]


def peer_addresses(sock):
    """Those that the peer said it has, IPv4 without ::ffff:."""
    data = sock.getsockopt(SOL_SCTP, SCTP_GET_PEER_ADDRS, 1024)
    (count,), found, begin = struct.unpack_from("=I", data, 4), set(), 8
    for _ in range(count):
        family, = struct.unpack_from("=H", data, begin)
        v6 = family == socket.AF_INET6
        start, size = (begin + 8, 16) if v6 else (begin + 4, 4)
        found.add(str(plain(data[start:start + size])))
        begin += 28 if v6 else 16
    return found


def plain(address):
    """An address of its own family."""
    address = ipaddress.ip_address(address)
    return getattr(address, "ipv4_mapped", None) or address


def bind_more(sock, address, port):
    """Adds an address to those of a socket; port: the one that it has."""
    family = family_of(address)
    packed = socket.inet_pton(family, address)
    data = struct.pack("=HH", family, socket.htons(port))
    data += packed + bytes(8) if family == socket.AF_INET \
        else bytes(4) + packed + bytes(4)
    sock.setsockopt(SOL_SCTP, SCTP_BINDX_ADD, data)


def gone(sock):
    """Has the kernel no association any more? Who said SHUTDOWN first is not
    told of the end by any event."""
    try:
        streams(sock)
    except OSError:
        return True
    return False


def abort(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def was_aborted(sock):
    """Whatever came before is thrown away."""
    try:
        while receive(sock):
            pass
    except ConnectionResetError:
        return True
    return False


def is_turned_away(place, address="127.0.0.1", **kwargs):
    """Is a new association aborted? Perhaps before connect(2) returns."""
    try:
        with connect(place, address, **kwargs) as client:
            return was_aborted(client)
    except ConnectionResetError:
        return True

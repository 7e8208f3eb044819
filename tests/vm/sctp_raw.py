# SPDX-License-Identifier: Apache-2.0
"""sctp_raw.py - a peer without a kernel's SCTP, so that it can do wrong

Whole Ethernet frames over one end of a veth pair, from an address that the
namespace at this end does not have: its kernel answers nothing.
"""
import select
import socket
import struct
import time

from harness.wait import GUARD

DATA, INIT, INIT_ACK, SACK, ABORT, COOKIE_ECHO, COOKIE_ACK = \
    0, 1, 2, 3, 6, 10, 11
COOKIE_PARAMETER = 7
END, BEGIN = 1, 2
NO_USER_DATA = 9
MINE, THEIRS = "10.77.0.99", "10.77.0.1"
PORT = 40000
FRAGMENT = 1400


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def internet_checksum(header):
    total = sum(struct.unpack("!10H", header))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def chunk(kind, flags, value):
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("!BBH", kind, flags, 4 + len(value)) + value + padding


class RawPeer:
    """One association with the listener at the other end of a veth pair."""

    def __init__(self, world, netns, port=8080):
        self.place = world.netns("raw")
        world.veth(netns, "in0", self.place, "out0")
        netns.addr_add(f"{THEIRS}/24", "in0")
        with self.place.entered():
            self.sock = world.close_later(socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)))
        self.sock.bind(("out0", 0x0800))
        my_mac = self._mac(self.place, "out0")
        netns.ip("neigh", "add", MINE, "lladdr", my_mac, "dev", "in0")
        self.ethernet = bytes.fromhex(
            (self._mac(netns, "in0") + my_mac).replace(":", "") + "0800")
        self.port = port
        self.tag = 0
        self.tsn = self.acked = 1000

    @staticmethod
    def _mac(place, ifname):
        words = place.ip("-o", "link", "show", "dev", ifname).split()
        return words[words.index("link/ether") + 1]

    def send(self, *chunks):
        packet = struct.pack("!HHII", PORT, self.port, self.tag, 0) \
            + b"".join(chunks)
        crc = struct.pack("<I", crc32c(packet))
        packet = packet[:8] + crc + packet[12:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(packet), 0, 0,
                             64, socket.IPPROTO_SCTP, 0,
                             socket.inet_aton(MINE), socket.inet_aton(THEIRS))
        header = header[:10] + struct.pack("!H", internet_checksum(header)) \
            + header[12:]
        self.sock.send(self.ethernet + header + packet)

    def receive(self, seconds=GUARD):
        """The chunks of the next packet: (type, value); [] when none comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                break
            packet = self.sock.recv(65536)[14:]
            if packet[9] != socket.IPPROTO_SCTP:
                continue
            return list(self._chunks(packet[32:]))
        return []

    @staticmethod
    def _chunks(rest):
        while len(rest) >= 4:
            kind, _, length = struct.unpack_from("!BBH", rest)
            yield kind, rest[4:length]
            rest = rest[length + -length % 4:]

    def wait(self, kind):
        """The value of the next chunk of a type."""
        deadline = time.monotonic() + GUARD
        while time.monotonic() < deadline:
            for found, value in self.receive():
                if found == kind:
                    return value
        raise AssertionError(f"no chunk of type {kind}")

    def connect(self):
        self.send(chunk(INIT, 0, struct.pack("!IIHHI", 7, 1 << 20, 10, 10,
                                             self.tsn + 1)))
        answer = self.wait(INIT_ACK)
        self.tag = struct.unpack_from("!I", answer)[0]
        parameters = answer[16:]
        while True:
            kind, length = struct.unpack_from("!HH", parameters)
            if kind == COOKIE_PARAMETER:
                break
            parameters = parameters[length + -length % 4:]
        self.send(chunk(COOKIE_ECHO, 0, parameters[4:length]))
        self.wait(COOKIE_ACK)
        return self

    def data(self, payload, flags=BEGIN | END, tsn=None):
        if tsn is None:
            self.tsn += 1
            tsn = self.tsn
        self.send(chunk(DATA, flags,
                        struct.pack("!IHHI", tsn, 0, 0, 0) + payload))

    def endless(self, limit):
        """Fragments of a message that never ends, as its window allows.

        Return: how many bytes were acknowledged before the ABORT came.
        """
        first = self.tsn + 1
        self.acked = self.tsn
        while (self.acked - first + 1) * FRAGMENT < limit:
            for tsn in range(self.acked + 1, self.acked + 9):
                self.data(b"e" * FRAGMENT, BEGIN if tsn == first else 0, tsn)
            while chunks := self.receive(0.1):
                for kind, value in chunks:
                    if kind == ABORT:
                        return (self.acked - first + 1) * FRAGMENT
                    if kind == SACK:
                        self.acked = struct.unpack_from("!I", value)[0]
        raise AssertionError(f"{limit} bytes were taken, and no ABORT came")

# SPDX-License-Identifier: Apache-2.0
"""test_proxy_tlvs.py - the backend is told of containers in custom TLVs."""

import json
import os
import socket
import struct

import pytest

from harness.netns import read_exactly
from harness.rules import rule, rules
from harness.traffic import pair, works
from harness.wait import wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
IPPROTO_MPTCP = 262
TLVS = {0xE0: "${container}", 0xE1: "${pod_namespace}", 0xEF: "${label.app}"}


def tell(berthd, netns, **labels):
    directory = berthd.runtime / "containers.d"
    temporary = directory / ".a.new"
    temporary.write_text(json.dumps({
        "netns": str(netns.path), "name": "web-1", "pod_namespace": "shop",
        "labels": labels}))
    os.rename(temporary, directory / "a.json")


def told_rule(backend, protocol="tcp", version="v2", tlvs=None, **match):
    host, port = backend.getsockname()[:2]
    return rule(namespace=None, protocol=protocol,
                match={"container": "*", **match},
                forward={"to": f"{host}:{port}", "proxy_protocol": {
                    "version": version, "tlvs": tlvs or TLVS}})


def tlvs_of(header):
    """{type: value} of a header of version 2, each type once."""
    assert header[:12] == SIGNATURE
    family = header[13] >> 4
    at, found = 16 + {1: 12, 2: 36}[family], {}
    assert struct.unpack(">H", header[14:16])[0] == len(header) - 16
    while at < len(header):
        kind, length = struct.unpack(">BH", header[at:at + 3])
        assert kind not in found
        found[kind] = header[at + 3:at + 3 + length]
        at += 3 + length
    assert at == len(header)
    return found


def read_header(server):
    begin = read_exactly(server, 16)
    return begin + read_exactly(server, struct.unpack(">H", begin[14:])[0])


def wait_listening(berthd, netns, protocol="tcp"):
    return berthd.wait_state(netns.cookie(), "listening",
                             protocol=protocol)["id"]


@pytest.fixture
def netns(world):
    return world.netns("blue")


@pytest.mark.parametrize("version", ["v2", "v2+crc32c"])
@pytest.mark.parametrize("protocol", ["tcp", "mptcp"])
def test_tlvs_of_a_container(world, netns, backend, protocol, version):
    berthd = world.berthd(rules(told_rule(backend, protocol, version)))
    tell(berthd, netns, app="web/front")
    wait_listening(berthd, netns, protocol)
    client, server = pair(netns, backend)
    with client, server:
        found = tlvs_of(read_header(server))
        assert list(found)[0] == 0x30  # the name of the namespace comes first
        assert (len(found.pop(3)) == 4) if "crc" in version else 3 not in found
        assert found == {0x30: b"blue", 0xE0: b"web-1", 0xE1: b"shop",
                         0xEF: b"web/front"}
        assert works(client, server)


def test_datagrams(world, netns):
    backend = world.close_later(world.host.listen(kind=socket.SOCK_DGRAM))
    berthd = world.berthd(rules(told_rule(backend, "udp")))
    tell(berthd, netns, app="web")
    wait_listening(berthd, netns, "udp")
    client = world.close_later(netns.new_socket(socket.AF_INET,
                                                socket.SOCK_DGRAM))
    client.connect(("127.0.0.1", 8080))
    for data in (b"first", b"second"):
        client.send(data)
        got = backend.recv(1 << 16)
        assert got.endswith(data)
        assert tlvs_of(got[:-len(data)])[0xEF] == b"web"


def test_label_changes(world, netns, backend):
    """New connections are told of the new label; the listener, and what is
    open, stay."""
    berthd = world.berthd(rules(told_rule(backend)))
    tell(berthd, netns, app="old")
    first = wait_listening(berthd, netns)
    old = pair(netns, backend)
    with old[0], old[1]:
        assert tlvs_of(read_header(old[1]))[0xEF] == b"old"
        tell(berthd, netns, app="new")

        def label_told():
            client, server = pair(netns, backend)
            with client, server:
                return tlvs_of(read_header(server))[0xEF]

        wait_for(lambda: label_told() == b"new", "the new label to be told")
        assert wait_listening(berthd, netns) == first
        assert works(*old)


def test_label_that_lacks(world, netns, backend):
    """The listener is listed with the reason, until the label is there."""
    berthd = world.berthd(rules(told_rule(backend)))
    tell(berthd, netns, tier="front")
    row = berthd.wait_state(netns.cookie(), "refused")
    assert "\"tlvs\" needs" in row["reason"]
    tell(berthd, netns, app="web")
    wait_listening(berthd, netns)
    tell(berthd, netns, app="x" * 1100)
    row = berthd.wait_state(netns.cookie(), "refused")
    assert "\"tlvs\" get too long" in row["reason"]

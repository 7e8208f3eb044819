# SPDX-License-Identifier: Apache-2.0
"""test_no_sctp.py - a kernel that has no SCTP, until somebody loads it

Runs once per machine: the module cannot be unloaded again. The test that
loads it is the last one.
"""
import errno
import pathlib
import socket
import subprocess

import pytest

from harness.rules import rule, rules

pytestmark = pytest.mark.kernel

LOAD_SCTP = pathlib.Path(__file__).with_name("load-sctp")
FAMILIES = pytest.mark.parametrize("family",
                                   [socket.AF_INET, socket.AF_INET6])


def sctp_socket(family):
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)


@FAMILIES
def test_a_socket_does_not_load_the_module(family):
    with pytest.raises(OSError) as caught:
        sctp_socket(family)
    assert caught.value.errno == errno.EPROTONOSUPPORT


def test_rules_wait_until_it_is_loaded(world):
    """TCP goes on meanwhile; no restart and no reload afterwards."""
    netns = world.netns("n")
    berthd = world.berthd(rules(
        rule(name="s", protocol="sctp", port=1),
        rule(name="q", protocol="sctp-seqpacket", port=2),
        rule(name="all", protocol="sctp", port=3, address="all"),
        rule(name="t", protocol="tcp")))
    cookie = netns.cookie()
    rows = [dict(protocol="sctp", port=1),
            dict(protocol="sctp-seqpacket", port=2),
            dict(protocol="sctp", port=3, address="all")]
    for row in rows:
        found = berthd.wait_state(cookie, "waiting", **row)
        assert found["reason"] == "this kernel has no SCTP (modprobe sctp)"
    assert netns.ask("127.0.0.1", 8080) == b"ack"
    subprocess.run([LOAD_SCTP], check=True)
    for family in (socket.AF_INET, socket.AF_INET6):
        sctp_socket(family).close()
    for row in rows:
        berthd.wait_state(cookie, "listening", **row)
    for port in (1, 2, 3):
        with netns.new_socket(proto=socket.IPPROTO_SCTP) as client:
            client.connect(("127.0.0.1", port))
            assert client.recv(100) == b"ack"
    assert netns.ask("127.0.0.1", 8080) == b"ack"

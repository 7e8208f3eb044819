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


def test_loading_the_module_makes_it_appear():
    subprocess.run([LOAD_SCTP], check=True)
    for family in (socket.AF_INET, socket.AF_INET6):
        sctp_socket(family).close()

# SPDX-License-Identifier: Apache-2.0
"""test_kernel.py - the machine is the test bed that the others rely on"""
import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import platform
import resource
import shutil
import socket
import struct
import subprocess
import threading

import pytest

pytestmark = pytest.mark.kernel

SO_NETNS_COOKIE = 71
NS_GET_ID = 0x8008B70D  # _IOR(0xb7, 13, __u64)
FAN_CLASS_NOTIF = 0
FAN_REPORT_MNT = 0x4000
CLONE_NEWNET = 0x40000000
DESCRIPTORS = 300_000
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def netns():
    """A named network namespace."""
    name = f"vmtest-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def ip(netns, *words):
    return subprocess.run(["ip", "-n", netns, *words], check=True, text=True,
                          capture_output=True).stdout


def test_version():
    series = os.environ["BERTH_VM"]
    assert platform.release().startswith(series + ".")


@pytest.mark.parametrize("family", LOOPBACK)
def test_sctp_one_to_one(family):
    """Two messages each way keep their boundaries."""
    with contextlib.ExitStack() as stack:
        def sctp():
            return stack.enter_context(socket.socket(
                family, socket.SOCK_STREAM, socket.IPPROTO_SCTP))
        listener, client = sctp(), sctp()
        listener.bind((LOOPBACK[family], 0))
        listener.listen()
        client.connect(listener.getsockname())
        server, peer = listener.accept()
        stack.enter_context(server)
        assert peer[1] == client.getsockname()[1]
        for sender, receiver in ((client, server), (server, client)):
            sender.send(b"first")
            sender.send(b"second")
            assert receiver.recv(100) == b"first"
            assert receiver.recv(100) == b"second"


def test_sctp_listeners_are_seen_by_ss():
    """ss asks sctp_diag; /proc/net/sctp would be the other way."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM,
                       socket.IPPROTO_SCTP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        seen = subprocess.run(["ss", "-H", "--sctp", "-l", "-n"], check=True,
                              text=True, capture_output=True).stdout
    assert f"127.0.0.1:{port}" in seen


def test_sctp_in_a_new_namespace(netns):
    subprocess.run(["ip", "netns", "exec", netns, "checksctp"], check=True)


@pytest.mark.parametrize("program", ["sctp_test", "sctp_darn", "socat",
                                     "iperf3", "ip", "ss", "inotifywait"])
def test_peers_are_there(program):
    assert shutil.which(program)


def test_dummy_device(netns):
    ip(netns, "link", "add", "berth0", "type", "dummy")
    ip(netns, "link", "set", "berth0", "up")
    ip(netns, "address", "add", "192.0.2.1/24", "dev", "berth0")
    assert "192.0.2.1/24" in ip(netns, "-o", "-4", "address", "show", "up")


def test_veth_pair_between_namespaces(netns):
    ip(netns, "link", "add", "berth0", "type", "veth", "peer", "name",
       "berth1", "netns", str(os.getpid()))
    pathlib.Path("/sys/class/net/berth1/address").read_text()
    ip(netns, "link", "delete", "berth0")


def test_descriptors():
    """Not only the limit: so many can be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= DESCRIPTORS + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = []
    try:
        with open("/dev/null", "rb") as null:
            opened = [os.dup(null.fileno()) for _ in range(DESCRIPTORS)]
        assert max(opened) >= DESCRIPTORS
    finally:
        if opened:
            os.closerange(min(opened), max(opened) + 1)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def netns_cookie():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        value = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    return struct.unpack("=Q", value)[0]


def test_netns_cookie():
    """There, and another one in another namespace."""
    cookies = [netns_cookie()]

    def elsewhere():
        assert libc.unshare(CLONE_NEWNET) == 0
        cookies.append(netns_cookie())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(cookies) == 2
    assert 0 not in cookies
    assert cookies[0] != cookies[1]


def test_no_ns_get_id():
    """So the cookie is the only identity here: the ioctl came later."""
    with open("/proc/self/ns/net", "rb") as stream:
        with pytest.raises(OSError) as caught:
            fcntl.ioctl(stream, NS_GET_ID, bytes(8))
    assert caught.value.errno == errno.ENOTTY


def test_no_fanotify_mount_events():
    """So mountinfo is what tells of a name's bind mount here."""
    fd = libc.fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_MNT, 0)
    assert (fd, ctypes.get_errno()) == (-1, errno.EINVAL)


def test_memory_is_fresh():
    """/tmp and /run are this machine's own and may be written."""
    for folder in ("/tmp", "/run", "/var/tmp"):
        assert os.path.ismount(folder)
        probe = pathlib.Path(folder, "vmtest-probe")
        probe.write_text("x")
        probe.unlink()

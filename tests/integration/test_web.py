# SPDX-License-Identifier: Apache-2.0
"""test_web.py - berth-web: what it answers, whom, and what it withstands."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from harness import process
from harness.berthd import SANITIZED
from harness.rules import ack
from harness.user import GROUP, USER
from harness.wait import GUARD, wait_for
from harness.web import ADDRESS, WEB, StandIn, Web

SECURITY = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# As many connections as berth-web takes, and what one document may have.
VIEWERS_MAX = 64
PATHS = ["status", "namespaces", "containers", "listeners", "connections",
         "rules", "consumers", "stats"]
LISTS = {"namespaces": "namespaces", "listeners": "listeners",
         "connections": "connections", "rules": "rules", "stats": "stats",
         "consumers": "consumers"}


@pytest.fixture
def stand_in(world):
    return StandIn(world, {"GetStatus": {"version": "9"}})


def tell(berthd, name, netns, labels):
    """Tells of a container as people do: whole, and renamed into place."""
    path = berthd.runtime / "containers.d" / f"{name}.json"
    path.with_suffix(".new").write_text(json.dumps(
        {"name": name, "netns": str(netns.path), "labels": labels}))
    path.with_suffix(".new").rename(path)


def test_every_path(world):
    """The same as berthctl says, and the same safety with each."""
    blue = world.netns("blue")
    world.netns("a<script>alert(1)<")
    berthd = world.berthd(ack())
    tell(berthd, "c1", blue, {"app": "web"})
    web = Web(world, berthd.runtime)
    wait_for(lambda: berthd.status()["containers"] == 1, "the container")

    for path, command in LISTS.items():
        known, shown = berthd.ctl(command), web.get(f"/api/v1/{path}")
        assert set(known) == set(shown), path
        assert len(known[path if path in known else "total"]) == \
            len(shown[path if path in shown else "total"]), path
    assert web.get("/api/v1/backends?rule=web") == {"backends": []}
    assert web.get("/api/v1/status")["listeners"]["open"] == 2
    names = [name["name"] for netns in web.get("/api/v1/namespaces")[
        "namespaces"] for name in netns["names"]]
    assert sorted(names) == ["a<script>alert(1)<", "blue"]
    assert [row["namespace"] for row in web.get(
        "/api/v1/listeners?namespace=blue")["listeners"]] == ["blue"]
    (found,) = web.get("/api/v1/containers")["containers"]
    assert (found["name"], found["namespace"], found["labels"]) \
        == ("c1", "blue", {"app": "web"})
    explained = web.get("/api/v1/explain?name=a%3Cscript%3Ealert%281%29%3C")
    assert explained["state"] == "present"
    assert b"berth_build_info{" in web.request("/metrics")[1]
    response, body = web.request("/")
    assert response.status == 200 and b"<!doctype html>" in body
    assert "sha256-" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    web.check()


WRONG = [
    ("/nothing", 404, "nothing of this name"),
    ("/api/v1/nothing", 404, "nothing of this name"),
    ("/api/v1/status/", 404, "nothing of this name"),
    ("/../etc/passwd", 404, "nothing of this name"),
    ("/%2e%2e/etc/passwd", 404, "nothing of this name"),
    ("/?x=1", 400, "'x': there is no such parameter"),
    ("/api/v1/status?x=1", 400, "'x': there is no such parameter"),
    ("/api/v1/status?%ff=1", 400, "there is no such parameter"),
    ("/api/v1/explain", 400, "'name' is missing"),
    ("/api/v1/explain?name=", 400, "'name': it has no value"),
    ("/api/v1/explain?name", 400, "'name': it has no value"),
    ("/api/v1/explain?name=a&name=b", 400, "'name': it is given twice"),
    ("/api/v1/explain?name=a%00b", 400, "'name': it is no UTF-8"),
    ("/api/v1/explain?name=a%ffb", 400, "'name': it is no UTF-8"),
    ("/api/v1/explain?name=" + "a" * 4097, 400, "'name': it is too long"),
    ("/api/v1/explain?name=absent", 404, "no network namespace 'absent'"),
    ("/api/v1/connections?target=absent", 404, "there is no rule"),
]


def test_what_is_wrong_is_said(world):
    web = Web(world, world.berthd().runtime)
    for path, status, text in WRONG:
        response, body = web.request(path)
        assert response.status == status, path
        for name, value in SECURITY.items():
            assert response.headers[name] == value
        assert "default-src 'none'" in response.headers[
            "Content-Security-Policy"]
        if path.startswith("/api/"):
            body = json.loads(body)["message"].encode()
        assert text in body.decode(), path
        response, body = web.request(path, "HEAD")
        assert (response.status, body) == (status, b""), path
        assert int(response.headers["Content-Length"]) > 0
    web.check()


def test_only_reading(world, stand_in):
    web = Web(world, stand_in.runtime)
    for method in "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get":
        response, _ = web.request("/api/v1/status", method)
        assert (response.status, response.headers["Allow"]) \
            == (405, "GET, HEAD"), method
    for body in b"Content-Length: 1\r\n\r\nx", \
            b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n":
        with raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + body) as sock:
            assert sock.recv(13) == b"HTTP/1.1 413 "
    whole = web.request("/")[1]
    response, body = web.request("/", "HEAD")
    assert body == b"" and int(response.headers["Content-Length"]) \
        == len(whole)
    assert stand_in.calls == []
    web.check()


def test_host_header(world, stand_in):
    """Against DNS rebinding: only names that nobody else can have."""
    web = Web(world, stand_in.runtime, "--host", "berth.example")

    def status(host):
        return web.request("/api/v1/status", headers={"Host": host})[0].status

    for host in ("localhost", "127.0.0.1:1", "[::1]:10390", "10.1.2.3",
                 "berth.example", "BERTH.EXAMPLE:443"):
        assert status(host) == 200, host
    calls = len(stand_in.calls)
    for host in "evil.example", "x.berth.example", "127.0.0.1.evil", "":
        assert status(host) == 421, host
    with socket.create_connection(ADDRESS, timeout=GUARD) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert raw.recv(100).split()[1] == b"421"
    assert len(stand_in.calls) == calls
    web.check()


def test_parts_are_put_together(world, stand_in):
    """Long lists come in parts; arrays continue, all else stays."""
    last = {"pending": [], "pending_total": 3, "lingering": [9],
            "namespaces": [{"id": 2, "x": "],\"}"}, {"id": 3}]}
    stand_in.replies["ListNamespaces"] = [
        {"pending": [1], "pending_total": 3, "lingering": [],
         "namespaces": []},
        {"pending": [2, 3], "pending_total": 3, "lingering": [],
         "namespaces": [{"id": 1, "names": [{"name": "a"}], "containers": [
             {"name": "c"}]}]}, last]
    web = Web(world, stand_in.runtime)
    assert web.get("/api/v1/namespaces") == {
        "pending": [1, 2, 3], "pending_total": 3, "lingering": [9],
        "namespaces": [{"id": 1, "names": [{"name": "a"}], "containers": [
            {"name": "c"}]}, {"id": 2, "x": "],\"}"}, {"id": 3}]}
    assert web.get("/api/v1/containers") == {"containers": [
        {"name": "c", "namespace": "a", "namespace_id": 1}]}
    # What is no reply of io.berth is no answer.
    for reply in "x", 7, {"parameters": 7}:
        stand_in.reply = lambda method, parameters, reply=reply: reply
        wait_for(lambda: web.request("/api/v1/rules")[0].status == 503,
                 "the bad reply to be noticed")
    stand_in.reply = lambda method, parameters: {"error": "x.Y"}
    wait_for(lambda: web.request("/api/v1/rules")[0].status == 502,
             "the error to be passed on")
    web.check()


def test_metrics(world, stand_in):
    """As Prometheus reads them; by namespace when that is asked for."""
    families = [{"name": "a_total", "type": "counter", "help": "All a."},
                {"name": "b", "type": "gauge", "help": "Now."}]

    def metrics(parameters):
        if parameters.get("namespaces") == "[":
            return None
        rows = [{"name": "a_total", "value": 3, "fields": parameters},
                {"name": "b", "value": 0.5}]
        return [{"families": families, "metrics": rows[:1]},
                {"families": [], "metrics": rows[1:]}]

    stand_in.replies["ListMetrics"] = metrics
    web = Web(world, stand_in.runtime)
    response, body = web.request("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == \
        "text/plain; version=0.0.4; charset=utf-8"
    assert body.decode().splitlines() == [
        "# HELP a_total All a.", "# TYPE a_total counter", "a_total 3",
        "# HELP b Now.", "# TYPE b gauge", "b 0.5"]
    body = web.request("/metrics?namespaces=web-%2A")[1]
    assert b'a_total{namespaces="web-*"} 3\n' in body
    assert web.request("/metrics?x=1")[0].status == 400
    response, body = web.request("/metrics?namespaces=%5B")
    assert response.status == 503 and b"berthd does not answer" in body
    assert response.headers["Content-Type"].startswith("text/plain;")
    web.check()


def test_viewers_share_one_question(world, stand_in):
    """However many ask, berthd is asked once until it answers."""
    go_on, asked = threading.Event(), threading.Event()

    def slowly(parameters):
        del parameters
        asked.set()
        assert go_on.wait(GUARD)
        return {"version": str(len(stand_in.calls))}

    stand_in.replies["GetStatus"] = slowly
    web = Web(world, stand_in.runtime)
    viewers = [web.open() for _ in range(20)]
    for viewer in viewers:
        viewer.request("GET", "/api/v1/status")
    assert asked.wait(GUARD)
    # What needs no berthd is there meanwhile.
    assert web.request("/")[0].status == 200
    go_on.set()
    answers = {viewer.getresponse().read() for viewer in viewers}
    assert answers == {b'{"version":"1"}\n'}
    assert stand_in.calls == [("GetStatus", {})]
    web.check()


def test_berthd_goes_and_comes_back(world):
    berthd = world.berthd(ack())
    web = Web(world, berthd.runtime)
    assert web.get("/api/v1/status")["rules"] == 1
    berthd.leave()
    wait_for(lambda: web.request("/api/v1/status")[0].status == 503,
             "berth-web to notice")
    response, body = web.request("/api/v1/namespaces")
    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert "berthd does not answer" in json.loads(body)["message"]
    assert web.request("/")[0].status == 200
    berthd.start()
    wait_for(lambda: web.request("/api/v1/status")[0].status == 200,
             "berth-web to notice again")
    log = web.log()
    assert log.count("cannot ask berthd") == 1
    assert log.count("berthd answers again") == 1
    web.check()


def test_berthd_that_stands_still(world):
    """It keeps nobody from what needs no berthd, and answers when it can."""
    berthd = world.berthd(ack())
    web = Web(world, berthd.runtime)
    viewer = web.open()
    with process.stopped(berthd.pid):
        viewer.request("GET", "/api/v1/status")
        for _ in range(3):
            assert web.request("/")[0].status == 200
    assert viewer.getresponse().status == 200
    web.check()


def raw(text=b"", receive_bytes=None):
    """A connection of a viewer that does things slowly."""
    sock = socket.socket()
    sock.settimeout(GUARD)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.connect(ADDRESS)
    sock.sendall(text)
    return sock


def ended(sock):
    """Waits for the end of a connection on which nothing is said."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_slow_viewers(world, stand_in):
    """They stall nobody, and their time ends."""
    stand_in.replies["ListRules"] = {"rules": ["x" * 100] * 100000}
    web = Web(world, stand_in.runtime, "--timeout", "1")
    writer = raw(b"GET / HTTP/1.1\r\nHost: ")
    silent = raw()
    reader = raw(b"GET /api/v1/rules HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 receive_bytes=4096)
    assert reader.recv(15) == b"HTTP/1.1 200 OK"
    for _ in range(5):
        assert web.request("/")[0].status == 200
        assert len(web.get("/api/v1/rules")["rules"]) == 100000
    assert ended(writer) and ended(silent)
    # A byte now and then is no reason to stay.
    dribbler = raw(b"GET / HTTP/1.1\r\n")

    def dribble():
        try:
            dribbler.sendall(b"a")
            return False
        except OSError:
            return True

    wait_for(dribble, "the one who dribbles to be cut")
    assert web.request("/")[0].status == 200
    wait_for(lambda: web.log().count("its time is over") >= 4,
             "all four to be cut")
    for sock in writer, silent, reader, dribbler:
        sock.close()
    web.check()


def test_more_viewers_than_it_takes(world, stand_in):
    """They wait until there is room."""
    web = Web(world, stand_in.runtime, "--timeout", "1")
    crowd = [raw() for _ in range(VIEWERS_MAX + 10)]
    assert web.request("/")[0].status == 200
    for sock in crowd:
        assert ended(sock)
        sock.close()
    web.check()


def test_unix_socket(world, stand_in):
    """Any name is fine there: no browser connects to it by itself."""
    path = world.base / "web.sock"
    web = Web(world, stand_in.runtime, "--listen", f"unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o660
    assert web.get("/api/v1/status") == {"version": "9"}
    assert web.request("/", headers={"Host": "any.example"})[0].status == 200
    web.check()
    web.process.kill()
    web.process.wait()
    assert Web(world, stand_in.runtime, "--listen",
               f"unix:{path}").get("/api/v1/status") == {"version": "9"}


def test_the_service_manager_listens(world, stand_in):
    """Socket activation: descriptor 3."""
    path = world.base / "activated.sock"
    code = ("import os, socket, sys; s = socket.socket(socket.AF_UNIX); "
            "s.bind(sys.argv[1]); s.listen(); os.dup2(s.fileno(), 3); "
            "os.set_inheritable(3, True); "
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
            "os.execv(sys.argv[2], sys.argv[2:])")
    web = Web(world, stand_in.runtime, "--listen", f"unix:{path}",
              prefix=(sys.executable, "-c", code, str(path)))
    assert web.get("/api/v1/status") == {"version": "9"}
    web.check()


@pytest.mark.skipif(SANITIZED, reason="sanitizers need more than the filter "
                    "of system calls allows, so such a build has none")
def test_privileges(world, stand_in):
    web = Web(world, stand_in.runtime)
    assert web.get("/api/v1/status")
    for task in os.listdir(f"/proc/{web.pid}/task"):
        where = f"{web.pid}/task/{task}"
        for key in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
            assert int(process.status(where, key), 16) == 0
        assert process.status(where, "NoNewPrivs") == "1"
        assert process.status(where, "Seccomp") == "2"


def as_user(world, berthd, gid):
    """As a user without any right on this host."""
    return Web(world, berthd.runtime, prefix=(
        "setpriv", "--clear-groups", f"--reuid={USER}", f"--regid={gid}"))


def test_as_a_reader(world):
    """What its unit makes it: a user in the group that berthd lets read."""
    path = world.base / "berthd.yaml"
    path.write_text(f"control: {{ readers: {GROUP} }}\n")
    world.netns("blue")
    berthd = world.berthd(ack(), args=["--config", path])
    web = as_user(world, berthd, GROUP)
    for path in [*PATHS, "explain?name=blue", "connections?namespace=blue"]:
        assert web.get(f"/api/v1/{path}"), path
    assert web.request("/metrics")[0].status == 200
    web.check()


def test_as_another_user(world):
    """Whoever berthd does not let read is told so."""
    path = world.base / "berthd.yaml"
    path.write_text("control: { mode: 0666 }\n")
    berthd = world.berthd(ack(), args=["--config", path])
    web = as_user(world, berthd, GROUP)
    message = web.get("/api/v1/status", status=503)["message"]
    assert message.startswith(f"berthd does not let user {USER} read: only")
    path.write_text("")
    berthd.ctl("reload")
    wait_for(lambda: "Permission denied" in web.get(
        "/api/v1/status", status=503)["message"], "the closed socket")
    web.check()


@pytest.mark.parametrize("args, text", [
    (["--listen", "localhost:80"], "--listen: 'localhost:80' is none of"),
    (["--listen", "127.0.0.1:0"], "--listen: '127.0.0.1:0' is none of"),
    (["--listen", "unix:x"], "--listen: 'unix:x' is none of"),
    (["--host", "a b"], "--host: 'a b' is no name of a host"),
    (["--runtime-dir", "x"], "--runtime-dir: 'x' is no absolute path"),
    (["--timeout", "0"], "--timeout"),
    (["x"], "Usage: berth-web"),
    (["--x"], "Usage: berth-web"),
])
def test_command_line(args, text):
    done = web_process(*args)
    assert (done.returncode, text in done.stderr) == (2, True), done.stderr


def web_process(*args):
    return subprocess.run([str(WEB), *args], text=True, capture_output=True,
                          check=False, timeout=60)


def test_help_and_version():
    assert web_process("--version").stdout.startswith("berth-web ")
    assert "--listen" in web_process("--help").stdout


def test_address_in_use(world, stand_in):
    web = Web(world, stand_in.runtime)
    done = web_process("--runtime-dir", str(stand_in.runtime))
    assert done.returncode == 1
    assert "cannot listen at '127.0.0.1:10390'" in done.stderr
    web.check()

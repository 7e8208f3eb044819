# SPDX-License-Identifier: Apache-2.0
"""test_components.py - programs that people run, on both sides of the relay.

Servers run on the host, their clients inside a namespace; each run is bounded
in time by its program's own option.
"""

import json
import os
import re
import shutil
import subprocess

import pytest

from harness import process
from harness.rules import forward
from harness.wait import GUARD, wait_equal, wait_for

# dnsperf and wrk end a moment after the time they were given.
RUN_GUARD = 4 * GUARD


def program(name):
    """The path of a program of the group test of install-dependencies."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if not path:
        pytest.skip(f"{name} is not installed "
                    "(contrib/install-dependencies test)")
    return path


@pytest.fixture
def netns(world):
    return world.netns("n")


def serve(world, port, *argv):
    """Runs a server on the host until the test ends, and waits for it."""
    log_path = world.base / f"{os.path.basename(argv[0])}.log"
    with world.host.entered(), open(log_path, "wb") as log:
        server = world.popen(*argv, stdin=subprocess.DEVNULL, stdout=log,
                             stderr=log, cwd=world.base)

    def answers():
        assert server.poll() is None, log_path.read_text()
        return not world.host.refuses("127.0.0.1", port)

    wait_for(answers, f"{argv[0]} to listen")
    return server


def run_inside(netns, *argv):
    """Runs a client to its end. Return: what it wrote to stdout."""
    with netns.entered():
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False,
                              timeout=RUN_GUARD)
    assert done.returncode == 0, \
        f"{argv[0]}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


# DNS

@pytest.fixture
def dnsmasq(world):
    """A name server on the host: NUMBER.berth.test is there, else nothing."""
    server = serve(
        world, 53, program("dnsmasq"), "--keep-in-foreground",
        "--conf-file=/dev/null", "--user=root", "--pid-file=", "--no-hosts",
        "--no-resolv", "--listen-address=127.0.0.1", "--bind-interfaces",
        "--address=/berth.test/10.9.8.7", "--log-facility=-")
    # A process of its own for each TCP connection, which ends with that.
    world.defer(wait_equal, lambda: process.children(server.pid), [],
                "dnsmasq's processes")
    return server


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_name_server(world, netns, dnsmasq, transport):
    """At a modest rate no query is lost, and each has the right answer."""
    del dnsmasq
    world.berthd(forward("127.0.0.1:53", protocol=["udp", "tcp"], port=53))
    queries = world.base / "queries"
    queries.write_text("".join(f"{number}.berth.test A\n"
                               for number in range(100)), encoding="ascii")
    wait_equal(lambda: len(netns.listeners()), 2, "listeners")
    # 300 in all: dnsmasq ends a TCP connection after 100 queries, with those
    # lost that are under way in it.
    said = run_inside(netns, program("dnsperf"), "-s", "127.0.0.1", "-d",
                      str(queries), "-m", transport, "-c", "8", "-n", "3",
                      "-Q", "200", "-t", str(round(GUARD)))
    counts = {name: int(number) for name, number in
              re.findall(r"Queries (\w+): +(\d+)", said)}
    assert counts["sent"] == 300, said
    assert counts["lost"] == 0, said
    assert counts["completed"] == counts["sent"], said
    codes = re.findall(r"([A-Z]+) (\d+) \(", said)
    assert [name for name, _ in codes] == ["NOERROR"], said


# HTTP

_NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {base}/nginx.pid;
error_log stderr error;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {base};
    proxy_temp_path {base};
    fastcgi_temp_path {base};
    uwsgi_temp_path {base};
    scgi_temp_path {base};
    server {{
        listen 127.0.0.1:8000 backlog=512;
        location /small {{ return 200 "small\\n"; }}
        location /large {{ root {base}; }}
    }}
}}
"""

_WRK_REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "connect": %d, "read": %d, ' ..
    '"write": %d, "status": %d, "timeout": %d}\\n',
    summary.requests, summary.bytes, e.connect, e.read, e.write, e.status,
    e.timeout))
end
"""


@pytest.fixture
def nginx(world):
    config = world.base / "nginx.conf"
    config.write_text(_NGINX.format(base=world.base), encoding="ascii")
    (world.base / "large").write_bytes(b"\xa5" * (1 << 20))
    return serve(world, 8000, program("nginx"), "-e", "stderr", "-p",
                 str(world.base), "-c", str(config))


@pytest.mark.parametrize("path,header", [
    ("/small", "Connection: keep-alive"),
    ("/small", "Connection: close"),
    ("/large", "Connection: keep-alive"),
])
def test_web_server(world, netns, nginx, path, header):
    """Every request is answered with 200, and no connection fails."""
    del nginx
    berthd = world.berthd(forward("127.0.0.1:8000"))
    idle = berthd.idle_relay_descriptors()
    wait_for(netns.listeners, "the listener")
    script = world.base / "report.lua"
    script.write_text(_WRK_REPORT, encoding="ascii")
    said = run_inside(netns, program("wrk"), "-t", "1", "-c", "16", "-d",
                      "2s", "--timeout", "20s", "-H", header, "-s",
                      str(script), f"http://127.0.0.1:8080{path}")
    report = json.loads(said.splitlines()[-1])
    requests, size = report.pop("requests"), report.pop("bytes")
    assert requests > 0
    assert size >= requests * (1 << 20 if path == "/large" else 6)
    assert set(report.values()) == {0}, said
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")


# Throughput

def iperf3(world, netns, *options):
    """One run through the relay. Return: iperf3's own report."""
    path = program("iperf3")
    # Without -1: the readiness check is a connection too.
    serve(world, 5201, path, "--server", "--bind", "127.0.0.1")
    berthd = world.berthd()
    idle = berthd.idle_relay_descriptors()
    berthd.write_rules("50-test.yaml", forward(
        "127.0.0.1:5201", port=5201, protocol=["tcp", "udp"]))
    wait_equal(lambda: len(netns.listeners()), 2, "listeners")
    report = json.loads(run_inside(
        netns, path, "--client", "127.0.0.1", "--json", "--time", "1",
        "--parallel", "3", *options))
    assert "error" not in report, report["error"]
    berthd.remove_rules("50-test.yaml")  # no UDP session outlives that
    wait_equal(berthd.relay_descriptors, idle, "the relay's descriptors")
    return report["end"]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_iperf3_tcp(world, netns, direction):
    """Several streams at once: each moves data, and what was received is
    what was sent but for what was under way at the end."""
    end = iperf3(world, netns, *["--reverse"] * (direction == "down"))
    assert len(end["streams"]) == 3
    for stream in end["streams"]:
        assert 0 < stream["receiver"]["bytes"] <= stream["sender"]["bytes"]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_iperf3_udp(world, netns, direction):
    """TCP control and UDP data on one port; at a modest rate nothing is
    lost and nothing changes its order."""
    end = iperf3(world, netns, "--udp", "--bitrate", "1M", "--length", "1200",
                 *["--reverse"] * (direction == "down"))
    assert len(end["streams"]) == 3
    for stream in end["streams"]:
        udp = stream["udp"]
        assert udp["packets"] > 10
        assert (udp["lost_packets"], udp["out_of_order"]) == (0, 0), udp

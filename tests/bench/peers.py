# SPDX-License-Identifier: Apache-2.0
"""peers.py - the programs that berth's relay is compared with

Each listens in the namespace on a port of its own and relays to the backend in
the host's namespace. They are the ones that Debian 12 has; the Go program is
built here from peers/relay.go.
"""
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 3

HAPROXY = """\
global
    nbthread {threads}
    maxconn 4000
defaults
    mode tcp
    maxconn 4000
    timeout connect 5s
    timeout client 1h
    timeout server 1h
{options}
listen bench
    bind 0.0.0.0:{port} namespace {name}
    server backend 127.0.0.1:{backend}
"""
HAPROXY_SPLICE = """\
    option splice-request
    option splice-response
"""


# Sessions stay, as berth's do: without proxy_responses. The largest receive
# buffer that the kernel lets it have.
NGINX = """\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes {workers};
pid {top}/nginx-{port}.pid;
error_log stderr warn;
events {{
    worker_connections 4096;
    multi_accept on;
}}
stream {{
    server {{
        listen 0.0.0.0:{port} udp reuseport rcvbuf=4m;
        proxy_pass 127.0.0.1:{backend};
        proxy_timeout 1h;
    }}
}}
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def task_files(pids, name):
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/{name}"):
            try:
                with open(path) as stream:
                    yield stream.read()
            except OSError:
                continue  # a thread that ended


class Subject:
    """What is measured: processes, and the address to reach them at."""

    def __init__(self, name, pids, address, port):
        self.name = name
        self.pids = pids
        self.address = address
        self.port = port

    def cpu_ns(self):
        """On a CPU so far, all threads; none of them end while measured."""
        return sum(int(text.split()[0])
                   for text in task_files(self.pids, "schedstat"))

    def switches(self):
        return sum(int(line.split()[1])
                   for text in task_files(self.pids, "status")
                   for line in text.splitlines() if "ctxt_switches" in line)

    def memory_kib(self):
        """Private memory: what does not depend on who else runs."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/smaps_rollup") as stream:
                total += sum(int(line.split()[1]) for line in stream
                             if line.startswith("Pss_Anon:"))
        return total

    def files(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids)

    def keep_to(self, cpus):
        for pid in self.pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), cpus)

    def pause(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


class Peer(Subject):
    """A program that the benchmark starts, and ends."""

    def __init__(self, bench, name, port, command, environment=None):
        self.log_path = f"{bench.top}/{name.replace(' ', '-')}.log"
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,
                env={**os.environ, **(environment or {})})
        super().__init__(name, [self.process.pid], "127.0.0.1", port)

    def wait_listening(self, directory, netns):
        """Until its port is in the namespace's table of sockets."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            table = subprocess.run(
                ["nsenter", f"--net={directory}/{netns}", "ss", "-Hlntu",
                 f"sport = :{self.port}"], stdout=subprocess.PIPE).stdout
            if table:
                return self
            time.sleep(0.02)
        self.stop()
        with open(self.log_path) as log:
            sys.exit(f"{self.name} does not listen:\n{log.read()}")

    def stop(self):
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def need(program, package):
    path = shutil.which(program,
                        path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        sys.exit(f"{program} is missing: contrib/install-dependencies bench "
                 f"installs {package}")
    return path


def haproxy(bench, netns, port, backend, threads, splice):
    """Its own support of namespaces binds in /run/netns/NAME, which is
    private to the benchmark, see relay.py."""
    name = f"HAProxy {threads}t{' splice' if splice else ''}"
    path = f"{bench.top}/haproxy-{port}.cfg"
    with open(path, "w") as stream:
        stream.write(HAPROXY.format(
            threads=threads, port=port, name=netns, backend=backend,
            options=HAPROXY_SPLICE if splice else ""))
    return Peer(bench, name, port,
                [need("haproxy", "haproxy"), "-db", "-f", path])


def build_go(bench):
    """Offline: all it needs is in Debian's packages."""
    program = f"{bench.build}/tests/bench/peers/relay"
    source = f"{os.path.dirname(os.path.abspath(__file__))}/peers/relay.go"
    if os.path.exists(program) and (os.path.getmtime(program)
                                    > os.path.getmtime(source)):
        return program
    os.makedirs(os.path.dirname(program), exist_ok=True)
    subprocess.run(
        [need("go", "golang-go"), "build", "-o", program, source], check=True,
        env={**os.environ, "GO111MODULE": "off", "GOFLAGS": "",
             "GOPATH": "/usr/share/gocode", "CGO_ENABLED": "0",
             "GOCACHE": f"{bench.build}/tests/bench/peers/cache"})
    return program


def golang(bench, directory, netns, port, backend):
    return Peer(bench, "Go", port,
                [build_go(bench), directory, netns, str(port),
                 f"127.0.0.1:{backend}"])


def bare(bench, directory, netns, port, backend):
    """No rival, but what the kernel takes from every relay of this kind, see
    floor_relay.c."""
    return Peer(bench, "bare", port, [
        bench.tool("floor_relay"), directory, netns, str(port),
        str(backend)])


def nginx(bench, directory, netns, port, backend, workers):
    """For datagrams. Its sockets are inherited, see inherit.c."""
    path = f"{bench.top}/nginx-{port}.conf"
    with open(path, "w") as stream:
        stream.write(NGINX.format(workers=workers, top=bench.top, port=port,
                                  backend=backend))
    peer = Peer(bench, f"nginx {workers}w", port, [
        bench.tool("inherit"), directory, netns, str(port),
        str(workers), need("nginx", "nginx-light"), "-c", path,
        "-e", "stderr"])
    master = peer.process.pid
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(peer.pids) < workers + 1 and time.monotonic() < deadline:
        time.sleep(0.02)
        with open(f"/proc/{master}/task/{master}/children") as stream:
            peer.pids = [master] + [int(pid) for pid in stream.read().split()]
    return peer

# SPDX-License-Identifier: Apache-2.0
"""neutron.py - an agent of Neutron's, started by berth-neutron-agent

See neutron_agent.py for what is its own, and what stands in for others.
"""

import os
import subprocess
from pathlib import Path

from . import process
from .netns import Netns
from .wait import GUARD, wait_exit, wait_for

TOP = Path(__file__).resolve().parents[3]
EXTENSION = TOP / "contrib/openstack/berth-neutron-agent"
PROGRAM = Path(__file__).with_name("neutron_agent.py")
PYTHON = "/usr/bin/python3"
RUN_NETNS = Path("/run/netns")  # Neutron's `ip netns exec` looks nowhere else


class Agent:
    """An agent, and the file that says which networks are berth's."""

    def __init__(self, world, name, prefix, options=()):
        RUN_NETNS.mkdir(exist_ok=True)
        self.prefix = prefix
        self.base = world.mkdir(name)
        self.networks = self.base / "networks"
        config = self.base / "agent.ini"
        config.write_text("\n".join([
            "[DEFAULT]", *options, f"state_path = {self.base}", "debug = true",
            f"external_pids = {self.base}/pids",
            f"metadata_proxy_socket = {self.base}/metadata_proxy",
            f"log_file = {self.base}/log", "[AGENT]", "root_helper = env",
            "check_child_processes_interval = 1",
            "[privsep]", f"helper_command = {PYTHON} -P {PROGRAM} --helper",
            "[oslo_concurrency]", f"lock_path = {self.base}/lock", ""]))
        with open(self.base / "stderr", "wb") as errors:
            self.program = world.popen(
                PYTHON, "-P", PROGRAM, EXTENSION, self.networks,
                name, "--config-file", config,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True)
        assert self._line() == "ready", self.log()

    def _line(self):
        return self.program.stdout.readline().strip()

    def log(self):
        return "\n".join(path.read_text(errors="replace") for path in
                         (self.base / "log", self.base / "stderr")
                         if path.exists())

    def tell(self, word, network):
        print(word, network, file=self.program.stdin, flush=True)
        answered = self._line()
        assert answered == "done", f"{answered}\n{self.log()}"

    def provision(self, network):
        """As when the network, or router, comes to this host. Return: the
        Netns, which is there if the agent is OVN's."""
        self.tell("provision", network)
        return Netns(RUN_NETNS / f"{self.prefix}-{network}")

    def teardown(self, network):
        self.tell("teardown", network)

    def write(self, *lines):
        """Says which networks are berth's, and waits until it is read."""
        before = self.log().count("was read again")
        new = self.networks.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        os.rename(new, self.networks)
        wait_for(lambda: self.log().count("was read again") > before,
                 "the file to be read", 4 * GUARD)

    def proxy(self, network):
        """The pid of the network's haproxy, or 0."""
        try:
            pid = int((self.base / f"pids/{network}.pid.haproxy").read_text())
        except (FileNotFoundError, ValueError):  # it is written just now
            return 0
        return pid if process.command(pid).endswith("haproxy") else 0

    def proxies(self, *networks):
        return {network for network in networks if self.proxy(network)}

    def daemons(self, *names):
        """The pids of these programs, whoever knows of them."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir(
            "/proc"))) if str(self.base) in process.arguments(pid)
            and os.path.basename(process.command(pid)) in names]

    def kill_daemons(self):
        """They outlive the agent, which would start them again."""
        self.program.kill()
        self.program.wait()
        for pid in self.daemons("haproxy", "dnsmasq"):
            pidfd = os.pidfd_open(pid)
            os.kill(pid, 9)
            assert wait_exit(pidfd)
            os.close(pidfd)
        process.reap_orphans("haproxy", "dnsmasq")

# SPDX-License-Identifier: Apache-2.0
"""test_openstack_ovs.py - Neutron's DHCP agent and its L3 agent, extended by
contrib/openstack/berth-neutron-agent, leave haproxies to berth

The agents are Debian's, with their own code from main() on, and so are
haproxy, dnsmasq and the rules of iptables; see harness/neutron_server.py for
what stands in for Neutron's server. Interfaces are veth pairs, as with
linuxbridge, and the other end is in an instance.
"""

import http.server
import os
import socketserver
import threading
import uuid

import pytest

from harness.berthd import SANITIZED
from harness.neutron import RUN_NETNS, TOP, Agent
from harness.netns import Netns
from harness.wait import GUARD, wait_equal, wait_for

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="what is tested is Python: without sanitizers only")

OPTIONS = ["transport_url = fake://", "host = host",
           "interface_driver = linuxbridge"]
AGENT_GUARD = 8 * GUARD  # Neutron takes its time, most of it for itself
INSTANCE = "10.0.0.5"
CHECKED = 'Lock "_check_child_processes" "released"'
URL = "http://169.254.169.254/"


class Metadata(socketserver.ThreadingUnixStreamServer):
    """Answers with the headers by which Neutron knows whose a request is."""

    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = "\n".join(
                f"{name.lower()}: {value}" for name, value
                in self.headers.items()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return ""

        def log_message(self, *_):
            pass

    def __init__(self, world, path):
        super().__init__(str(path), self.Handler)
        path.chmod(0o666)
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        for step in (self.server_close, thread.join, self.shutdown):
            world.defer(step)


def instance(world, network):
    """A namespace at the other end of the agent's interface."""
    name = f"tap{network}"[:14]
    made = world.netns(f"instance-{network}")
    world.host.ip("link", "set", name, "netns", str(made.path))
    made.ip_batch([f"addr add {INSTANCE}/24 dev {name}", f"link set {name} up",
                   "route add 169.254.169.254 via 10.0.0.2"])
    return made


def recipe(agent, *networks):
    """As README.md says: the rules, for these networks."""
    text = (TOP / "contrib/openstack/ovs.yaml").read_text(encoding="ascii")
    return text.replace("[0-9a-f-]{36}", "|".join(networks)).replace(
        "/var/lib/neutron/metadata_proxy", f"{agent.base}/metadata_proxy")


def over_and_back(world, agent, header, listeners, look=lambda netns: None):
    """One is berth's and the other one haproxy's; then they change places, and
    then they go. `listeners`: how many of each are berth's; `look` is called
    with each Netns while it is whole."""
    Metadata(world, agent.base / "metadata_proxy")
    networks = red, blue = [str(uuid.uuid4()) for _ in range(2)]
    agent.write(red)
    berthd = world.berthd(recipe(agent, red), netns_dirs=[RUN_NETNS])
    places = {network: agent.provision(network) for network in networks}
    wait_for(lambda: f"berth serves {red}: starts no haproxy" in agent.log(),
             "the agent to leave it to berth", AGENT_GUARD)
    wait_for(lambda: agent.proxy(blue), "the other's haproxy", AGENT_GUARD)
    instances = {network: instance(world, network) for network in networks}

    def berths():
        rows = {network: [row["state"] for row in
                          berthd.listeners(netns.cookie())]
                for network, netns in places.items()}
        return {network for network, states in rows.items()
                if states == ["listening"] * listeners}

    def is_served(network):
        """Does its instance's request arrive, and as one of this network?"""
        told = instances[network].run("curl", "-s", "--max-time", "5", URL,
                                      check=False)
        # The haproxy of a router has one socket for IPv4 and IPv6.
        lines = told.replace("::ffff:", "").splitlines()
        return {f"{header}: {network}",
                f"x-forwarded-for: {INSTANCE}"} <= set(lines)

    def is_so(of_berth, of_haproxy):
        wait_equal(berths, {of_berth}, "the listeners of berth", AGENT_GUARD)
        wait_equal(lambda: agent.proxies(*networks), {of_haproxy},
                   "the haproxies", AGENT_GUARD)
        for network in networks:
            wait_for(lambda one=network: is_served(one), "an answer",
                     AGENT_GUARD)

    is_so(red, blue)
    # The monitor looks each second: to the end it misses no process.
    checks = agent.log().count(CHECKED)
    wait_for(lambda: agent.log().count(CHECKED) > checks, "the monitor",
             AGENT_GUARD)
    berthd.write_rules("50-test.yaml", recipe(agent, blue))
    agent.write(blue)
    is_so(blue, red)
    for network, netns in places.items():
        look(netns)
        agent.teardown(network)
        wait_for(lambda path=netns.path: not os.path.exists(path),
                 "the end of it", AGENT_GUARD)
    wait_equal(lambda: agent.daemons("haproxy", "dnsmasq"), [],
               "the end of all programs", AGENT_GUARD)
    assert "The process should not have died" not in agent.log()


@pytest.fixture(name="start")
def fixture_start(world):
    agents = []

    def start(*args):
        agents.append(Agent(world, *args))
        return agents[0]

    yield start
    for agent in agents:
        print(agent.log()[-8000:])
        agent.kill_daemons()
        for path in RUN_NETNS.glob(f"{agent.prefix}-*"):
            Netns(path).destroy()


def test_dhcp_agent(world, start):
    """Of a network with no router; over IPv4 and IPv6."""
    over_and_back(world, start("neutron-dhcp-agent", "qdhcp", [
        *OPTIONS, "enable_isolated_metadata = true"]),
        "x-neutron-network-id", 2)


def test_l3_agent(world, start):
    """Its iptables lead to berth, and have the names that they have without
    the extension, or a restart would leave both."""
    agent = start("neutron-l3-agent", "qrouter", OPTIONS)

    def look(netns):
        rules = netns.run("iptables-save", "-t", "nat").splitlines()
        assert [rule.split()[1] for rule in rules if " 169.254.169.254/32 "
                in rule] == ["neutron-l3-agent-PREROUTING"], rules

    over_and_back(world, agent, "x-neutron-router-id", 1, look)

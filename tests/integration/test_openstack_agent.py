# SPDX-License-Identifier: Apache-2.0
"""test_openstack_agent.py - Neutron's metadata agent, extended by
contrib/openstack/berth-neutron-agent, leaves haproxies to berth

The agent is Debian's, with its own code from main() on, and so is haproxy; see
harness/neutron_agent.py for what stands in for OVN's databases.
"""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import uuid
from unittest import mock

import pytest

from harness.berthd import SANITIZED
from harness.neutron import EXTENSION, PYTHON, RUN_NETNS, Agent
from harness.rules import rule, rules
from harness.wait import wait_equal, wait_for
from harness.world import World

# The agent takes its time to start, and berth is no part of it.
pytestmark = pytest.mark.skipif(
    SANITIZED, reason="what is tested is Python: without sanitizers only")

LISTENER = "tcp 169.254.169.254:80"


def answer(*networks):
    """Rules of berth's for these networks."""
    names = [f"ovnmeta-{network}" for network in networks]
    return rules(rule(namespace=names, listen=[
        {"protocol": "tcp", "address": "169.254.169.254", "port": 80}]))


@pytest.fixture(name="module_world", scope="module")
def fixture_module_world():
    made = World()
    yield made
    made.close()


@pytest.fixture(name="agent", scope="module")
def fixture_agent(module_world):
    """One for all tests, each of which has networks of its own."""
    agent = Agent(module_world, "neutron-ovn-metadata-agent", "ovnmeta")
    yield agent
    agent.kill_daemons()


@pytest.fixture(name="networks")
def fixture_networks(world, agent):
    """Two networks; the agent unmakes them, whatever becomes of the test."""
    made = [str(uuid.uuid4()) for _ in range(2)]
    yield made
    agent.write()
    for network in made:
        agent.teardown(network)


def test_without_a_line_all_is_neutrons(agent, networks):
    red, blue = networks
    agent.provision(red)
    agent.write("*", f"!{blue[:8]}*", f"  !{red}", "# *")
    agent.provision(blue)
    assert agent.proxies(*networks) == set(networks)
    agent.teardown(red)
    assert agent.proxies(*networks) == {blue}
    assert not (RUN_NETNS / f"ovnmeta-{red}").exists()


def test_berth_serves_instead(world, agent, networks):
    """The agent makes and unmakes networks as ever, and starts nothing."""
    red, blue = networks
    agent.write("*", f"!{blue}")
    world.berthd(answer(red), netns_dirs=[RUN_NETNS])
    netns = agent.provision(red)
    wait_for(lambda: LISTENER in netns.listeners(), "berth to listen")
    assert netns.ask("169.254.169.254", 80) == b"ack"
    # Provisioned again, as at each port that comes: nothing is started.
    agent.provision(red)
    # The monitor, which looks each second, misses no process.
    agent.provision(blue)
    before = agent.proxy(blue)
    os.kill(before, 9)
    wait_for(lambda: agent.proxy(blue) not in (0, before),
             "the monitor to start it again")
    assert f"uuid {red} not found" not in agent.log()
    assert f"uuid {blue} not found" in agent.log()
    assert not agent.proxy(red)
    assert not (agent.base / f"ovn-metadata-proxy/{red}.conf").exists()
    agent.teardown(red)
    assert not (RUN_NETNS / f"ovnmeta-{red}").exists()


def test_over_and_back(world, agent, networks):
    """One network after the other, while the agent runs."""
    red, blue = networks
    places = {network: agent.provision(network) for network in networks}
    assert agent.proxies(*networks) == set(networks)
    berthd = world.berthd(answer(red, blue), netns_dirs=[RUN_NETNS])

    def berths():
        return {network for network, netns in places.items()
                for row in berthd.listeners(netns.cookie())
                if row["state"] == "listening"}

    assert berths() == set()  # haproxy was there first
    for lines, served in (([red], {red}), ([red, blue], {red, blue})):
        agent.write(*lines)
        wait_equal(lambda: agent.proxies(*networks), set(networks) - served,
                   f"the haproxies with {lines}")
        wait_equal(berths, served, "berth to listen where haproxy did")
    # Back: berth lets go first, because the port is one program's.
    berthd.write_rules("50-test.yaml", answer(blue))
    wait_equal(berths, {blue}, "berth to let go")
    agent.write(blue)
    wait_equal(lambda: agent.proxies(*networks), {red}, "haproxy to be back")
    for network, netns in places.items():
        assert LISTENER in netns.listeners(), network


def test_back_before_berth_let_go(world, agent, networks):
    """haproxy cannot have the port yet: it is tried until it can."""
    red, _ = networks
    agent.write("*")
    berthd = world.berthd(answer(red), netns_dirs=[RUN_NETNS])
    netns = agent.provision(red)
    wait_for(lambda: LISTENER in netns.listeners(), "berth to listen")
    agent.write()
    wait_for(lambda: f"berth: {red}: not yet" in agent.log(),
             "an attempt that fails")
    berthd.remove_rules("50-test.yaml")
    wait_for(lambda: agent.proxy(red), "haproxy")


@pytest.fixture
def extension(monkeypatch):
    loader = importlib.machinery.SourceFileLoader("extension", str(EXTENSION))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


def test_back_before_haproxy_has_ended(tmp_path, extension):
    """It answers its last request still, and listens no more: another one is
    started when it is gone, and not before."""
    made = []

    class Process:
        uuid = "red"

        def __init__(self, **_):
            self.pid = None
            self.enabled = 0
            self.signals = []
            made.append(self)

        @property
        def active(self):
            return self.pid is not None

        def enable(self):
            self.enabled += 1
            if not self.active:
                self.pid = 100 + self.enabled

        def disable(self, sig=None):
            self.signals.append(sig)

    path = tmp_path / "networks"
    watched = extension.Watched(extension.Networks(path))
    manager = extension.manager_class(Process, watched.networks)()
    process = made[-1]
    watched.add(manager)
    manager.enable()
    path.write_text("red\n")
    watched.look()
    assert process.signals and process.pid == 101
    path.unlink()
    for _ in range(2):
        watched.look()
        assert process.enabled == 1 and manager.active
    process.pid = None  # it has ended
    watched.look()
    assert process.enabled == 2 and process.pid == 102
    watched.look()
    assert process.enabled == 2


def test_a_network_goes_while_its_haproxy_starts(tmp_path, extension):
    """Its end finds no process yet: what has begun is ended afterwards."""
    path = tmp_path / "networks"
    watched = extension.Watched(extension.Networks(path))
    stays, goes = (mock.Mock(uuid=name) for name in ("stays", "goes"))
    goes.enable.side_effect = lambda: watched.remove("goes")
    watched.add(stays)
    watched.add(goes)
    path.write_text("!*\n")
    watched.look()
    stays.enable.assert_called_once()
    stays.disable.assert_not_called()
    goes.disable.assert_called_once()


def test_a_file_that_cannot_be_read(tmp_path, extension, caplog, monkeypatch):
    """All is as before, and the log says so, not with each look."""
    path = tmp_path / "networks"
    path.write_text("red\n")
    networks = extension.Networks(path)
    monkeypatch.setattr(extension, "TELL_S", 3600)
    path.write_bytes(b"\xff\n")
    assert [networks.look() for _ in range(3)] == [False] * 3
    assert networks.serves("red")
    assert caplog.text.count("as before") == 1
    monkeypatch.setattr(extension, "TELL_S", 0)
    path.write_text("blue\n")
    assert networks.look() and networks.serves("blue")
    path.write_bytes(b"\xff\n")
    assert [networks.look() for _ in range(2)] == [False] * 2
    assert caplog.text.count("as before") == 3


def test_help():
    done = subprocess.run([PYTHON, EXTENSION, "--help"], text=True,
                          capture_output=True, check=True)
    assert "\nusage: berth-neutron-agent" in done.stdout
    assert "Theory" not in done.stdout


@pytest.mark.parametrize("words,problem", [
    ([], "usage"), (["--networks"], "usage"),
    (["neutron-no-such-agent"], "Neutron has no program")])
def test_says_what_is_wrong(words, problem):
    done = subprocess.run([PYTHON, EXTENSION, *words], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 1 and problem in done.stderr

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""neutron_agent.py - Neutron's OVN metadata agent, without OVN's databases

usage: neutron_agent.py EXTENSION NETWORKS|- AGENT [ARGUMENT]...

EXTENSION is contrib/openstack/berth-neutron-agent, by which the agent is
started with the file NETWORKS; with "-" for NETWORKS the agent is Neutron's
alone. Everything is Neutron's own code, from its main() to the haproxy, but
for what it asks the databases: a network always has one port. The words on
standard input, `provision UUID` and `teardown UUID`, are what an event of the
database would bring; each is answered by a line, "done" or what went wrong.
"""
import importlib.machinery
import importlib.util
import sys
import traceback
from unittest import mock

import eventlet
import eventlet.greenio

MAC = "fa:16:3e:00:00:01"
CIDRS = "10.0.0.2/24"


def load(path):
    """The extension, which has no suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader("berth_neutron_agent", path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def serve(agent):
    """Stands in for MetadataAgent.start(), which would ask the databases."""
    agent.chassis, agent.ovn_bridge = "chassis", "br-int"
    agent.sb_idl = mock.MagicMock()
    agent.sb_idl.get_metadata_port_network.return_value = mock.Mock(
        mac=[f"{MAC} {CIDRS}"], external_ids={"neutron:cidrs": CIDRS},
        logical_port="port")
    agent.ovs_idl = mock.MagicMock()
    agent.ovs_idl.list_br.return_value.execute.return_value = ["br-int"]
    print("ready", flush=True)
    # Other green threads run while this one waits for a line.
    commands = eventlet.greenio.GreenPipe(sys.stdin.fileno(), "r")
    for line in iter(commands.readline, ""):
        word, uuid = line.split()
        try:
            if word == "provision":
                agent.provision_datapath(uuid, uuid)
            else:
                agent.teardown_datapath(uuid)
            print("done", flush=True)
        except Exception as error:  # the test shall read it
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}".replace("\n", " "),
                  flush=True)


def main():
    path, networks, name, *rest = sys.argv[1:]
    extension = load(path)
    agent_main = extension.entry_point(name)
    from neutron.agent.ovn.metadata import agent
    agent.MetadataAgent.start = serve
    if networks == "-":
        sys.argv = [name, *rest]
        return agent_main()
    return extension.main(["berth-neutron-agent", "--networks", networks,
                           name, *rest])


if __name__ == "__main__":
    sys.exit(main())

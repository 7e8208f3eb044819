#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""neutron_agent.py - an agent of Neutron's, without databases and server

usage: neutron_agent.py EXTENSION NETWORKS AGENT [ARGUMENT]...
       neutron_agent.py --helper [ARGUMENT]...

EXTENSION is contrib/openstack/berth-neutron-agent, by which the agent is
started with the file NETWORKS. Everything is Neutron's own code, from its
main() to the haproxy, but for what it asks others: OVN's databases, in which a
network always has one port; or Neutron's server, see neutron_server.py. The
words on standard input, `provision UUID` and `teardown UUID`, are what an event
of the database or a message of the server would bring; each is answered by a
line, "done" or what went wrong. What the server's message brings about comes
after that answer.

With --helper it is what the agent has started for what needs privileges.
"""
import importlib.machinery
import importlib.util
import os
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


def obey(provision, teardown):
    """Does what the words on standard input say."""
    print("ready", flush=True)
    # Other green threads run while this one waits for a line.
    commands = eventlet.greenio.GreenPipe(sys.stdin.fileno(), "r")
    for line in iter(commands.readline, ""):
        word, uuid = line.split()
        try:
            if word == "provision":
                provision(uuid)
            else:
                teardown(uuid)
            print("done", flush=True)
        except Exception as error:  # the test shall read it
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}".replace("\n", " "),
                  flush=True)


def serve(agent):
    """Stands in for MetadataAgent.start(), which would ask the databases."""
    agent.chassis, agent.ovn_bridge = "chassis", "br-int"
    agent.sb_idl = mock.MagicMock()
    agent.sb_idl.get_metadata_port_network.return_value = mock.Mock(
        mac=[f"{MAC} {CIDRS}"], external_ids={"neutron:cidrs": CIDRS},
        logical_port="port")
    agent.ovs_idl = mock.MagicMock()
    agent.ovs_idl.list_br.return_value.execute.return_value = ["br-int"]
    obey(lambda uuid: agent.provision_datapath(uuid, uuid),
         agent.teardown_datapath)


def play_databases():
    from neutron.agent.ovn.metadata import agent
    agent.MetadataAgent.start = serve


def share_privileges():
    """One helper with privileges instead of one for each kind of them: each
    would import Neutron anew."""
    from neutron import privileged
    from oslo_privsep.priv_context import PrivContext
    for name, context in vars(privileged).items():
        if isinstance(context, PrivContext):
            setattr(privileged, name, privileged.default)


def play_server(name):
    """The agent and a server in one process speak by oslo.messaging, whose
    transport is to be "fake": queues in memory."""
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import neutron_server
    from neutron_lib import rpc
    init = rpc.init

    def start():
        server = neutron_server.start(name)
        server.asked.wait()
        obey(server.provision, server.teardown)

    def init_and_start(*args, **kwargs):
        init(*args, **kwargs)
        eventlet.spawn(start)

    rpc.init = init_and_start


def main():
    if sys.argv[1] == "--helper":
        share_privileges()
        from oslo_privsep import daemon
        sys.argv = sys.argv[1:]
        return daemon.helper_main()
    path, networks, name, *rest = sys.argv[1:]
    extension = load(path)
    importlib.import_module("neutron.cmd.eventlet")  # before all of Neutron
    share_privileges()
    if "ovn" in name:
        play_databases()
    else:
        play_server(name)
    return extension.main(["berth-neutron-agent", "--networks", networks,
                           name, *rest])


if __name__ == "__main__":
    sys.exit(main())

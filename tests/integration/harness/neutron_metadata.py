#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""neutron_metadata.py - Neutron's own metadata proxy, without its databases

usage: neutron_metadata.py JSON

JSON is an object: `kind` is "ovn" (the agent of OVN) or "ovs" (that of the
others), `base` a directory for files, `nova_port` a port of 127.0.0.1 where
Nova's metadata service would be, `addresses` those that the database would
know, `macs` likewise, `proxies` the haproxies whose configuration is wanted:
arguments of Neutron's HaproxyConfigurator. Prints "ready" when the socket
`base`/metadata_proxy is there, with a line in `base`/requests.jsonl for each
request that reaches Neutron's handler.

All that answers is Neutron's code, from main() on; what stands in for others
is the lookup of an address in OVN's database or by Neutron's server.
"""
import json
import os
import sys

SPEC = json.loads(sys.argv[1])
BASE = SPEC["base"]


def note(req):
    """What reached the handler, as it came."""
    with open(f"{BASE}/requests.jsonl", "a", encoding="ascii") as stream:
        stream.write(json.dumps({
            "method": req.method, "target": req.environ["RAW_PATH_INFO"],
            "query": req.query_string, "body": req.body.decode("latin-1"),
            "headers": [[name.lower(), value] for name, value in
                        req.environ["headers_raw"]]}) + "\n")


def known(address):
    return address in SPEC["addresses"]


def ovn():
    from neutron.cmd.eventlet.agents import ovn_metadata
    from neutron.agent.ovn.metadata import agent, driver, server
    from neutron.common.ovn import constants

    class Row:
        """Of the table Port_Binding."""

        def __init__(self, network, address):
            self.external_ids = {
                constants.OVN_DEVID_EXT_ID_KEY: f"{network} {address}",
                constants.OVN_PROJID_EXT_ID_KEY: "project"}

    class Database:
        @staticmethod
        def get_network_port_bindings_by_ip(network, address):
            return [Row(network, address)] if known(address) else []

    class Handler(server.MetadataProxyHandler):
        def __init__(self, *args):
            super().__init__(*args)
            self.sb_idl = Database()

        def post_fork_initialize(self, *_, **__):
            pass  # would open the database

        def _get_instance_and_project_id(self, req):
            note(req)
            return super()._get_instance_and_project_id(req)

    def start(self):
        write_proxies(driver)
        proxy = server.UnixDomainMetadataProxy(self.conf, "chassis")
        proxy.run()
        print("ready", flush=True)
        proxy.wait()

    server.MetadataProxyHandler = Handler
    agent.MetadataAgent.start = start
    return ovn_metadata.main


def ovs():
    from neutron.cmd.eventlet.agents import metadata
    from neutron.agent.metadata import agent, driver

    class Server:
        """Neutron's, by its RPC."""

        def __init__(self, topic):
            pass

        @staticmethod
        def get_ports(_, filters):
            if "device_id" in filters:
                return [{"network_id": f"of {filters['device_id'][0]}"}]
            place = filters["network_id"][0]
            if "mac_address" in filters:
                who = filters["mac_address"][0]
                found = who in SPEC["macs"]
            else:
                who = filters["fixed_ips"]["ip_address"][0]
                found = known(who)
            return [{"device_id": f"{place} {who}",
                     "tenant_id": "project"}] if found else []

    class Handler(agent.MetadataProxyHandler):
        def _get_instance_and_tenant_id(self, req, skip_cache=False):
            note(req)
            return super()._get_instance_and_tenant_id(req, skip_cache)

    def ready(_):
        """Instead of telling Neutron's server that the agent lives."""
        write_proxies(driver)
        print("ready", flush=True)

    agent.MetadataPluginAPI = Server
    agent.MetadataProxyHandler = Handler
    agent.UnixDomainMetadataProxy._init_state_reporting = ready
    return metadata.main


def write_proxies(driver):
    """The configurations, as Neutron's driver would write them."""
    for one in SPEC["proxies"]:
        driver.HaproxyConfigurator(
            unix_socket_path=f"{BASE}/metadata_proxy", user=str(os.geteuid()),
            group=str(os.getegid()), state_path=BASE,
            **one).create_config_file()


def main():
    path = f"{BASE}/agent.ini"
    with open(path, "w", encoding="ascii") as stream:
        stream.write("\n".join([
            "[DEFAULT]", f"state_path = {BASE}", "metadata_workers = 0",
            f"log_file = {BASE}/log",
            f"metadata_proxy_socket_mode = {SPEC['mode']}",
            f"nova_metadata_port = {SPEC['nova_port']}",
            "metadata_proxy_shared_secret = secret",
            "[oslo_concurrency]", f"lock_path = {BASE}/lock", ""]))
    agent_main = {"ovn": ovn, "ovs": ovs}[SPEC["kind"]]()
    sys.argv = [f"neutron-{SPEC['kind']}-metadata", "--config-file", path]
    return agent_main()


if __name__ == "__main__":
    sys.exit(main())

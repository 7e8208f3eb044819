# SPDX-License-Identifier: Apache-2.0
"""neutron_server.py - what Neutron's server answers its DHCP and L3 agents

To be run in the agent's process, with eventlet, see neutron_agent.py. It knows
networks with one subnet and the agent's port in it, and routers with an
interface in such a network; its messages are those that Neutron's own server
sends to its agents, and go through oslo.messaging.
"""
import eventlet.event
import oslo_messaging
from neutron_lib import constants, context, rpc
from neutron_lib.agent import topics
from oslo_config import cfg

MAC = "fa:16:3e:00:00:01"
SUBNET, ADDRESS = "10.0.0.0/24", "10.0.0.2"


class State:
    """Whom the agents tell that they live."""

    target = oslo_messaging.Target(namespace=constants.RPC_NAMESPACE_STATE,
                                   version="1.3")

    def report_state(self, _, **__):
        return "alive"


class Server:
    """A server for one agent: it holds what that one is to serve, and has been
    `asked` for all of it once the agent has started."""

    def __init__(self, topic):
        self.held = {}
        self.asked = eventlet.event.Event()
        self._client = rpc.get_client(
            oslo_messaging.Target(topic=topic, version="1.0"))

    def _all(self):
        if not self.asked.ready():
            self.asked.send()
        return self.held

    def _tell(self, method, **words):
        """As the server tells an agent: nothing comes back."""
        self._client.prepare(server=cfg.CONF.host).cast(
            context.get_admin_context_without_session(), method, **words)


class DhcpServer(Server):
    target = oslo_messaging.Target(
        namespace=constants.RPC_NAMESPACE_DHCP_PLUGIN, version="1.9")

    def provision(self, uuid):
        self.held[uuid] = _network(uuid)
        self._tell("network_create_end", payload={"network": {"id": uuid}})

    def teardown(self, uuid):
        self.held.pop(uuid, None)
        self._tell("network_delete_end", payload={"network_id": uuid})

    def get_active_networks_info(self, _, **__):
        return list(self._all().values())

    def get_network_info(self, _, network_id, **__):
        return self.held.get(network_id)

    def dhcp_ready_on_ports(self, *_, **__):
        pass

    def release_dhcp_port(self, *_, **__):
        pass


class L3Server(Server):
    target = oslo_messaging.Target(version="1.13")

    def provision(self, uuid):
        self.held[uuid] = _router(uuid)
        self._tell("routers_updated", routers=[uuid])

    def teardown(self, uuid):
        self.held.pop(uuid, None)
        self._tell("router_deleted", router_id=uuid)

    def get_host_ha_router_count(self, _, **__):
        return 0

    def get_service_plugin_list(self, _, **__):
        return []

    def get_router_ids(self, _, **__):
        return list(self._all())

    def sync_routers(self, _, router_ids, **__):
        return [self.held[uuid] for uuid in router_ids if uuid in self.held]

    def update_floatingip_statuses(self, *_, **__):
        pass


def _subnet(network):
    return {"id": network, "network_id": network, "cidr": SUBNET,
            "ip_version": 4, "enable_dhcp": True, "gateway_ip": None,
            "dns_nameservers": [], "host_routes": [],
            "ipv6_address_mode": None, "ipv6_ra_mode": None,
            "subnetpool_id": None}


def _port(network, **more):
    """Its interface is called by the first letters of its id."""
    return {"id": network, "network_id": network, "mac_address": MAC,
            "admin_state_up": True, "status": "ACTIVE", "mtu": 1500,
            "fixed_ips": [{"subnet_id": network, "ip_address": ADDRESS,
                           "prefixlen": 24}], "extra_dhcp_opts": [],
            "binding:vif_type": "other", **more}


def _network(uuid):
    from neutron.common import utils
    host = cfg.CONF.host
    port = _port(uuid, device_owner=constants.DEVICE_OWNER_DHCP,
                 device_id=utils.get_dhcp_agent_device_id(uuid, host))
    return {"id": uuid, "name": "", "admin_state_up": True, "mtu": 1500,
            "subnets": [_subnet(uuid)], "non_local_subnets": [],
            "ports": [port]}


def _router(uuid):
    port = _port(uuid, device_owner=constants.DEVICE_OWNER_ROUTER_INTF,
                 device_id=uuid, subnets=[_subnet(uuid)], extra_subnets=[],
                 address_scopes={"4": None, "6": None})
    return {"id": uuid, "name": "", "admin_state_up": True, "ha": False,
            "distributed": False, "external_gateway_info": None,
            "gw_port": None, "enable_snat": False, "routes": [],
            constants.INTERFACE_KEY: [port], constants.FLOATINGIP_KEY: []}


AGENTS = {
    "neutron-dhcp-agent": (DhcpServer, topics.DHCP_AGENT, topics.PLUGIN),
    "neutron-l3-agent": (L3Server, topics.L3_AGENT, topics.L3PLUGIN)}


def start(agent):
    """Return: the agent's Server, which answers from now on."""
    kind, agent_topic, topic = AGENTS[agent]
    server = kind(agent_topic)
    for name, endpoint in ((topic, server), (topics.REPORTS, State())):
        rpc.get_server(oslo_messaging.Target(topic=name, server="server"),
                       [endpoint]).start()
    return server

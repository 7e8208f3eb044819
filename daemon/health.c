// SPDX-License-Identifier: Apache-2.0
/* health.c - can anybody reach a listener, and does somebody answer; pure
 *
 * Theory of operation: a listening socket does not need its address (literal
 * ones are bound with IP_FREEBIND, wildcards have none), so the kernel says
 * "listening" where nobody can connect. What decides is whether the kernel has
 * a local route: IPv4 has one for each address, and on loopback for the whole
 * prefix, whether the interface is up or not; IPv6 for each address of an
 * interface that is up, once duplicate address detection is done. Clients in
 * the namespace come through lo, others through the interface. Routes that
 * people add themselves ("ip route add local") are not looked at.
 *
 * The causes are tried in the order of the way of a client: is there a socket,
 * has it an address, does a consumer have it, does a backend answer, is there
 * room? The first that holds is the verdict.
 */
#include "daemon/health.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "binder/listener.h"
#include "common/netns.h"
#include "common/util.h"
#include "lib/berth.h"

#define LO_IFINDEX 1 /* in each namespace; the kernel insists on it */
#define IPV4_BITS 32

static const struct {
	const char *name;
	enum health_state state;
} causes[] = {
	[HEALTH_CAUSE_NONE] = { "none", HEALTH_OK },
	[HEALTH_NOT_LISTENING] = { "not_listening", HEALTH_UNREACHABLE },
	[HEALTH_ADDRESSES_UNKNOWN] = { "addresses_unknown", HEALTH_UNKNOWN },
	[HEALTH_ADDRESSES_OMITTED] = { "addresses_omitted", HEALTH_UNKNOWN },
	[HEALTH_NO_ADDRESS] = { "no_address", HEALTH_UNREACHABLE },
	[HEALTH_LO_DOWN] = { "lo_down", HEALTH_UNREACHABLE },
	[HEALTH_INTERFACE_DOWN] = { "interface_down", HEALTH_UNREACHABLE },
	[HEALTH_INTERFACE_GONE] = { "interface_gone", HEALTH_UNREACHABLE },
	[HEALTH_DAD_FAILED] = { "dad_failed", HEALTH_UNREACHABLE },
	[HEALTH_TENTATIVE] = { "tentative", HEALTH_UNREACHABLE },
	[HEALTH_ONLY_OUTSIDE] = { "lo_down", HEALTH_LIMITED },
	[HEALTH_ONLY_INSIDE] = { "interface_down", HEALTH_LIMITED },
	[HEALTH_NO_CONSUMER] = { "no_consumer", HEALTH_BACKEND_DOWN },
	[HEALTH_BACKEND_DOWN_TOLD] = { "backend_down", HEALTH_BACKEND_DOWN },
	[HEALTH_SOCKET_MISSING] = { "backend_missing", HEALTH_BACKEND_DOWN },
	[HEALTH_SOCKET_FORBIDDEN] = { "backend_forbidden",
				      HEALTH_BACKEND_DOWN },
	[HEALTH_LIMIT] = { "limit", HEALTH_LIMITED },
	[HEALTH_BACKLOG_FULL] = { "backlog_full", HEALTH_LIMITED },
	[HEALTH_BACKLOG] = { "backlog", HEALTH_OK },
};
_Static_assert(ARRAY_SIZE(causes) == HEALTH_CAUSES, "each cause has its name");

const char *health_state_name(enum health_state state)
{
	switch (state) {
	case HEALTH_OK:
		return "ok";
	case HEALTH_UNREACHABLE:
		return "unreachable";
	case HEALTH_BACKEND_DOWN:
		return "backend-down";
	case HEALTH_LIMITED:
		return "limited";
	case HEALTH_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

const char *health_cause_name(enum health_cause cause)
{
	return causes[cause].name;
}

static bool is_wildcard(const struct endpoint *endpoint)
{
	return endpoint->multihomed || endpoint_is_wildcard(endpoint);
}

/* IPv4 has local routes for more than the address itself: for the whole prefix
 * on loopback, and for datagrams the prefix's broadcast address. */
static bool has_route_to(const struct netns_address *address,
			 const struct ip_addr *own, bool is_udp)
{
	const struct ip_prefix prefix = { address->addr, address->prefix_bits };
	unsigned int host_bits = IPV4_BITS - address->prefix_bits;
	uint32_t value,
		host_mask = UINT32_MAX >> address->prefix_bits % IPV4_BITS;

	if (own->family != AF_INET || host_bits < 1 || host_bits > IPV4_BITS ||
	    !ip_prefix_contains(&prefix, own))
		return false;
	if (address->ifindex == LO_IFINDEX)
		return true;
	memcpy(&value, own->bytes, sizeof(value));
	return is_udp && host_bits > 1 &&
	       (ntohl(value) & host_mask) == host_mask;
}

/* Would the endpoint be reached through @address, were all well with it? */
static bool is_reached_by(const struct endpoint *endpoint,
			  const struct netns_address *address)
{
	const struct ip_addr own = endpoint_addr(endpoint);

	if (endpoint->scope_id && endpoint->scope_id != address->ifindex)
		return false;
	if (endpoint->bound_ifindex &&
	    endpoint->bound_ifindex != address->ifindex)
		return false;
	if (is_wildcard(endpoint))
		return own.family == AF_UNSPEC ||
		       own.family == address->addr.family;
	return ip_addr_equal(&own, &address->addr) ||
	       has_route_to(address, &own, endpoint->protocol == PROTOCOL_UDP);
}

/* What keeps clients from @address; HEALTH_CAUSE_NONE: nothing. Clients inside
 * come through lo, and to IPv4 addresses also when their interface is down;
 * but not to a socket that is bound to an interface. */
static enum health_cause address_cause(const struct endpoint *endpoint,
				       const struct netns_interface *interface,
				       const struct netns_address *address,
				       bool lo_up)
{
	bool on_lo = address->ifindex == LO_IFINDEX;

	if (on_lo)
		return lo_up ? HEALTH_CAUSE_NONE : HEALTH_LO_DOWN;
	if (!interface->up)
		return lo_up && address->addr.family == AF_INET &&
				       !endpoint->bound_ifindex
			       ? HEALTH_ONLY_INSIDE
			       : HEALTH_INTERFACE_DOWN;
	if (netns_address_usable(address))
		return lo_up || endpoint->bound_ifindex ? HEALTH_CAUSE_NONE
							: HEALTH_ONLY_OUTSIDE;
	return netns_address_failed(address) ? HEALTH_DAD_FAILED
					     : HEALTH_TENTATIVE;
}

static bool lo_is_up(const struct health_facts *facts)
{
	struct netns_interface lo;

	return facts->interface(facts, LO_IFINDEX, &lo) && lo.up;
}

/* No interface has the address, or none has any. */
static enum health_cause missing_cause(const struct health_facts *facts,
				       bool lo_up)
{
	const struct endpoint *endpoint = &facts->listener->endpoint;
	const struct ip_addr own = endpoint_addr(endpoint);
	struct netns_interface interface;

	if (facts->netns->addresses_omitted > 0)
		return HEALTH_ADDRESSES_OMITTED;
	if (endpoint->bound_ifindex &&
	    !facts->interface(facts, endpoint->bound_ifindex, &interface))
		return HEALTH_INTERFACE_GONE;
	/* With lo come 127.0.0.1 and ::1. */
	if ((is_wildcard(endpoint) || ip_addr_is_loopback(&own)) && !lo_up)
		return HEALTH_LO_DOWN;
	return HEALTH_NO_ADDRESS;
}

/* Of several addresses that lead to the listener the best counts, and the
 * causes are in this order: an interface that is down, a failed detection, one
 * that runs. */
static void judge_addresses(struct health *health,
			    const struct health_facts *facts)
{
	const struct netns *netns = facts->netns;
	const struct endpoint *endpoint = &facts->listener->endpoint;
	bool lo_up = lo_is_up(facts);
	enum health_cause best = HEALTH_CAUSE_NONE;

	for (size_t i = 0; i < netns->n_addresses; i++) {
		const struct netns_address *address = &netns->addresses[i];
		struct netns_interface interface;
		enum health_cause cause;

		if (!is_reached_by(endpoint, address) ||
		    !facts->interface(facts, address->ifindex, &interface))
			continue;
		cause = address_cause(endpoint, &interface, address, lo_up);
		if (cause == HEALTH_CAUSE_NONE) {
			health->cause = HEALTH_CAUSE_NONE;
			return;
		}
		if (cause <= best)
			continue;
		best = cause;
		health->cause = cause;
		health->addr = address->addr;
		memcpy(health->ifname, interface.ifname, IF_NAMESIZE);
	}
	if (best == HEALTH_CAUSE_NONE)
		health->cause = missing_cause(facts, lo_up);
}

/* Groups and the broadcast address of all nets are nobody's own. */
static bool is_for_many(const struct endpoint *endpoint)
{
	const uint8_t first = endpoint->addr[0];

	if (endpoint->family == AF_INET)
		return first >= 224;
	return endpoint->family == AF_INET6 && first == 0xff;
}

/* Can a client connect? */
static void judge_reach(struct health *health, const struct health_facts *facts)
{
	const struct listener *listener = facts->listener;

	if (listener->state != LISTENER_OPEN)
		health->cause = HEALTH_NOT_LISTENING;
	else if (listener->service->options.transparent ||
		 is_for_many(&listener->endpoint))
		return; /* it takes what is routed to it, whatever the address
			 */
	else if (!facts->netns || !facts->netns->addresses_known)
		health->cause = HEALTH_ADDRESSES_UNKNOWN;
	else
		judge_addresses(health, facts);
}

/* Does somebody answer who connects? */
static void judge_backend(struct health *health,
			  const struct health_facts *facts)
{
	enum health_path path = facts->socket ? facts->socket->verdict
					      : HEALTH_PATH_FINE;

	if (!facts->delivered)
		health->cause = HEALTH_NO_CONSUMER;
	else if (path == HEALTH_PATH_MISSING || path == HEALTH_PATH_NO_SOCKET)
		health->cause = HEALTH_SOCKET_MISSING;
	else if (path != HEALTH_PATH_FINE)
		health->cause = HEALTH_SOCKET_FORBIDDEN;
	else if (facts->backends.known && facts->backends.all_down)
		health->cause = HEALTH_BACKEND_DOWN_TOLD;
}

/* Is there room for one more? */
static void judge_room(struct health *health, const struct health_facts *facts)
{
	uint32_t limit = facts->listener->service->max_connections;

	if (limit > 0 && facts->counts && facts->counts->active >= limit) {
		health->cause = HEALTH_LIMIT;
		health->number = limit;
	} else if (facts->backlog > 0) {
		health->cause = facts->backlog_max > 0 &&
						facts->backlog >=
							facts->backlog_max
					? HEALTH_BACKLOG_FULL
					: HEALTH_BACKLOG;
		health->number = (uint64_t)facts->backlog;
	}
}

struct health health_of(const struct health_facts *facts)
{
	struct health health = { .cause = HEALTH_CAUSE_NONE };
	enum health_cause reach;

	judge_reach(&health, facts);
	reach = health.cause;
	/* Those clients that can connect wonder about the rest. */
	if (causes[reach].state == HEALTH_LIMITED)
		health.cause = HEALTH_CAUSE_NONE;
	if (health.cause == HEALTH_CAUSE_NONE)
		judge_backend(&health, facts);
	if (health.cause == HEALTH_CAUSE_NONE)
		judge_room(&health, facts);
	if (causes[reach].state == HEALTH_LIMITED &&
	    causes[health.cause].state == HEALTH_OK)
		health.cause = reach;
	health.state = causes[health.cause].state;
	return health;
}

/* "10.0.0.1", or "an IPv4 address" for a wildcard. */
static const char *own_text(const struct endpoint *endpoint, char *buffer)
{
	if (endpoint->family == AF_UNSPEC)
		return "an address";
	if (!is_wildcard(endpoint))
		return endpoint_addr_fmt(endpoint, buffer);
	return endpoint->family == AF_INET ? "an IPv4 address"
					   : "an IPv6 address";
}

/* Both are to differ from "the interface eth0 is down", because people set lo
 * up, or another address. */
static void print_lo(const struct endpoint *endpoint, const char *own,
		     char *buffer)
{
	(void)snprintf(buffer, HEALTH_TEXT_MAX,
		       is_wildcard(endpoint)
			       ? "lo is down, and no other interface has %s"
			       : "lo is down, which is to have %s",
		       own);
}

static void print_interface(const struct health *health,
			    const struct endpoint *endpoint, const char *own,
			    char *buffer)
{
	if (is_wildcard(endpoint))
		(void)snprintf(buffer, HEALTH_TEXT_MAX,
			       "each interface that has %s is down", own);
	else
		(void)snprintf(buffer, HEALTH_TEXT_MAX,
			       "the interface %s is down, which has %s%s",
			       health->ifname, own,
			       health->cause == HEALTH_ONLY_INSIDE
				       ? ": only clients in the namespace "
					 "reach it"
				       : "");
}

static void print_detection(const struct health *health,
			    const struct endpoint *endpoint, const char *what,
			    char *buffer)
{
	char addr[IP_TEXT_MAX];

	(void)snprintf(buffer, HEALTH_TEXT_MAX,
		       "duplicate address detection %s on %s, interface %s%s",
		       what, ip_addr_fmt(&health->addr, addr), health->ifname,
		       is_wildcard(endpoint) ? ", and there is no other address"
					     : "");
}

static void print_missing(const struct health_socket *socket, char *buffer)
{
	(void)snprintf(buffer, HEALTH_TEXT_MAX,
		       socket->verdict == HEALTH_PATH_MISSING
			       ? "the UNIX socket %s does not exist"
			       : "%s is no UNIX socket",
		       socket->path);
}

/* Who connects needs to write to the socket, and to search the directories. */
static void print_forbidden(const struct health_socket *socket, char *buffer)
{
	bool is_dir = socket->verdict == HEALTH_PATH_DIRECTORY;
	const mode_t owner = is_dir ? S_IXUSR : S_IWUSR;
	const mode_t group = is_dir ? S_IXGRP : S_IWGRP;
	int n;

	n = snprintf(buffer, HEALTH_TEXT_MAX, "the %s %.*s admits",
		     is_dir ? "directory" : "UNIX socket", (int)socket->at,
		     socket->path);
	if (socket->mode & owner)
		n += snprintf(buffer + n, HEALTH_TEXT_MAX - (size_t)n,
			      " uid %u", socket->uid);
	if (socket->mode & group)
		n += snprintf(buffer + n, HEALTH_TEXT_MAX - (size_t)n,
			      "%s gid %u", socket->mode & owner ? " and" : "",
			      socket->gid);
	if (!(socket->mode & (owner | group)))
		n += snprintf(buffer + n, HEALTH_TEXT_MAX - (size_t)n,
			      " nobody");
	(void)snprintf(buffer + n, HEALTH_TEXT_MAX - (size_t)n,
		       " (mode %04o), and berth-relay is uid %u, gid %u",
		       socket->mode & 07777u, socket->relay_uid,
		       socket->relay_gid);
}

static void print_limit(const struct health *health,
			const struct health_facts *facts, char *buffer)
{
	const char *next = ", the next client waits";

	if (facts->listener->endpoint.protocol == PROTOCOL_UDP)
		next = ", new sessions take the place of idle ones";
	else if (facts->backlog > 0)
		next = ", clients wait";
	(void)snprintf(buffer, HEALTH_TEXT_MAX, "limit %" PRIu64 " reached%s",
		       health->number, next);
}

static void print_backlog(const struct health *health, char *buffer)
{
	(void)snprintf(buffer, HEALTH_TEXT_MAX, "%" PRIu64 " in the backlog%s",
		       health->number,
		       health->cause == HEALTH_BACKLOG_FULL ? ", which is full"
							    : "");
}

const char *health_text(const struct health *health,
			const struct health_facts *facts, char *buffer)
{
	const struct endpoint *endpoint = &facts->listener->endpoint;
	char own_buffer[IP_TEXT_MAX];
	const char *own = own_text(endpoint, own_buffer);

	switch (health->cause) {
	case HEALTH_CAUSE_NONE:
		return facts->backends.reason;
	case HEALTH_NOT_LISTENING:
		return facts->listener->reason;
	case HEALTH_ADDRESSES_UNKNOWN:
		return "the addresses of the namespace are not known yet";
	case HEALTH_ADDRESSES_OMITTED:
		return "none of the addresses that berthd keeps is its own, "
		       "and "
		       "the namespace has more than max_addresses";
	case HEALTH_NO_ADDRESS:
		(void)snprintf(buffer, HEALTH_TEXT_MAX, "no interface has %s",
			       own);
		return buffer;
	case HEALTH_LO_DOWN:
		print_lo(endpoint, own, buffer);
		return buffer;
	case HEALTH_INTERFACE_DOWN:
	case HEALTH_ONLY_INSIDE:
		print_interface(health, endpoint, own, buffer);
		return buffer;
	case HEALTH_INTERFACE_GONE:
		return "the interface that it is bound to is gone";
	case HEALTH_DAD_FAILED:
		print_detection(health, endpoint, "failed", buffer);
		return buffer;
	case HEALTH_TENTATIVE:
		print_detection(health, endpoint, "runs", buffer);
		return buffer;
	case HEALTH_ONLY_OUTSIDE:
		return "lo is down: only clients from outside the namespace "
		       "reach it";
	case HEALTH_NO_CONSUMER:
		return "its consumer does not have it yet";
	case HEALTH_BACKEND_DOWN_TOLD:
		return facts->backends.reason;
	case HEALTH_SOCKET_MISSING:
		print_missing(facts->socket, buffer);
		return buffer;
	case HEALTH_SOCKET_FORBIDDEN:
		print_forbidden(facts->socket, buffer);
		return buffer;
	case HEALTH_LIMIT:
		print_limit(health, facts, buffer);
		return buffer;
	case HEALTH_BACKLOG_FULL:
	case HEALTH_BACKLOG:
		print_backlog(health, buffer);
		return buffer;
	}
	return NULL;
}

// SPDX-License-Identifier: Apache-2.0
/* endpoint.c - where a listener listens, and which two cannot both exist */
#include "common/endpoint.h"

#include <stdio.h>
#include <string.h>

struct ip_addr endpoint_addr(const struct endpoint *endpoint)
{
	struct ip_addr addr = { .family = endpoint->family };

	memcpy(addr.bytes, endpoint->addr, sizeof(addr.bytes));
	return addr;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool endpoint_is_wildcard(const struct endpoint *endpoint)
{
	struct ip_addr addr = endpoint_addr(endpoint);

	return !endpoint->multihomed && ip_addr_is_any(&addr);
}

struct endpoint endpoint_member(const struct endpoint *multihomed,
				const struct ip_addr *addr)
{
	struct endpoint member = {
		.port = multihomed->port,
		.protocol = multihomed->protocol,
		.family = addr->family,
	};

	memcpy(member.addr, addr->bytes, sizeof(member.addr));
	return member;
}

/* Are both bound to interfaces, and to different ones? */
static bool others(uint32_t a, uint32_t b)
{
	return a && b && a != b;
}

static bool overlaps(const struct endpoint *a, const struct endpoint *b)
{
	struct ip_addr addr_a = endpoint_addr(a), addr_b = endpoint_addr(b);

	if (a->port != b->port || protocol_port_space(a->protocol) !=
					  protocol_port_space(b->protocol))
		return false;
	if (a->multihomed || b->multihomed)
		return true;
	if (others(a->scope_id, b->scope_id) ||
	    others(a->bound_ifindex, b->bound_ifindex))
		return false;
	if (a->family == AF_UNSPEC || b->family == AF_UNSPEC)
		return true;
	return a->family == b->family &&
	       (ip_addr_is_any(&addr_a) || ip_addr_is_any(&addr_b) ||
		ip_addr_equal(&addr_a, &addr_b));
}

enum endpoint_conflict endpoint_conflict(const struct endpoint *a,
					 const struct endpoint *b)
{
	int wildcards = endpoint_is_wildcard(a) + endpoint_is_wildcard(b);

	if (!overlaps(a, b))
		return ENDPOINT_COMPATIBLE;
	if (endpoint_equal(a, b))
		return ENDPOINT_SAME;
	if (a->protocol != b->protocol)
		return ENDPOINT_PORTS;
	if (wildcards == 2)
		return ENDPOINT_WILDCARDS;
	return wildcards == 1 ? ENDPOINT_WILDCARD : ENDPOINT_ADDRESS;
}

bool endpoint_members_conflict(const struct endpoint *multihomed,
			       const struct ip_addr *addrs, size_t n,
			       const struct endpoint *other)
{
	for (size_t i = 0; i < n; i++) {
		struct endpoint member = endpoint_member(multihomed, &addrs[i]);

		if (overlaps(&member, other))
			return true;
	}
	return false;
}

/* @buffer of IP_TEXT_MAX. @ifindex: 0: there is none to be shown. */
static const char *addr_fmt(const struct endpoint *endpoint, uint32_t ifindex,
			    char *buffer)
{
	struct ip_addr addr = endpoint_addr(endpoint);
	size_t used;

	if (endpoint->multihomed) {
		memcpy(buffer, "all", sizeof("all"));
		return buffer;
	}
	ip_addr_fmt(&addr, buffer);
	if (ifindex) {
		used = strlen(buffer);
		(void)snprintf(buffer + used, IP_TEXT_MAX - used, "%%%u",
			       ifindex); /* fits: 46 + 11 */
	}
	return buffer;
}

const char *endpoint_addr_fmt(const struct endpoint *endpoint, char *buffer)
{
	return addr_fmt(endpoint, endpoint->scope_id, buffer);
}

const char *endpoint_fmt(const struct endpoint *endpoint, char *buffer)
{
	uint32_t ifindex = endpoint->scope_id ? endpoint->scope_id
					      : endpoint->bound_ifindex;
	char addr[IP_TEXT_MAX];
	bool brackets = endpoint->family == AF_INET6;

	(void)snprintf(buffer, ENDPOINT_TEXT_MAX, "%s %s%s%s:%u",
		       protocol_name(endpoint->protocol), brackets ? "[" : "",
		       addr_fmt(endpoint, ifindex, addr), brackets ? "]" : "",
		       endpoint->port); /* fits by ENDPOINT_TEXT_MAX */
	return buffer;
}

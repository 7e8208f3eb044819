// SPDX-License-Identifier: Apache-2.0
/* listener_spec.c - a wanted listener: where, with what, for whom */
#include "common/listener_spec.h"

#include <string.h>

#include "common/util.h"

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

/* Are both bound to interfaces, and to different ones? */
static bool others(uint32_t a, uint32_t b)
{
	return a && b && a != b;
}

bool endpoint_overlaps(const struct endpoint *a, const struct endpoint *b)
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

bool endpoint_is_wildcard(const struct endpoint *endpoint)
{
	struct ip_addr addr = endpoint_addr(endpoint);

	return !endpoint->multihomed && ip_addr_is_any(&addr);
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

void listener_spec_done(struct listener_spec *spec)
{
	spec->service = service_unref(spec->service);
	free(TAKE_PTR(spec->addrs));
}

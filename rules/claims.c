// SPDX-License-Identifier: Apache-2.0
/* claims.c - which endpoints of one namespace are taken, and by which rule
 *
 * Theory of operation: there are two tables. The first has an entry for each
 * (port space, port), with the first holder of each kind of endpoint:
 * wildcards, single addresses by family, multihomed endpoints. The second has
 * an entry for each single address. A wildcard is checked against the first
 * table alone, a single address against the wildcards of the first and its own
 * entry of the second; so each check is two look-ups, however many addresses
 * there are.
 *
 * An address has one entry for its first holder, and one more for each
 * interface that a holder is bound to. Holders that are bound to different
 * interfaces can exist side by side; beside one that is bound to no interface,
 * none can.
 *
 * Rules choose ports, so the first table is a hash table. A container chooses
 * its addresses and could choose ones that collide, so the second is a
 * balanced tree, see tsearch(3).
 */
#include "rules/claims.h"

#include <search.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/util.h"

struct claim {
	struct endpoint key; /* protocol: of the port space; multihomed: 0 */
	struct claim_holder holder;
};

/* struct claim_port - who holds endpoints with one port; a holder whose rule
 * is NULL is nobody */
struct claim_port {
	uint32_t key;
	struct claim_holder any, any4, any6, single4, single6, multihomed;
	UT_hash_handle hh;
};

static struct claim_port *port_find(const struct claims *claims,
				    enum protocol protocol, uint16_t port)
{
	uint32_t key = ((uint32_t)protocol_port_space(protocol) << 16) | port;
	struct claim_port *entry;

	HASH_FIND(hh, claims->ports, &key, sizeof(key), entry);
	return entry;
}

static struct claim_port *port_add(struct claims *claims,
				   const struct endpoint *endpoint)
{
	struct claim_port *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->key = ((uint32_t)protocol_port_space(endpoint->protocol) << 16) |
		     endpoint->port;
	HASH_ADD(hh, claims->ports, key, sizeof(entry->key), entry);
	/* uthash leaves this NULL when it had no memory. */
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* The key of the entry for the first holder of an address. */
static struct endpoint claim_key(const struct endpoint *endpoint)
{
	struct endpoint key = *endpoint;

	key.protocol = (uint8_t)protocol_port_space(endpoint->protocol);
	key.bound_ifindex = 0;
	return key;
}

/* The key of the entry for the holder that is bound to the same interface as
 * @endpoint. */
static struct endpoint bound_key(const struct endpoint *endpoint)
{
	struct endpoint key = claim_key(endpoint);

	key.bound_ifindex = endpoint->bound_ifindex;
	return key;
}

static struct endpoint member_key(const struct endpoint *endpoint,
				  const struct ip_addr *addr)
{
	struct endpoint key = {
		.port = endpoint->port,
		.protocol = (uint8_t)protocol_port_space(endpoint->protocol),
		.family = addr->family,
	};

	memcpy(key.addr, addr->bytes, sizeof(key.addr));
	return key;
}

/* Compares claims by key, which is the first member of struct claim. */
static int claim_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct endpoint));
}

static const struct claim_holder *claim_find(const struct claims *claims,
					     const struct endpoint *key)
{
	struct claim **claim = tfind(key, &claims->endpoints, claim_compare);

	return claim ? &(*claim)->holder : NULL;
}

static int claim_add(struct claims *claims, const struct endpoint *key,
		     const struct claim_holder *holder)
{
	struct claim *claim = malloc(sizeof(*claim));

	if (!claim)
		return -ENOMEM;
	*claim = (struct claim){ .key = *key, .holder = *holder };
	if (!tsearch(claim, &claims->endpoints, claim_compare)) {
		free(claim);
		return -ENOMEM;
	}
	return 0;
}

static const struct claim_holder *first(const struct claim_holder *a,
					const struct claim_holder *b)
{
	return a->rule ? a : b->rule ? b : NULL;
}

/* The wildcard in the way of an address or a wildcard of @family. */
static const struct claim_holder *wildcard_holder(const struct claim_port *port,
						  uint8_t family)
{
	if (family == AF_UNSPEC && !port->any.rule)
		return first(&port->any4, &port->any6);
	return first(&port->any, family == AF_INET ? &port->any4 : &port->any6);
}

/* The single address in the way of a wildcard of @family. */
static const struct claim_holder *single_holder(const struct claim_port *port,
						uint8_t family)
{
	if (family == AF_INET)
		return first(&port->single4, &port->single4);
	if (family == AF_INET6)
		return first(&port->single6, &port->single6);
	return first(&port->single4, &port->single6);
}

static const struct claim_holder *
multihomed_holder(const struct claims *claims, const struct claim_port *port,
		  const struct endpoint *endpoint, const struct ip_addr *addrs,
		  size_t n_addrs)
{
	const struct claim_holder *holder;

	if (port->multihomed.rule)
		return &port->multihomed;
	for (size_t i = 0; i < n_addrs; i++) {
		struct endpoint key = member_key(endpoint, &addrs[i]);

		holder = wildcard_holder(port, addrs[i].family);
		if (!holder)
			holder = claim_find(claims, &key);
		if (holder)
			return holder;
	}
	return NULL;
}

/* The single address in the way of the single address @endpoint. */
static const struct claim_holder *
address_holder(const struct claims *claims, const struct endpoint *endpoint)
{
	struct endpoint key = claim_key(endpoint);
	const struct claim_holder *holder = claim_find(claims, &key);

	if (!holder || !holder->endpoint.bound_ifindex ||
	    !endpoint->bound_ifindex)
		return holder;
	key = bound_key(endpoint);
	return claim_find(claims, &key);
}

static const struct claim_holder *
holder_in_the_way(const struct claims *claims, const struct claim_port *port,
		  const struct endpoint *endpoint, const struct ip_addr *addrs,
		  size_t n_addrs)
{
	const struct claim_holder *holder;

	if (endpoint->multihomed)
		return multihomed_holder(claims, port, endpoint, addrs,
					 n_addrs);
	holder = wildcard_holder(port, endpoint->family);
	if (holder)
		return holder;
	if (endpoint_is_wildcard(endpoint))
		return single_holder(port, endpoint->family);
	return address_holder(claims, endpoint);
}

static void hold(struct claim_holder *slot, const struct claim_holder *holder)
{
	if (!slot->rule)
		*slot = *holder;
}

static void hold_single(struct claim_port *port, uint8_t family,
			const struct claim_holder *holder)
{
	hold(family == AF_INET ? &port->single4 : &port->single6, holder);
}

static int enter_address(struct claims *claims,
			 const struct claim_holder *holder)
{
	struct endpoint key = claim_key(&holder->endpoint);
	int r = 0;

	/* The address has a first holder already only if both are bound to
	 * interfaces. */
	if (!claim_find(claims, &key))
		r = claim_add(claims, &key, holder);
	if (r < 0 || !holder->endpoint.bound_ifindex)
		return r;
	key = bound_key(&holder->endpoint);
	return claim_add(claims, &key, holder);
}

static int enter(struct claims *claims, struct claim_port *port,
		 const struct claim_holder *holder, const struct ip_addr *addrs,
		 size_t n_addrs)
{
	const struct endpoint *endpoint = &holder->endpoint;
	struct endpoint key;
	int r = 0;

	if (endpoint->multihomed) {
		hold(&port->multihomed, holder);
		for (size_t i = 0; i < n_addrs && r == 0; i++) {
			key = member_key(endpoint, &addrs[i]);
			hold_single(port, addrs[i].family, holder);
			r = claim_add(claims, &key, holder);
		}
		return r;
	}
	if (!endpoint_is_wildcard(endpoint)) {
		hold_single(port, endpoint->family, holder);
		return enter_address(claims, holder);
	}
	hold(endpoint->family == AF_UNSPEC ? &port->any
	     : endpoint->family == AF_INET ? &port->any4
					   : &port->any6,
	     holder);
	return 0;
}

int claims_take(struct claims *claims, const struct endpoint *endpoint,
		const struct ip_addr *addrs, size_t n_addrs, const char *rule,
		struct claim_holder *ret_holder)
{
	const struct claim_holder wanted = { .endpoint = *endpoint,
					     .rule = rule };
	struct claim_port *port =
		port_find(claims, endpoint->protocol, endpoint->port);
	const struct claim_holder *holder;
	int r;

	if (!port) {
		port = port_add(claims, endpoint);
		if (!port)
			return -ENOMEM;
	}
	holder = holder_in_the_way(claims, port, endpoint, addrs, n_addrs);
	if (holder) {
		*ret_holder = *holder;
		return 0;
	}
	r = enter(claims, port, &wanted, addrs, n_addrs);
	return r < 0 ? r : 1;
}

bool claims_port_closed(const struct claims *claims, enum protocol protocol,
			uint16_t port, bool ipv4, bool ipv6)
{
	const struct claim_port *entry = port_find(claims, protocol, port);

	if (!entry)
		return false;
	return (!ipv4 || wildcard_holder(entry, AF_INET)) &&
	       (!ipv6 || wildcard_holder(entry, AF_INET6));
}

void claims_done(struct claims *claims)
{
	struct claim_port *port, *next_port;

	tdestroy(claims->endpoints, free);
	claims->endpoints = NULL;
	HASH_ITER (hh, claims->ports, port, next_port) {
		HASH_DEL(claims->ports, port);
		free(port);
	}
}

// SPDX-License-Identifier: Apache-2.0
/* claims.c - which endpoints of one namespace are taken, and by which rule
 *
 * Theory of operation: endpoint_conflict() decides which two cannot both exist.
 * These tables only find the few endpoints that it has to be asked about. One
 * has an entry for each port of a port space, with the first claim of each
 * kind: wildcards, single addresses by family, a multihomed endpoint. The other
 * has an entry for each single address. So each check is two look-ups, however
 * many addresses there are. A multihomed endpoint claims each of its addresses.
 *
 * An address has one entry for its first claim, and one more for each
 * interface that a claim is bound to: those stand beside each other, but not
 * beside one that is bound to none. A wildcard is never bound, see
 * `interface_bound` in parse_option.c: so the first claim of a kind is in its
 * way if any is, and it need not look at the others.
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

/**
 * struct claim - an entry of either table
 * @key:	in the table of addresses: @place, but for the protocol, which
 *		is that of the port space, and the interface of a first claim
 * @place:	what is taken: the holder's endpoint, or one address of it
 * @holder:	without a rule: nobody
 */
struct claim {
	struct endpoint key;
	struct endpoint place;
	struct claim_holder holder;
};

/* The first claims of a port, in the order in which they are looked at. */
enum slot {
	SLOT_ANY,
	SLOT_ANY4,
	SLOT_ANY6,
	SLOT_SINGLE4,
	SLOT_SINGLE6,
	SLOT_MULTIHOMED,
	SLOT_COUNT,
};

struct claim_port {
	uint32_t key;
	struct claim first[SLOT_COUNT];
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

static enum slot slot_of(const struct endpoint *place)
{
	bool wildcard = endpoint_is_wildcard(place);

	if (place->multihomed)
		return SLOT_MULTIHOMED;
	if (place->family == AF_INET)
		return wildcard ? SLOT_ANY4 : SLOT_SINGLE4;
	if (place->family == AF_INET6)
		return wildcard ? SLOT_ANY6 : SLOT_SINGLE6;
	return SLOT_ANY;
}

/* Of the address's first claim. */
static struct endpoint first_key(const struct endpoint *place)
{
	struct endpoint key = *place;

	key.protocol = (uint8_t)protocol_port_space(place->protocol);
	key.bound_ifindex = 0;
	return key;
}

/* Of its claim that is bound to the interface that @place names. */
static struct endpoint bound_key(const struct endpoint *place)
{
	struct endpoint key = first_key(place);

	key.bound_ifindex = place->bound_ifindex;
	return key;
}

/* Compares claims by key, which is the first member of struct claim. */
static int claim_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct endpoint));
}

static const struct claim *claim_find(const struct claims *claims,
				      const struct endpoint *key)
{
	struct claim **claim = tfind(key, &claims->endpoints, claim_compare);

	return claim ? *claim : NULL;
}

static int claim_add(struct claims *claims, const struct endpoint *key,
		     const struct endpoint *place,
		     const struct claim_holder *holder)
{
	struct claim *claim = malloc(sizeof(*claim));

	if (!claim)
		return -ENOMEM;
	*claim = (struct claim){
		.key = *key,
		.place = *place,
		.holder = *holder,
	};
	if (!tsearch(claim, &claims->endpoints, claim_compare)) {
		free(claim);
		return -ENOMEM;
	}
	return 0;
}

static bool in_the_way(const struct claim *claim, const struct endpoint *place)
{
	return claim && claim->holder.rule &&
	       endpoint_conflict(&claim->place, place) != ENDPOINT_COMPATIBLE;
}

/* What is in the way of @place among the first claims up to @last. */
static const struct claim *find_in_slots(const struct claim_port *port,
					 const struct endpoint *place,
					 enum slot last)
{
	for (int slot = SLOT_ANY; slot <= (int)last; slot++) {
		if (in_the_way(&port->first[slot], place))
			return &port->first[slot];
	}
	return NULL;
}

/* What is in the way of @place, which is no multihomed endpoint. */
static const struct claim *find_conflict(const struct claims *claims,
					 const struct claim_port *port,
					 const struct endpoint *place)
{
	struct endpoint first = first_key(place), bound = bound_key(place);
	const struct claim *claim = find_in_slots(port, place, SLOT_SINGLE6);

	if (claim || endpoint_is_wildcard(place))
		return claim;
	claim = claim_find(claims, &first);
	if (claim && !in_the_way(claim, place))
		claim = claim_find(claims, &bound);
	return in_the_way(claim, place) ? claim : NULL;
}

static const struct claim *
find_multihomed_conflict(const struct claims *claims,
			 const struct claim_port *port,
			 const struct endpoint *endpoint,
			 const struct ip_addr *addrs, size_t n_addrs)
{
	const struct claim *claim = &port->first[SLOT_MULTIHOMED];

	if (in_the_way(claim, endpoint))
		return claim;
	claim = NULL;
	for (size_t i = 0; i < n_addrs && !claim; i++) {
		struct endpoint place = endpoint_member(endpoint, &addrs[i]);

		claim = find_conflict(claims, port, &place);
	}
	return claim;
}

static void enter_slot(struct claim_port *port, const struct endpoint *place,
		       const struct claim_holder *holder)
{
	struct claim *slot = &port->first[slot_of(place)];

	if (slot->holder.rule)
		return;
	slot->place = *place;
	slot->holder = *holder;
}

static int enter(struct claims *claims, struct claim_port *port,
		 const struct endpoint *place,
		 const struct claim_holder *holder)
{
	struct endpoint key = first_key(place);
	int r = 0;

	enter_slot(port, place, holder);
	if (endpoint_is_wildcard(place))
		return 0;
	/* There is one only when both are bound. */
	if (!claim_find(claims, &key))
		r = claim_add(claims, &key, place, holder);
	if (r < 0 || !place->bound_ifindex)
		return r;
	key = bound_key(place);
	return claim_add(claims, &key, place, holder);
}

static int enter_multihomed(struct claims *claims, struct claim_port *port,
			    const struct claim_holder *holder,
			    const struct ip_addr *addrs, size_t n_addrs)
{
	int r = 0;

	enter_slot(port, &holder->endpoint, holder);
	for (size_t i = 0; i < n_addrs && r == 0; i++) {
		struct endpoint place =
			endpoint_member(&holder->endpoint, &addrs[i]);

		r = enter(claims, port, &place, holder);
	}
	return r;
}

int claims_take(struct claims *claims, const struct endpoint *endpoint,
		const struct ip_addr *addrs, size_t n_addrs, const char *rule,
		struct claim_holder *ret_holder)
{
	const struct claim_holder wanted = { .endpoint = *endpoint,
					     .rule = rule };
	struct claim_port *port =
		port_find(claims, endpoint->protocol, endpoint->port);
	bool multihomed = endpoint->multihomed;
	const struct claim *claim;
	int r;

	if (!port) {
		port = port_add(claims, endpoint);
		if (!port)
			return -ENOMEM;
	}
	claim = multihomed ? find_multihomed_conflict(claims, port, endpoint,
						      addrs, n_addrs)
			   : find_conflict(claims, port, endpoint);
	if (claim) {
		*ret_holder = claim->holder;
		return 0;
	}
	r = multihomed ? enter_multihomed(claims, port, &wanted, addrs, n_addrs)
		       : enter(claims, port, endpoint, &wanted);
	return r < 0 ? r : 1;
}

static bool is_closed(const struct claim_port *entry, enum protocol protocol,
		      uint16_t port, uint8_t family)
{
	const struct endpoint all = {
		.port = port,
		.protocol = (uint8_t)protocol,
		.family = family,
	};

	return find_in_slots(entry, &all, SLOT_ANY6) != NULL;
}

bool claims_port_closed(const struct claims *claims, enum protocol protocol,
			uint16_t port, bool ipv4, bool ipv6)
{
	const struct claim_port *entry = port_find(claims, protocol, port);

	return entry && (!ipv4 || is_closed(entry, protocol, port, AF_INET)) &&
	       (!ipv6 || is_closed(entry, protocol, port, AF_INET6));
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

/* SPDX-License-Identifier: Apache-2.0 */
/* claims.h - which endpoints of one namespace are taken, and by which rule
 *
 * endpoint_conflict() says which two of them cannot both exist.
 */
#ifndef RULES_CLAIMS_H
#define RULES_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/endpoint.h"

struct claim_port;

/** struct claims - zero is an empty one; rules' names are borrowed */
struct claims {
	void *endpoints;
	struct claim_port *ports;
};

/** struct claim_holder - who has an endpoint */
struct claim_holder {
	struct endpoint endpoint;
	const char *rule;
};

/**
 * claims_take() - takes the endpoint for @rule unless it is taken
 * @addrs:	of a multihomed endpoint, @n_addrs of them; else NULL and 0
 * @ret_holder:	on 0: who is in the way
 *
 * Return: 1 taken now; 0 in conflict; -ENOMEM (@claims is then of no more use
 * than claims_done()).
 */
int claims_take(struct claims *claims, const struct endpoint *endpoint,
		const struct ip_addr *addrs, size_t n_addrs, const char *rule,
		struct claim_holder *ret_holder);

/** claims_port_closed() - do wildcards hold the port in all of these families?
 */
bool claims_port_closed(const struct claims *claims, enum protocol protocol,
			uint16_t port, bool ipv4, bool ipv6);

/** claims_done() - frees what the table holds, not the names of rules; it is
 * empty then */
void claims_done(struct claims *claims);

#endif

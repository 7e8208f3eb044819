/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - whom a listener serves at all */
#ifndef RELAY_CORE_GATE_H
#define RELAY_CORE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

struct serving;
struct share;
struct worker;

/**
 * gate_admits() - does the rule serve a client with these addresses?
 * @addrs:	all that the client has, at least one; IPv4 as IPv4. Each of
 *		them must be one of `clients`
 * @n_addrs:	0: they are not known; then only a rule for all serves it
 */
bool gate_admits(const struct serving *serving, const struct ip_addr *addrs,
		 size_t n_addrs);

/** gate_refused() - @n connections or datagrams of @client, who is not
 * admitted, are about to be turned away: counts and logs it. For the share's
 * worker. */
void gate_refused(struct worker *worker, struct share *share,
		  const struct ip_addr *client, uint64_t n);

#endif

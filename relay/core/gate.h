/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - whom a listener serves at all, and how often
 *
 * All of it is for the share's worker.
 */
#ifndef RELAY_CORE_GATE_H
#define RELAY_CORE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

struct flow;
struct serving;
struct serving_limits;
struct share;
struct worker;

/** gate_asks() - does it matter to the rule who the client is? */
bool gate_asks(const struct serving *serving);

/**
 * gate_admits() - does the rule serve a client with these addresses?
 * @addrs:	all that the client has; IPv4 as IPv4. Each of them must be one
 *		of `clients`
 * @n_addrs:	0: they are not known; then only a rule for all serves it
 */
bool gate_admits(const struct serving *serving, const struct ip_addr *addrs,
		 size_t n_addrs);

/** gate_refused() - @n connections or datagrams of @client, who is not
 * admitted, are about to be turned away: counts and logs it */
void gate_refused(struct worker *worker, struct share *share,
		  const struct ip_addr *client, uint64_t n);

/**
 * gate_has_rate() - may @client have one more of what @limits limit?
 * @share:	whose listener it came to
 * @ret_wait_us: if not, how long it has to be silent; may be NULL
 *
 * Counts it in any case; that it may not have it is counted and logged.
 */
bool gate_has_rate(struct worker *worker, struct share *share,
		   const struct serving_limits *limits,
		   const struct ip_addr *client, uint64_t *ret_wait_us);

/**
 * gate_flow() - does the rule serve the client of @flow, which just began?
 * @addrs:	as for gate_admits(), that which it came from first
 *
 * Return: false: no, so it was counted, logged and reset, and is dead.
 */
bool gate_flow(struct worker *worker, struct flow *flow,
	       const struct ip_addr *addrs, size_t n_addrs);

#endif

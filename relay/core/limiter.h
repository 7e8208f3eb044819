/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.h - how much clients had lately, of what a rule limits
 *
 * For all threads. Rules without a limit never come here.
 */
#ifndef RELAY_CORE_LIMITER_H
#define RELAY_CORE_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/rate_limit.h"

/**
 * struct limiter_limit - one limit of a rule
 * @id:		the same for the same limit of the same rule, before and after a
 *		reload, and for no other
 */
struct limiter_limit {
	struct rate_limit rate;
	uint64_t id;
};

/**
 * limiter_take() - a client wants one more: counts it for each of @limits,
 * whether it may have it or not
 * @netns_id:	the namespace that the client came to
 * @now_us:	monotonic
 * @ret_wait_us: if it may not, how long it has to be silent; may be NULL
 *
 * Clients without a place in the table, for which there is no memory, may have
 * it. Return: do all limits hold?
 */
bool limiter_take(const struct limiter_limit *limits, size_t n,
		  uint64_t netns_id, const struct ip_addr *client,
		  uint64_t now_us, uint64_t *ret_wait_us);

/** limiter_entries() - how many windows are remembered, of all namespaces */
size_t limiter_entries(void);

/** limiter_forget() - forgets all. No thread may be in here. */
void limiter_forget(void);

#endif

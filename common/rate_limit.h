/* SPDX-License-Identifier: Apache-2.0 */
/* rate_limit.h - how much of something one client may have in a time */
#ifndef COMMON_RATE_LIMIT_H
#define COMMON_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How many limits one rule may have for one thing: each client has a place in
 * a table for each of them. */
#define RATE_LIMITS_MAX 8u

/** Times beyond these are no rates: clients are forgotten before, or there is
 * nothing to be counted. */
#define RATE_LIMIT_PER_MIN_MS 100u
#define RATE_LIMIT_PER_MAX_MS (24u * 3600 * 1000)

#define RATE_LIMIT_COUNT_MAX 1000000u

/** struct rate_limit - at most @count in each time of @per_ms
 * @ipv6_prefix: 1 to 128: clients of IPv6 with the same first bits count as
 *		one, but for link-local addresses
 */
struct rate_limit {
	uint32_t count;
	uint32_t per_ms;
	uint8_t ipv6_prefix;
};

/** rate_limits_equal() - the same limits in the same order? */
bool rate_limits_equal(const struct rate_limit *a, size_t n_a,
		       const struct rate_limit *b, size_t n_b);

/** rate_limits_copy() - NULL without any; NULL and *@failed is set: no memory
 */
struct rate_limit *rate_limits_copy(const struct rate_limit *limits, size_t n,
				    bool *failed);

/** rate_limit_is_sane() - is everything within its bounds? */
bool rate_limit_is_sane(const struct rate_limit *limit);

#endif

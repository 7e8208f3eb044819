// SPDX-License-Identifier: Apache-2.0
/* rate_limit.c - how much of something one client may have in a time */
#include "common/rate_limit.h"

#include <stdlib.h>
#include <string.h>

bool rate_limits_equal(const struct rate_limit *a, size_t n_a,
		       const struct rate_limit *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (a[i].count != b[i].count || a[i].per_ms != b[i].per_ms ||
		    a[i].ipv6_prefix != b[i].ipv6_prefix)
			return false;
	}
	return true;
}

struct rate_limit *rate_limits_copy(const struct rate_limit *limits, size_t n,
				    bool *failed)
{
	struct rate_limit *copy = n ? malloc(n * sizeof(*copy)) : NULL;

	if (copy)
		memcpy(copy, limits, n * sizeof(*copy));
	else if (n)
		*failed = true;
	return copy;
}

bool rate_limit_is_sane(const struct rate_limit *limit)
{
	return limit->count >= 1 && limit->count <= RATE_LIMIT_COUNT_MAX &&
	       limit->per_ms >= RATE_LIMIT_PER_MIN_MS &&
	       limit->per_ms <= RATE_LIMIT_PER_MAX_MS &&
	       limit->ipv6_prefix >= 1 && limit->ipv6_prefix <= 128;
}

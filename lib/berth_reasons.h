/* SPDX-License-Identifier: Apache-2.0 */
/* berth_reasons.h - the words for enum berth_drop and enum berth_limit, private
 * to berth */
#ifndef LIB_BERTH_REASONS_H
#define LIB_BERTH_REASONS_H

#include "lib/berth.h"

static const char *const berth_drop_names[] = {
	[BERTH_DROP_OTHER] = "other",
	[BERTH_DROP_NOT_ADMITTED] = "not-admitted",
	[BERTH_DROP_RATE_LIMIT] = "rate-limit",
	[BERTH_DROP_LIMIT] = "limit",
	[BERTH_DROP_CIRCLE] = "circle",
	[BERTH_DROP_UNREACHABLE] = "unreachable",
	[BERTH_DROP_ENDED] = "ended",
	[BERTH_DROP_TOO_LARGE] = "too-large",
	[BERTH_DROP_NO_STREAM] = "no-stream",
	[BERTH_DROP_RECEIVE_BUFFER] = "receive-buffer",
	[BERTH_DROP_SEND_BUFFER] = "send-buffer",
	[BERTH_DROP_MEMORY] = "memory",
};
_Static_assert(sizeof(berth_drop_names) / sizeof(berth_drop_names[0]) ==
		       BERTH_DROPS,
	       "each has a word");

static const char *const berth_limit_names[] = {
	[BERTH_LIMIT_OTHER] = "other",
	[BERTH_LIMIT_MAX_CONNECTIONS] = "max-connections",
	[BERTH_LIMIT_NAMESPACE] = "namespace",
	[BERTH_LIMIT_DESCRIPTORS] = "descriptors",
	[BERTH_LIMIT_PORTS] = "ports",
	[BERTH_LIMIT_RATE_LIMIT] = "rate-limit",
	[BERTH_LIMIT_REQUESTS] = "requests",
	[BERTH_LIMIT_WAITING] = "waiting",
};
_Static_assert(sizeof(berth_limit_names) / sizeof(berth_limit_names[0]) ==
		       BERTH_LIMITS,
	       "each has a word");

#endif

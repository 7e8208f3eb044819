/* SPDX-License-Identifier: Apache-2.0 */
/* berth_endings.h - the words for enum berth_ending, private to berth */
#ifndef LIB_BERTH_ENDINGS_H
#define LIB_BERTH_ENDINGS_H

#include "lib/berth.h"

static const char *const berth_ending_names[] = {
	[BERTH_ENDING_ERROR] = "error",
	[BERTH_ENDING_CLIENT_END] = "client-end",
	[BERTH_ENDING_CLIENT_RESET] = "client-reset",
	[BERTH_ENDING_BACKEND_END] = "backend-end",
	[BERTH_ENDING_BACKEND_RESET] = "backend-reset",
	[BERTH_ENDING_BACKEND_REFUSED] = "backend-refused",
	[BERTH_ENDING_CONNECT_TIMEOUT] = "connect-timeout",
	[BERTH_ENDING_ANSWERED] = "answered",
	[BERTH_ENDING_IDLE] = "idle",
	[BERTH_ENDING_STALLED] = "stalled",
	[BERTH_ENDING_LIMIT] = "limit",
	[BERTH_ENDING_NETNS_GONE] = "netns-gone",
	[BERTH_ENDING_DRAINED] = "drained",
	[BERTH_ENDING_RULE_CHANGED] = "rule-changed",
	[BERTH_ENDING_CLOSED_BY_HAND] = "closed-by-hand",
	[BERTH_ENDING_RELAY_END] = "relay-end",
	[BERTH_ENDING_NOT_ADMITTED] = "not-admitted",
	[BERTH_ENDING_REQUEST_REFUSED] = "request-refused",
	[BERTH_ENDING_REQUEST_TIMEOUT] = "request-timeout",
	[BERTH_ENDING_RESPONSE_TIMEOUT] = "response-timeout",
	[BERTH_ENDING_RATE_LIMIT] = "rate-limit",
	[BERTH_ENDING_LIFETIME] = "lifetime",
};
_Static_assert(sizeof(berth_ending_names) / sizeof(berth_ending_names[0]) ==
		       BERTH_ENDINGS,
	       "each has a word");

#endif

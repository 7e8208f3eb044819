/* SPDX-License-Identifier: Apache-2.0 */
/* shadows.h - how many wanted listeners lost to earlier rules, by rule and
 * protocol
 *
 * A plan says which ones they are in one namespace. What is counted here is the
 * sum over all namespaces, kept while namespaces come and go.
 */
#ifndef DAEMON_SHADOWS_H
#define DAEMON_SHADOWS_H

#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/protocol.h"

struct plan;
struct shadow_part;

/**
 * struct shadow_sum - of one rule and protocol
 * @n:		at least one, as long as it can be found
 * @part:	of the namespace that shadows_set() is about; else NULL
 * @hh:		in the protocol's table, by @rule
 */
struct shadow_sum {
	const char *rule;
	uint64_t n;
	struct shadow_part *part;
	UT_hash_handle hh;
};

/** struct shadows - of all namespaces, by protocol; zero-initialize */
struct shadows {
	struct shadow_sum *sums[PROTOCOL_COUNT];
};

/** struct shadows_of - what one namespace has of them; zero-initialize. Most
 * have none. */
struct shadows_of {
	struct shadow_part *parts;
};

/** shadows_set() - the namespace has those of @plan, and no others. Without
 * memory it has fewer. */
void shadows_set(struct shadows *shadows, struct shadows_of *of,
		 const struct plan *plan);

/** shadows_clear() - the namespace has none any more */
void shadows_clear(struct shadows *shadows, struct shadows_of *of);

#endif

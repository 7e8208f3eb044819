/* SPDX-License-Identifier: Apache-2.0 */
/* shadows.h - how many wanted listeners lost to earlier rules, by rule and
 * protocol
 *
 * A plan says which ones they are in one namespace. What is counted here is the
 * sum over all namespaces, kept while namespaces come and go.
 */
#ifndef DAEMON_SHADOWS_H
#define DAEMON_SHADOWS_H

#include <stddef.h>
#include <stdint.h>

struct plan;
struct shadow_part;

/**
 * struct shadow_sum - of one rule and protocol
 * @protocol:	enum protocol
 * @n:		at least one, as long as it can be found
 */
struct shadow_sum {
	const char *rule;
	unsigned int protocol;
	uint64_t n;
};

/** struct shadows - of all namespaces; zero-initialize */
struct shadows {
	struct shadow_sum **sums;
	size_t n_sums;
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

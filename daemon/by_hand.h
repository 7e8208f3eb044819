/* SPDX-License-Identifier: Apache-2.0 */
/* by_hand.h - what people closed, although a rule wants it */
#ifndef DAEMON_BY_HAND_H
#define DAEMON_BY_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"

/** Why such a listener is not open, for people. */
#define BY_HAND_REASON "closed by hand; 'berthctl undrain' opens it again"

/**
 * struct by_hand_entry - a rule, or one listener
 * @rule:	all listeners of the rules of this name; NULL: @netns_id and
 *		@endpoint say which listener
 * @reset:	its connections are reset, too
 */
struct by_hand_entry {
	char *rule;
	uint64_t netns_id;
	struct endpoint endpoint;
	bool reset;
	struct by_hand_entry *prev, *next;
};

/** struct by_hand - zero-initialize */
struct by_hand {
	struct by_hand_entry *list;
	size_t n;
};

/**
 * by_hand_add() - a rule, or when @rule is NULL one listener, is closed
 * Return: 0; -ENOMEM; -ENOSPC: there are too many.
 */
int by_hand_add(struct by_hand *by_hand, const char *rule, uint64_t netns_id,
		const struct endpoint *endpoint, bool reset);

/** by_hand_remove() - undoes by_hand_add() of the same. Return: was it there?
 */
bool by_hand_remove(struct by_hand *by_hand, const char *rule,
		    uint64_t netns_id, const struct endpoint *endpoint);

/** by_hand_forget() - the namespace is gone, and its listeners with it */
void by_hand_forget(struct by_hand *by_hand, uint64_t netns_id);

/** by_hand_clear() - undoes all. Return: how many. */
size_t by_hand_clear(struct by_hand *by_hand);

/** by_hand_find() - what closed the listener of @rule at @endpoint, or NULL */
const struct by_hand_entry *by_hand_find(const struct by_hand *by_hand,
					 const char *rule, uint64_t netns_id,
					 const struct endpoint *endpoint);

#endif

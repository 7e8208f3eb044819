// SPDX-License-Identifier: Apache-2.0
/* by_hand.c - what people closed, although a rule wants it */
#include "daemon/by_hand.h"

#include <string.h>
#include <utlist.h>

#include "common/util.h"

/* Each wanted listener is looked for among them, and people make them one by
 * one. */
#define ENTRIES_MAX 256

static bool is_rule(const struct by_hand_entry *entry, const char *rule)
{
	return entry->rule && rule && strcmp(entry->rule, rule) == 0;
}

static bool is_listener(const struct by_hand_entry *entry, uint64_t netns_id,
			const struct endpoint *endpoint)
{
	return !entry->rule && endpoint && entry->netns_id == netns_id &&
	       memcmp(&entry->endpoint, endpoint, sizeof(*endpoint)) == 0;
}

static struct by_hand_entry *find_same(const struct by_hand *by_hand,
				       const char *rule, uint64_t netns_id,
				       const struct endpoint *endpoint)
{
	struct by_hand_entry *entry;

	DL_FOREACH (by_hand->list, entry) {
		if (rule ? is_rule(entry, rule)
			 : is_listener(entry, netns_id, endpoint))
			return entry;
	}
	return NULL;
}

static void entry_free(struct by_hand *by_hand, struct by_hand_entry *entry)
{
	DL_DELETE(by_hand->list, entry);
	by_hand->n--;
	free(entry->rule);
	free(entry);
}

int by_hand_add(struct by_hand *by_hand, const char *rule, uint64_t netns_id,
		const struct endpoint *endpoint, bool reset)
{
	struct by_hand_entry *entry =
		find_same(by_hand, rule, netns_id, endpoint);

	if (entry) {
		entry->reset = reset;
		return 0;
	}
	if (by_hand->n >= ENTRIES_MAX)
		return -ENOSPC;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->rule = rule ? strdup(rule) : NULL;
	if (rule && !entry->rule) {
		free(entry);
		return -ENOMEM;
	}
	entry->netns_id = netns_id;
	if (endpoint)
		entry->endpoint = *endpoint;
	entry->reset = reset;
	DL_APPEND(by_hand->list, entry);
	by_hand->n++;
	return 0;
}

bool by_hand_remove(struct by_hand *by_hand, const char *rule,
		    uint64_t netns_id, const struct endpoint *endpoint)
{
	struct by_hand_entry *entry =
		find_same(by_hand, rule, netns_id, endpoint);

	if (entry)
		entry_free(by_hand, entry);
	return entry != NULL;
}

void by_hand_forget(struct by_hand *by_hand, uint64_t netns_id)
{
	struct by_hand_entry *entry, *next;

	DL_FOREACH_SAFE (by_hand->list, entry, next) {
		if (!entry->rule && entry->netns_id == netns_id)
			entry_free(by_hand, entry);
	}
}

size_t by_hand_clear(struct by_hand *by_hand)
{
	size_t n = by_hand->n;

	while (by_hand->list)
		entry_free(by_hand, by_hand->list);
	return n;
}

const struct by_hand_entry *by_hand_find(const struct by_hand *by_hand,
					 const char *rule, uint64_t netns_id,
					 const struct endpoint *endpoint)
{
	const struct by_hand_entry *entry;

	DL_FOREACH (by_hand->list, entry) {
		if (is_rule(entry, rule) ||
		    is_listener(entry, netns_id, endpoint))
			return entry;
	}
	return NULL;
}

// SPDX-License-Identifier: Apache-2.0
/* netns_use.c - what the traffic of one namespace takes, over its listeners
 *
 * Theory of operation: one namespace is one stranger, however many listeners
 * it has. So what strangers can use up is counted here: descriptors and pipes,
 * by atomic counters that a connection touches when it begins and ends, memory
 * for SCTP messages, by each worker for itself, and turns of the workers, by
 * counters of each worker's own that begin at 0 with every turn. A namespace
 * that has had its part of a turn waits for the next one; when nobody else
 * wants anything, that is at once.
 */
#include "relay/netns_use.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/util.h"
#include "relay/limits.h"
#include "relay/pipe.h"

/* Of the pipes that there may be, so that stalled transfers of one namespace
 * leave some to the others. */
#define PIPES_PART 4

/* Of a worker's memory for messages, so that those which never end, or which
 * nobody takes, leave some to the others. */
#define MESSAGES_PART 2

/**
 * struct entry - a struct netns_use and what only the table knows of it
 */
struct entry {
	struct netns_use use;
	struct netns_uses *uses;
	uint64_t netns_id;
	size_t refs;
	UT_hash_handle hh;
	struct netns_worker workers[];
};

struct netns_uses {
	struct entry *entries;
	size_t n_workers;
};

struct netns_uses *netns_uses_new(size_t n_workers)
{
	struct netns_uses *uses = calloc(1, sizeof(*uses));

	if (uses)
		uses->n_workers = n_workers;
	return uses;
}

struct netns_uses *netns_uses_free(struct netns_uses *uses)
{
	free(uses);
	return NULL;
}

static struct entry *entry_new(struct netns_uses *uses, uint64_t netns_id)
{
	struct entry *entry =
		calloc(1, sizeof(*entry) +
				  uses->n_workers * sizeof(entry->workers[0]));

	if (!entry)
		return NULL;
	entry->uses = uses;
	entry->netns_id = netns_id;
	entry->use.workers = entry->workers;
	HASH_ADD(hh, uses->entries, netns_id, sizeof(netns_id), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

struct netns_use *netns_use_get(struct netns_uses *uses, uint64_t netns_id)
{
	struct entry *entry;

	HASH_FIND(hh, uses->entries, &netns_id, sizeof(netns_id), entry);
	if (!entry)
		entry = entry_new(uses, netns_id);
	if (!entry)
		return NULL;
	entry->refs++;
	return &entry->use;
}

struct netns_use *netns_use_put(struct netns_use *use)
{
	struct entry *entry;

	if (!use)
		return NULL;
	entry = container_of(use, struct entry, use);
	if (--entry->refs == 0) {
		HASH_DEL(entry->uses->entries, entry);
		free(entry);
	}
	return NULL;
}

static bool take(atomic_uint *counter, unsigned int n, unsigned int limit)
{
	if (atomic_fetch_add_explicit(counter, n, memory_order_relaxed) + n <=
	    limit)
		return true;
	atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
	return false;
}

bool netns_use_take(struct netns_use *use, unsigned int n)
{
	return take(&use->n_fds, n, limits_netns_fds());
}

void netns_use_give(struct netns_use *use, unsigned int n)
{
	atomic_fetch_sub_explicit(&use->n_fds, n, memory_order_relaxed);
}

bool netns_use_take_pipe(struct netns_use *use)
{
	return take(&use->n_pipes, 1, PIPES_MAX / PIPES_PART);
}

void netns_use_give_pipe(struct netns_use *use)
{
	atomic_fetch_sub_explicit(&use->n_pipes, 1, memory_order_relaxed);
}

struct sctp_budget *netns_use_messages(struct netns_use *use, size_t worker,
				       struct sctp_budget *of_worker)
{
	struct sctp_budget *mine = &use->workers[worker].messages;

	mine->limit_bytes = of_worker->limit_bytes / MESSAGES_PART;
	mine->within = of_worker;
	return mine;
}

struct netns_turn *netns_use_turn(struct netns_use *use, size_t worker,
				  uint32_t turn)
{
	struct netns_turn *mine = &use->workers[worker].turn;

	if (mine->turn != turn)
		*mine = (struct netns_turn){ .turn = turn };
	return mine;
}

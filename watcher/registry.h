/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h - the namespaces that are watched, by id and by nsid */
#ifndef WATCHER_REGISTRY_H
#define WATCHER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/holdoff.h"
#include "common/netns.h"

#define NSID_NONE (-1)

/* Ids that are counted here instead of taken from the kernel (no cookies). */
#define ID_COUNTED (UINT64_C(1) << 63)

/**
 * struct tracked - a namespace and what the watcher alone knows about it
 * @dev, @inode: of its nsfs file; an inode number may be used again later
 * @nsid:	as seen from the host, or NSID_NONE
 * @nsid_announced: RTM_NEWNSID was read: events with this nsid are its own,
 *		and no longer those of a namespace that had the nsid before
 * @nsid_round:	the check of all nsids that found it in use last
 * @nsid_waiting: in the list of those that wait for an nsid
 * @freed:	the kernel said so before its last name went
 * @nameless:	had a name, has none, and its owner was not told yet
 * @last_name:	then; NULL also when there was no memory for it
 * @nameless_since_us: when its last name went
 * @read_state:	is a listing of its addresses wanted?
 * @read_at_us:	for READ_HELD
 */
struct tracked {
	struct netns netns;
	dev_t dev;
	ino_t inode;
	int nsid;
	bool nsid_announced;
	bool nsid_waiting;
	bool freed;
	bool nameless;
	unsigned long nsid_round;
	char *last_name;
	uint64_t nameless_since_us;
	enum {
		READ_DONE,
		READ_DUE, /* in the queue of the next slices */
		READ_HELD, /* waits for its hold-off */
	} read_state;
	uint64_t read_at_us;
	struct holdoff read_holdoff;
	struct tracked *read_prev, *read_next;
	struct tracked *nsid_prev, *nsid_next;
	struct tracked *nameless_prev, *nameless_next;
	UT_hash_handle by_id;
	UT_hash_handle by_nsid;
};

/** struct registry - zero initialized */
struct registry {
	struct tracked *by_id; /* iterated by by_id.next, oldest first */
	struct tracked *by_nsid;
};

/** registry_add() - NULL: out of memory */
struct tracked *registry_add(struct registry *registry, uint64_t id);

/** registry_remove() - forgets and frees it; it must be in no list */
void registry_remove(struct registry *registry, struct tracked *tracked);
void registry_done(struct registry *registry);

struct tracked *registry_find(const struct registry *registry, uint64_t id);
struct tracked *registry_find_nsid(const struct registry *registry, int nsid);

/**
 * registry_set_nsid() - an nsid belongs to one namespace: taken from another
 * @nsid:	NSID_NONE takes it away
 * Return: 0 or -ENOMEM, with no nsid then.
 */
int registry_set_nsid(struct registry *registry, struct tracked *tracked,
		      int nsid, bool announced);

static inline struct tracked *tracked_of(const struct netns *netns)
{
	return (struct tracked *)(void *)((char *)(uintptr_t)netns -
					  offsetof(struct tracked, netns));
}

#endif

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

struct container_fact;
struct resolution;

#define NSID_NONE (-1)

/* Ids that are counted here instead of taken from the kernel (no cookies). */
#define ID_COUNTED (UINT64_C(1) << 63)

/**
 * struct tracked - a namespace and what the watcher alone knows about it
 * @dev, @inode: of its nsfs file; the kernel may use an inode number again
 * @nsid:	as seen from the host, or NSID_NONE
 * @nsid_announced: RTM_NEWNSID was read: events with this nsid are about this
 *		namespace, and no longer about one that had the nsid before
 * @nsid_round:	the last check of all nsids that found the nsid in use
 * @nsid_waiting: it is in the list of namespaces that wait for an nsid
 * @freed:	the kernel has said so before its last name went
 * @told:	the owner was told that it is there
 * @nameless:	it has lost its last name, and nobody was told yet
 * @last_name:	that name, owned; NULL also when there was no memory for it
 * @nameless_since_us: when its last name went; monotonic
 * @container_facts: whose containers @netns has, in the same order; the array
 *		is owned, its elements are of containers.c
 * @containers_due: it is in the list of namespaces whose containers are to be
 *		put together anew
 * @read_state:	are its interfaces and addresses to be listed?
 * @read_at_us:	with READ_HELD: not before this time; monotonic
 */
struct tracked {
	struct netns netns;
	dev_t dev;
	ino_t inode;
	int nsid;
	bool nsid_announced;
	bool nsid_waiting;
	bool freed;
	bool told;
	bool nameless;
	unsigned long nsid_round;
	char *last_name;
	uint64_t nameless_since_us;
	enum {
		READ_DONE, /* no */
		READ_DUE, /* yes, in one of the next slices */
		READ_HELD, /* yes, after its hold-off */
	} read_state;
	uint64_t read_at_us;
	struct holdoff read_holdoff;
	struct container_fact **container_facts;
	bool containers_due;
	struct tracked *containers_prev, *containers_next;
	struct tracked *read_prev, *read_next;
	struct tracked *nsid_prev, *nsid_next;
	struct tracked *nameless_prev, *nameless_next;
	UT_hash_handle by_id;
	UT_hash_handle by_nsid;
};

/**
 * struct registry - the namespaces; zero initialized
 * @by_id:	to be iterated by by_id.next, in the order of registry_add()
 * @host:	the namespace that the process lives in; names_new() sets it
 */
struct registry {
	struct tracked *by_id;
	struct tracked *by_nsid;
	struct tracked *host;
};

/**
 * registry_add() - adds a namespace
 * @id:		not in the registry yet
 *
 * Return: the namespace, the registry's; NULL: out of memory.
 */
struct tracked *registry_add(struct registry *registry, uint64_t id);

/** registry_remove() - frees @tracked with all that it owns; it must be in no
 * list of anybody's */
void registry_remove(struct registry *registry, struct tracked *tracked);

/** registry_done() - removes all namespaces */
void registry_done(struct registry *registry);

/** registry_find() - by id. Return: the namespace or NULL. */
struct tracked *registry_find(const struct registry *registry, uint64_t id);

/** registry_find_nsid() - by nsid. Return: the namespace or NULL. */
struct tracked *registry_find_nsid(const struct registry *registry, int nsid);

/**
 * registry_set_nsid() - @tracked has @nsid, and any other that had it has none
 * @nsid:	as seen from the host; NSID_NONE takes it away
 * @announced:	events with @nsid are about @tracked from now on
 *
 * Return: 0; -ENOMEM: @tracked has no nsid then.
 */
int registry_set_nsid(struct registry *registry, struct tracked *tracked,
		      int nsid, bool announced);

/** tracked_is() - Return: is @tracked the namespace that @resolution found?
 * Without cookies, an inode number that is used again makes a "yes" wrong. */
bool tracked_is(const struct tracked *tracked,
		const struct resolution *resolution);

/** tracked_of() - Return: the namespace that @netns is part of; every struct
 * netns of the watcher's is. */
static inline struct tracked *tracked_of(const struct netns *netns)
{
	return (struct tracked *)(void *)((char *)(uintptr_t)netns -
					  offsetof(struct tracked, netns));
}

#endif

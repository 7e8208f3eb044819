/* SPDX-License-Identifier: Apache-2.0 */
/* lingering.h - namespaces without a name that the kernel has not freed */
#ifndef WATCHER_LINGERING_H
#define WATCHER_LINGERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/**
 * struct remnant - one of them
 * @name:	its last
 * @round:	the check in which its nsid was last seen in use
 */
struct remnant {
	uint64_t netns_id;
	int nsid;
	char *name;
	uint64_t since_us;
	unsigned long round;
	UT_hash_handle by_nsid;
	UT_hash_handle by_id;
};

/** struct lingering - zero initialized */
struct lingering {
	struct remnant *by_nsid; /* iterated by by_nsid.next, oldest first */
	struct remnant *by_id;
	unsigned long round;
};

/**
 * lingering_add() - its last name went
 * @name:	taken, also on failure
 *
 * A namespace that had the nsid before must have been freed: its record is
 * replaced. Return: 0; -ENOMEM; -ENOSPC when the table is full: then the
 * end of this namespace is not measured.
 */
int lingering_add(struct lingering *lingering, uint64_t netns_id, int nsid,
		  char *name, uint64_t since_us);

/**
 * lingering_take_nsid() - the kernel freed what had @nsid
 * Return: was it known here?
 */
bool lingering_take_nsid(struct lingering *lingering, int nsid,
			 uint64_t *ret_netns_id, uint64_t *ret_since_us);

/** lingering_take_id() - it has a name again. Return: its nsid, or -1 */
int lingering_take_id(struct lingering *lingering, uint64_t netns_id);

/* After lost events: begin, see each nsid in use; what was not seen was
 * freed meanwhile and is told by the end. */
void lingering_check_begin(struct lingering *lingering);
void lingering_check_seen(struct lingering *lingering, int nsid);
void lingering_check_end(struct lingering *lingering,
			 void (*freed)(uint64_t netns_id, uint64_t since_us,
				       void *user_data),
			 void *user_data);

size_t lingering_count(const struct lingering *lingering);
void lingering_done(struct lingering *lingering);

#endif

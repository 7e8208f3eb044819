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

#include "watcher/status.h"

/**
 * struct remnant - one such namespace
 * @nsid:	as seen from the host
 * @name:	its last name, owned; NULL when there was no memory for it
 * @since_us:	when the last name went; monotonic
 * @round:	the last check that found its nsid in use
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

/**
 * struct lingering - all of them; zero initialized
 * @by_nsid:	in the order of lingering_add()
 * @round:	the number of the last check of all nsids
 */
struct lingering {
	struct remnant *by_nsid;
	struct remnant *by_id;
	unsigned long round;
};

/**
 * lingering_add() - the last name of a namespace went
 * @name:	that name, or NULL; taken, also on failure
 *
 * A namespace that had the nsid before must have been freed: its record is
 * replaced. Return: 0; -ENOMEM; -ENOSPC when the table is full: then the end of
 * this namespace is not measured.
 */
int lingering_add(struct lingering *lingering, uint64_t netns_id, int nsid,
		  char *name, uint64_t since_us);

/**
 * lingering_freed() - the kernel freed the namespace that had @nsid: forgets it
 * @freed:	called before that: which one it was, and when its last name
 *		went
 *
 * Return: was it known here?
 */
bool lingering_freed(struct lingering *lingering, int nsid,
		     void (*freed)(uint64_t netns_id, uint64_t since_us,
				   void *user_data),
		     void *user_data);

/** lingering_take_id() - the namespace has a name again: forgets it. Return:
 * its nsid; -1: it was not known here. */
int lingering_take_id(struct lingering *lingering, uint64_t netns_id);

/** lingering_check_begin() - after lost events: begins a check of all nsids */
void lingering_check_begin(struct lingering *lingering);

/** lingering_check_seen() - the check found @nsid in use */
void lingering_check_seen(struct lingering *lingering, int nsid);

/**
 * lingering_check_end() - the check is complete: forgets each namespace whose
 * nsid was not found in use
 * @freed:	called for each of them: the kernel has freed it meanwhile
 */
void lingering_check_end(struct lingering *lingering,
			 void (*freed)(uint64_t netns_id, uint64_t since_us,
				       void *user_data),
			 void *user_data);

/** lingering_count() - Return: how many there are. */
size_t lingering_count(const struct lingering *lingering);

/**
 * lingering_list() - lists them
 * @ret_list:	the first @max of them, the oldest first
 *
 * Return: how many there are in all.
 */
size_t lingering_list(const struct lingering *lingering,
		      struct watcher_lingering *ret_list, size_t max);

/** lingering_name() - the last name of a namespace; NULL: it is not known here,
 * or there was no memory for its name */
const char *lingering_name(const struct lingering *lingering,
			   uint64_t netns_id);

/** lingering_done() - forgets all of them */
void lingering_done(struct lingering *lingering);

#endif

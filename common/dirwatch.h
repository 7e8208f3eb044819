/* SPDX-License-Identifier: Apache-2.0 */
/* dirwatch.h - directories that may be missing, come, go and come back
 *
 * One inotify(7) instance for all directories of one dirwatch. A directory
 * that does not exist is awaited through its nearest existing parent.
 */
#ifndef COMMON_DIRWATCH_H
#define COMMON_DIRWATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"
#include "common/mounts.h"

struct dirwatch;

enum dirwatch_event {
	DIRWATCH_SCAN, /* list the directory now: it appeared, or events of
			  it were lost; its watch is already in place */
	DIRWATCH_GONE, /* the directory itself went: so did all entries */
	DIRWATCH_CREATED, /* an entry was created (IN_CREATE) */
	DIRWATCH_MOVED_IN, /* an entry was renamed to this (IN_MOVED_TO), maybe
			      over one that was there */
	DIRWATCH_REMOVED, /* an entry was removed or renamed away */
	DIRWATCH_MODIFIED, /* with DIRWATCH_WRITES: written to (IN_MODIFY) */
	DIRWATCH_WRITTEN, /* with DIRWATCH_WRITES: its writer closed it */
};

/* flags for dirwatch_new() */
#define DIRWATCH_WRITES 1u /* also MODIFIED and WRITTEN */

/**
 * typedef dirwatch_handler - something happened
 * @index:	which directory, in the order of dirwatch_add() from 0
 * @name:	the entry, or NULL for SCAN and GONE; valid during the call
 */
typedef void (*dirwatch_handler)(enum dirwatch_event event, size_t index,
				 const char *name, void *user_data);

/**
 * dirwatch_new() - makes the inotify instance and its loop source
 * Return: 0; -ENOMEM; -EMFILE when the user's inotify instances are used up
 * (fs.inotify.max_user_instances), see inotify_init1(2).
 */
int dirwatch_new(struct loop *loop, unsigned int flags,
		 dirwatch_handler handler, void *user_data,
		 struct dirwatch **ret_dirwatch);

/** dirwatch_free() - stops watching and frees it. NULL is fine. Returns NULL.
 */
struct dirwatch *dirwatch_free(struct dirwatch *dirwatch);

/**
 * dirwatch_follow_mounts() - sees from now on what is mounted over a directory,
 * or over the way to it, and unmounted
 * @mounts:	outlives the dirwatch
 *
 * Tells GONE and SCAN when a path leads to another directory then; SCAN when
 * it is the same on another mount, on which other entries can be covered.
 * Return: 0 or -ENOMEM.
 */
int dirwatch_follow_mounts(struct dirwatch *dirwatch, struct mounts *mounts);

/**
 * dirwatch_add() - watches @path from now on
 *
 * Calls the handler with DIRWATCH_SCAN before it returns when the directory
 * exists, and later whenever it appears.
 * Return: the index (0, 1, …); -EINVAL for a path that is not absolute;
 * -ENOMEM; -ENOSPC when the user's watches are used up
 * (fs.inotify.max_user_watches).
 */
int dirwatch_add(struct dirwatch *dirwatch, const char *path);

/** dirwatch_exists() - is the directory there, as far as events told? */
bool dirwatch_exists(const struct dirwatch *dirwatch, size_t index);

/** dirwatch_path() - the path of a directory as it was given to dirwatch_add()
 */
const char *dirwatch_path(const struct dirwatch *dirwatch, size_t index);

/** dirwatch_real_path() - without links, as the kernel shows it; NULL while the
 * directory is missing. Borrowed until the next event. */
const char *dirwatch_real_path(const struct dirwatch *dirwatch, size_t index);

/** dirwatch_overflows() - how often the kernel's queue overflowed so far */
unsigned long dirwatch_overflows(const struct dirwatch *dirwatch);

#endif

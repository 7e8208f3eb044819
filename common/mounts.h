/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.h - tells what is mounted and unmounted in our mount namespace
 *
 * From Linux 6.15 on it is told which mount came or went, at once. Before, and
 * where that is not permitted, only that something changed.
 */
#ifndef COMMON_MOUNTS_H
#define COMMON_MOUNTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"

struct mounts;
struct mounts_listener;

enum mounts_event {
	MOUNTS_ATTACHED, /* this mount came */
	MOUNTS_DETACHED, /* this mount went */
	MOUNTS_UNKNOWN, /* any may have come or gone, which is not known */
	MOUNTS_EARLY, /* something came or went; the events above follow. With
			 mounts_hurry() only */
	MOUNTS_CHANGED, /* once, after one or more of the first three */
};

/**
 * struct mounts_change - what happened
 * @mount_id:	of the mount that came or went, unique (STATX_MNT_ID_UNIQUE)
 */
struct mounts_change {
	enum mounts_event event;
	uint64_t mount_id;
};

typedef void (*mounts_handler)(const struct mounts_change *change,
			       void *user_data);

/* flags for mounts_new() */
#define MOUNTS_POLL_ONLY 1u /* as on a kernel that does not tell which */

/**
 * mounts_new() - watches mounts from now on
 *
 * To be freed after all its listeners.
 * Return: 0; -ENOMEM; -errno of open(2) of /proc/self/mountinfo.
 */
int mounts_new(struct loop *loop, unsigned int flags,
	       struct mounts **ret_mounts);

/** mounts_free() - stops watching. NULL is fine. Returns NULL. */
struct mounts *mounts_free(struct mounts *mounts);

/**
 * mounts_listen() - has @handler told from now on
 *
 * The listener must not be freed inside a handler of struct mounts.
 * Return: 0 or -ENOMEM.
 */
int mounts_listen(struct mounts *mounts, mounts_handler handler,
		  void *user_data, struct mounts_listener **ret_listener);

/** mounts_listener_free() - NULL is fine. Returns NULL. */
struct mounts_listener *mounts_listener_free(struct mounts_listener *listener);

/** mounts_tells_which() - does this kernel tell which mount came or went? */
bool mounts_tells_which(const struct mounts *mounts);

/**
 * mounts_path() - where is the mount that came?
 * @ret:	the path, seen from our root
 *
 * Return: 0; -ENOENT when it went again; -errno of statmount(2).
 */
int mounts_path(uint64_t mount_id, char ret[PATH_MAX]);

/**
 * mounts_hurry() - is somebody waiting for a mount?
 *
 * Then each change is told as early as can be. Otherwise, where the kernel does
 * not tell which mount it was, the next is told a second after one was told.
 */
void mounts_hurry(struct mounts *mounts, bool hurry);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* follow.h - follows the names in the watched directories */
#ifndef WATCHER_FOLLOW_H
#define WATCHER_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"
#include "common/mounts.h"
#include "watcher/registry.h"
#include "watcher/status.h"

struct follow;

/**
 * struct follow_ops - what following the names tells
 * @changed:	@tracked is new, or has other names than before
 * @gone:	@tracked has no name any more; the callee removes it from the
 *		registry, or gives it a name with follow_registered()
 * @open_registered: as registrations_open()
 */
struct follow_ops {
	void (*changed)(struct tracked *tracked, void *user_data);
	void (*gone)(struct tracked *tracked, void *user_data);
	int (*open_registered)(const char *name, struct resolution *ret,
			       const char **ret_reason, void *user_data);
};

/**
 * struct follow_config - what to follow, and with what
 * @loop, @registry, @mounts: outlive the follow; the registry gets the host's
 *		namespace at once, and each that a name leads to
 * @dirs:	absolute paths; copied. One that is given twice counts once.
 */
struct follow_config {
	struct loop *loop;
	struct registry *registry;
	struct mounts *mounts;
	const char *const *dirs;
	size_t n_dirs;
};

/**
 * follow_new() - watches the directories from now on
 * @ops:	borrowed, and so is @user_data: both outlive the follow
 * @ret_follow:	the caller's, to be freed with follow_free()
 *
 * Nothing is told before follow_step().
 * Return: 0; -ENOMEM; -errno of resolve_host(), dirwatch_new() or
 * dirwatch_add() (the last two are logged).
 */
int follow_new(const struct follow_config *config, const struct follow_ops *ops,
	       void *user_data, struct follow **ret_follow);

/** follow_free() - NULL is fine. Return: NULL. */
struct follow *follow_free(struct follow *follow);

/** follow_step() - tells of namespaces without a name, then does a slice of
 * listing and sweeping. Return: is there more? */
bool follow_step(struct follow *follow);

/** follow_batch_end() - closes the namespaces that were found in this batch and
 * that nobody opened */
void follow_batch_end(struct follow *follow);

/** follow_step_due() - Return: is a namespace without a name, or one that no
 * name leads to any more, to be seen to by follow_step()? */
bool follow_step_due(const struct follow *follow);

/** follow_scanning() - Return: is a directory being listed? */
bool follow_scanning(const struct follow *follow);

/**
 * follow_open_netns() - opens a namespace by one of its names
 *
 * When no name leads to it any more, the next follow_step() looks at its names
 * again. Return: a descriptor, the caller's; -EINVAL for the host's; -ESTALE
 * when no name leads to it; -errno of open(2).
 */
int follow_open_netns(struct follow *follow, const struct tracked *tracked);

/** follow_recheck() - looks again at all names of @tracked; if it has none
 * afterwards, the next follow_step() tells so */
void follow_recheck(struct follow *follow, struct tracked *tracked);

/** follow_registered() - there is a name @name in NETNS_REGISTERED_DIR, or with
 * @is_there false there is none any more */
void follow_registered(struct follow *follow, const char *name, bool is_there);

/** follow_look_at() - looks at the entry @name of the watched directory @dir, a
 * path as configured, if it leads to no namespace as far as is known */
void follow_look_at(struct follow *follow, const char *dir, const char *name);

/** follow_find_name() - Return: the namespace that @name leads to, of several
 * directories the first one's; NULL: it leads to none. */
struct tracked *follow_find_name(const struct follow *follow, const char *name);

/** follow_find_in() - Return: the namespace that @name leads to in the watched
 * directory @dir, a path as configured; NULL: it leads to none. */
struct tracked *follow_find_in(const struct follow *follow, const char *dir,
			       const char *name);

/** follow_watched_dir() - Return: the path as configured of the watched
 * directory that has the path @dir, as configured or without links; NULL: none
 * has. */
const char *follow_watched_dir(const struct follow *follow, const char *dir);

/** follow_pending() - lists the names that lead to no namespace
 * @ret_pending: the first @max of them, the newest first
 *
 * Return: how many there are in all. */
size_t follow_pending(const struct follow *follow,
		      struct watcher_pending *ret_pending, size_t max);

/** follow_unreadable() - how many of those are there, and cannot be opened */
size_t follow_unreadable(const struct follow *follow);

/** follow_dir_count() - Return: the number of watched directories. */
size_t follow_dir_count(const struct follow *follow);

/** follow_dir() - Return: the path of a watched directory, borrowed.
 * @ret_exists:	is it there? */
const char *follow_dir(const struct follow *follow, size_t index,
		       bool *ret_exists);

/** follow_get_stats() - fills in names_events and names_overflows */
void follow_get_stats(const struct follow *follow,
		      struct watcher_stats *ret_stats);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* containers.h - what berthd was told of containers, by namespace */
#ifndef WATCHER_CONTAINERS_H
#define WATCHER_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>

#include "watcher/registry.h"
#include "watcher/status.h"
#include "watcher/told.h"

struct containers;
struct netns_path;

/**
 * struct containers_ops - what the containers ask and tell
 * @watched_dir: Return: the path as configured of the watched directory whose
 *		real path, or path as configured, is @dir; NULL: none is
 * @find:	Return: the namespace that @name in the watched directory @dir
 *		leads to, or NULL
 * @resolve:	which namespace does a path elsewhere lead to? As
 *		netns_path_resolve()
 * @changed:	@tracked has other containers than before
 * @rebuilt:	its list was put together anew; @before: the @n that it had,
 *		which still exist. May be NULL.
 */
struct containers_ops {
	const char *(*watched_dir)(const char *dir, void *user_data);
	struct tracked *(*find)(const char *dir, const char *name,
				void *user_data);
	int (*resolve)(const struct netns_path *path, struct resolution *ret,
		       const char **ret_reason, void *user_data);
	void (*changed)(struct tracked *tracked, void *user_data);
	void (*rebuilt)(struct tracked *tracked,
			const struct container *const *before, size_t n,
			void *user_data);
};

/**
 * containers_new() - none yet
 * @registry, @ops, @user_data: borrowed; all outlive the containers
 *
 * Return: the containers, the caller's; NULL: out of memory.
 */
struct containers *containers_new(struct registry *registry,
				  const struct containers_ops *ops,
				  void *user_data);

/** containers_free() - forgets all of them, without telling. The registry must
 * still be there. NULL is fine. Return: NULL. */
struct containers *containers_free(struct containers *containers);

/** containers_tell() - see watcher_tell_containers() */
int containers_tell(struct containers *containers, const char *source,
		    const struct container_told *told, size_t n);

/** containers_names_changed() - @tracked is new, or has other names: gives it
 * its containers. Does not call @changed for it: the caller tells anyway. */
void containers_names_changed(struct containers *containers,
			      struct tracked *tracked);

/** containers_gone() - @tracked is about to be removed from the registry: its
 * containers wait for a namespace again */
void containers_gone(struct containers *containers, struct tracked *tracked);

/** containers_step() - looks again where some of those that wait lead, if a
 * namespace came or went since, and gives namespaces their containers that
 * there was no memory for. Return: are there more to look at? */
bool containers_step(struct containers *containers);

/** containers_pending() - see watcher_pending_containers() */
size_t containers_pending(const struct containers *containers,
			  struct watcher_pending_container *ret_pending,
			  size_t max);

/** containers_count() - Return: how many there are, with and without a
 * namespace. */
size_t containers_count(const struct containers *containers);

#endif

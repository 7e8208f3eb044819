/* SPDX-License-Identifier: Apache-2.0 */
/* netns_path.h - namespaces by a path that somebody gave */
#ifndef WATCHER_NETNS_PATH_H
#define WATCHER_NETNS_PATH_H

#include <limits.h>

#include "watcher/registry.h"
#include "watcher/resolve.h"

/** struct netns_path - a path, split at its last slash */
struct netns_path {
	char dir[PATH_MAX];
	char name[NAME_MAX + 1];
};

/**
 * netns_path_split() - splits an absolute path; both parts are not empty
 *
 * Return: 0; -EINVAL for a path that is not absolute or ends in a slash;
 * -ENAMETOOLONG.
 */
int netns_path_split(const char *path, struct netns_path *ret_path);

/** netns_path_follow_links() - gives the directory its real path, without
 * links, if it exists */
void netns_path_follow_links(struct netns_path *path);

/**
 * netns_path_resolve() - which namespace does the path lead to?
 * @ret:	as resolve_open() fills it in, without a descriptor
 * @ret_reason:	static text, on failure
 *
 * Return: 0; -errno of resolve_open().
 */
int netns_path_resolve(const struct netns_path *path, struct resolution *ret,
		       const char **ret_reason);

/** netns_path_find() - Return: the namespace that was found, if the registry
 * has it, or NULL. */
struct tracked *netns_path_find(const struct registry *registry,
				const struct resolution *resolution);

#endif

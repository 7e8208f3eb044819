// SPDX-License-Identifier: Apache-2.0
/* netns_path.c - namespaces by a path that somebody gave */
#include "watcher/netns_path.h"

#include <string.h>

#include "common/util.h"

int netns_path_split(const char *path, struct netns_path *ret_path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL, *real = NULL;
	const char *found;

	if (path[0] != '/' || !slash[1])
		return -EINVAL;
	dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!dir)
		return -ENOMEM;
	/* What is no directory yet may be one later: its path stays as it is.
	 */
	real = realpath(dir, NULL);
	found = real ? real : dir;
	if (strlen(found) >= sizeof(ret_path->dir) ||
	    strlen(slash + 1) >= sizeof(ret_path->name))
		return -ENAMETOOLONG;
	/* Both fit, as was checked. */
	memcpy(ret_path->dir, found, strlen(found) + 1);
	memcpy(ret_path->name, slash + 1, strlen(slash + 1) + 1);
	return 0;
}

int netns_path_resolve(const struct netns_path *path, struct resolution *ret,
		       const char **ret_reason)
{
	int fd = resolve_open(path->dir, path->name, 0, ret, ret_reason);

	if (fd < 0)
		return fd;
	(void)close(fd); /* it would pin the namespace */
	if (ret->pid_fd >= 0)
		(void)close(ret->pid_fd); /* holds no data */
	ret->pid_fd = -1;
	return 0;
}

struct tracked *netns_path_find(const struct registry *registry,
				const struct resolution *resolution)
{
	struct tracked *tracked = registry->by_id;

	if (resolution->cookie)
		return registry_find(registry, resolution->cookie);
	while (tracked && !tracked_is(tracked, resolution))
		tracked = tracked->by_id.next;
	return tracked;
}

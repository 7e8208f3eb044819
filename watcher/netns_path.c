// SPDX-License-Identifier: Apache-2.0
/* netns_path.c - namespaces by a path that somebody gave */
#include "watcher/netns_path.h"

#include <string.h>

#include "common/util.h"

static int set_text(char *to, size_t size, const char *text, size_t len)
{
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(to, text, len);
	to[len] = '\0';
	return 0;
}

int netns_path_split(const char *path, struct netns_path *ret_path)
{
	const char *slash = strrchr(path, '/');
	int r;

	if (path[0] != '/' || !slash[1])
		return -EINVAL;
	r = set_text(ret_path->dir, sizeof(ret_path->dir), path,
		     slash == path ? 1 : (size_t)(slash - path));
	if (r < 0)
		return r;
	return set_text(ret_path->name, sizeof(ret_path->name), slash + 1,
			strlen(slash + 1));
}

void netns_path_follow_links(struct netns_path *path)
{
	_cleanup_free_ char *real = realpath(path->dir, NULL);

	if (real)
		(void)set_text(path->dir, sizeof(path->dir), real,
			       strlen(real)); /* no longer than PATH_MAX */
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

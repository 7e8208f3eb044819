/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - what does a name in the file system lead to? */
#ifndef WATCHER_RESOLVE_H
#define WATCHER_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "watcher/link.h"

/**
 * struct resolution - a network namespace that was found
 * @cookie:	SO_NETNS_COOKIE, or 0: this kernel has none
 * @mount_id:	of the mount over the name, never used again for another
 *		(Linux 6.8); 0: unknown, or it is a link
 * @is_link:	found through a symbolic link
 * @link:	with @is_link: which one, see struct link_end
 * @task:	the thread through whose /proc/PID/ns/net or the like the link
 *led; its number is 0 when it led through none
 * @pid_fd:	of @task where there is one, or -1; the caller's
 */
struct resolution {
	uint64_t cookie;
	dev_t dev;
	ino_t inode;
	uint64_t mount_id;
	bool is_link;
	uint64_t link;
	struct task task;
	int pid_fd;
};

/**
 * resolve_open() - opens the namespace that @name in @dir leads to
 *
 * Nothing but a namespace is ever opened: opening a FIFO or a device can
 * block or do things.
 * @known_cookie: of a network namespace, or 0: when it is this one, its type
 *		need not be asked
 * @ret:	on success; with -ENOLINK the link and its task only, see
 *		link_follow()
 * @ret_reason:	static text, on failure
 * Return: a descriptor; -ENOENT when there is no such name; -ENOLINK for a
 * link that leads nowhere; -EMEDIUMTYPE for what is no network namespace;
 * -errno of open(2) and others.
 */
int resolve_open(const char *dir, const char *name, uint64_t known_cookie,
		 struct resolution *ret, const char **ret_reason);

/** resolve_unchanged() - is the same mount still over the name? Cheap; false
 * also when it cannot be told. */
bool resolve_unchanged(const char *dir, const char *name, uint64_t mount_id);

/** resolve_leads_to() - does the name, or the link, still lead to this file of
 * nsfs? Cheap. An inode number can be used again, so a "yes" may be wrong. */
bool resolve_leads_to(const char *dir, const char *name, ino_t inode);

/** resolve_host() - the process's own namespace; to be called before the
 * others. Return: 0 or -errno. */
int resolve_host(struct resolution *ret);

#endif

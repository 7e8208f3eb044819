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
 * @dev, @inode: of its nsfs file
 * @since_us:	when the kernel made that file, by the monotonic clock; 0: not
 *		known
 * @mount_id:	of the mount over the name, never used again for another
 *		(Linux 6.8); 0: unknown, or the name is a link
 * @is_link:	it was found through a symbolic link
 * @link:	with @is_link: the identity of the links, see struct link_end
 * @task:	the thread through whose /proc/PID/ns/net or the like the link
 *		led; its number is 0 when the link led through none
 * @pid_fd:	of @task where there is one, or -1; the caller's
 * @uid:	who gave the name: 0, root, each in a watched directory
 */
struct resolution {
	uint64_t cookie;
	dev_t dev;
	ino_t inode;
	uint64_t since_us;
	uint64_t mount_id;
	bool is_link;
	uint64_t link;
	struct task task;
	int pid_fd;
	uid_t uid;
};

/**
 * resolve_open() - opens the namespace that @name in @dir leads to
 * @known_cookie: of a network namespace, or 0: when the name leads to this one,
 *		its type need not be asked
 * @ret:	on success. With -ENOLINK only the link and its task are set,
 *		see link_follow().
 * @ret_reason:	static text, on failure
 *
 * Nothing but a namespace is ever opened: to open a FIFO or a device can block
 * or do things. resolve_host() must have been called.
 * Return: a descriptor, the caller's; -ENOENT when there is no such name;
 * -ENOLINK for a link that leads nowhere; -EMEDIUMTYPE for what is no network
 * namespace; -ENAMETOOLONG; -errno of statx(2), open(2), getsockopt(2) or
 * link_follow().
 */
int resolve_open(const char *dir, const char *name, uint64_t known_cookie,
		 struct resolution *ret, const char **ret_reason);

/**
 * resolve_fd() - which namespace is open?
 * @fd:		may be anything, and of anybody; borrowed
 * @ret:	on success, without a mount, a link and a process
 * @ret_reason:	static text, on failure
 *
 * Does not block, whatever @fd is. resolve_host() must have been called.
 * Return: 0; -EMEDIUMTYPE for what is no network namespace; -errno of
 * statx(2) or getsockopt(2).
 */
int resolve_fd(int fd, struct resolution *ret, const char **ret_reason);

/** resolve_unchanged() - Return: is the mount @mount_id still over the name?
 * Cheap: one statx(2). False also when it cannot be told. */
bool resolve_unchanged(const char *dir, const char *name, uint64_t mount_id);

/** resolve_leads_to() - Return: does the name, or the link, still lead to this
 * file of nsfs? Cheap: one statx(2). The kernel may use an inode number again,
 * so a "yes" may be wrong. */
bool resolve_leads_to(const char *dir, const char *name, ino_t inode);

/**
 * resolve_host() - finds the process's own namespace, and the device of nsfs,
 * which the functions above need
 *
 * Return: 0; -errno of statx(2), open(2) or getsockopt(2).
 */
int resolve_host(struct resolution *ret);

#endif

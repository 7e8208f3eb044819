/* SPDX-License-Identifier: Apache-2.0 */
/* locate.h - which namespace, and which process, does somebody mean? */
#ifndef WATCHER_LOCATE_H
#define WATCHER_LOCATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "watcher/netns_handle.h"
#include "watcher/registration.h"
#include "watcher/resolve.h"

/**
 * struct located - a namespace that was found
 * @fd:		of the namespace
 * @found:	which one it is; has a cookie, and no descriptor
 * @task:	the process that was told, or that the path leads through; its
 *		number is 0: there is none
 * @pid_fd:	of @task, or -1
 * @inside:	@task is in the namespace
 * @handle:	of the namespace, where the kernel has handles
 */
struct located {
	int fd;
	struct resolution found;
	struct task task;
	int pid_fd;
	bool inside;
	struct netns_handle handle;
};

/**
 * locate() - finds the namespace at a path, that is open, or of a process
 * @path:	absolute, or NULL
 * @fd:		without @path: of a namespace, or a pidfd; or -1. May be
 *		anything; borrowed.
 * @pid:	without both: of a process in the namespace. Else just of a
 *		process, or 0.
 * @ret:	on success, to be freed with located_done()
 * @ret_reason:	static text, on failure
 *
 * Return: 0; -EINVAL: none is told, or a process whose end cannot be seen;
 * -ESRCH: there is no such process; -EMEDIUMTYPE: no network namespace;
 * -EOPNOTSUPP: this kernel has no cookies (before Linux 5.14); -errno of
 * resolve_open() or resolve_fd().
 */
int locate(const char *path, int fd, pid_t pid, struct located *ret,
	   const char **ret_reason);

/**
 * locate_of_user() - as locate(), of what a user other than root told
 * @told:	its @container.uid is the user
 *
 * Finds only a namespace, and a process, of theirs. It is asked of the
 * descriptors that are returned. Whatever else there is gets one answer, so
 * that nobody learns of it. No path is followed for users: it would be with our
 * power, may lead to what they cannot see, and may block.
 * Return: 0; -EPERM; -EMFILE; -ENFILE; -ENOMEM.
 */
int locate_of_user(const struct registration_told *told, struct located *ret,
		   const char **ret_reason);

/** located_done() - closes its descriptors */
void located_done(struct located *located);

/**
 * locate_again() - opens the namespace that @path, or else @task, leads to
 * @cookie:	of the namespace that is expected
 * @ret:	on success, without a descriptor
 * @ret_reason:	static text, on failure
 *
 * Return: a descriptor, the caller's; -ESTALE: the process has ended, or it
 * leads to another namespace, or to none; -errno of resolve_open().
 */
int locate_again(const char *path, const struct task *task, uint64_t cookie,
		 struct resolution *ret, const char **ret_reason);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - where do symbolic links lead, and through which process? */
#ifndef WATCHER_LINK_H
#define WATCHER_LINK_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct task - a thread that a path in /proc belongs to
 * @number:	as that /proc shows it; 0: there is none
 * @identity:	differs from that of another thread which has the number later
 */
struct task {
	pid_t number;
	uint64_t identity;
};

/**
 * struct link_end - where a chain of links ends
 * @dir_fd:	directory of the last component (O_PATH). In /proc it belongs
 *		to one thread for ever: when that has ended, nothing can be
 *		opened through it, even if another thread has the number.
 * @name:	the last component; in /proc/PID a link of the kernel's own
 * @identity:	of the link whose text has the number of @task, or of the last
 *		one: another one when that link is made anew
 * @task:	the thread whose /proc/PID/ns, /proc/PID/fd or the like
 *		@dir_fd is
 * @pid_fd:	of @task, readable when it has ended; -1: there is none, or this
 *		kernel cannot say (a thread before Linux 6.9; another /proc)
 */
struct link_end {
	int dir_fd;
	char name[NAME_MAX + 1];
	uint64_t identity;
	struct task task;
	int pid_fd;
};

/**
 * link_follow() - follows the link @name in @dir, and those that it leads to
 * @ret:	on success, to be freed with link_end_done(). With -ENOLINK it
 *		has no descriptor, only the identity, and the number of the
 *		thread that is not there any more; 0: the link leads through
 *		no thread, or that cannot be told. Else untouched.
 *
 * Return: 0; -ENOENT when there is no such name; -ENOLINK when a link leads
 * nowhere; -ELOOP for too many, and for a path through the root or the working
 * directory of a process; -ENAMETOOLONG; -errno of open(2), openat2(2),
 * statx(2), readlink(2), read(2) or pidfd_open(2).
 */
int link_follow(const char *dir, const char *name, struct link_end *ret);

/** link_end_done() - closes its descriptors */
void link_end_done(struct link_end *end);

#endif

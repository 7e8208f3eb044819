// SPDX-License-Identifier: Apache-2.0
/* resolve.c - what does a name in the file system lead to?
 *
 * In a watched directory may lie anything: a FIFO would block, a device would
 * act. So a name is looked at with statx(2), which touches nothing, and
 * opened only when it is on the device of the kernel's one nsfs; and so that
 * it is harmless if it is exchanged in between. What was opened must be the
 * inode that was looked at.
 *
 * A link into /proc/PID/ns/net is valid as long as the process lives, and
 * the number may then be given to another. The process is therefore opened
 * first, the namespace second, and then the process must still be alive.
 */
#include "watcher/resolve.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/netns_enter.h"
#include "common/util.h"

#ifndef STATX_MNT_ID_UNIQUE /* Linux 6.8 */
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

#define LINKS_MAX 8 /* followed in search of a process */

static const char reason_open[] = "cannot be opened";
static const char reason_no_mount[] = "not a namespace (no mount over it yet)";
static const char reason_other[] = "a namespace, but not of networks";
static const char reason_dangling[] = "dangling link";

/* The device of nsfs: where our own namespace is. 0: not known yet */
static dev_t nsfs_dev;

static dev_t dev_of(const struct statx *stx)
{
	return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

static uint64_t mount_id_of(const struct statx *stx)
{
	return stx->stx_mask & STATX_MNT_ID_UNIQUE ? stx->stx_mnt_id : 0;
}

/* Opens the namespace at @path, which @stx describes; @known_cookie as for
 * resolve_open(). */
static int open_netns(const char *path, const struct statx *stx,
		      uint64_t known_cookie, struct resolution *ret,
		      const char **ret_reason)
{
	_cleanup_close_ int fd = -1;
	uint64_t cookie = 0;
	struct stat st;
	int r;

	*ret_reason = reason_no_mount;
	if (dev_of(stx) != nsfs_dev)
		return -EMEDIUMTYPE;
	*ret_reason = reason_open;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = netns_cookie(fd, &cookie);
	/* No two namespaces of any type have one cookie. */
	if ((cookie == 0 || cookie != known_cookie) &&
	    ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		*ret_reason = reason_other;
		return -EMEDIUMTYPE;
	}
	if (r < 0 && r != -ENOPROTOOPT)
		return r;
	/* The cookie is of what was opened. Without one the inode is, which
	 * must then be the one that was looked at. */
	if (r < 0 && (fstat(fd, &st) < 0 || st.st_dev != nsfs_dev ||
		      st.st_ino != stx->stx_ino))
		return -EMEDIUMTYPE; /* exchanged: events will say so */
	*ret = (struct resolution){
		.cookie = r < 0 ? 0 : cookie,
		.dev = nsfs_dev,
		.inode = stx->stx_ino,
		.mount_id = mount_id_of(stx),
		.pid_fd = -1,
	};
	return TAKE_FD(fd);
}

/* Takes "@prefix" and a number off the front of *@at. Return: 0: no such */
static pid_t take_number(const char **at, const char *prefix)
{
	size_t len = strlen(prefix);
	char *end;
	long number;

	if (strncmp(*at, prefix, len) != 0 || (*at)[len] < '1' ||
	    (*at)[len] > '9')
		return 0;
	number = strtol(*at + len, &end, 10);
	if (number > INT_MAX)
		return 0;
	*at = end;
	return (pid_t)number;
}

/* "/proc/12/ns/net" and "/proc/12/task/34/ns/net" are process 12's. */
static pid_t pid_of_path(const char *path)
{
	pid_t pid = take_number(&path, "/proc/");

	(void)take_number(&path, "/task/"); /* a thread: its process counts */
	return pid > 0 && strcmp(path, "/ns/net") == 0 ? pid : 0;
}

/* Return: the process that the chain of links from @path leads to, or 0 */
static pid_t pid_of_link(const char *path)
{
	char here[PATH_MAX], target[PATH_MAX], joined[PATH_MAX];

	(void)snprintf(here, sizeof(here), "%s", path);
	for (int i = 0; i < LINKS_MAX; i++) {
		ssize_t n = readlink(here, target, sizeof(target) - 1);
		char *slash;
		pid_t pid;
		int len;

		if (n < 0)
			return 0;
		target[n] = '\0';
		pid = pid_of_path(target);
		if (pid > 0)
			return pid;
		slash = strrchr(here, '/');
		if (*target == '/' || !slash)
			len = snprintf(joined, sizeof(joined), "%s", target);
		else
			len = snprintf(joined, sizeof(joined), "%.*s/%s",
				       (int)(slash - here), here, target);
		if (len < 0 || (size_t)len >= sizeof(joined))
			return 0;
		memcpy(here, joined, (size_t)len + 1);
	}
	return 0;
}

static bool has_ended(int pid_fd)
{
	struct pollfd pollfd = { .fd = pid_fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) != 0;
}

static int open_link(const char *path, uint64_t known_cookie,
		     struct resolution *ret, const char **ret_reason)
{
	_cleanup_close_ int pid_fd = -1, fd = -1;
	pid_t pid = pid_of_link(path);
	struct statx stx;

	*ret_reason = reason_dangling;
	if (pid > 0) {
		pid_fd = pidfd_open(pid, 0);
		if (pid_fd < 0 && errno == ESRCH)
			return -ENOLINK;
	}
	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_INO, &stx) < 0) {
		if (errno == ENOENT)
			return -ENOLINK;
		*ret_reason = reason_open;
		return -errno;
	}
	fd = open_netns(path, &stx, known_cookie, ret, ret_reason);
	if (fd < 0)
		return fd;
	if (pid_fd >= 0 && has_ended(pid_fd)) {
		*ret_reason = reason_dangling;
		return -ENOLINK;
	}
	ret->is_link = true;
	ret->mount_id = 0;
	ret->pid_fd = TAKE_FD(pid_fd);
	return TAKE_FD(fd);
}

int resolve_open(const char *dir, const char *name, uint64_t known_cookie,
		 struct resolution *ret, const char **ret_reason)
{
	char path[PATH_MAX];
	struct statx stx;

	*ret_reason = reason_open;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_TYPE | STATX_INO | STATX_MNT_ID_UNIQUE, &stx) < 0)
		return -errno;
	if (S_ISLNK(stx.stx_mode))
		return open_link(path, known_cookie, ret, ret_reason);
	return open_netns(path, &stx, known_cookie, ret, ret_reason);
}

bool resolve_unchanged(const char *dir, const char *name, uint64_t mount_id)
{
	char path[PATH_MAX];
	struct statx stx;

	if (mount_id == 0 || (size_t)snprintf(path, sizeof(path), "%s/%s", dir,
					      name) >= sizeof(path))
		return false;
	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		     STATX_MNT_ID_UNIQUE, &stx) == 0 &&
	       mount_id_of(&stx) == mount_id;
}

int resolve_host(struct resolution *ret)
{
	static const char path[] = "/proc/thread-self/ns/net";
	const char *reason;
	struct statx stx;
	int fd;

	if (statx(AT_FDCWD, path, 0, STATX_INO, &stx) < 0)
		return -errno;
	nsfs_dev = dev_of(&stx);
	fd = open_netns(path, &stx, 0, ret, &reason);
	if (fd < 0)
		return fd;
	(void)close(fd); /* a namespace: nothing to be lost */
	return 0;
}

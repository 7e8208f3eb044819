// SPDX-License-Identifier: Apache-2.0
/* resolve.c - what does a name in the file system lead to?
 *
 * Anything may lie in a watched directory: to open a FIFO would block, to open
 * a device would act. So a name is looked at with statx(2), which touches
 * nothing. It is opened only when it is on the device of the kernel's one nsfs,
 * and with flags that make the opening harmless if the file is exchanged in
 * between. The cookie is read from what was opened; on a kernel without
 * cookies, what was opened must be the inode that was looked at.
 *
 * Links are followed one by one (link.c), so that it is known through which
 * process they led. What is opened through the directory of a process in /proc
 * belongs to that process, and proves that the process lives.
 */
#include "watcher/resolve.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/netns_enter.h"
#include "common/util.h"

#ifndef STATX_MNT_ID_UNIQUE /* Linux 6.8 */
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

static const char reason_open[] = "cannot be opened";
static const char reason_no_mount[] = "not a namespace (no mount over it yet)";
static const char reason_other[] = "a namespace, but not of networks";
static const char reason_dangling[] = "dangling link";

/* The device of nsfs, which our own namespace is on; 0: not known yet */
static dev_t nsfs_dev;

static dev_t dev_of(const struct statx *stx)
{
	return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

static uint64_t mount_id_of(const struct statx *stx)
{
	return stx->stx_mask & STATX_MNT_ID_UNIQUE ? stx->stx_mnt_id : 0;
}

/* Finds out which namespace @fd is, a file of nsfs; @known_cookie as for
 * resolve_open(). Return: 0; -EMEDIUMTYPE; -errno. */
static int identify(int fd, uint64_t known_cookie, uint64_t *ret_cookie,
		    const char **ret_reason)
{
	uint64_t cookie = 0;
	int r = netns_cookie(fd, &cookie);

	/* No two namespaces of any type have one cookie. */
	if ((cookie == 0 || cookie != known_cookie) &&
	    ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		*ret_reason = reason_other;
		return -EMEDIUMTYPE;
	}
	if (r < 0 && r != -ENOPROTOOPT)
		return r;
	*ret_cookie = r < 0 ? 0 : cookie;
	return 0;
}

/* Opens the namespace at @path, seen from @dir_fd, which @stx describes;
 * @known_cookie as for resolve_open(). */
static int open_netns(int dir_fd, const char *path, const struct statx *stx,
		      uint64_t known_cookie, struct resolution *ret,
		      const char **ret_reason)
{
	_cleanup_close_ int fd = -1;
	uint64_t cookie;
	struct stat st;
	int r;

	*ret_reason = reason_no_mount;
	if (dev_of(stx) != nsfs_dev)
		return -EMEDIUMTYPE;
	*ret_reason = reason_open;
	fd = openat(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = identify(fd, known_cookie, &cookie, ret_reason);
	if (r < 0)
		return r;
	/* Without a cookie the inode is the identity: what was opened must be
	 * what was looked at. */
	if (!cookie && (fstat(fd, &st) < 0 || st.st_dev != nsfs_dev ||
			st.st_ino != stx->stx_ino))
		return -EMEDIUMTYPE; /* exchanged: events will tell */
	*ret = (struct resolution){
		.cookie = cookie,
		.dev = nsfs_dev,
		.inode = stx->stx_ino,
		.since_us = monotonic_of_us(stx->stx_ctime.tv_sec,
					    stx->stx_ctime.tv_nsec),
		.mount_id = mount_id_of(stx),
		.pid_fd = -1,
	};
	return TAKE_FD(fd);
}

int resolve_fd(int fd, struct resolution *ret, const char **ret_reason)
{
	struct statx stx;
	uint64_t cookie;
	int r;

	*ret_reason = "is no namespace";
	/* Whose file it is decides how long an answer may take, so the file is
	 * not asked what it is before the kernel's own table says "nsfs". */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &stx) <
	    0)
		return -errno;
	if (dev_of(&stx) != nsfs_dev)
		return -EMEDIUMTYPE;
	r = identify(fd, 0, &cookie, ret_reason);
	if (r < 0)
		return r;
	*ret = (struct resolution){
		.cookie = cookie,
		.dev = nsfs_dev,
		.inode = stx.stx_ino,
		.pid_fd = -1,
	};
	return 0;
}

/* Does the link lead nowhere? This needs no descriptor; and a name that is
 * given up gives descriptors back. */
static bool is_dangling(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct statx stx;

	return (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) <
		       sizeof(path) &&
	       statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_INO, &stx) < 0 &&
	       (errno == ENOENT || errno == ESRCH);
}

/* Fills @ret for a link that leads nowhere, with the thread that it led
 * through. Return: -ENOLINK. */
static int dangling(const struct link_end *end, struct resolution *ret,
		    const char **ret_reason)
{
	*ret = (struct resolution){
		.is_link = true,
		.link = end->identity,
		.task = end->task,
		.pid_fd = -1,
	};
	*ret_reason = reason_dangling;
	return -ENOLINK;
}

static int open_link(const char *dir, const char *name, uint64_t known_cookie,
		     struct resolution *ret, const char **ret_reason)
{
	_cleanup_(link_end_done) struct link_end end = { .dir_fd = -1,
							 .pid_fd = -1 };
	struct statx stx;
	int fd, r = link_follow(dir, name, &end);

	if ((r == -EMFILE || r == -ENFILE) && is_dangling(dir, name))
		r = -ENOLINK;
	if (r == -ENOLINK)
		return dangling(&end, ret, ret_reason);
	*ret_reason = reason_open;
	if (r < 0)
		return r;
	if (statx(end.dir_fd, end.name, AT_NO_AUTOMOUNT, STATX_INO, &stx) < 0) {
		if (errno != ENOENT && errno != ESRCH)
			return -errno;
		return dangling(&end, ret, ret_reason);
	}
	fd = open_netns(end.dir_fd, end.name, &stx, known_cookie, ret,
			ret_reason);
	if (fd == -ENOENT || fd == -ESRCH)
		return dangling(&end, ret, ret_reason);
	if (fd < 0)
		return fd;
	ret->is_link = true;
	ret->mount_id = 0;
	ret->link = end.identity;
	ret->task = end.task;
	ret->pid_fd = TAKE_FD(end.pid_fd);
	return fd;
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
		return open_link(dir, name, known_cookie, ret, ret_reason);
	return open_netns(AT_FDCWD, path, &stx, known_cookie, ret, ret_reason);
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

bool resolve_leads_to(const char *dir, const char *name, ino_t inode)
{
	char path[PATH_MAX];
	struct statx stx;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path))
		return false;
	return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_INO, &stx) == 0 &&
	       dev_of(&stx) == nsfs_dev && stx.stx_ino == inode;
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
	fd = open_netns(AT_FDCWD, path, &stx, 0, ret, &reason);
	if (fd < 0)
		return fd;
	(void)close(fd); /* a namespace: nothing to be lost */
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* link.c - where do symbolic links lead, and through which process?
 *
 * A link into /proc/PID means the process that has the number now. When the
 * process has ended, the kernel gives the number to another process. So whoever
 * follows such a link must know through which process it led. The text of a
 * link does not tell: it may be relative, lead through a directory that is a
 * link, or to a thread. So the links are followed one by one, and the type of
 * the file system that holds the last component says whether it belongs to a
 * process.
 *
 * A directory of a thread in /proc, once open, belongs to that thread for ever.
 * The thread's number and its start are read through the directory, so they
 * cannot be another thread's. A pidfd is opened by number. It is the same
 * thread's if something can be opened through the directory afterwards: the
 * thread still lives then, and the kernel did not give its number away. Callers
 * that open something through the directory after link_follow() have this
 * proof.
 */
#include "watcher/link.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "common/util.h"

#ifndef PIDFD_THREAD /* Linux 6.9 */
#define PIDFD_THREAD O_EXCL
#endif
#ifndef PID_FS_MAGIC /* Linux 6.9 */
#define PID_FS_MAGIC 0x50494446
#endif

#define LINKS_MAX 40 /* what the kernel follows in one lookup */

/* proc_pid_stat(5): the start is behind this many spaces, counted from the end
 * of the name, which may hold anything */
#define STAT_BYTES 1024
#define STAT_SPACES_BEFORE_START 20

/* Folds @value into @hash (the multiplier is 2^64 over the golden ratio). */
static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

/* Opens @path; @resolve keeps it from leading through links of the kernel's own
 * (RESOLVE_NO_MAGICLINKS) or to another mount (RESOLVE_NO_XDEV). */
static int open_place(int dir_fd, const char *path, uint64_t flags,
		      uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve,
	};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	if (fd < 0 && errno == ENOSYS) /* before Linux 5.6 */
		fd = openat(dir_fd, path, (int)how.flags);
	return fd < 0 ? -errno : (int)fd;
}

/* Return: the device of the /proc whose numbers pidfd_open(2) takes; 0: there
 * is none. */
static dev_t find_proc_dev(void)
{
	char self[sizeof("2147483647")];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
	struct stat st;

	if (n < 0)
		return 0;
	self[n] = '\0';
	if (strtol(self, NULL, 10) != getpid() || stat("/proc", &st) < 0)
		return 0;
	return st.st_dev;
}

/* Opens a pidfd of the thread @number of the /proc that @dir_fd is in. Return:
 * the pidfd; -1: there can be none; -errno: -ESRCH, -EMFILE and the like. */
static int open_pid(int dir_fd, pid_t number)
{
	static dev_t proc_dev;
	struct stat st;
	int fd;

	if (!proc_dev)
		proc_dev = find_proc_dev();
	if (fstat(dir_fd, &st) < 0 || st.st_dev != proc_dev)
		return -1;
	fd = pidfd_open(number, PIDFD_THREAD);
	if (fd < 0 && errno == EINVAL)
		fd = pidfd_open(number, 0);
	if (fd >= 0)
		return fd;
	/* Depending on the kernel, either says that it is a thread. */
	return errno == EINVAL || errno == ENOENT ? -1 : -errno;
}

/* Return: the pidfd's inode number, which the kernel never uses again; 0: this
 * kernel has none. */
static uint64_t pidfs_inode(int pid_fd)
{
	struct statfs fs;
	struct stat st;

	if (pid_fd < 0 || fstatfs(pid_fd, &fs) < 0 ||
	    fs.f_type != PID_FS_MAGIC || fstat(pid_fd, &st) < 0)
		return 0;
	return st.st_ino;
}

/* Reads a thread's number and start from the text of its file "stat". */
static bool parse_stat(const char *text, pid_t *ret_number, uint64_t *ret_start)
{
	char *end;
	long number = strtol(text, &end, 10);
	const char *at = strrchr(text, ')');

	if (number <= 0 || number > INT_MAX || *end != ' ' || !at)
		return false;
	for (int i = 0; i < STAT_SPACES_BEFORE_START && at; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	*ret_start = strtoull(at + 1, NULL, 10);
	*ret_number = (pid_t)number;
	return true;
}

static bool is_in_proc(int dir_fd)
{
	struct statfs fs;

	return fstatfs(dir_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Finds the thread that the directory belongs to. Return: 1: found; 0: it
 * belongs to none; -errno. */
static int find_task(struct link_end *at)
{
	_cleanup_close_ int fd = -1;
	char text[STAT_BYTES];
	uint64_t start;
	ssize_t n;

	if (!is_in_proc(at->dir_fd))
		return 0;
	fd = open_place(at->dir_fd, "../stat", O_RDONLY, RESOLVE_NO_XDEV);
	if (fd < 0)
		return fd == -ENOENT || fd == -EXDEV ? 0 : fd;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	if (!parse_stat(text, &at->task.number, &start))
		return 0; /* the file of /proc itself */
	at->pid_fd = open_pid(at->dir_fd, at->task.number);
	if (at->pid_fd < -1)
		return TAKE_FD(at->pid_fd);
	at->task.identity = mix(mix(mix(0, (uint64_t)at->task.number), start),
				pidfs_inode(at->pid_fd));
	return 1;
}

/* Return: the last number among the directories of @path; 0: there is none. */
static pid_t last_number(const char *path)
{
	const char *slash;
	pid_t number = 0;

	for (; (slash = strchr(path, '/')); path = slash + 1) {
		char *end;
		long value = strtol(path, &end, 10);

		if (end == slash && value > 0 && value <= INT_MAX)
			number = (pid_t)value;
	}
	return number;
}

/* Moves to the directory @name, seen from where @at is. Return: 0; -ELOOP for a
 * link that @resolve forbids; -errno of openat2(2). */
static int enter(struct link_end *at, const char *name, uint64_t resolve)
{
	int fd = open_place(at->dir_fd, name, O_PATH | O_DIRECTORY,
			    RESOLVE_NO_MAGICLINKS | resolve);

	if (fd < 0)
		return fd;
	cleanup_close(&at->dir_fd);
	at->dir_fd = fd;
	return 0;
}

/* Moves to the directory @at->name, which @path begins with. Links in /proc
 * ("self") are nobody's, and are just followed. Return: 1: somebody made a link
 * of this name; 0; -errno. */
static int enter_next(struct link_end *at, const char *path)
{
	int r = enter(at, at->name, RESOLVE_NO_SYMLINKS);

	if (r == -ELOOP)
		return is_in_proc(at->dir_fd) ? enter(at, at->name, 0) : 1;
	if (r == -ENOENT && is_in_proc(at->dir_fd))
		at->task.number = last_number(path); /* whose it was */
	return r;
}

/* Moves along @path, seen from where @at is, to its first link or, without one,
 * to its last component. Leaves in @path what is behind that. */
static int go_to(struct link_end *at, char *path)
{
	const char *next = path, *rest;
	int r = *path == '/' ? enter(at, "/", 0) : 0;

	if (r < 0)
		return r;
	for (;; next = rest) {
		size_t len;

		next += strspn(next, "/");
		len = strcspn(next, "/");
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(at->name, next, len);
		at->name[len] = '\0';
		rest = next + len + strspn(next + len, "/");
		if (!*rest)
			break;
		r = enter_next(at, next);
		if (r < 0)
			return r;
		if (r > 0)
			break;
	}
	if (!at->name[0])
		memcpy(at->name, ".", sizeof(".")); /* the root */
	memmove(path, rest, strlen(rest) + 1);
	return 0;
}

static uint64_t mix_time(uint64_t hash, const struct statx_timestamp *time)
{
	return mix(mix(hash, (uint64_t)time->tv_sec), time->tv_nsec);
}

/* The text of a link never changes, so the time of its last modification is
 * when it was made; a rename keeps it. */
static uint64_t link_identity(const struct statx *stx)
{
	uint64_t identity =
		mix(mix(0, makedev(stx->stx_dev_major, stx->stx_dev_minor)),
		    stx->stx_ino);

	identity = mix_time(identity, &stx->stx_mtime);
	if (stx->stx_mask & STATX_BTIME)
		identity = mix_time(identity, &stx->stx_btime);
	return identity;
}

/*
 * Follows the link at @at, which @stx describes; @rest is what is behind it,
 * before and afterwards.
 *
 * The link whose text has the number names the process: a link to that link
 * means the same process, even if it was made when a stranger had the number.
 * That is the last link of all, unless what is behind it has the number.
 */
static int follow_one(struct link_end *at, const struct statx *stx, char *rest)
{
	char path[PATH_MAX * 2];
	ssize_t n = readlinkat(at->dir_fd, at->name, path, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	if (last_number(rest) == 0)
		at->identity = link_identity(stx);
	path[n] = '\0';
	if (*rest)
		(void)snprintf(path + n, sizeof(path) - (size_t)n, "/%s", rest);
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(rest, path, strlen(path) + 1);
	return go_to(at, rest);
}

static int follow_all(struct link_end *at)
{
	char rest[PATH_MAX] = "";
	struct statx stx;
	int r;

	for (int i = 0; i <= LINKS_MAX; i++) {
		if (statx(at->dir_fd, at->name,
			  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			  STATX_TYPE | STATX_INO | STATX_MTIME | STATX_BTIME,
			  &stx) < 0)
			r = -errno;
		else if (!S_ISLNK(stx.stx_mode))
			return *rest ? -ENOLINK : 0; /* exchanged meanwhile */
		else
			r = find_task(at);
		if (r > 0)
			return 0;
		if (r == 0)
			r = follow_one(at, &stx, rest);
		if (r == -ESRCH ||
		    ((r == -ENOENT || r == -ENOTDIR) && at->identity != 0))
			return -ENOLINK;
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

int link_follow(const char *dir, const char *name, struct link_end *ret)
{
	_cleanup_(link_end_done) struct link_end at = {
		.pid_fd = -1,
		.dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	int r;

	if (at.dir_fd < 0)
		return -errno;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(at.name, name, strlen(name) + 1);
	r = follow_all(&at);
	if (r == -ENOLINK)
		*ret = (struct link_end){
			.dir_fd = -1,
			.identity = at.identity,
			.task.number = at.task.number,
			.pid_fd = -1,
		};
	if (r < 0)
		return r;
	*ret = at;
	at.dir_fd = at.pid_fd = -1;
	return 0;
}

void link_end_done(struct link_end *end)
{
	cleanup_close(&end->dir_fd);
	cleanup_close(&end->pid_fd);
	end->dir_fd = end->pid_fd = -1;
}

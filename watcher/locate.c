// SPDX-License-Identifier: Apache-2.0
/* locate.c - which namespace, and which process, does somebody mean?
 *
 * A process is told from a later one with its number by struct task. A pidfd
 * says which number its process has; if the process has not ended after the
 * directory of that number in /proc was opened, both are the same process.
 */
#include "watcher/locate.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "common/util.h"
#include "watcher/netns_path.h"
#include "watcher/owner.h"

static const char reason_process[] = "there is no such process";
static const char reason_path[] = "there is no such path";
static const char reason_not_absolute[] = "is no absolute path of a file";
static const char reason_unseen[] =
	"is a process whose end this kernel does not tell";
static const char reason_none[] = "neither a path, a descriptor nor a pid";
static const char reason_elsewhere[] = "is a process of another pid namespace";
static const char reason_no_cookies[] =
	"this kernel has no cookies of namespaces (Linux 5.14)";
static const char reason_not_theirs[] =
	"there is no such network namespace of yours";
static const char reason_no_path[] =
	"a path is looked at for root alone; open it and attach the descriptor";
static const char reason_gone[] = "leads to another namespace, or to none";

static int open_path(const char *path, uint64_t known_cookie,
		     struct resolution *ret, const char **ret_reason)
{
	struct netns_path split;
	int r = netns_path_split(path, &split);

	*ret_reason = reason_not_absolute;
	if (r < 0)
		return r;
	r = resolve_open(split.dir, split.name, known_cookie, ret, ret_reason);
	if (r == -ENOENT)
		*ret_reason = reason_path;
	return r;
}

static int open_process(pid_t pid, uint64_t known_cookie,
			struct resolution *ret, const char **ret_reason)
{
	char dir[sizeof("/proc/-2147483648/ns")];
	int fd;

	(void)snprintf(dir, sizeof(dir), "/proc/%d/ns", (int)pid); /* fits */
	fd = resolve_open(dir, "net", known_cookie, ret, ret_reason);
	if (fd != -ENOENT && fd != -ENOLINK)
		return fd;
	*ret_reason = reason_process;
	return -ESRCH;
}

/* Moves the process that @found led through to @ret. Return: 0; -EINVAL. */
static int take_process(struct located *ret, struct resolution *found,
			const char **ret_reason)
{
	if (found->pid_fd < 0) {
		*ret_reason = reason_unseen;
		return -EINVAL;
	}
	cleanup_close(&ret->pid_fd);
	ret->pid_fd = TAKE_FD(found->pid_fd);
	ret->task = found->task;
	return 0;
}

static int locate_path(const char *path, struct located *ret,
		       const char **ret_reason)
{
	ret->fd = open_path(path, 0, &ret->found, ret_reason);
	if (ret->fd < 0)
		return ret->fd;
	if (ret->found.task.number == 0)
		return 0;
	ret->inside = true;
	return take_process(ret, &ret->found, ret_reason);
}

static int locate_process(pid_t pid, struct located *ret,
			  const char **ret_reason)
{
	ret->fd = open_process(pid, 0, &ret->found, ret_reason);
	if (ret->fd < 0)
		return ret->fd;
	ret->inside = true;
	return take_process(ret, &ret->found, ret_reason);
}

/* Return: the number of the pidfd's process; -ESRCH: it has ended; -EINVAL: it
 * has no number here; -EMEDIUMTYPE: it is no pidfd. */
static pid_t pid_of(int fd)
{
	char path[sizeof("/proc/self/fdinfo/2147483647")], text[1024];
	_cleanup_close_ int info = -1;
	const char *at;
	ssize_t n;
	long pid;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	n = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	at = strstr(text, "\nPid:");
	if (!at)
		return -EMEDIUMTYPE;
	pid = strtol(at + sizeof("\nPid:") - 1, NULL, 10);
	if (pid > 0)
		return (pid_t)pid;
	return pid < 0 ? -ESRCH : -EINVAL;
}

static int locate_pidfd(int fd, struct located *ret, const char **ret_reason)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	pid_t pid = pid_of(fd);
	int r;

	if (pid == -ESRCH || pid == -EINVAL)
		*ret_reason = pid == -ESRCH ? reason_process : reason_elsewhere;
	if (pid < 0)
		return pid;
	r = locate_process(pid, ret, ret_reason);
	if (r < 0)
		return r;
	if (poll(&poll_fd, 1, 0) == 0)
		return 0;
	*ret_reason = reason_process; /* and another may have the number */
	return -ESRCH;
}

static int locate_fd(int fd, struct located *ret, const char **ret_reason)
{
	int r = resolve_fd(fd, &ret->found, ret_reason);

	if (r == -EMEDIUMTYPE)
		return locate_pidfd(fd, ret, ret_reason);
	if (r < 0)
		return r;
	ret->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return ret->fd < 0 ? -errno : 0;
}

/* Finds the process that was told beside the namespace. */
static int add_process(pid_t pid, struct located *ret, const char **ret_reason)
{
	struct resolution resolution = { .pid_fd = -1 };
	_cleanup_close_ int fd = open_process(pid, 0, &resolution, ret_reason);
	int r;

	if (fd < 0)
		return fd;
	ret->inside = resolution.cookie == ret->found.cookie;
	r = take_process(ret, &resolution, ret_reason);
	cleanup_close(&resolution.pid_fd);
	return r;
}

static int locate_all(const char *path, int fd, pid_t pid, struct located *ret,
		      const char **ret_reason)
{
	int r = -EINVAL;

	*ret_reason = reason_none;
	if (path)
		r = locate_path(path, ret, ret_reason);
	else if (fd >= 0)
		r = locate_fd(fd, ret, ret_reason);
	else if (pid > 0)
		r = locate_process(pid, ret, ret_reason);
	if (r == 0 && pid > 0 && ret->task.number != pid)
		r = add_process(pid, ret, ret_reason);
	if (r < 0)
		return r;
	*ret_reason = reason_no_cookies;
	if (!ret->found.cookie)
		return -EOPNOTSUPP;
	ret->handle = netns_handle_get(ret->fd);
	return 0;
}

int locate(const char *path, int fd, pid_t pid, struct located *ret,
	   const char **ret_reason)
{
	struct located located = { .fd = -1, .pid_fd = -1, .found.pid_fd = -1 };
	int r = locate_all(path, fd, pid, &located, ret_reason);

	if (r < 0)
		located_done(&located);
	else
		*ret = located;
	return r;
}

/* Is what was found the user's? */
static bool is_theirs(const struct located *located, uid_t uid)
{
	return owner_has_netns(located->fd, uid) &&
	       (located->pid_fd < 0 || located->inside ||
		owner_has_process(located->task.number, located->pid_fd, uid));
}

int locate_of_user(const struct registration_told *told, struct located *ret,
		   const char **ret_reason)
{
	int r;

	*ret_reason = reason_no_path;
	if (told->path)
		return -EPERM;
	r = locate(NULL, told->fd, told->container.pid, ret, ret_reason);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return r;
	if (r == 0 && is_theirs(ret, told->container.uid))
		return 0;
	if (r == 0)
		located_done(ret);
	*ret_reason = reason_not_theirs;
	return -EPERM;
}

void located_done(struct located *located)
{
	cleanup_close(&located->fd);
	cleanup_close(&located->pid_fd);
	cleanup_close(&located->found.pid_fd);
	located->fd = located->pid_fd = located->found.pid_fd = -1;
}

int locate_again(const char *path, const struct task *task, uint64_t cookie,
		 struct resolution *ret, const char **ret_reason)
{
	struct resolution resolution = { .pid_fd = -1 };
	int fd = path ? open_path(path, cookie, &resolution, ret_reason)
		      : open_process(task->number, cookie, &resolution,
				     ret_reason);
	bool same = fd >= 0 && resolution.cookie == cookie &&
		    (path || (resolution.task.number == task->number &&
			      resolution.task.identity == task->identity));

	cleanup_close(&resolution.pid_fd);
	resolution.pid_fd = -1;
	if (same) {
		*ret = resolution;
		return fd;
	}
	cleanup_close(&fd);
	if (fd < 0 && fd != -ENOENT && fd != -ENOLINK && fd != -EMEDIUMTYPE &&
	    fd != -ESRCH)
		return fd;
	*ret_reason = reason_gone;
	return -ESTALE;
}

// SPDX-License-Identifier: Apache-2.0
/* runtime_dir.c - the directory of berthd's sockets, for one berthd at a time
 */
#include "daemon/runtime_dir.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/util.h"

static int lock_busy(const char *path, int fd)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	if (n > 0)
		pid[strcspn(pid, "\n")] = '\0';
	log_error("runtime directory '%s' belongs to another berthd%s%s; use "
		  "another --runtime-dir",
		  path, pid[0] ? ", pid " : "", pid);
	return -EBUSY;
}

int runtime_dir_take(const char *path, int *ret_lock_fd)
{
	/* Not flock(2), whose lock a child would have too: a relay that was
	 * being started when we were killed. */
	static const struct flock whole = { .l_type = F_WRLCK,
					    .l_whence = SEEK_SET };
	_cleanup_close_ int fd = -1;
	char lock_path[PATH_MAX], pid[16];
	int len;

	/* Whatever the umask: users of consumers must get to their sockets. */
	if (mkdir(path, 0755) == 0)
		(void)chmod(path, 0755); /* it is ours, and new */
	else if (errno != EEXIST)
		return log_error_errno(
			errno, "cannot make the runtime directory '%s'", path);
	len = snprintf(lock_path, sizeof(lock_path), "%s/berthd.lock", path);
	if (len < 0 || (size_t)len >= sizeof(lock_path))
		return log_error_errno(ENAMETOOLONG,
				       "the runtime directory's path");
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return log_error_errno(
			errno, "cannot write to the runtime directory '%s'",
			path);
	if (fcntl(fd, F_SETLK, &whole) < 0)
		return errno == EACCES || errno == EAGAIN
			       ? lock_busy(path, fd)
			       : log_error_errno(errno, "cannot lock '%s'",
						 lock_path);
	len = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || write(fd, pid, (size_t)len) != len)
		return log_error_errno(errno ? errno : EIO, "cannot write '%s'",
				       lock_path);
	*ret_lock_fd = TAKE_FD(fd);
	return 0;
}

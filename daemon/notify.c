// SPDX-License-Identifier: Apache-2.0
/* notify.c - messages to the service manager, with descriptors */
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/util.h"

/* A path, or with '@' an abstract name. */
static int address(const char *name, struct sockaddr_un *ret_sa,
		   socklen_t *ret_len)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	if (name[0] != '/' && name[0] != '@')
		return -EAFNOSUPPORT;
	if (len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, name, len);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (name[0] == '@')
		sa.sun_path[0] = '\0';
	else
		++*ret_len; /* its end */
	*ret_sa = sa;
	return 0;
}

int notify_open(int *ret_fd)
{
	const char *name = getenv("NOTIFY_SOCKET");
	_cleanup_close_ int fd = -1;
	struct sockaddr_un sa;
	socklen_t len;
	int r;

	if (!name || !*name)
		return -ENOENT;
	r = address(name, &sa, &len);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, len) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int notify_send(int fd, const char *text, const int *fds, size_t n)
{
	union {
		struct cmsghdr header; /* aligns it */
		char bytes[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg = &control.header;

	if (n > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Return: 0; -ETIMEDOUT; -errno. */
static int wait_for(int fd, short events, uint64_t deadline_us)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	uint64_t now_us = monotonic_us();
	int timeout_ms, r;

	if (now_us >= deadline_us)
		return -ETIMEDOUT;
	timeout_ms = (int)((deadline_us - now_us) / USEC_PER_MSEC) + 1;
	r = poll(&pollfd, 1, timeout_ms);
	if (r < 0)
		return -errno;
	return r > 0 ? 0 : -ETIMEDOUT;
}

int notify_wait_room(int fd, uint64_t deadline_us)
{
	return wait_for(fd, POLLOUT, deadline_us);
}

int notify_send_until(int fd, const char *text, const int *fds, size_t n,
		      uint64_t deadline_us)
{
	int r;

	while ((r = notify_send(fd, text, fds, n)) == -EAGAIN) {
		r = notify_wait_room(fd, deadline_us);
		if (r < 0)
			return r;
	}
	return r;
}

int notify_barrier(int fd, int *ret_read_fd)
{
	_cleanup_close_ int read_fd = -1, write_fd = -1;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = fds[0];
	write_fd = fds[1];
	/* The manager closes its end when it has come to this message. */
	r = notify_send(fd, "BARRIER=1", &write_fd, 1);
	if (r < 0)
		return r;
	*ret_read_fd = TAKE_FD(read_fd);
	return 0;
}

int notify_wait_read(int fd, uint64_t deadline_us)
{
	_cleanup_close_ int read_fd = -1;
	int r;

	while ((r = notify_barrier(fd, &read_fd)) == -EAGAIN) {
		r = notify_wait_room(fd, deadline_us);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : wait_for(read_fd, 0, deadline_us); /* POLLHUP */
}

// SPDX-License-Identifier: Apache-2.0
/* berth_look.c - libberth: takes messages so that no descriptor is lost
 *
 * Theory of operation: a listener's descriptor travels with its message. When
 * the receiver's descriptor table is full, the kernel drops the descriptor
 * (MSG_CTRUNC) although the message is consumed: the listener would be lost
 * for good. So every message is first looked at (MSG_PEEK gives descriptors
 * too), and taken from the queue only when its descriptor has arrived and
 * there was memory to read it. Asking afterwards whether the table is full
 * would not tell why a descriptor did not arrive, because another thread may
 * have closed something in between; so the message is looked at again. A
 * listener whose descriptor does not arrive for another cause is refused, so
 * that berthd offers it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/berth_internal.h"

/* How often a message is looked at when its descriptor does not arrive although
 * the table has room: the table may have been full a moment before, and may be
 * again. */
#define LOOKS_MAX 3

/* Takes the descriptor that came along. The buffer for one has room for two
 * because of its padding; if several came, all are closed. Return: -1 when it
 * was not exactly one. */
static int take_fd(struct msghdr *header)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
	int fds[2] = { -1, -1 };
	size_t len;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET ||
	    cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	len = cmsg->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(cmsg), len < sizeof(fds) ? len : sizeof(fds));
	if (fds[1] < 0)
		return fds[0];
	(void)close(fds[0]); /* copies: the sender has its own */
	(void)close(fds[1]);
	return -1;
}

/* Looks at the next message. *ret_fd is -1 when no descriptor came. */
static ssize_t peek(struct berth *berth, int *ret_flags, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = berth->buffer,
			     .iov_len = sizeof(berth->buffer) };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t n;

	*ret_flags = 0;
	*ret_fd = -1;
	n = recvmsg(berth->conn_fd, &header,
		    MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	*ret_flags = header.msg_flags;
	*ret_fd = take_fd(&header);
	return n;
}

/* Takes the message that peek() showed from the queue. The kernel closes its
 * descriptors, because there is no room for them here. */
void berth_consume(struct berth *berth)
{
	/* This fails only if the message is not there any more. */
	(void)recv(berth->conn_fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
}

/* Is the table full, so that a descriptor could not arrive? */
static int descriptor_shortage(const struct berth *berth)
{
	int probe_fd = fcntl(berth->conn_fd, F_DUPFD_CLOEXEC, 0);

	if (probe_fd < 0)
		return -EMFILE;
	(void)close(probe_fd); /* a copy made just now */
	return 0;
}

/* Looks at the next message until its descriptor arrives. *ret_lost: 0 when it
 * has arrived or the message has none; -EMFILE when the table is full; -EPROTO
 * when it does not arrive although there is room. Return: as peek(). */
ssize_t berth_look(struct berth *berth, int *ret_flags, int *ret_fd,
		   int *ret_lost)
{
	ssize_t n = 0;

	for (int i = 0; i < LOOKS_MAX; i++) {
		n = peek(berth, ret_flags, ret_fd);
		*ret_lost = 0;
		if (n < 0 || *ret_fd >= 0 || !(*ret_flags & MSG_CTRUNC))
			return n;
		*ret_lost = descriptor_shortage(berth);
		if (*ret_lost < 0)
			return n;
	}
	*ret_lost = -EPROTO;
	return n;
}

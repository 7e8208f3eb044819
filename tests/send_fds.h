/* SPDX-License-Identifier: Apache-2.0 */
/* send_fds.h - sends a message with descriptors, as the consumer protocol does
 */
#ifndef TESTS_SEND_FDS_H
#define TESTS_SEND_FDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/** More than either side takes. */
#define SEND_FDS_MAX 4

/** send_fds() - sends @len bytes and @n descriptors of @fds, SEND_FDS_MAX at
 * most, none with n 0. Return: as sendmsg(2). */
static inline ssize_t send_fds(int socket_fd, const void *text, size_t len,
			       const int *fds, size_t n, int flags)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(n * sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text,
			     .iov_len = len };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	return sendmsg(socket_fd, &message, flags);
}

/** send_fd() - the same with one descriptor, or with @fd -1 with none */
static inline ssize_t send_fd(int socket_fd, const void *text, size_t len,
			      int fd, int flags)
{
	return send_fds(socket_fd, text, len, &fd, fd >= 0, flags);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* close_safely.h - receives and closes what came from a program that is not
 * trusted, without waiting for it */
#ifndef COMMON_CLOSE_SAFELY_H
#define COMMON_CLOSE_SAFELY_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/util.h"

/**
 * close_elsewhere() - closes a descriptor in another process
 * @fd:		taken; closed soon, and a second later at the latest
 *
 * Never waits, however long the close takes. It costs a fork(2). If there can
 * be no process, it is closed here.
 */
void close_elsewhere(int fd);

/**
 * close_foreign() - closes a descriptor that was passed, or a socket of which
 * another process has or had a copy
 * @fd:		taken; of anything
 *
 * A listening or datagram IP socket is closed at once, others elsewhere.
 */
void close_foreign(int fd);

/* As _cleanup_close_, by close_foreign(). */
#define _cleanup_foreign_ _cleanup_(cleanup_foreign)

static inline void cleanup_foreign(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close_foreign(*fd);
	errno = saved;
}

/**
 * close_unread() - ends a connection of a UNIX socket that keeps the bounds of
 * messages
 * @fd:		taken; what was not read of it may have any descriptors
 */
void close_unread(int fd);

/**
 * receive_safely() - receives one message from such a connection, as
 * recvmsg(2) with MSG_DONTWAIT and MSG_TRUNC
 * @ret_fd:	the descriptor that came with it, to be closed by
 *		close_foreign(); -1: none did
 *
 * Return: bytes of the message, also of what is cut off; 0: the connection is
 * over; -EPROTO: there is more than one descriptor, and the message stays
 * unread; -errno of recvmsg(2).
 */
ssize_t receive_safely(int fd, char *buffer, size_t size, int *ret_fd);

/**
 * receive_bytes_safely() - receives from a UNIX stream socket, as recv(2) with
 * MSG_DONTWAIT
 * @ret_fd:	the descriptor that came with the last of the bytes, to be
 *		closed by close_foreign(); -1: none did
 *
 * Return: bytes; 0: nothing more comes; -EPROTO: there is more than one
 * descriptor, or no room for it, and the bytes stay unread; -errno of
 * recvmsg(2).
 */
ssize_t receive_bytes_safely(int fd, char *buffer, size_t size, int *ret_fd);

/**
 * close_stream() - ends a connection of a UNIX stream socket
 * @fd:		taken; what was not read of it may have any descriptors
 */
void close_stream(int fd);

#endif

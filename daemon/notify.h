/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - messages to the service manager, with descriptors */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

/** The most descriptors of one message (SCM_MAX_FD). */
#define NOTIFY_FDS_MAX 253

/**
 * notify_open() - connects to the socket that $NOTIFY_SOCKET names
 * @ret_fd:	the caller's; close-on-exec, non-blocking
 *
 * Return: 0; -ENOENT: there is no service manager; -errno.
 */
int notify_open(int *ret_fd);

/**
 * notify_send() - sends one message, see sd_notify(3)
 * @fd:		of notify_open()
 * @fds:	go with it, and stay the caller's
 * @n:		of them; NOTIFY_FDS_MAX at most
 *
 * sd_pid_notify_with_fds(3) would block as long as the manager does not read.
 * Return: 0; -EAGAIN: not now, @fd is to be polled for EPOLLOUT; -errno.
 */
int notify_send(int fd, const char *text, const int *fds, size_t n);

/** notify_send_until() - as notify_send(), but blocks until it is sent, or
 * until
 * @deadline_us (monotonic). Return: 0; -ETIMEDOUT; -errno. */
int notify_send_until(int fd, const char *text, const int *fds, size_t n,
		      uint64_t deadline_us);

/** notify_wait_room() - blocks until another message may be sent, or until
 * @deadline_us (monotonic). Return: 0; -ETIMEDOUT; -errno. */
int notify_wait_room(int fd, uint64_t deadline_us);

/**
 * notify_barrier() - asks whether the manager has read all that was sent
 * @ret_read_fd: the caller's: EPOLLHUP is the answer
 *
 * Return: 0; -EAGAIN as notify_send(); -errno.
 */
int notify_barrier(int fd, int *ret_read_fd);

/** notify_wait_read() - blocks until the manager has read all that was sent, or
 * until @deadline_us (monotonic). Return: 0; -ETIMEDOUT; -errno. */
int notify_wait_read(int fd, uint64_t deadline_us);

#endif

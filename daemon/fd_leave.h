/* SPDX-License-Identifier: Apache-2.0 */
/* fd_leave.h - listeners for the next berthd, left with the service manager */
#ifndef DAEMON_FD_LEAVE_H
#define DAEMON_FD_LEAVE_H

#include <stdbool.h>
#include <stddef.h>

struct binder;
struct fd_store;
struct listener;

/**
 * fd_leave() - gives all open listeners to the service manager, if there is one
 * @store:	what it gave before
 * @served:	does a program have the listener, too? Those come last, because
 *		the program can hand them back.
 * @nofile:	the limit of descriptors that berthd was started with: with more
 *		than half of it systemd could not start the next one
 *
 * For the end of berthd only: as long as the manager has a listener, the
 * kernel cannot free its namespace. Blocks until the manager has read all, for
 * three seconds at most. Logs what is wrong.
 */
void fd_leave(struct fd_store *store, struct binder *binder,
	      bool (*served)(const struct listener *listener), size_t nofile);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* door.h - the socket that one consumer connects to */
#ifndef DAEMON_CONSUMERS_DOOR_H
#define DAEMON_CONSUMERS_DOOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/loop.h"
#include "daemon/consumers/handshake.h"
#include "daemon/socket_access.h"

struct door;

/**
 * typedef door_handler - somebody has connected who may
 * @fd:		non-blocking; the handler's
 * @peer:	as the kernel says; without a name
 */
typedef void (*door_handler)(int fd, const struct consumer_peer *peer,
			     void *user_data);

/** doors_dir_make() - makes the directory of the sockets, which anybody may
 * walk through, and removes the sockets that an earlier berthd left there.
 * Return: 0; -ENOTDIR: there is something else; -errno of mkdir(2), open(2). */
int doors_dir_make(const char *path);

/**
 * door_open() - listens on DIR/NAME.sock
 * @dir:	of doors_dir_make()
 * @name:	letters, digits, '-', '_' and '.', none of them first
 *
 * The socket appears with its owner and mode, listening, in place of one that
 * is there. If the owner cannot be set (the user is none of this user
 * namespace) it stays ours, and nobody else may connect.
 * Return: 0; -ENAMETOOLONG; -ENOMEM; -errno of socket(2), bind(2), chmod(2),
 * listen(2), rename(2), epoll_ctl(2).
 */
int door_open(struct loop *loop, const char *dir, const char *name,
	      const struct socket_access *access, door_handler handler,
	      void *user_data, struct door **ret_door);

/** door_set_access() - changes who may connect from now on; logs what fails */
void door_set_access(struct door *door, const struct socket_access *access);

/** door_free() - stops listening and removes the file. NULL is fine. Returns
 * NULL. */
struct door *door_free(struct door *door);

#endif

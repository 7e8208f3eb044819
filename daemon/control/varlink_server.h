/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_server.h - serves one Varlink interface on a UNIX stream socket
 *
 * Besides org.varlink.service, which is answered by itself.
 */
#ifndef DAEMON_CONTROL_VARLINK_SERVER_H
#define DAEMON_CONTROL_VARLINK_SERVER_H

#include "common/loop.h"
#include "daemon/control/varlink.h"
#include "daemon/socket_access.h"

struct varlink_server;

/**
 * varlink_server_new() - makes a server without a socket
 * @interface:	static
 * @user_data:	for its handlers
 * Return: 0 or -ENOMEM.
 */
int varlink_server_new(struct loop *loop,
		       const struct varlink_interface *interface,
		       void *user_data, struct varlink_server **ret_server);

/** varlink_server_free() - ends all connections, removes the socket's file
 * Return: NULL. NULL is fine. */
struct varlink_server *varlink_server_free(struct varlink_server *server);

/**
 * varlink_server_listen() - serves those whom @access lets in at @path
 *
 * Root and our own user are always let in. If owner or mode cannot be set, this
 * is logged, and nobody else is.
 * A socket's file that is in the way is replaced, anything else is not.
 * Changes the process's umask for the time of bind(2). At most once.
 * Return: 0; -ENAMETOOLONG; -ENOMEM; -errno of socket(2), bind(2), listen(2).
 */
int varlink_server_listen(struct varlink_server *server, const char *path,
			  const struct socket_access *access);

/** varlink_server_set_access() - changes whom it serves from now on.
 * Connections of others end. Logs what fails. */
void varlink_server_set_access(struct varlink_server *server,
			       const struct socket_access *access);

#endif

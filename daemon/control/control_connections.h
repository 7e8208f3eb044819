/* SPDX-License-Identifier: Apache-2.0 */
/* control_connections.h - the method ListConnections, and Close of one */
#ifndef DAEMON_CONTROL_CONTROL_CONNECTIONS_H
#define DAEMON_CONTROL_CONTROL_CONNECTIONS_H

#include <stdbool.h>

struct binder;
struct consumers;
struct rule_store;
struct varlink_call;
struct watcher;

/** struct control_connections - whom the methods ask; borrowed */
struct control_connections {
	struct watcher *watcher;
	struct binder *binder;
	struct rule_store *rules;
	struct consumers *consumers;
};

/** control_connections() - replies to @call, with what the consumers say */
void control_connections(struct varlink_call *call,
			 const struct control_connections *from);

/**
 * control_close_connection() - replies to @call, which closes a connection
 * @text:	as it is listed, "relay/4711/12"
 *
 * Return: false: @text does not name one, and there is no reply.
 */
bool control_close_connection(struct varlink_call *call,
			      struct consumers *consumers, const char *text);

#endif

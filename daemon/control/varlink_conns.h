/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_conns.h - the connections of a Varlink server */
#ifndef DAEMON_CONTROL_VARLINK_CONNS_H
#define DAEMON_CONTROL_VARLINK_CONNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "daemon/control/varlink.h"

struct varlink_conns;

/* The longest call: the calls of io.berth are a name at most. */
#define VARLINK_REQUEST_MAX (64 * 1024)

/* Of the connections, users other than root and berthd's own may have so many
 * together, and each of them so many: root is always let in, and no user keeps
 * another out. */
#define VARLINK_USERS_CONNECTIONS_MAX (VARLINK_CONNECTIONS_MAX / 4 * 3)
#define VARLINK_USER_CONNECTIONS_MAX (VARLINK_CONNECTIONS_MAX / 8)

/* Connections at a time. Each caller that waits for listeners has one, and so
 * does each container that starts; each may hold a request and a piece of a
 * reply. */
#define VARLINK_CONNECTIONS_MAX 256

/* Of these, connections that something ends with: they never make way. Of users
 * other than root all together, and each, have fewer. */
#define VARLINK_KEPT_MAX 64
#define VARLINK_USERS_KEPT_MAX 48
#define VARLINK_USER_KEPT_MAX 8

/* How long half a call may take, or a reply that the client does not read. */
#define VARLINK_TIMEOUT_US (30 * UINT64_C(1000000))

/**
 * varlink_conns_new() - none yet
 * @interface:	static
 * @user_data:	for its handlers
 * Return: 0 or -ENOMEM.
 */
int varlink_conns_new(struct loop *loop,
		      const struct varlink_interface *interface,
		      void *user_data, struct varlink_conns **ret_conns);

/** varlink_conns_free() - ends all of them. Return: NULL. NULL is fine. */
struct varlink_conns *varlink_conns_free(struct varlink_conns *conns);

/**
 * varlink_conns_add() - serves one more
 * @fd:		a stream socket; taken, also on failure
 * When there are too many, the longest idle one makes way: of the same user if
 * that has too many, else of any user but root.
 * Return: 0; -EBUSY: there are too many, and none that could make way is idle;
 * -ENOMEM; -errno of epoll_ctl(2).
 */
int varlink_conns_add(struct varlink_conns *conns, int fd);

/** varlink_conns_end_unless() - ends the connections that @keep, which is given
 * the socket of each, does not say true of */
void varlink_conns_end_unless(struct varlink_conns *conns,
			      bool (*keep)(int fd, void *user_data),
			      void *user_data);

/** varlink_conns_count() - Return: how many there are. */
size_t varlink_conns_count(const struct varlink_conns *conns);

/** varlink_conns_set_timeout() - for tests, that cannot wait for 30 s */
void varlink_conns_set_timeout(struct varlink_conns *conns,
			       uint64_t timeout_us);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h - one socket from its birth to listening */
#ifndef BINDER_SOCKET_H
#define BINDER_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

#include "binder/table.h"
#include "common/netns_enter.h"

/** enum binder_step - where an attempt to open a row failed */
enum binder_step {
	BINDER_STEP_NETNS, /* finding or entering the namespace */
	BINDER_STEP_SOCKET,
	BINDER_STEP_OPTION,
	BINDER_STEP_BIND,
	BINDER_STEP_LISTEN,
	BINDER_STEP_LIMIT, /* max_listeners; @error is EMFILE */
	BINDER_STEP_AWAIT, /* not tried: it may be handed back */
	BINDER_STEP_EARLY, /* not tried: its time has not come */
};

/**
 * struct binder_failure - why a row could not be opened
 * @error:	positive errno
 * @option:	with BINDER_STEP_OPTION: its name in the rule language
 */
struct binder_failure {
	int error;
	enum binder_step step;
	const char *option;
};

/** binder_socket_describe() - which call of socket(2) does @row need? */
void binder_socket_describe(const struct binder_row *row,
			    struct netns_socket *ret_socket);

/**
 * binder_socket_setup() - sets the options, binds, listens
 * @fd:		a new socket as described; stays the caller's
 *
 * Return: 0; -errno of setsockopt(2), bind(2) or listen(2), with *@ret_failure
 * filled.
 */
int binder_socket_setup(int fd, const struct binder_row *row,
			struct binder_failure *ret_failure);

/**
 * binder_socket_adopt() - makes a socket that listens already what a row wants
 * @fd:		adopt_check() found that it is on the row's endpoint, and of
 *		@family; stays the caller's
 * @owner:	as in struct binder_config
 *
 * Options that the row's rule does not set are as in a new socket, except those
 * whose default cannot be told: a fast open queue, the time of keepalive, the
 * size of a buffer. Connections that wait in the backlog stay.
 * Return: 0; -errno, with *@ret_failure filled: another socket is needed.
 */
int binder_socket_adopt(int fd, int family, struct binder_row *row, uid_t owner,
			struct binder_failure *ret_failure);

/**
 * binder_socket_set_service() - sets the options that depend on what is done
 * with connections, for those to come
 *
 * Return: 0; -errno of setsockopt(2).
 */
int binder_socket_set_service(int fd, const struct binder_row *row);

/**
 * binder_socket_readdress() - gives an open multihomed endpoint other addresses
 * @addrs:	at least one
 *
 * Return: 0; -ENOMEM; -errno of setsockopt(2): the endpoint may have any
 * mixture of old and new ones then.
 */
int binder_socket_readdress(const struct binder_row *row,
			    const struct ip_addr *addrs, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - what the binder gets from its owner: limits, and functions */
#ifndef BINDER_CONFIG_H
#define BINDER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "binder/listener.h"

/**
 * struct binder_ops - what the binder asks and tells
 * @open_netns:	opens a namespace for setns(2): *@ret_fd is the binder's then,
 *		or -1 for the host's namespace. Return: 0; -ESTALE when the
 *		namespace is on its way out; -errno.
 * @opened:	the listener accepts; its fd may be duplicated and sent
 * @changed:	it is still the same open socket, but its service, the names of
 *		its namespace or its addresses are others now
 * @closing:	an open listener is about to be closed. If it only gets other
 *		socket options, @opened follows for another row with another
 *		id; this row ends with the call in any case.
 * @holder:	which consumer still holds a socket that the binder closed, and
 *		so keeps this endpoint from being opened? Return: a name for
 *		people, borrowed; NULL: none does. May itself be NULL.
 * @awaits:	may a consumer have this listener, and hand it back soon? Then
 *it waits for binder_hand_back() or binder_await_end(). May itself be NULL.
 * @given:	has a consumer, or had one, this open listener's socket? Then
 *another consumer gets another socket. May itself be NULL: always.
 * @waiting:	the listener waits, or waits for another reason than before. May
 *		itself be NULL.
 * @full:	max_listeners are open: one that is wanted waits for another to
 *		close, and none did before. May itself be NULL.
 * @label:	how log lines name a namespace. Return: the name, borrowed;
 *		NULL: its number is printed. May itself be NULL.
 */
struct binder_ops {
	int (*open_netns)(uint64_t netns_id, int *ret_fd, void *user_data);
	void (*opened)(struct listener *listener, void *user_data);
	void (*changed)(struct listener *listener, void *user_data);
	void (*closing)(struct listener *listener, void *user_data);
	const char *(*holder)(uint64_t netns_id,
			      const struct endpoint *endpoint, void *user_data);
	bool (*awaits)(const struct listener *listener, void *user_data);
	bool (*given)(const struct listener *listener, void *user_data);
	void (*waiting)(const struct listener *listener, void *user_data);
	void (*full)(void *user_data);
	const char *(*label)(uint64_t netns_id, void *user_data);
};

/**
 * struct binder_config - limits, each because containers are not trusted
 * @max_listeners: open sockets in all; the other listeners wait with EMFILE
 * @retry_min_us, @retry_max_us: the first and the longest delay before a
 *		listener that could not be opened is tried again; 0: 100 ms
 *		and 5 s
 * @owner:	the user that one-to-one SCTP sockets of a multihomed endpoint
 *		get: a consumer can bind sockets of its own to the same
 *		addresses and port only if both belong to one user
 */
struct binder_config {
	size_t max_listeners;
	uint64_t retry_min_us;
	uint64_t retry_max_us;
	uid_t owner;
};

#endif

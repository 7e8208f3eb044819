/* SPDX-License-Identifier: Apache-2.0 */
/* listener.h - one row of the binder's table, as its owner sees it */
#ifndef BINDER_LISTENER_H
#define BINDER_LISTENER_H

#include <net/if.h>
#include <stdint.h>

#include "common/listener_spec.h"

enum listener_state {
	LISTENER_OPEN, /* the kernel accepts for it */
	LISTENER_WAITING, /* could not be opened; tried again */
	LISTENER_REFUSED, /* nothing serves it yet; not tried */
};

/** listener_state_name() - Return: "listening", "waiting" or "refused". */
const char *listener_state_name(enum listener_state state);

/**
 * struct listener - one row of the table; only the binder writes it, except
 * @user_data
 * @id:		never used twice, nor by another berthd; while open the kernel's
 *		cookie of the socket, so it is another one when it opens
 * @container:	as in struct listener_spec, owned; NULL also when there was no
 *		memory for it
 * @since_us:	monotonic; when it got its state
 * @fd:		-1 unless open; non-blocking, close-on-exec; the binder's
 * @error:	positive errno of the last attempt, while waiting
 * @reason:	static or listener-owned text for people, while not open: what
 *		failed and what would help
 * @blocked_by:	while waiting on EADDRINUSE: berth's own listener that holds
 *		the port in the same namespace, by id; else 0
 * @attempts:	failed ones since it was last open
 * @next_attempt_us: monotonic; 0 while open or refused, and while it waits for
 *		another listener to close (max_listeners), or to be handed back
 * @user_data:	for the binder's owner; the binder sets it to NULL at birth
 */
struct listener {
	uint64_t id;
	uint64_t netns_id;
	struct endpoint endpoint;
	struct service *service;
	char ifname[IF_NAMESIZE];
	char *container;
	enum listener_state state;
	uint64_t since_us;
	int fd;
	int error;
	const char *reason;
	uint64_t blocked_by;
	unsigned int attempts;
	uint64_t next_attempt_us;
	void *user_data;
};

#endif

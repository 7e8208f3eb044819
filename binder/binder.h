/* SPDX-License-Identifier: Apache-2.0 */
/* binder.h - the table of listeners: sockets born in namespaces */
#ifndef BINDER_BINDER_H
#define BINDER_BINDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/listener_spec.h"
#include "common/loop.h"

struct binder;

enum listener_state {
	LISTENER_OPEN, /* the kernel accepts for it */
	LISTENER_WAITING, /* could not be opened; tried again */
	LISTENER_REFUSED, /* nothing serves it yet; not tried */
};

/** listener_state_name() - "listening", "waiting", "refused" */
const char *listener_state_name(enum listener_state state);

/**
 * struct listener - one row of the table; only the binder writes it, except
 * @user_data
 * @id:		never used twice
 * @fd:		-1 unless open; non-blocking, close-on-exec; the binder's
 * @error:	positive errno of the last attempt, while waiting
 * @reason:	static or listener-owned text for people, while not open: what
 *		failed and what would help
 * @blocked_by:	while waiting on EADDRINUSE: berth's own listener that holds
 *		the port in the same namespace, by id; else 0
 * @attempts:	failed ones since it was last open
 * @next_attempt_us: monotonic; 0 while open or refused, and while it waits for
 *		another listener to close (max_listeners)
 * @user_data:	for the binder's owner; the binder sets it to NULL at birth
 */
struct listener {
	uint64_t id;
	uint64_t netns_id;
	struct endpoint endpoint;
	struct service *service;
	char ifname[IF_NAMESIZE];
	enum listener_state state;
	int fd;
	int error;
	const char *reason;
	uint64_t blocked_by;
	unsigned int attempts;
	uint64_t next_attempt_us;
	void *user_data;
};

/**
 * struct binder_ops - what the binder needs and tells
 * @open_netns:	a descriptor for setns(2), closed by the binder, or -1 for the
 *		host's own. Return: 0 or -errno (-ESTALE: on its way out)
 * @opened:	the listener accepts; its fd may be duplicated and sent
 * @changed:	still the same open socket, but ->service is another now, or
 *		what its namespace is called, or its addresses are
 * @closing:	an open listener is about to be closed; also called before a
 *		reopen with other socket options (@opened follows, for another
 *		row with another id: this one ends with the call)
 * @holder:	who has not let go yet of a listener's socket that the binder
 *		closed, and that keeps this endpoint from being opened: a name
 *		for people, borrowed; or NULL. May itself be NULL.
 * @label:	how log lines name a namespace, borrowed; may be NULL, and may
 *		return NULL: then its number is printed
 */
struct binder_ops {
	int (*open_netns)(uint64_t netns_id, int *ret_fd, void *user_data);
	void (*opened)(struct listener *listener, void *user_data);
	void (*changed)(struct listener *listener, void *user_data);
	void (*closing)(struct listener *listener, void *user_data);
	const char *(*holder)(uint64_t netns_id,
			      const struct endpoint *endpoint, void *user_data);
	const char *(*label)(uint64_t netns_id, void *user_data);
};

/**
 * struct binder_config - limits, each because containers are not trusted
 * @max_listeners: open sockets in all; the rest waits with EMFILE
 * @retry_min_us, @retry_max_us: exponential backoff of waiting listeners;
 *		0: 100 ms and 5 s
 * @owner:	whose the one-to-one SCTP sockets are that get other addresses
 *		later: who accepts from one can have sockets of the same port
 *		bound to the same addresses only if both are one user's
 */
struct binder_config {
	size_t max_listeners;
	uint64_t retry_min_us;
	uint64_t retry_max_us;
	uid_t owner;
};

/**
 * binder_new() - an empty table
 * @config:	copied
 * @ops:	borrowed
 *
 * Return: 0 or -ENOMEM.
 */
int binder_new(struct loop *loop, const struct binder_config *config,
	       const struct binder_ops *ops, void *user_data,
	       struct binder **ret_binder);

/** binder_free() - closes all, telling @closing for each open one */
struct binder *binder_free(struct binder *binder);

/**
 * binder_apply() - makes the listeners of one namespace what @specs say
 * @specs:	endpoints are unique; the binder takes what it keeps by its own
 *		reference (the caller still calls listener_spec_done())
 *
 * Closes what is not wanted first (it may hold a port that is), then enters
 * the namespace at most once for all the sockets, then binds and listens from
 * outside. Waiting listeners of the namespace are tried again. A listener
 * that both sides have is not touched, unless its socket options differ.
 * Return: 0, also when listeners wait; -ENOMEM: what could not be noted.
 */
int binder_apply(struct binder *binder, uint64_t netns_id,
		 const struct listener_spec *specs, size_t n);

/** binder_renamed() - one namespace has other names: calls @changed for each of
 * its open listeners */
void binder_renamed(struct binder *binder, uint64_t netns_id);

/** binder_forget() - closes all of one namespace, that is gone */
void binder_forget(struct binder *binder, uint64_t netns_id);

/** binder_next() - iterates over all rows, grouped by namespace; NULL starts
 * and ends. Nothing may be applied in between. */
struct listener *binder_next(struct binder *binder, struct listener *previous);

/** binder_next_in() - as binder_next(), over the rows of one namespace */
struct listener *binder_next_in(struct binder *binder, uint64_t netns_id,
				struct listener *previous);

/** binder_find() - the row with this id, or NULL */
struct listener *binder_find(struct binder *binder, uint64_t id);

/** struct binder_stats - now, except @opened, @failed: since the start */
struct binder_stats {
	size_t open;
	size_t waiting;
	size_t refused;
	unsigned long opened;
	unsigned long failed;
};

/** binder_get_stats() - the counts as they are now */
void binder_get_stats(const struct binder *binder,
		      struct binder_stats *ret_stats);

#endif

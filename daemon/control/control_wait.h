/* SPDX-License-Identifier: Apache-2.0 */
/* control_wait.h - calls that are answered when listeners are open: Wait, and
 * Register */
#ifndef DAEMON_CONTROL_CONTROL_WAIT_H
#define DAEMON_CONTROL_CONTROL_WAIT_H

#include <stdint.h>

#include "common/loop.h"

struct binder;
struct caller;
struct consumers;
struct control_wait;
struct netns;
struct reconcile;
struct registration;
struct varlink_call;
struct watcher;

/**
 * struct control_wait_config - whom it asks; all outlive it
 */
struct control_wait_config {
	struct watcher *watcher;
	struct binder *binder;
	struct reconcile *reconcile;
	struct consumers *consumers;
};

/** control_wait_new() - nobody waits. Return: 0 or -ENOMEM. */
int control_wait_new(struct loop *loop,
		     const struct control_wait_config *config,
		     struct control_wait **ret_wait);

/** control_wait_free() - after the server, whose calls wait. NULL is fine.
 * Return: NULL. */
struct control_wait *control_wait_free(struct control_wait *wait);

/** control_wait_call() - the method Wait, for what @caller may see */
void control_wait_call(struct varlink_call *call, struct control_wait *wait,
		       const struct caller *caller);

/**
 * control_wait_registered() - answers Register
 * @registration: that was just made
 * @wait_us:	until its listeners are open, that long; 0: until they are
 *		planned
 */
void control_wait_registered(struct varlink_call *call,
			     struct control_wait *wait,
			     const struct caller *caller,
			     const struct registration *registration,
			     uint64_t wait_us);

/** control_wait_netns_changed() - see waits_netns_changed() */
void control_wait_netns_changed(struct control_wait *wait,
				const struct netns *netns);

/** control_wait_netns_gone() - see waits_netns_gone() */
void control_wait_netns_gone(struct control_wait *wait, uint64_t netns_id);

/** control_wait_look_again() - see waits_look_again() */
void control_wait_look_again(struct control_wait *wait, uint64_t netns_id);

/** control_wait_step() - see waits_step() */
void control_wait_step(struct control_wait *wait);

#endif

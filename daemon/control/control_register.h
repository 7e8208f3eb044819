/* SPDX-License-Identifier: Apache-2.0 */
/* control_register.h - the methods Register and Unregister */
#ifndef DAEMON_CONTROL_CONTROL_REGISTER_H
#define DAEMON_CONTROL_CONTROL_REGISTER_H

#include <stdint.h>

struct caller;
struct control_register;
struct control_wait;
struct varlink_call;
struct watcher;

/**
 * control_register_new() - no registration ends with a connection
 * @watcher, @wait: outlive it
 * Return: the state of both methods, the caller's; NULL: no memory.
 */
struct control_register *control_register_new(struct watcher *watcher,
					      struct control_wait *wait);

/** control_register_free() - after the server, whose connections end
 * registrations. NULL is fine. Return: NULL. */
struct control_register *control_register_free(struct control_register *reg);

/** control_register_call() - the method Register */
void control_register_call(struct varlink_call *call,
			   struct control_register *reg,
			   const struct caller *caller);

/** control_unregister_call() - the method Unregister */
void control_unregister_call(struct varlink_call *call,
			     struct control_register *reg,
			     const struct caller *caller);

/** control_register_ended() - a registration ended by itself */
void control_register_ended(struct control_register *reg, uint64_t id);

/** control_register_disconnected() - a connection is over, and with it what was
 * registered so */
void control_register_disconnected(struct control_register *reg,
				   uint64_t connection);

#endif

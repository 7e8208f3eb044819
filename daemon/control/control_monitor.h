/* SPDX-License-Identifier: Apache-2.0 */
/* control_monitor.h - the method Monitor */
#ifndef DAEMON_CONTROL_CONTROL_MONITOR_H
#define DAEMON_CONTROL_CONTROL_MONITOR_H

#include "common/loop.h"

struct caller;
struct control_monitor;
struct events;
struct varlink_call;
struct watcher;

/**
 * control_monitor_new() - for the events of @events
 * @events, @watcher: outlive it
 *
 * Return: 0 or -ENOMEM.
 */
int control_monitor_new(struct loop *loop, struct events *events,
			struct watcher *watcher,
			struct control_monitor **ret_monitor);

/** control_monitor_free() - after the server, and so all calls, ended. NULL is
 * fine. Return: NULL. */
struct control_monitor *control_monitor_free(struct control_monitor *monitor);

/** control_monitor_call() - tells the caller what happens, until it goes */
void control_monitor_call(struct varlink_call *call,
			  struct control_monitor *monitor,
			  const struct caller *caller);

/** control_monitor_configured() - who may call is configured anew: ends the
 * calls of all but root, who are told so and may call again */
void control_monitor_configured(struct control_monitor *monitor);

#endif

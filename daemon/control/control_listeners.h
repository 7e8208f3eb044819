/* SPDX-License-Identifier: Apache-2.0 */
/* control_listeners.h - the method ListListeners */
#ifndef DAEMON_CONTROL_CONTROL_LISTENERS_H
#define DAEMON_CONTROL_CONTROL_LISTENERS_H

struct binder;
struct caller;
struct consumers;
struct health_source;
struct stats;
struct varlink_call;

/**
 * control_listeners() - replies to @call, once the consumers were asked
 * @caller, @source: copied
 * @binder, @consumers, @stats: outlive the reply
 */
void control_listeners(struct varlink_call *call, const struct caller *caller,
		       struct binder *binder,
		       const struct health_source *source,
		       struct consumers *consumers, struct stats *stats);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* control_drain.h - the methods Drain, Close and Undrain */
#ifndef DAEMON_CONTROL_CONTROL_DRAIN_H
#define DAEMON_CONTROL_CONTROL_DRAIN_H

#include <stdbool.h>

struct binder;
struct consumers;
struct reconcile;
struct rule_store;
struct varlink_call;

/** struct control_drain - whom the methods ask and tell; borrowed */
struct control_drain {
	struct binder *binder;
	struct rule_store *rules;
	struct reconcile *reconcile;
	struct consumers *consumers;
};

/** control_drain() - replies to @call, which closes a rule or a listener; with
 * @reset connections of it are reset, too, also those that drain already, and
 * one connection can be meant */
void control_drain(struct varlink_call *call, const struct control_drain *from,
		   bool reset);

/** control_undrain() - replies to @call, which undoes control_drain() */
void control_undrain(struct varlink_call *call,
		     const struct control_drain *from);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* control_explain.h - the method Explain */
#ifndef DAEMON_CONTROL_CONTROL_EXPLAIN_H
#define DAEMON_CONTROL_CONTROL_EXPLAIN_H

#include "daemon/control/caller.h"
#include "daemon/health_look.h"

struct binder;
struct consumers;
struct containers_dir;
struct reconcile;
struct rule_store;
struct stats;
struct varlink_call;
struct watcher;

/** struct control_explain - who asks, and what an explanation draws from;
 * borrowed */
struct control_explain {
	struct caller caller;
	struct health_source health;
	struct stats *stats;
	struct watcher *watcher;
	struct binder *binder;
	struct rule_store *rules;
	struct reconcile *reconcile;
	struct consumers *consumers;
	const struct containers_dir *containers_dir;
};

/** control_explain() - replies to @call, once the consumers were asked: why its
 * namespace has the listeners it has, and lacks others. @from is copied. May
 * have addresses observed. */
void control_explain(struct varlink_call *call,
		     const struct control_explain *from);

#endif

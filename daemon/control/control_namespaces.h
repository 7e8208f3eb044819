/* SPDX-License-Identifier: Apache-2.0 */
/* control_namespaces.h - the method ListNamespaces */
#ifndef DAEMON_CONTROL_CONTROL_NAMESPACES_H
#define DAEMON_CONTROL_CONTROL_NAMESPACES_H

#include "daemon/control/caller.h"

struct binder;
struct consumers;
struct reconcile;
struct varlink_call;
struct watcher;

/** struct control_namespaces - who asks, and who knows of namespaces; these
 * outlive the reply */
struct control_namespaces {
	struct caller caller;
	struct watcher *watcher;
	struct binder *binder;
	const struct reconcile *reconcile;
	const struct consumers *consumers;
};

/** control_namespaces() - replies to @call. @from: copied */
void control_namespaces(struct varlink_call *call,
			const struct control_namespaces *from);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.h - the method GetStatus */
#ifndef DAEMON_CONTROL_CONTROL_STATUS_H
#define DAEMON_CONTROL_CONTROL_STATUS_H

#include <stdint.h>

struct binder;
struct config_store;
struct consumers;
struct containers_dir;
struct reconcile;
struct rule_store;
struct varlink_call;
struct watcher;

/**
 * struct control_status - whose figures the status shows; borrowed
 * @started_us:	monotonic
 */
struct control_status {
	struct watcher *watcher;
	const struct reconcile *reconcile;
	struct binder *binder;
	struct rule_store *rules;
	struct consumers *consumers;
	const struct config_store *config;
	const struct containers_dir *containers_dir;
	uint64_t started_us;
};

/** control_status() - replies to @call with all of them */
void control_status(struct varlink_call *call,
		    const struct control_status *status);

#endif

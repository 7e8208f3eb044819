/* SPDX-License-Identifier: Apache-2.0 */
/* config_apply.h - makes changed settings take effect in a running berthd */
#ifndef DAEMON_CONFIG_APPLY_H
#define DAEMON_CONFIG_APPLY_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/privileges.h"

struct binder;
struct config;
struct consumers;
struct control;
struct reconcile;
struct relay_process;
struct watcher;

/**
 * struct config_targets - who has settings that can change
 * @relay:	NULL: berthd starts none
 * @listeners_possible: the default of max_listeners
 */
struct config_targets {
	struct binder *binder;
	struct consumers *consumers;
	struct control *control;
	struct reconcile *reconcile;
	struct relay_process *relay;
	struct relay_user relay_user;
	struct watcher *watcher;
	size_t listeners_possible;
};

/**
 * config_apply() - tells each its settings
 * @config:	what is in force now
 * @changed:	the settings that are told; those that need a restart are not
 */
void config_apply(const struct config_targets *targets,
		  const struct config *config, uint32_t changed);

/** config_listeners_possible() - raises the descriptor limit as far as it goes.
 * Return: how many descriptors may be listeners. */
size_t config_listeners_possible(void);

/** config_max_listeners() - the value, or as many as descriptors let be */
size_t config_max_listeners(const struct config *config,
			    size_t listeners_possible);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* control_rules.h - the methods ListRules and Reload */
#ifndef DAEMON_CONTROL_CONTROL_RULES_H
#define DAEMON_CONTROL_CONTROL_RULES_H

#include <stdint.h>

struct binder;
struct config_store;
struct containers_dir;
struct rule_store;
struct varlink_call;

/** struct control_rules - what the list of rules draws from; borrowed */
struct control_rules {
	const struct rule_store *rules;
	const struct config_store *config;
	const struct containers_dir *containers_dir;
	struct binder *binder;
};

/** control_rules() - replies to @call with the rules in force, each with the
 * number of its listeners in @binder */
void control_rules(struct varlink_call *call, const struct control_rules *from);

/**
 * struct control_reload - the outcome of a reload
 * @result:	0, or what was wrong: a negative errno
 * @changed:	settings
 */
struct control_reload {
	const struct rule_store *rules;
	const struct config_store *config;
	int result;
	uint32_t changed;
};

/** control_reloaded() - replies to @call with what is in force after it */
void control_reloaded(struct varlink_call *call,
		      const struct control_reload *reload);

#endif

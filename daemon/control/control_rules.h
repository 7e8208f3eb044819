/* SPDX-License-Identifier: Apache-2.0 */
/* control_rules.h - the methods ListRules and Reload */
#ifndef DAEMON_CONTROL_CONTROL_RULES_H
#define DAEMON_CONTROL_CONTROL_RULES_H

struct binder;
struct rule_store;
struct varlink_call;

/** control_rules() - replies to @call with the rules in force, each with the
 * number of its listeners in @binder */
void control_rules(struct varlink_call *call, const struct rule_store *rules,
		   struct binder *binder);

/** control_reloaded() - replies to @call with what is in force after a reload
 * @result:	0, or what was wrong: a negative errno */
void control_reloaded(struct varlink_call *call, const struct rule_store *rules,
		      int result);

#endif

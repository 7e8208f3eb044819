/* SPDX-License-Identifier: Apache-2.0 */
/* describe_rules.h - rules and rule files as JSON; doc/io.berth.varlink is the
 * key
 */
#ifndef DAEMON_CONTROL_DESCRIBE_RULES_H
#define DAEMON_CONTROL_DESCRIBE_RULES_H

#include <jansson.h>

#include "daemon/control/describe.h"

struct rule_info;
struct rule_store;
struct rules_errors;
struct ruleset;

/** describe_rule() - the type Rule; @counts: its listeners
 * Return: a new reference, or NULL: no memory. */
json_t *describe_rule(const struct rule_info *info,
		      const struct describe_counts *counts);

/** describe_files() - an array of RuleFile: all that were read
 * Return: a new reference, or NULL: no memory. */
json_t *describe_files(const struct rule_store *rules);

/** describe_problems() - an array of Problem. Return: a new reference, or NULL:
 * no memory. */
json_t *describe_problems(const struct rules_errors *errors);

/** describe_warnings() - an array of Problem: see ruleset_warn(). Return: a new
 * reference, or NULL: no memory. */
json_t *describe_warnings(const struct ruleset *ruleset);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* rule_names.h - which rule has which name */
#ifndef RULES_RULE_NAMES_H
#define RULES_RULE_NAMES_H

#include "rules/rule.h"

struct rule_name;

/** struct rule_names - zero is an empty one; borrows the rules */
struct rule_names {
	struct rule_name *table;
};

/**
 * rule_names_add() - enters a rule unless its name is taken
 * @ret_first:	the rule that has the name, or NULL when @rule has it now
 *
 * Return: 0 or -ENOMEM.
 */
int rule_names_add(struct rule_names *names, const struct rule *rule,
		   const struct rule **ret_first);

/** rule_names_find() - or NULL */
const struct rule *rule_names_find(const struct rule_names *names,
				   const char *name);

/** rule_names_done() - frees the table, not the rules; it is empty then */
void rule_names_done(struct rule_names *names);

#endif

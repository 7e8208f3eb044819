/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - from (rules, namespace) to wanted listeners; pure */
#ifndef RULES_PLAN_H
#define RULES_PLAN_H

#include "common/listener_spec.h"
#include "common/netns.h"
#include "common/provision.h"
#include "rules/rules.h"

/**
 * struct plan_shadow - a wanted listener that lost to an earlier one
 * @winner:	the rule that has the endpoint, or one in its way
 * @winner_endpoint: what that rule has; endpoint_conflict() says why only one
 *		of the two can exist
 */
struct plan_shadow {
	struct endpoint endpoint;
	struct endpoint winner_endpoint;
	const char *rule;
	const char *winner;
};

/**
 * struct plan - the outcome for one namespace
 * @specs:	in order of the rules; endpoints are unique
 * @omitted:	specs above the limit, not listed
 * @provisions:	what the namespace is to have besides, in order of the rules;
 *		those with a refusal or a winner are only to be shown
 * @needs_addresses: some rule whose conditions on the namespace hold also has
 *		conditions on addresses (or uses them), and
 *		netns->observed is false: observe and plan again
 */
struct plan {
	struct listener_spec *specs;
	size_t n_specs;
	size_t omitted;
	struct plan_shadow *shadows;
	size_t n_shadows;
	struct provision *provisions;
	size_t n_provisions;
	bool needs_addresses;
};

/**
 * plan_make() - computes what @netns should have
 * @max:	how many specs at the most
 *
 * No I/O, no clock, no state. The result borrows names from @ruleset.
 * Return: 0 or -ENOMEM with *@ret_plan untouched.
 */
int plan_make(const struct ruleset *ruleset, const struct netns *netns,
	      size_t max, struct plan *ret_plan);

/** plan_done() - frees what plan_make() allocated, not the struct; @plan is
 * empty then */
void plan_done(struct plan *plan);

/**
 * plan_explain() - does one rule match, and if not, why
 * @ret_reason:	allocated text: the condition that fails and what it was
 *		compared with ("namespace: no name of blue matches \"red-*\"");
 *		or, when it matches, what made it match
 *
 * Return: 1 matches, 0 does not, -ENOMEM.
 */
int plan_explain(const struct ruleset *ruleset, size_t rule_index,
		 const struct netns *netns, char **ret_reason);

#endif

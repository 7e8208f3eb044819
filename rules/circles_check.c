// SPDX-License-Identifier: Apache-2.0
/* circles_check.c - which rules forward to themselves wherever they hold
 *
 * Plans namespaces that need not exist: the host's own, and one for each name
 * that a rule forwards into. Each is given only the loopback interface with
 * its addresses, which every namespace has.
 */
#include "rules/rules.h"

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "rules/circles.h"
#include "rules/parse.h"
#include "rules/rule.h"

/* How many listeners of one namespace are planned: enough for all ports of one
 * protocol. */
#define LISTENERS_MAX 100000u

static struct netns_interface loopback = { .ifindex = 1, .ifname = "lo" };

static struct netns_address loopback_addresses[] = {
	{ .addr = { AF_INET, { 127, 0, 0, 1 } },
	  .prefix_bits = 8,
	  .scope = RT_SCOPE_HOST,
	  .ifindex = 1 },
	{ .addr = { AF_INET6, { [15] = 1 } },
	  .prefix_bits = 128,
	  .scope = RT_SCOPE_HOST,
	  .ifindex = 1 },
};

/**
 * struct circles_check - the state of one ruleset_check()
 * @told:	for each rule, whether its problem is in @errors already
 */
struct circles_check {
	const struct ruleset *ruleset;
	bool *told;
	struct rules_errors *errors;
};

static bool is_named(const char *name, void *user_data)
{
	const struct netns *netns = user_data;

	return netns->n_names > 0 && strcmp(name, netns->names[0].name) == 0;
}

static int tell(struct circles_check *check, size_t index,
		const struct listener_spec *spec, const struct netns *netns)
{
	const struct rule *rule = check->ruleset->rules[index];
	_cleanup_free_ char *message = NULL;
	char endpoint[ENDPOINT_TEXT_MAX];

	if (check->told[index])
		return 0;
	check->told[index] = true;
	if (asprintf(&message,
		     "rule '%s': %s in netns '%s' would be refused: %s; "
		     "expected another backend",
		     rule->name, endpoint_fmt(&spec->endpoint, endpoint),
		     netns_label(netns), spec->refusal) < 0) {
		message = NULL;
		return -ENOMEM;
	}
	return rules_errors_add(check->errors, rule->file, rule->line,
				rule->column, message);
}

/* Appends an error for each rule with a refused listener. Specs are in the
 * order of the rules, so one walk over the rules is enough. */
static int tell_refused(struct circles_check *check, const struct plan *plan,
			const struct netns *netns)
{
	size_t index = 0;
	int r = 0;

	for (size_t i = 0; i < plan->n_specs && r == 0; i++) {
		const struct listener_spec *spec = &plan->specs[i];

		while (strcmp(check->ruleset->rules[index]->name,
			      spec->service->rule) != 0 ||
		       strcmp(check->ruleset->rules[index]->file,
			      spec->service->file) != 0)
			index++;
		if (spec->refusal)
			r = tell(check, index, spec, netns);
	}
	return r;
}

/* Checks one namespace. @name: NULL for the host's own. */
static int check_netns(struct circles_check *check, char *name)
{
	struct netns_name named = { .dir = (char *)"", .name = name };
	struct netns netns = {
		.host = !name,
		.addresses_known = true,
		.observed = true,
		.names = &named,
		.n_names = name ? 1 : 0,
		.interfaces = &loopback,
		.n_interfaces = 1,
		.addresses = loopback_addresses,
		.n_addresses = ARRAY_SIZE(loopback_addresses),
	};
	struct plan plan;
	int r = plan_make(check->ruleset, &netns, LISTENERS_MAX, &plan);

	if (r < 0)
		return r;
	/* Only circles count here: forget why the plan refused a listener. */
	for (size_t i = 0; i < plan.n_specs; i++)
		plan.specs[i].refusal = NULL;
	r = circles_refuse(&plan, &netns, is_named, &netns);
	if (r == 0)
		r = tell_refused(check, &plan, &netns);
	plan_done(&plan);
	return r;
}

/* The name of the namespace that a rule forwards into; NULL if it names none,
 * or an earlier rule names the same one. */
static char *new_name(const struct ruleset *ruleset, size_t index)
{
	char *name = ruleset->rules[index]->listens[0].service->netns;

	for (size_t i = 0; i < index && name; i++) {
		const char *before =
			ruleset->rules[i]->listens[0].service->netns;

		if (before && strcmp(before, name) == 0)
			return NULL;
	}
	return name;
}

int ruleset_check(const struct ruleset *ruleset, struct rules_errors *errors)
{
	size_t n = ruleset->n_rules;
	_cleanup_free_ bool *told = calloc(n ? n : 1, sizeof(*told));
	struct circles_check check = { ruleset, told, errors };
	int r;

	if (!told)
		return -ENOMEM;
	r = check_netns(&check, NULL);
	for (size_t i = 0; i < n && r == 0; i++) {
		char *name = new_name(ruleset, i);

		if (name)
			r = check_netns(&check, name);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* plan_fixture.h - a ruleset and a namespace made by hand, and a plan as text
 */
#ifndef TESTS_UNIT_PLAN_FIXTURE_H
#define TESTS_UNIT_PLAN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/plan.h"

#define NAMES_MAX 4
#define TEXT_SIZE 4096

/* struct address - one line of a hand-made namespace */
struct address {
	uint32_t ifindex;
	const char *addr;
	uint8_t scope;
	uint32_t flags;
};

static const struct netns_interface interfaces[] = {
	{ 3, "eth1", true },
	{ 1, "lo", true },
	{ 2, "eth0", true },
	{ 4, "../x", true },
};

/* struct fixture - a ruleset and a namespace */
struct fixture {
	struct ruleset *ruleset;
	struct netns netns;
	struct netns_name names[NAMES_MAX];
	struct netns_address *addresses;
};

static inline struct ruleset *ruleset_of(const char *yaml)
{
	struct rules_errors errors = { 0 };
	struct rule_file *file = NULL;
	struct ruleset *ruleset;
	int r = parse_rules("t.yaml", yaml, strlen(yaml), &errors, &file);

	if (errors.n)
		fail_msg("%s", rules_error_fmt(&errors.list[0]));
	assert_int_equal(r, 0);
	ruleset = ruleset_new(&file, 1);
	assert_non_null(ruleset);
	rule_file_unref(file);
	return ruleset;
}

/* Names as "dir/name dir/name"; none for NULL. */
static inline void set_names(struct fixture *f, const char *names)
{
	_cleanup_free_ char *copy = strdup(names ? names : "");
	char *rest = copy, *word, *slash;

	while ((word = strsep(&rest, " ")) && *word) {
		slash = strrchr(word, '/');
		assert_non_null(slash);
		*slash = '\0';
		assert_true(f->netns.n_names < NAMES_MAX);
		f->names[f->netns.n_names++] =
			(struct netns_name){ .dir = strdup(word),
					     .name = strdup(slash + 1) };
	}
	f->netns.names = f->names;
}

static inline void set_addresses(struct fixture *f, const struct address *list,
				 size_t n)
{
	f->addresses = calloc(n ? n : 1, sizeof(*f->addresses));
	assert_non_null(f->addresses);
	for (size_t i = 0; i < n; i++) {
		f->addresses[i].ifindex = list[i].ifindex;
		f->addresses[i].scope = list[i].scope;
		f->addresses[i].flags = list[i].flags;
		assert_int_equal(
			ip_addr_parse(list[i].addr, &f->addresses[i].addr), 0);
	}
	f->netns.interfaces = (struct netns_interface *)interfaces;
	f->netns.n_interfaces = ARRAY_SIZE(interfaces);
	f->netns.addresses = f->addresses;
	f->netns.n_addresses = n;
	f->netns.addresses_known = true;
	f->netns.observed = true;
}

static inline void fixture_init(struct fixture *f, const char *yaml,
				const char *names)
{
	*f = (struct fixture){ .netns = { .id = 1 } };
	f->ruleset = ruleset_of(yaml);
	f->netns.host = names && strncmp(names, "host", 4) == 0;
	if (f->netns.host)
		names += names[4] ? 5 : 4;
	set_names(f, names);
}

static inline void fixture_done(struct fixture *f)
{
	for (size_t i = 0; i < f->netns.n_names; i++) {
		free(f->names[i].dir);
		free(f->names[i].name);
	}
	free(f->addresses);
	ruleset_unref(f->ruleset);
}

static inline void print_spec(FILE *f, const struct listener_spec *spec)
{
	char text[ENDPOINT_TEXT_MAX], addr[IP_TEXT_MAX];

	(void)fprintf(f, "%s %s", endpoint_fmt(&spec->endpoint, text),
		      spec->service->rule);
	if (spec->ifname[0])
		(void)fprintf(f, " on %s", spec->ifname);
	for (size_t i = 0; i < spec->n_addrs; i++)
		(void)fprintf(f, "%s%s", i ? "," : " = ",
			      ip_addr_fmt(&spec->addrs[i], addr));
	if (spec->freebind)
		(void)fprintf(f, " freebind");
	for (size_t i = 0; i < spec->service->n_to; i++)
		(void)fprintf(f, "%s%s", i ? "," : " -> ",
			      spec->service->to[i]);
	if (spec->refusal)
		(void)fprintf(f, " refused");
	(void)fputc('\n', f);
}

static inline char *plan_text(const struct plan *plan)
{
	char endpoint[ENDPOINT_TEXT_MAX], *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	for (size_t i = 0; i < plan->n_specs; i++)
		print_spec(f, &plan->specs[i]);
	for (size_t i = 0; i < plan->n_shadows; i++)
		(void)fprintf(
			f, "shadow %s %s < %s%s\n",
			endpoint_fmt(&plan->shadows[i].endpoint, endpoint),
			plan->shadows[i].rule, plan->shadows[i].winner,
			endpoint_conflict(&plan->shadows[i].endpoint,
					  &plan->shadows[i].winner_endpoint) ==
					ENDPOINT_SAME
				? " same"
				: "");
	if (plan->omitted)
		(void)fprintf(f, "omitted %zu\n", plan->omitted);
	if (plan->needs_addresses)
		(void)fprintf(f, "needs addresses\n");
	assert_int_equal(fclose(f), 0);
	return text;
}

static inline void check_plan(const struct fixture *f, size_t max,
			      const char *wanted, const char *title)
{
	struct plan plan;
	char *text;

	assert_int_equal(plan_make(f->ruleset, &f->netns, max, &plan), 0);
	text = plan_text(&plan);
	if (strcmp(text, wanted) != 0)
		fail_msg("%s: wanted\n%sgot\n%s", title, wanted, text);
	free(text);
	plan_done(&plan);
}

#define RULE(name, match, listen)                                   \
	"  - {name: " name ", match: {" match "}, listen: [" listen \
	"], respond: ack}\n"
#define TO(name, match, listen, to)                                 \
	"  - {name: " name ", match: {" match "}, listen: [" listen \
	"], forward: {to: " to "}}\n"
#define RULES "rules:\n"
#define ANY80 "{protocol: tcp, port: 80}"
#define EACH80 "{protocol: tcp, port: 80, address: each}"

#endif

// SPDX-License-Identifier: Apache-2.0
/* test_plan_unprivileged.c - what others than root told, and which rules go by
 * it */
#include "plan_fixture.h"

#define USER 1000u

static const struct container_label web_labels[] = { { "app", "web" } };
static const struct container_label db_labels[] = { { "app", "db" } };

/* In the order of container_compare(): root's first. */
static const struct container roots = {
	.name = "web-root",
	.pod_namespace = "shop",
	.id = "",
	.runtime = "",
	.source = "/c.d/x.json",
	.labels = web_labels,
	.n_labels = ARRAY_SIZE(web_labels),
};
static const struct container users = {
	.name = "a-user",
	.pod_namespace = "user-pods",
	.id = "",
	.runtime = "",
	.source = "",
	.uid = USER,
	.labels = db_labels,
	.n_labels = ARRAY_SIZE(db_labels),
};
static const struct container *containers[] = { &roots, &users };

#define NOT_FOR_USERS ", and the rule does not say \"unprivileged: true\""

/**
 * struct case_ - a namespace that has names and containers of both
 * @first_user: the first of its names that USER gave
 * @first, @n:	which of the containers it has
 * @without, @with: the reasons that the rule gives; it matches if it begins
 *		with "+", and @path is what its template becomes then
 */
static const struct {
	const char *match;
	const char *names;
	size_t first_user;
	size_t first, n;
	const char *path;
	const char *without;
	const char *path_with;
	const char *with;
} cases[] = {
	/* A name that a user gave is none for other rules. */
	{ "namespace: '*'", "registered/mine", 0, 0, 0, NULL,
	  "unprivileged: only uid 1000 gave it a name" NOT_FOR_USERS,
	  "${namespace}=mine", "+namespace mine matches \"*\"" },
	{ "", "registered/mine", 0, 0, 0, NULL,
	  "unprivileged: only uid 1000 gave it a name" NOT_FOR_USERS,
	  "${namespace}=mine", "+every namespace matches" },
	{ "directory: /run/netns", "registered/mine", 0, 0, 0, NULL,
	  "unprivileged: only uid 1000 gave it a name" NOT_FOR_USERS, NULL,
	  "directory: no name of mine is in /run/netns" },
	/* With a name of root's, that alone is looked at. */
	{ "namespace: mine", "/run/netns/blue registered/mine", 1, 0, 0, NULL,
	  "namespace: no name of blue matches \"mine\"", "${namespace}=mine",
	  "+namespace mine matches \"mine\"" },
	{ "namespace: '*'", "/run/netns/blue registered/mine", 1, 0, 0,
	  "${namespace}=blue", "+namespace blue matches \"*\"",
	  "${namespace}=blue", "+namespace blue matches \"*\"" },
	{ "namespace: ['*', '!mine']", "/run/netns/blue registered/mine", 1, 0,
	  0, "${namespace}=blue", "+namespace blue matches \"*\"",
	  "${namespace}=blue", "+namespace blue matches \"*\"" },
	{ "namespace: ['m*', '!mine']", "/run/netns/blue registered/mine", 1, 0,
	  0, NULL, "namespace: no name of blue matches \"m*\", \"!mine\"", NULL,
	  "namespace: name mine is excluded by \"!mine\"" },
	/* Containers alike, and each condition on them. */
	{ "labels: app=db", "/run/netns/blue", 1, 0, 2, NULL,
	  "labels: none meets \"app=db\"; looked at web-root",
	  "${container}=a-user", "+container a-user matches" },
	{ "labels: '!canary'", "/run/netns/blue", 1, 0, 2,
	  "${container}.${pod_namespace}.${label.app}=web-root.shop.web",
	  "+container web-root matches",
	  "${container}.${pod_namespace}.${label.app}=web-root.shop.web",
	  "+container web-root matches" },
	{ "container: 'a-*'", "/run/netns/blue", 1, 0, 2, NULL,
	  "container: none matches \"a-*\"; looked at web-root",
	  "${container}/${label.app}=a-user/db", "+container a-user matches" },
	{ "pod_namespace: 'user-*'", "/run/netns/blue", 1, 0, 2, NULL,
	  "pod_namespace: none matches \"user-*\"; looked at web-root",
	  "${pod_namespace}=user-pods", "+container a-user matches" },
	{ "labels: '!canary'", "/run/netns/blue", 1, 1, 1, NULL,
	  "unprivileged: only uid 1000 told of containers here" NOT_FOR_USERS,
	  "${container}=a-user", "+container a-user matches" },
	/* A user's label keeps out only rules that go by users' words... */
	{ "unless_labels: app=db", "/run/netns/blue", 1, 0, 2,
	  "${namespace}=blue", "+every namespace matches", NULL,
	  "unless_labels: container a-user meets \"app=db\"" },
	{ "labels: '!canary'", "/run/netns/blue", 1, 0, 0, NULL,
	  "container: berthd was told of none here", NULL,
	  "container: berthd was told of none here" },
};

static void check_case(size_t i, bool unprivileged)
{
	const char *path = unprivileged ? cases[i].path_with : cases[i].path;
	const char *reason = unprivileged ? cases[i].with : cases[i].without;
	int matches = reason[0] == '+' ? 1 : 0;
	char yaml[TEXT_SIZE], wanted[TEXT_SIZE] = "", *text;
	const char *becomes = path ? strchr(path, '=') : NULL;
	struct fixture f;

	(void)snprintf(yaml, sizeof(yaml),
		       RULES "  - {name: r, unprivileged: %s, match: {%s}, "
			     "listen: [" ANY80
			     "], forward: {to: 'unix:/s/%.*s'}}\n",
		       unprivileged ? "true" : "false", cases[i].match,
		       path ? (int)(becomes - path) : 1, path ? path : "x");
	if (path)
		(void)snprintf(wanted, sizeof(wanted),
			       "tcp *:80 r -> unix:/s/%s\n", becomes + 1);
	fixture_init(&f, yaml, cases[i].names);
	for (size_t k = cases[i].first_user; k < f.netns.n_names; k++)
		f.names[k].uid = USER;
	f.netns.containers = containers + cases[i].first;
	f.netns.n_containers = cases[i].n;
	assert_int_equal(plan_explain(f.ruleset, 0, &f.netns, &text), matches);
	assert_string_equal(text, reason + matches);
	free(text);
	check_plan(&f, 10, wanted, cases[i].match);
	fixture_done(&f);
}

/* A rule without the key goes by root's word alone; one with it by all. */
static void test_who_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		check_case(i, false);
		check_case(i, true);
	}
}

/* ... but for the one that everybody may give their namespace. */
static void test_skip(void **state)
{
	static const struct container_label labels[] = { { "berth.io/skip",
							   "true" } };
	struct container skipping = users;
	const struct container *list[] = { &roots, &skipping };
	struct fixture f;

	(void)state;
	skipping.labels = labels;
	fixture_init(&f, RULES RULE("r", "labels: app=web", ANY80),
		     "/run/netns/blue");
	f.netns.containers = list;
	f.netns.n_containers = 1;
	check_plan(&f, 10, "tcp *:80 r\n", "without the user's container");
	f.netns.n_containers = 2;
	check_plan(&f, 10, "", "with it");
	fixture_done(&f);
}

/* Nobody but root tells of the host: the key takes nothing from its rules. */
static void test_host(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f,
		     RULES "  - {name: r, unprivileged: true, match: {host: "
			   "true, namespace: x}, listen: [" ANY80
			   "], respond: ack}\n",
		     "host");
	check_plan(&f, 10, "tcp *:80 r\n", "host");
	fixture_done(&f);
}

/* Beyond a limit the last are left out: users' never come before root's. */
static void test_order(void **state)
{
	struct container other = users;

	(void)state;
	assert_true(container_compare(&roots, &users) < 0);
	assert_true(container_compare(&users, &roots) > 0);
	other.uid++;
	assert_true(container_compare(&users, &other) < 0);
	assert_true(container_compare(&other, &users) > 0);
	other.name = "0";
	assert_true(container_compare(&users, &other) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_told),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

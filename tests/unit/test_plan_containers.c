// SPDX-License-Identifier: Apache-2.0
/* test_plan_containers.c - rules with conditions on containers */
#include "common/service_http.h"
#include "plan_fixture.h"

static const struct container_label web_labels[] = {
	{ "app", "web" },
	{ "tenant", "blue" },
	{ "tier", "front" },
};
static const struct container_label db_labels[] = {
	{ "app", "db" },
	{ "tenant", "../x" },
};
static const struct container db = {
	.name = "db-0",
	.pod_namespace = "",
	.labels = db_labels,
	.n_labels = ARRAY_SIZE(db_labels),
};
static const struct container web = {
	.name = "web-1",
	.pod_namespace = "shop",
	.labels = web_labels,
	.n_labels = ARRAY_SIZE(web_labels),
};
static const struct container_label skip_labels[] = {
	{ "app", "web" },
	{ "berth.io/skip", "true" },
};
static const struct container skip = {
	.name = "skip-1",
	.pod_namespace = "shop",
	.labels = skip_labels,
	.n_labels = ARRAY_SIZE(skip_labels),
};
static const struct container *both[] = { &db, &web, &skip };

static void with_containers(struct fixture *f, size_t n)
{
	f->netns.containers = both;
	f->netns.n_containers = n;
}

static const struct {
	const char *match;
	size_t n_containers;
	int matches;
	const char *reason;
} cases[] = {
	{ "labels: app=web", 2, 1, "container web-1 matches" },
	{ "labels: app=web", 1, 0,
	  "labels: none meets \"app=web\"; looked at db-0" },
	{ "labels: app=web", 0, 0, "container: berthd was told of none here" },
	{ "labels: '!canary'", 0, 0,
	  "container: berthd was told of none here" },
	{ "labels: '!canary'", 2, 1, "container db-0 matches" },
	{ "labels: { app: web }, container: 'web-*'", 2, 1,
	  "container web-1 matches" },
	/* One container must satisfy all of them. */
	{ "labels: app=web, container: 'db-*'", 2, 0,
	  "labels: none meets \"app=web\"; looked at db-0" },
	{ "labels: 'app=db,tier=front'", 2, 0,
	  "labels: none meets \"tier=front\"; looked at db-0" },
	{ "pod_namespace: shop", 2, 1, "container web-1 matches" },
	{ "pod_namespace: '*'", 1, 0,
	  "pod_namespace: none matches \"*\"; looked at db-0" },
	{ "pod_namespace: shop, container: [db-0]", 2, 0,
	  "pod_namespace: none matches \"shop\"; looked at db-0" },
	{ "container: [x, y-*]", 2, 0,
	  "container: none matches \"x\", \"y-*\"; looked at db-0, web-1" },
	{ "container: ['*', '!db-*']", 2, 1, "container web-1 matches" },
	{ "namespace: 'b*', container: web-1", 2, 1,
	  "namespace blue matches \"b*\"; container web-1 matches" },
	{ "namespace: red, container: web-1", 2, 0,
	  "namespace: no name of blue matches \"red\"" },
};

/* plan_make() and plan_explain() agree, and the reason is the right one. */
static void test_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char yaml[TEXT_SIZE], *reason;
		struct fixture f;
		int r;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("r", "%s", ANY80),
			       cases[i].match);
		fixture_init(&f, yaml, "/run/netns/blue");
		with_containers(&f, cases[i].n_containers);
		r = plan_explain(f.ruleset, 0, &f.netns, &reason);
		assert_string_equal(reason, cases[i].reason);
		assert_int_equal(r, cases[i].matches);
		free(reason);
		check_plan(&f, 10, cases[i].matches ? "tcp *:80 r\n" : "",
			   cases[i].match);
		fixture_done(&f);
	}
}

/* The addresses of a namespace are not read for a rule whose conditions on
 * containers do not hold. */
static void test_addresses_come_last(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, RULES RULE("r", "labels: app=web", EACH80),
		     "/run/netns/blue");
	with_containers(&f, 1);
	check_plan(&f, 10, "", "another container");
	with_containers(&f, 2);
	check_plan(&f, 10, "needs addresses\n", "the container");
	fixture_done(&f);
}

#define SKIPPED "skip: container skip-1 has the label \"berth.io/skip=true\""

/* The third container is the one that skips. */
static const struct {
	const char *names;
	const char *match;
	size_t n_containers;
	int matches;
	const char *reason;
} exclusions[] = {
	{ "/n/blue", "unless_labels: app=web", 1, 1,
	  "every namespace matches" },
	{ "/n/blue", "unless_labels: app=web", 0, 1,
	  "every namespace matches" },
	{ "/n/blue", "unless_labels: { app: web, tier: front }", 2, 0,
	  "unless_labels: container web-1 meets \"app=web, tier=front\"" },
	/* Any container keeps the rule away, not only the one that matches. */
	{ "/n/blue", "labels: app=web, unless_labels: app=db", 2, 0,
	  "unless_labels: container db-0 meets \"app=db\"" },
	{ "/n/blue", "labels: app=web, unless_labels: '!tier'", 2, 0,
	  "unless_labels: container db-0 meets \"!tier\"" },
	{ "/n/blue", "labels: app=x, unless_labels: app=db", 2, 0,
	  "labels: none meets \"app=x\"; looked at db-0, web-1" },
	{ "host", "host: true, unless_labels: app=db", 1, 0,
	  "unless_labels: container db-0 meets \"app=db\"" },
	{ "/n/blue", "", 3, 0, SKIPPED },
	{ "/n/blue", "labels: app=web", 3, 0, SKIPPED },
	{ "/n/blue", "unless_labels: berth.io/skip", 3, 0, SKIPPED },
	{ "/n/blue", "labels: berth.io/skip=true", 3, 1,
	  "container skip-1 matches" },
	{ "/n/blue", "labels: berth.io/skip!=true", 3, 1,
	  "container db-0 matches" },
	{ "host", "host: true", 3, 1, "host: true" },
	{ "/n/blue", "namespace: b*, after: 1500ms", 0, 1,
	  "namespace blue matches \"b*\"; opens when the namespace is 1500ms "
	  "old" },
	{ "/n/blue", "labels: app=web, after: 2m", 2, 1,
	  "container web-1 matches; opens when berthd has known the container "
	  "120s" },
};

static void test_exclusions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exclusions); i++) {
		char yaml[TEXT_SIZE], *reason;
		struct fixture f;
		int r;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("r", "%s", ANY80),
			       exclusions[i].match);
		fixture_init(&f, yaml, exclusions[i].names);
		with_containers(&f, exclusions[i].n_containers);
		r = plan_explain(f.ruleset, 0, &f.netns, &reason);
		assert_string_equal(reason, exclusions[i].reason);
		assert_int_equal(r, exclusions[i].matches);
		free(reason);
		check_plan(&f, 10, exclusions[i].matches ? "tcp *:80 r\n" : "",
			   exclusions[i].match);
		fixture_done(&f);
	}
}

/* The label with another value, and another label with that value. */
static void test_no_skip(void **state)
{
	static const struct container_label labels[] = {
		{ "berth.io/skip", "false" },
		{ "berth.io/skip.not", "true" },
	};
	static const struct container other = { .name = "o",
						.pod_namespace = "",
						.labels = labels,
						.n_labels = 2 };
	const struct container *list[] = { &other };
	struct fixture f;

	(void)state;
	fixture_init(&f, RULES RULE("r", "", ANY80), "/n/blue");
	f.netns.containers = list;
	f.netns.n_containers = 1;
	check_plan(&f, 10, "tcp *:80 r\n", "other labels");
	fixture_done(&f);
}

/* The oldest container that satisfies the conditions counts, or the namespace;
 * the listeners of other rules are not held up. */
static void test_after(void **state)
{
	static const struct {
		const char *match;
		uint64_t web_us, db_us, not_before_us;
	} ages[] = {
		{ "after: 2s", 5000, 7000, 2001000 },
		{ "labels: app=web, after: 2s", 5000, 7000, 2005000 },
		{ "container: '*', after: 2s", 5000, 7000, 2005000 },
		{ "container: '*', after: 1ms", 9000, 7000, 8000 },
		/* The container was told of before its namespace came. */
		{ "labels: app=web, after: 250ms", 500, 7000, 251000 },
		{ "labels: app=web", 5000, 7000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		struct container young = web, old = db;
		const struct container *list[] = { &old, &young };
		char yaml[TEXT_SIZE];
		struct fixture f;
		struct plan plan;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("r", "%s", ANY80),
			       ages[i].match);
		fixture_init(&f, yaml, "/n/blue");
		young.since_us = ages[i].web_us;
		old.since_us = ages[i].db_us;
		f.netns.since_us = 1000;
		f.netns.containers = list;
		f.netns.n_containers = 2;
		assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
		assert_int_equal(plan.n_specs, 1);
		assert_int_equal(plan.specs[0].not_before_us,
				 ages[i].not_before_us);
		plan_done(&plan);
		fixture_done(&f);
	}
}

static void test_host(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, RULES RULE("r", "labels: app=web", ANY80), "host");
	with_containers(&f, 2);
	check_plan(&f, 10, "", "without host: true");
	fixture_done(&f);
	fixture_init(&f, RULES RULE("r", "host: true, labels: app=web", ANY80),
		     "host");
	with_containers(&f, 2);
	check_plan(&f, 10, "tcp *:80 r\n", "with host: true");
	with_containers(&f, 1);
	check_plan(&f, 10, "", "another container");
	fixture_done(&f);
}

#define SOCK(path) TO("r", "%s", ANY80, "'unix:/s/" path "'")

static const struct {
	const char *match;
	const char *path;
	const char *wanted;
} templates[] = {
	{ "labels: app=web", "${container}.${pod_namespace}.${label.tier}",
	  "tcp *:80 r -> unix:/s/web-1.shop.front\n" },
	{ "container: '/web-(?<n>[0-9]+)/'", "${container.n}/${namespace}",
	  "tcp *:80 r -> unix:/s/1/blue\n" },
	{ "namespace: '/(?<a>b)(?<b>x)?(?<rest>.*)/'",
	  "${namespace.a}-${namespace.rest}", "tcp *:80 r -> unix:/s/b-lue\n" },
	/* The first pattern that matches counts, and it may have no groups. */
	{ "namespace: ['/r(?<x>.*)/', '/b(?<x>.*)/']", "${namespace.x}",
	  "tcp *:80 r -> unix:/s/lue\n" },
	{ "namespace: ['b*', '/b(?<x>.*)/']", "${namespace.x}",
	  "tcp *:80 r -> unix:/s/${namespace.x} refused\n" },
	{ "namespace: '/(?<a>b)(?<b>x)?lue/'", "${namespace.b}",
	  "tcp *:80 r -> unix:/s/${namespace.b} refused\n" },
	{ "labels: app=web", "${label.missing}",
	  "tcp *:80 r -> unix:/s/${label.missing} refused\n" },
	{ "labels: app=db", "${pod_namespace}",
	  "tcp *:80 r -> unix:/s/${pod_namespace} refused\n" },
	/* A label cannot lead out of the directory. */
	{ "labels: app=db", "${label.tenant}",
	  "tcp *:80 r -> unix:/s/${label.tenant} refused\n" },
};

static void test_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
		char yaml[TEXT_SIZE];
		struct fixture f;

		(void)snprintf(yaml, sizeof(yaml), RULES SOCK("%s"),
			       templates[i].match, templates[i].path);
		fixture_init(&f, yaml, "/run/netns/blue");
		with_containers(&f, 2);
		check_plan(&f, 10, templates[i].wanted, templates[i].match);
		fixture_done(&f);
	}
}

#define TLV(match, listen, value)                                      \
	RULES "  - { name: r, match: { " match " }, listen: [ " listen \
	      " ], forward: { to: '10.0.0.1:1', proxy_protocol: "      \
	      "{ version: v2, tlvs: { 0xE0: \"" value "\", 0xE1: x } } } }\n"

/* Values need not be safe in a path. What lacks refuses the listener. */
static void test_tlvs(void **state)
{
	static const struct {
		const char *yaml;
		const char *value; /* NULL: refused */
	} tlvs[] = {
		{ TLV("labels: app=web", ANY80, "${container}"), "web-1" },
		{ TLV("labels: app=db", ANY80, "${label.tenant}/x"), "../x/x" },
		{ TLV("labels: app=web", ANY80,
		      "${namespace}.${pod_namespace}:${port}"),
		  "blue.shop:80" },
		{ TLV("", "{protocol: tcp, port: 80, address: '::1'}",
		      "${address}:${port}"),
		  "::1:80" },
		{ TLV("container: '/web-(?<n>[0-9]*)/'", ANY80,
		      "${container.n}"),
		  "1" },
		{ TLV("labels: app=skip", ANY80, "${label.empty}"), "" },
		{ TLV("labels: app=skip", ANY80, "${label.bytes}"), "\\xffx" },
		{ TLV("labels: app=skip", ANY80, "${label.long}"), NULL },
		{ TLV("labels: app=web", ANY80, "${label.none}"), NULL },
		{ TLV("labels: app=db", ANY80, "${pod_namespace}"), NULL },
	};
	char text[SERVICE_TLVS_BYTES_MAX];
	const struct container_label labels[] = { { "app", "skip" },
						  { "bytes", "\xffx" },
						  { "empty", "" },
						  { "long", text } };
	struct container odd = skip;
	const struct container *list[] = { &db, &web, &odd };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 6] = '\0'; /* with 0xE1 one byte too long */
	odd.labels = labels;
	odd.n_labels = ARRAY_SIZE(labels);
	for (size_t i = 0; i < ARRAY_SIZE(tlvs); i++) {
		const struct service *service;
		struct fixture f;
		struct plan plan;

		fixture_init(&f, tlvs[i].yaml, "/n/blue");
		f.netns.containers = list;
		f.netns.n_containers = ARRAY_SIZE(list);
		assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
		assert_int_equal(plan.n_specs, 1);
		service = plan.specs[0].service;
		assert_int_equal(service->n_tlvs, 2);
		assert_int_equal(service->tlvs[0].type, 0xe0);
		if (tlvs[i].value)
			assert_string_equal(service->tlvs[0].value,
					    tlvs[i].value);
		else
			assert_non_null(
				strstr(plan.specs[0].refusal, "\"tlvs\""));
		assert_int_equal(plan.specs[0].refusal == NULL,
				 tlvs[i].value != NULL);
		assert_string_equal(service->tlvs[1].value, "x");
		plan_done(&plan);
		fixture_done(&f);
	}
}

#define HEADER(match, listen, value)                                       \
	RULES "  - { name: 'r$1', match: { " match " }, listen: [ " listen \
	      " ], forward: { to: 'unix:/x', http: { set_headers: { X-A: " \
	      "\"" value "\" } } } }\n"

/* Only what a rule says of a client is left for the relay. */
static void test_headers(void **state)
{
	static const struct {
		const char *yaml;
		const char *value; /* NULL: refused */
	} headers[] = {
		{ HEADER("labels: app=web", ANY80,
			 "${container} ${client}:${client_port} ${local}"),
		  "web-1 ${client}:${client_port} ${local}" },
		{ HEADER("", ANY80, "$5 $$ ${rule}"), "$$5 $$$$ r$$1" },
		{ HEADER("labels: app=db", ANY80, "${label.tenant}"), "../x" },
		{ HEADER("labels: app=skip", ANY80, "${label.reference}"),
		  "$${client}" },
		{ HEADER("labels: app=skip", ANY80, "${label.lines}"), NULL },
		{ HEADER("labels: app=skip", ANY80, "${label.none}"), NULL },
		{ HEADER("", "{protocol: tcp, port: 80, address: '::1'}",
			 "${address}:${port}"),
		  "::1:80" },
	};
	static const struct container_label labels[] = {
		{ "app", "skip" },
		{ "lines", "a\r\nX-B: c" },
		{ "reference", "${client}" },
	};
	static const struct container odd = { .name = "odd",
					      .pod_namespace = "",
					      .labels = labels,
					      .n_labels = 3 };
	const struct container *list[] = { &db, &web, &odd };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		struct fixture f;
		struct plan plan;

		fixture_init(&f, headers[i].yaml, "/run/netns/blue");
		f.netns.containers = list;
		f.netns.n_containers = ARRAY_SIZE(list);
		assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
		assert_int_equal(plan.n_specs, 1);
		if (headers[i].value)
			assert_string_equal(
				plan.specs[0].service->http->set[0].value,
				headers[i].value);
		assert_int_equal(plan.specs[0].refusal == NULL,
				 headers[i].value != NULL);
		plan_done(&plan);
		fixture_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_addresses_come_last),
		cmocka_unit_test(test_exclusions),
		cmocka_unit_test(test_no_skip),
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_tlvs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

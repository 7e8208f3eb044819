// SPDX-License-Identifier: Apache-2.0
/* test_plan_provide.c - from (rules, namespace) to what it is to have */
#include "plan_fixture.h"

#define PROVIDING(name, match, provide)                                   \
	"- {name: " name ", match: {" match "}, provide: {" provide "}, " \
	"listen: {protocol: tcp, port: 1}, respond: discard}\n"

static char *shown(const struct plan *plan)
{
	char text[PROVISION_TEXT_MAX];
	char *result = NULL;
	size_t size;
	FILE *f = open_memstream(&result, &size);

	assert_non_null(f);
	for (size_t i = 0; i < plan->n_provisions; i++) {
		const struct provision *p = &plan->provisions[i];

		(void)fprintf(f, "%s%s by %s", i ? "; " : "",
			      provision_fmt(p, text), p->rule);
		if (p->rules != 1)
			(void)fprintf(f, " and %u more", p->rules - 1);
		if (p->winner)
			(void)fprintf(f, " loses to %s", p->winner);
		if (p->refusal)
			(void)fputs(" refused", f);
		assert_int_equal(provision_is_wanted(p),
				 !p->winner && !p->refusal);
	}
	assert_int_equal(fclose(f), 0);
	return result;
}

static const struct {
	const char *names, *rules, *wanted;
} cases[] = {
	{ "/n/blue",
	  PROVIDING("a", "", "loopback: up, addresses: [192.0.2.1/24]"),
	  "lo up by a; 192.0.2.1/24 on lo by a" },
	{ "/n/blue", PROVIDING("a", "namespace: red", "loopback: up"), "" },
	{ "/n/blue",
	  PROVIDING("a", "", "loopback: up, addresses: [192.0.2.1]")
		  PROVIDING("b", "", "addresses: 192.0.2.1/32, loopback: up")
			  PROVIDING("c", "", "addresses: '2001:db8::1/64'"),
	  "lo up by a and 1 more; 192.0.2.1/32 on lo by a and 1 more; "
	  "2001:db8::1/64 on lo by c" },
	{ "/n/blue",
	  PROVIDING("a", "", "addresses: 192.0.2.1/24")
		  PROVIDING("b", "", "addresses: 192.0.2.1/32")
			  PROVIDING("c", "", "addresses: 192.0.2.1/24")
				  PROVIDING("d", "", "addresses: 192.0.2.1/32"),
	  "192.0.2.1/24 on lo by a and 1 more; "
	  "192.0.2.1/32 on lo by b loses to a; "
	  "192.0.2.1/32 on lo by d loses to a" },
	{ "/n/blue",
	  PROVIDING("a", "", "addresses: 192.0.2.1/24") PROVIDING(
		  "b", "", "interface: eth0, addresses: 192.0.2.1/32"),
	  "192.0.2.1/24 on lo by a; 192.0.2.1/32 on eth0 by b" },
	{ "host /n/blue",
	  PROVIDING("a", "host: true, namespace: '*'", "loopback: up"),
	  "lo up by a refused" },
	{ "/n/blue",
	  PROVIDING("a", "host: true, namespace: '*'", "loopback: up"),
	  "lo up by a" },
	{ "host /n/blue", PROVIDING("a", "namespace: '*'", "loopback: up"),
	  "" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *yaml = NULL, *text = NULL;
		struct fixture f;
		struct plan plan;

		assert_true(asprintf(&yaml, "rules:\n%s", cases[i].rules) > 0);
		fixture_init(&f, yaml, cases[i].names);
		assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
		text = shown(&plan);
		assert_string_equal(text, cases[i].wanted);
		assert_false(plan.needs_addresses);
		plan_done(&plan);
		fixture_done(&f);
	}
}

/* However many rules want however much. */
static void test_limit(void **state)
{
	enum { n_rules = 200 };
	_cleanup_free_ char *yaml = NULL;
	size_t size;
	FILE *out = open_memstream(&yaml, &size);
	struct fixture f;
	struct plan plan;

	(void)state;
	assert_non_null(out);
	(void)fputs("rules:\n", out);
	for (int i = 0; i < n_rules; i++)
		(void)fprintf(out,
			      "- {name: r%d, provide: {addresses: 10.0.0.%d}, "
			      "listen: {protocol: tcp, port: 1}, "
			      "respond: discard}\n",
			      i, i + 1);
	assert_int_equal(fclose(out), 0);
	fixture_init(&f, yaml, "/n/blue");
	assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
	assert_int_equal(plan.n_provisions, PROVISIONS_MAX + 1);
	for (size_t i = 0; i < plan.n_provisions; i++)
		assert_int_equal(provision_is_wanted(&plan.provisions[i]),
				 i < PROVISIONS_MAX);
	plan_done(&plan);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

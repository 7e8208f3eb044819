// SPDX-License-Identifier: Apache-2.0
/* test_selector.c - label selectors: what they match, and what is no selector
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "rules/selector.h"

static const struct container_label labels[] = {
	{ "app", "web" },
	{ "app.kubernetes.io/part-of", "shop" },
	{ "empty", "" },
	{ "tier", "front" },
};

static const struct container web = {
	.name = "web-1",
	.labels = labels,
	.n_labels = ARRAY_SIZE(labels),
};

static void test_matches(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} cases[] = {
		{ "app=web", true },
		{ "app==web", true },
		{ " app = web ", true },
		{ "app=we", false },
		{ "app=web2", false },
		{ "missing=web", false },
		{ "app!=web", false },
		{ "app!=db", true },
		{ "missing!=web", true },
		{ "app", true },
		{ "missing", false },
		{ "!app", false },
		{ "! missing", true },
		{ "tier in (front,back)", true },
		{ "tier in ( back , front )", true },
		{ "tier in(back)", false },
		{ "missing in (front)", false },
		{ "tier notin (front,back)", false },
		{ "tier notin (back)", true },
		{ "missing notin (front)", true },
		{ "empty=", true },
		{ "empty", true },
		{ "app=", false },
		{ "missing=", false },
		{ "empty in (a,)", true },
		{ "app in ()", false },
		{ "app=,tier=front", false },
		{ "app.kubernetes.io/part-of=shop", true },
		{ "app=web,tier=front,!canary", true },
		{ "app=web,tier=back", false },
		{ "app=web, tier in (front,back), !canary", true },
		{ "in", false },
		{ "in in (in)", false },
		{ "notin notin (in)", true },
		{ "index!=in", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selector_problem problem = { 0 };
		struct selector selector = { 0 };

		if (selector_parse(cases[i].text, &selector, &problem) != 0)
			fail_msg("%s: %s", cases[i].text, problem.message);
		if (selector_matches(&selector, &web) != cases[i].matches)
			fail_msg("%s", cases[i].text);
		selector_done(&selector);
	}
}

static void test_problems(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		const char *message;
	} cases[] = {
		{ "", 0, "an empty selector, expected one such as app=web" },
		{ "  ", 2, "an empty selector, expected one such as app=web" },
		{ ",", 0, "found \",\", expected the key of a label" },
		{ "app=web,", 8,
		  "the selector ends here, expected the key of a label" },
		{ "=web", 0, "found \"=\", expected the key of a label" },
		{ "!", 1,
		  "the selector ends here, expected the key of a label" },
		{ "!!app", 1, "found \"!\", expected the key of a label" },
		{ "app web", 4,
		  "found \"web\", expected \"=\", \"!=\", \"in (…)\", "
		  "\"notin (…)\" or \",\" behind the key" },
		{ "app>1", 3,
		  "found \">\", expected \"=\", \"!=\", \"in (…)\", "
		  "\"notin (…)\" or \",\" behind the key" },
		{ "app=web tier", 8,
		  "found \"tier\", expected \",\" and another condition" },
		{ "app===web", 5,
		  "found \"=\", expected \",\" and another condition" },
		{ "app in web", 7, "found \"web\", expected \"(\" and values" },
		{ "app in (a b)", 10, "found \"b\", expected \",\" or \")\"" },
		{ "app in (a,b", 11,
		  "the selector ends here, expected \",\" or \")\"" },
		{ "!app=web", 4,
		  "found \"=\", expected \",\" and another condition" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selector_problem problem = { 0 };
		struct selector selector = { 0 };

		assert_int_equal(selector_parse(cases[i].text, &selector,
						&problem),
				 -EINVAL);
		assert_string_equal(problem.message, cases[i].message);
		assert_int_equal(problem.offset, cases[i].offset);
		assert_null(selector.list);
	}
}

static void test_limits(void **state)
{
	struct selector_problem problem = { 0 };
	struct selector selector = { 0 };
	char text[4 * SELECTOR_VALUES_MAX] = "a in (";

	(void)state;
	for (size_t i = 0; i < SELECTOR_VALUES_MAX; i++)
		(void)strcat(text, "v,");
	(void)strcat(text, ")");
	assert_int_equal(selector_parse(text, &selector, &problem), -EINVAL);
	assert_string_equal(problem.message, "more than 256 values");
	*text = '\0';
	for (size_t i = 0; i < SELECTOR_REQUIREMENTS_MAX; i++)
		(void)strcat(text, i ? ",a" : "a");
	assert_int_equal(selector_parse(text, &selector, &problem), 0);
	assert_int_equal(selector_add_equal(&selector, "a", "b"), -E2BIG);
	selector_done(&selector);
	(void)strcat(text, ",a");
	assert_int_equal(selector_parse(text, &selector, &problem), -EINVAL);
	assert_string_equal(problem.message, "more than 64 conditions");
}

static char *requirement_text(const struct requirement *requirement)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	requirement_print(f, requirement);
	(void)fclose(f);
	return text;
}

/* What is printed means the same when it is read again. */
static void test_text(void **state)
{
	static const char *const texts[] = {
		"app=web",
		"app!=web",
		"tier in (front,back)",
		"tier notin (a,b,c)",
		"canary",
		"!canary",
		"empty=",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct selector_problem problem;
		struct selector selector = { 0 };
		char *text;

		assert_int_equal(selector_parse(texts[i], &selector, &problem),
				 0);
		text = requirement_text(&selector.list[0]);
		assert_string_equal(text, texts[i]);
		free(text);
		selector_done(&selector);
	}
}

static void test_map(void **state)
{
	struct selector selector = { 0 };

	(void)state;
	assert_int_equal(selector_add_equal(&selector, "app", "web"), 0);
	assert_true(selector_matches(&selector, &web));
	assert_int_equal(selector_add_equal(&selector, "a, b", "= c"), 0);
	assert_false(selector_matches(&selector, &web));
	selector_done(&selector);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches), cmocka_unit_test(test_problems),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_text),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

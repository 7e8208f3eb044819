// SPDX-License-Identifier: Apache-2.0
/* test_register_parse.c - which parameters Wait takes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "daemon/control/register_parse.h"

static json_t *load(const char *text)
{
	json_t *root = json_loads(text, JSON_ALLOW_NUL, NULL);

	assert_non_null(root);
	return root;
}

/* @parameter: the one that is wrong; NULL: none is */
struct expectation {
	const char *text;
	const char *parameter;
	const char *expected;
};

static const struct expectation expectations[] = {
	{ "{\"name\": \"a\"}", NULL, NULL },
	{ "{\"name\": \"a\", \"timeout_ms\": 0}", NULL, NULL },
	{ "{\"name\": \"a\", \"timeout_ms\": 3600000}", NULL, NULL },
	{ "{}", "name", "expected the name of a namespace or container" },
	{ "{\"name\": 7}", "name", "expected a text" },
	{ "{\"name\": \"a\\u0000\"}", "name", "expected a text without NUL" },
	{ "{\"name\": \"a\", \"timeout_ms\": \"1s\"}", "timeout_ms",
	  "expected a number from 0 to 3600000" },
	{ "{\"name\": \"a\", \"timeout_ms\": 3600001}", "timeout_ms",
	  "expected a number from 0 to 3600000" },
	{ "{\"name\": \"a\", \"namespace\": \"a\"}", "namespace",
	  "there is no such parameter" },
};

static void test_parameters(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		const struct expectation *expectation = &expectations[i];
		struct parameter_problem problem = { .parameter = "" };
		json_t *root = load(expectation->text);
		struct wait_told told;
		int r = wait_parse(root, &told, &problem);

		if (r != (expectation->parameter ? -EINVAL : 0))
			fail_msg("%s: %d (%s: %s)", expectation->text, r,
				 problem.parameter, problem.expected);
		if (expectation->parameter) {
			assert_string_equal(problem.parameter,
					    expectation->parameter);
			assert_string_equal(problem.expected,
					    expectation->expected);
		}
		json_decref(root);
	}
}

static void test_defaults(void **state)
{
	json_t *root = load("{\"name\": \"a\"}");
	struct parameter_problem problem;
	struct wait_told told;

	(void)state;
	assert_int_equal(wait_parse(NULL, &told, &problem), -EINVAL);
	assert_int_equal(wait_parse(root, &told, &problem), 0);
	assert_string_equal(told.name, "a");
	assert_int_equal(told.timeout_us, 30 * USEC_PER_SEC);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_monitor_parse.c - the parameters of Monitor */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/util.h"
#include "daemon/control/monitor_parse.h"
#include "daemon/events.h"

static int parse(const char *text, struct monitor_filter *filter,
		 char parameter[64])
{
	struct parameter_problem problem = { .parameter = "" };
	json_t *parameters = json_loads(text, 0, NULL);
	int r = monitor_parse(parameters, filter, &problem);

	assert_non_null(parameters);
	(void)snprintf(parameter, 64, "%s", problem.parameter);
	json_decref(parameters);
	return r;
}

static void test_good(void **state)
{
	struct monitor_filter filter;
	char parameter[64];

	(void)state;
	assert_int_equal(monitor_parse(NULL, &filter, NULL), 0);
	assert_int_equal(filter.kinds, EVENT_ALL_KINDS);
	assert_null(filter.netns);
	assert_null(filter.rule);
	assert_int_equal(parse("{\"kinds\": null, \"namespace\": null, "
			       "\"rule\": null}",
			       &filter, parameter),
			 0);
	assert_int_equal(filter.kinds, EVENT_ALL_KINDS);
	assert_int_equal(parse("{\"kinds\": [\"consumer\", \"rule.loaded\"], "
			       "\"namespace\": \"blue\", \"rule\": \"web\"}",
			       &filter, parameter),
			 0);
	assert_int_equal(filter.kinds, 1u << EVENT_CONSUMER_COME |
					       1u << EVENT_CONSUMER_LOST |
					       1u << EVENT_RULE_LOADED);
	assert_string_equal(filter.netns, "blue");
	assert_string_equal(filter.rule, "web");
	monitor_filter_done(&filter);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *parameter;
	} cases[] = {
		{ "{\"kinds\": \"consumer\"}", "kinds" },
		{ "{\"kinds\": []}", "kinds" },
		{ "{\"kinds\": [\"consumer\", 1]}", "kinds" },
		{ "{\"kinds\": [\"consumer.found\"]}", "kinds" },
		{ "{\"namespace\": 1}", "namespace" },
		{ "{\"namespace\": \"\"}", "namespace" },
		{ "{\"namespace\": \"a\", \"rule\": []}", "rule" },
		{ "{\"rule\": \"a\", \"kind\": null}", "kind" },
	};
	struct monitor_filter filter;
	char parameter[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].text, &filter, parameter),
				 -EINVAL);
		assert_string_equal(parameter, cases[i].parameter);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

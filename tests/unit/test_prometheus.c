// SPDX-License-Identifier: Apache-2.0
/* test_prometheus.c - replies of berthd as Prometheus' text */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/prometheus.h"
#include "common/util.h"

#define FAMILIES                                                              \
	"'families': ["                                                       \
	"{'name': 'berth_a_total', 'type': 'counter', 'help': 'As.'},"        \
	"{'name': 'berth_b', 'type': 'gauge', 'help': 'B\\\\ \\n\\\"b\\\"'}," \
	"{'name': 'berth_c_seconds', 'type': 'histogram', 'help': 'Cs.'}]"

static json_t *parse(const char *text)
{
	char *json = strdup(text);
	json_t *root;

	assert_non_null(json);
	for (char *c = json; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	root = json_loads(json, 0, NULL);
	free(json);
	assert_non_null(root);
	return root;
}

/* Adds replies up to a NULL. Return: of the last one. */
static int add(char **ret_text, const char *const *replies)
{
	struct prometheus *prometheus = prometheus_new();
	size_t size;
	FILE *out = open_memstream(ret_text, &size);
	int r = 0;

	assert_non_null(prometheus);
	assert_non_null(out);
	for (; *replies; replies++) {
		json_t *reply = parse(*replies);

		r = prometheus_add(prometheus, reply, out);
		json_decref(reply);
	}
	assert_int_equal(fclose(out), 0);
	prometheus_free(prometheus);
	return r;
}

static void check(const char *const *replies, const char *expected)
{
	char *text = NULL;

	assert_int_equal(add(&text, replies), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void test_replies(void **state)
{
	static const char *const replies[] = {
		"{" FAMILIES ", 'metrics': ["
		"{'name': 'berth_a_total', 'value': 1,"
		" 'fields': {'rule': 'x', 'protocol': 'tcp'}}]}",
		"{'families': [], 'metrics': ["
		"{'name': 'berth_a_total', 'value': 9007199254740993,"
		" 'fields': {'rule': 'y'}}]}",
		"{'families': [], 'metrics': ["
		"{'name': 'berth_c_seconds_bucket', 'value': 2,"
		" 'fields': {'le': '0.1'}},"
		"{'name': 'berth_c_seconds_sum', 'value': 0.25},"
		"{'name': 'berth_c_seconds_count', 'value': 2,"
		" 'fields': null}]}",
		NULL,
	};

	(void)state;
	check(replies, "# HELP berth_a_total As.\n"
		       "# TYPE berth_a_total counter\n"
		       "berth_a_total{rule=\"x\",protocol=\"tcp\"} 1\n"
		       "berth_a_total{rule=\"y\"} 9007199254740993\n"
		       "# HELP berth_c_seconds Cs.\n"
		       "# TYPE berth_c_seconds histogram\n"
		       "berth_c_seconds_bucket{le=\"0.1\"} 2\n"
		       "berth_c_seconds_sum 0.25\n"
		       "berth_c_seconds_count 2\n");
}

static void test_escapes(void **state)
{
	static const char *const replies[] = {
		"{" FAMILIES ", 'metrics': ["
		"{'name': 'berth_b', 'value': -1,"
		" 'fields': {'rule': 'a\\\"b\\\\c\\nd'}}]}",
		NULL,
	};

	(void)state;
	check(replies, "# HELP berth_b B\\\\ \\n\"b\"\n"
		       "# TYPE berth_b gauge\n"
		       "berth_b{rule=\"a\\\"b\\\\c\\nd\"} -1\n");
}

/* What is no reply of the method, or would be no text of Prometheus. */
static void test_bad(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{'metrics': []}",
		"{'families': 1, 'metrics': []}",
		"{'families': [{'name': 'a b', 'type': 'gauge', 'help': ''}],"
		" 'metrics': []}",
		"{'families': [{'name': 'a', 'type': 'x', 'help': ''}],"
		" 'metrics': []}",
		"{'families': [{'name': 'a', 'type': 'gauge'}],"
		" 'metrics': []}",
		"{" FAMILIES "}",
		"{" FAMILIES ", 'metrics': [1]}",
		"{" FAMILIES ", 'metrics': [{'name': 'berth_b'}]}",
		"{" FAMILIES ", 'metrics': [{'name': 'x', 'value': 1}]}",
		"{" FAMILIES ", 'metrics': [{'name': 'berth_b', 'value': '1'}"
		"]}",
		"{" FAMILIES ", 'metrics': [{'name': 'berth_b_sum',"
		" 'value': 1}]}",
		"{" FAMILIES ", 'metrics': [{'name': 'berth_b', 'value': 1,"
		" 'fields': {'a-b': ''}}]}",
		"{" FAMILIES ", 'metrics': [{'name': 'berth_b', 'value': 1,"
		" 'fields': {'a': 1}}]}",
		"{" FAMILIES ", 'metrics': [{'name': 'berth_b', 'value': 1},"
		" {'name': 'berth_a_total', 'value': 1}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *replies[] = { bad[i], NULL };
		char *text = NULL;

		if (add(&text, replies) != -EPROTO)
			fail_msg("taken: %s", bad[i]);
		free(text);
	}
}

static void test_parameters(void **state)
{
	json_t *all = prometheus_parameters(NULL);
	json_t *some = prometheus_parameters("web*");

	(void)state;
	assert_int_equal(json_object_size(all), 0);
	assert_string_equal(
		json_string_value(json_object_get(some, "namespaces")), "web*");
	json_decref(all);
	json_decref(some);
	assert_null(prometheus_parameters("\xff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

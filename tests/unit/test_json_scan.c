// SPDX-License-Identifier: Apache-2.0
/* test_json_scan.c - lists are read from their text as jansson reads them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/util.h"
#include "client/json_scan.h"

struct thing {
	const char *name;
	int64_t n;
	bool on;
	int64_t deep;
};

static const struct json_member inner[] = {
	{ "deep", JSON_KIND_NUMBER, offsetof(struct thing, deep), NULL },
	{ .name = NULL },
};
static const struct json_member members[] = {
	{ "name", JSON_KIND_TEXT, offsetof(struct thing, name), NULL },
	{ "n", JSON_KIND_NUMBER, offsetof(struct thing, n), NULL },
	{ "on", JSON_KIND_FLAG, offsetof(struct thing, on), NULL },
	{ "inner", JSON_KIND_OBJECT, 0, inner },
	{ .name = NULL },
};

static struct json_span span_of(char *text)
{
	return (struct json_span){ text, strlen(text) };
}

static void test_read(void **state)
{
	static const struct {
		const char *text;
		int r;
		struct thing thing;
	} cases[] = {
		{ "{}", 0, { "-", -7, false, -7 } },
		{ "{\"name\":\"a\",\"n\":-5,\"on\":true,\"inner\":{\"deep\":6}"
		  "}",
		  0,
		  { "a", -5, true, 6 } },
		/* In another order, with others between, and with blanks. */
		{ "{ \"x\" : [1, {\"name\": \"}\"}, \"]\\\"\"] ,\n\"inner\":"
		  "{\"y\":null,\"deep\":9223372036854775807}, \"on\":false , "
		  "\"n\":12,\"name\" :\"b\" }",
		  0,
		  { "b", 12, false, INT64_MAX } },
		{ "{\"name\":null,\"n\":null,\"on\":null,\"inner\":null}",
		  0,
		  { "", 0, false, -7 } },
		{ "{\"name\":\"\\\"\\\\\\u00e4\\ud83d\\udc33\\n\"}",
		  0,
		  { "\"\\\xc3\xa4\xf0\x9f\x90\xb3\n", -7, false, -7 } },
		{ "{\"name\":\"\\q\"}", -EPROTO, { 0 } },
		{ "{\"name\":\"", -EPROTO, { 0 } },
		{ "{\"name\"}", -EPROTO, { 0 } },
		{ "{\"name\":}", -EPROTO, { 0 } },
		{ "{\"n\":1 \"on\":true}", -EPROTO, { 0 } },
		{ "{\"n\":1,", -EPROTO, { 0 } },
		{ "{\"inner\":{\"deep\":1}", -EPROTO, { 0 } },
		{ "{n:1}", -EPROTO, { 0 } },
		{ "[]", -EPROTO, { 0 } },
		{ "", -EPROTO, { 0 } },
		{ "{", -EPROTO, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct thing *want = &cases[i].thing;
		struct thing thing = { .name = "-", .n = -7, .deep = -7 };
		char *text = strdup(cases[i].text);
		struct json_span span = span_of(text);

		assert_int_equal(json_scan_read(span, members, &thing),
				 cases[i].r);
		if (cases[i].r == 0) {
			assert_string_equal(thing.name, want->name);
			assert_int_equal(thing.n, want->n);
			assert_int_equal(thing.on, want->on);
			assert_int_equal(thing.deep, want->deep);
		}
		free(text);
	}
}

static void test_next(void **state)
{
	static const struct {
		const char *text;
		int n, r;
	} cases[] = {
		{ "[]", 0, 0 },
		{ "[ ]", 0, 0 },
		{ "[1]", 1, 0 },
		{ "[1,[2,3],{\"a\":[4]},\"],[\", null ]", 5, 0 },
		{ "", 0, -EPROTO },
		{ "{}", 0, -EPROTO },
		{ "null", 0, -EPROTO },
		{ "[1", 1, -EPROTO },
		{ "[1 2]", 1, -EPROTO },
		{ "[1,", 1, -EPROTO },
		{ "[[1]", 1, -EPROTO },
		{ "[\"]", 0, -EPROTO },
		{ "[?]", 0, -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = strdup(cases[i].text);
		struct json_span at = span_of(text), element;
		int n = 0, r;

		while ((r = json_scan_next(&at, &element)) > 0)
			n++;
		assert_int_equal(r, cases[i].r);
		assert_int_equal(n, cases[i].n);
		if (r == 0)
			assert_int_equal(json_scan_next(&at, &element), 0);
		free(text);
	}
}

/* Nothing is read behind the text: what lies there is another's. */
static void test_ends_with_its_span(void **state)
{
	char text[] = "{\"n\":123456}";
	struct json_span span = { text, strlen("{\"n\":12") };
	struct thing thing = { .n = -7 };

	(void)state;
	assert_int_equal(json_scan_read(span, members, &thing), -EPROTO);
	assert_int_equal(thing.n, 12);
}

static void test_no_text(void **state)
{
	struct json_span at = { NULL, 0 }, element;

	(void)state;
	assert_int_equal(json_scan_next(&at, &element), 0);
}

static void test_find(void **state)
{
	char text[] = "{\"error\":null,\"parameters\":{\"b\":[1,2]},\"b\":3}";
	char bad[] = "{\"a\":1,\"b\"", none[] = "[\"b\"]";
	struct json_span value;

	(void)state;
	assert_int_equal(json_scan_find(span_of(text), "parameters", &value),
			 1);
	assert_int_equal(value.len, strlen("{\"b\":[1,2]}"));
	assert_int_equal(json_scan_find(value, "b", &value), 1);
	assert_int_equal(strncmp(value.text, "[1,2]}", 6), 0);
	assert_int_equal(json_scan_find(span_of(text), "c", &value), 0);
	assert_int_equal(json_scan_find(span_of(none), "b", &value), 0);
	assert_int_equal(json_scan_find(span_of(bad), "b", &value), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_ends_with_its_span),
		cmocka_unit_test(test_no_text),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_log_line.c - one line of the log as text, for the journal, as JSON */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>
#include <time.h>

#include "common/log_line.h"
#include "common/util.h"

static const struct log_field fields[] = {
	{ .name = "netns", .text = "blue" },
	{ .name = "container", .text = "a\"b\\c\nd\x01\xff" },
	{ .name = "bytes_in", .number = UINT64_MAX },
};

/* 2026-11-29 17:55:43.007 UTC */
static const struct log_entry entry = {
	.level = LOG_LEVEL_WARNING,
	.level_name = "warning",
	.program = "berthd",
	.message = "rule 'web': no",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.time = { .tv_sec = 1795974943, .tv_nsec = 7999999 },
};

static char line[LOG_LINE_MAX + 1];

static const char *ended(size_t n)
{
	assert_true(n <= LOG_LINE_MAX);
	line[n] = '\0';
	return line;
}

static void set_zone(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void test_text(void **state)
{
	struct log_entry later = entry;

	(void)state;
	set_zone("UTC0");
	assert_string_equal(ended(log_line_text(&entry, line)),
			    "2026-11-29T17:55:43.007+00:00 berthd: "
			    "rule 'web': no\n");
	set_zone("XXX-5:30");
	later.time.tv_sec++;
	assert_string_equal(ended(log_line_text(&later, line)),
			    "2026-11-29T23:25:44.007+05:30 berthd: "
			    "rule 'web': no\n");
}

static void test_priority(void **state)
{
	(void)state;
	assert_string_equal(ended(log_line_priority(&entry, line)),
			    "<4>rule 'web': no\n");
}

static void test_journal(void **state)
{
	static const char expected[] = "MESSAGE=rule 'web': no\n"
				       "PRIORITY=4\n"
				       "SYSLOG_IDENTIFIER=berthd\n"
				       "NETNS=blue\n"
				       "CONTAINER\n"
				       "\x09\0\0\0\0\0\0\0"
				       "a\"b\\c\nd\x01\xff\n"
				       "BYTES_IN=18446744073709551615\n";
	size_t n = log_line_journal(&entry, line);

	(void)state;
	assert_int_equal(n, sizeof(expected) - 1);
	assert_memory_equal(line, expected, n);
}

static void test_json(void **state)
{
	json_t *json;
	size_t n;

	(void)state;
	set_zone("UTC0");
	n = log_line_json(&entry, line);
	assert_int_equal(line[n - 1], '\n');
	assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
	assert_string_equal(
		ended(n),
		"{\"time\":\"2026-11-29T17:55:43.007+00:00\","
		"\"level\":\"warning\",\"program\":\"berthd\","
		"\"message\":\"rule 'web': no\",\"netns\":\"blue\","
		"\"container\":\"a\\\"b\\\\c\\u000ad\\u0001\xef\xbf\xbd\","
		"\"bytes_in\":18446744073709551615}\n");
	/* jansson has no number as large as that one. */
	strstr(line, ",\"bytes_in\"")[0] = '}';
	json = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(json);
	json_decref(json);
}

static void test_fields(void **state)
{
	char text[256];

	(void)state;
	log_line_fields("connection", fields, ARRAY_SIZE(fields), text,
			sizeof(text));
	assert_string_equal(text, "connection netns=blue "
				  "container=\"a\\\"b\\\\c\nd\x01\xff\" "
				  "bytes_in=18446744073709551615");
	log_line_fields("connection", fields, ARRAY_SIZE(fields), text, 18);
	assert_string_equal(text, "connection netns=");
}

/* What has no room is left out as a whole, so that the rest can be read. */
static void test_too_long(void **state)
{
	static char message[LOG_MESSAGE_MAX], huge[LOG_LINE_MAX];
	const struct log_field large[] = {
		{ .name = "container", .text = huge },
		{ .name = "rule", .text = "web" },
	};
	struct log_entry long_entry = entry;
	json_t *json;
	size_t n;

	(void)state;
	memset(message, '\xff', sizeof(message) - 1);
	long_entry.message = message;
	long_entry.fields = large;
	long_entry.n_fields = ARRAY_SIZE(large);
	/* Many lengths, so that each piece is the one that is cut. */
	for (size_t len = sizeof(huge) - 8192; len < sizeof(huge); len += 3) {
		memset(huge, 'x', len);
		huge[len] = '\0';
		json = json_loads(ended(log_line_json(&long_entry, line)), 0,
				  NULL);
		assert_non_null(json);
		assert_true(json_object_get(json, "container") ||
			    json_object_get(json, "rule"));
		json_decref(json);
		n = log_line_journal(&long_entry, line);
		assert_int_equal(line[n - 1], '\n');
		assert_true(n > len || strstr(ended(n), "\nRULE=web\n"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_priority),
		cmocka_unit_test(test_journal), cmocka_unit_test(test_json),
		cmocka_unit_test(test_fields),	cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

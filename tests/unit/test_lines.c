// SPDX-License-Identifier: Apache-2.0
/* test_lines.c - a stream is cut into lines, however it comes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "hook/follow/lines.h"

/** struct seen - the lines that came, each with a comma behind it */
struct seen {
	char text[64];
	size_t len;
	size_t too_long;
	size_t longest;
};

static void handler(const char *text, size_t len, void *user_data)
{
	struct seen *seen = user_data;

	if (!text) {
		seen->too_long++;
		return;
	}
	if (len > seen->longest)
		seen->longest = len;
	if (seen->len + len + 1 < sizeof(seen->text)) {
		memcpy(seen->text + seen->len, text, len);
		seen->text[seen->len + len] = ',';
		seen->len += len + 1;
	}
}

static void add(struct lines *lines, const char *text, struct seen *seen)
{
	assert_int_equal(lines_add(lines, text, strlen(text), handler, seen),
			 0);
}

static void test_pieces(void **state)
{
	struct lines lines = { .text = NULL };
	struct seen seen = { .text = "" };

	(void)state;
	add(&lines, "a", &seen);
	assert_string_equal(seen.text, "");
	add(&lines, "b\ncd\n\n\ne", &seen);
	assert_string_equal(seen.text, "ab,cd,");
	add(&lines, "", &seen);
	add(&lines, "\nfg\n", &seen);
	assert_string_equal(seen.text, "ab,cd,e,fg,");
	lines_done(&lines);
}

static void fill(struct lines *lines, size_t len, struct seen *seen)
{
	_cleanup_free_ char *text = malloc(len);

	memset(text, 'x', len);
	assert_int_equal(lines_add(lines, text, len, handler, seen), 0);
}

static void test_too_long(void **state)
{
	struct lines lines = { .text = NULL };
	struct seen seen = { .text = "" };

	(void)state;
	fill(&lines, LINES_LENGTH_MAX, &seen);
	add(&lines, "\n", &seen);
	assert_int_equal(seen.longest, LINES_LENGTH_MAX);
	assert_int_equal(seen.too_long, 0);
	/* A piece at a time, and in one piece. */
	fill(&lines, LINES_LENGTH_MAX, &seen);
	add(&lines, "x", &seen);
	add(&lines, "y\na\n", &seen);
	assert_int_equal(seen.too_long, 1);
	fill(&lines, LINES_LENGTH_MAX + 1, &seen);
	add(&lines, "\nb\n", &seen);
	assert_int_equal(seen.too_long, 2);
	assert_string_equal(seen.text, "a,b,");
	lines_done(&lines);
}

static void test_without_end(void **state)
{
	struct lines lines = { .text = NULL };
	struct seen seen = { .text = "" };
	size_t n = LINES_SKIPPED_MAX / LINES_LENGTH_MAX;

	(void)state;
	for (size_t i = 0; i < n; i++)
		fill(&lines, LINES_LENGTH_MAX, &seen);
	assert_true(lines.capacity <= 2 * LINES_LENGTH_MAX);
	assert_int_equal(lines_add(&lines, "x", 1, handler, &seen), -EMSGSIZE);
	assert_int_equal(seen.too_long, 0);
	lines_done(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

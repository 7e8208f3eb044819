// SPDX-License-Identifier: Apache-2.0
/* test_held_text.c - `held` as nearly all consumers write it */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/consumers/held_text.h"

#define HELD "\"type\":\"held\",\"id\":7,\"netns\":5"

/* A copy of exactly its length: what is behind it is not to be read. */
static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	copy = realloc(copy, strlen(text) ? strlen(text) : 1);
	assert_non_null(copy);
	return copy;
}

static void test_what_libraries_write(void **state)
{
	static const char *const texts[] = {
		"{" HELD ",\"protocol\":\"tcp\",\"address\":\"10.0.0.1\","
		"\"port\":80,\"interface\":\"eth0\",\"rule\":\"a b\"}",
		"{ \"rule\" : \"a b\", \"port\": 80,\t\"address\": "
		"\"10.0.0.1\", \"protocol\": \"tcp\",\n" HELD " }",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *text = copy_of(texts[i]);
		struct held_members held = { .port = -1 };

		assert_int_equal(held_text_read(text, strlen(texts[i]), &held),
				 0);
		assert_int_equal(held.id, 7);
		assert_int_equal(held.netns_id, 5);
		assert_int_equal(held.port, 80);
		assert_string_equal(held.protocol, "tcp");
		assert_string_equal(held.address, "10.0.0.1");
		assert_string_equal(held.rule, "a b");
		assert_false(held.draining);
		free(text);
	}
}

static void test_absent_members(void **state)
{
	char text[] = "{" HELD ",\"draining\":true}";
	struct held_members held = { .port = -1 };

	(void)state;
	assert_int_equal(held_text_read(text, strlen(text), &held), 0);
	assert_true(held.draining);
	assert_int_equal(held.port, -1);
	assert_null(held.protocol);
	assert_null(held.address);
	assert_null(held.rule);
}

static void test_likely(void **state)
{
	static const char other[] = "{\"type\":\"released\",\"id\":7}";
	static const char cut[] = "{\"type\":\"held\"";

	(void)state;
	assert_true(held_text_likely("{" HELD "}", strlen(HELD) + 2));
	assert_false(held_text_likely(other, strlen(other)));
	assert_false(held_text_likely(cut, strlen(cut) - 1));
	assert_false(held_text_likely("", 0));
}

static void test_what_is_left_to_jansson(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"{}",
		"[]",
		"{" HELD,
		"{" HELD ",}",
		"{" HELD "}}",
		"{" HELD "}x",
		"{," HELD "}",
		"{" HELD " \"port\":1}",
		/* other messages */
		"{\"type\":\"released\",\"id\":7,\"netns\":5}",
		"{\"type\":\"heldx\",\"id\":7,\"netns\":5}",
		/* something is missing */
		"{\"id\":7,\"netns\":5}",
		"{\"type\":\"held\",\"id\":7}",
		"{\"type\":\"held\",\"netns\":5}",
		/* twice, unknown, or of another kind */
		"{" HELD ",\"id\":7}",
		"{" HELD ",\"later\":1}",
		"{" HELD ",\"port\":\"1\"}",
		"{" HELD ",\"rule\":1}",
		"{" HELD ",\"draining\":1}",
		"{" HELD ",\"rule\":null}",
		"{" HELD ",\"rule\":[]}",
		"{" HELD ",\"rule\":{}}",
		/* numbers */
		"{" HELD ",\"port\":}",
		"{" HELD ",\"port\":01}",
		"{" HELD ",\"port\":-1}",
		"{" HELD ",\"port\":1.0}",
		"{" HELD ",\"port\":1e1}",
		"{" HELD ",\"port\":1234567890123456789}",
		/* strings */
		"{" HELD ",\"rule\":\"\\u0041\"}",
		"{" HELD ",\"rule\":\"\\\"}",
		"{" HELD ",\"rule\":\"\xc3\xa4\"}",
		"{" HELD ",\"rule\":\"\n\"}",
		"{" HELD ",\"rule\":\"\x7f\"}",
		"{" HELD ",\"rule\":\"",
		"{" HELD ",rule:\"a\"}",
		"{" HELD ",\"rule\" \"a\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *text = copy_of(texts[i]);
		struct held_members held;

		assert_int_equal(held_text_read(text, strlen(texts[i]), &held),
				 -EOPNOTSUPP);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_libraries_write),
		cmocka_unit_test(test_absent_members),
		cmocka_unit_test(test_likely),
		cmocka_unit_test(test_what_is_left_to_jansson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

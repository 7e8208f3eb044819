// SPDX-License-Identifier: Apache-2.0
/* test_json_write.c - the text is JSON, and means what was written */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/util.h"
#include "daemon/control/json_write.h"

static void test_same_as_jansson(void **state)
{
	static const char *const cases[] = {
		"{}",
		"[]",
		"null",
		"true",
		"[true,false,null,[],{},[[]]]",
		"[0,-1,10,9223372036854775807,-9223372036854775808]",
		"[1.5,-2.0,1e300]",
		"\"\"",
		"\"a\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3 \x7f\"",
		"\"\\\"quoted\\\\ \\u0001\\u001f\\n\\t\"",
		"{\"a\":1,\"b\":{\"c\":[\"d\",{\"e\":\"f\"}]},\"\":\"\"}",
		"{\"q\\\"\\\\\":\"x\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *json = json_loads(cases[i], JSON_DECODE_ANY, NULL);
		json_t *again;
		char buffer[256];
		size_t len;

		assert_non_null(json);
		len = json_write(json, buffer, sizeof(buffer));
		assert_in_range(len, 1, sizeof(buffer));
		again = json_loadb(buffer, len, JSON_DECODE_ANY, NULL);
		assert_true(json_equal(json, again));
		json_decref(json);
		json_decref(again);
	}
}

/* Too small a buffer is not written over, and told how much is needed. */
static void test_room(void **state)
{
	json_t *json = json_pack("{s:s, s:[i, f, b], s:{s:n}}", "text", "a\"b",
				 "list", -12, 2.5, 1, "object", "n");
	char whole[128], part[128];
	size_t len = json_write(json, whole, sizeof(whole));

	(void)state;
	for (size_t size = 0; size <= len; size++) {
		memset(part, '#', sizeof(part));
		assert_int_equal(json_write(json, part, size), len);
		for (size_t i = size; i < sizeof(part); i++)
			assert_int_equal(part[i], '#');
	}
	assert_memory_equal(part, whole, len);
	json_decref(json);
}

static void test_members(void **state)
{
	json_t *json = json_pack("{s:i, s:[]}", "a", 1, "b");
	char buffer[32];
	size_t len = json_write_members(json, buffer, sizeof(buffer));

	(void)state;
	assert_int_equal(len, strlen("\"a\":1,\"b\":[]"));
	assert_memory_equal(buffer, "\"a\":1,\"b\":[]", len);
	json_object_clear(json);
	assert_int_equal(json_write_members(json, buffer, sizeof(buffer)), 0);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_jansson),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

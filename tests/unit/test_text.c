// SPDX-License-Identifier: Apache-2.0
/* test_text.c - numbers as people read them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "ctl/text.h"

static void test_bytes(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 102348, "99.9 KiB" },
		{ 102400, "100 KiB" },
		{ 1023 * 1000, "999 KiB" },
		{ 1024 * 1000, "1.0 MiB" },
		{ INT64_C(5) << 30, "5.0 GiB" },
		{ INT64_MAX, "8.0 EiB" },
	};
	char buffer[TEXT_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(text_bytes(cases[i].bytes, buffer),
				    cases[i].text);
}

static void test_duration(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
		{ 85200, "85.2 ms" },
		{ 4000000, "4.0 s" },
		{ INT64_C(123000000), "2 min 3 s" },
		{ INT64_C(7200000000), "2 h 0 min" },
		{ INT64_C(442800000000), "5 d 3 h" },
	};
	char buffer[TEXT_DURATION_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(text_duration(cases[i].us, buffer),
				    cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_duration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

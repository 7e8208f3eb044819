// SPDX-License-Identifier: Apache-2.0
/* test_duration.c - durations on berthctl's command line */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/util.h"
#include "ctl/duration.h"

static void test_good(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "500ms", 500 },
		{ "2s", 2000 },
		{ "1m", 60000 },
		{ "1h", 3600000 },
		{ "007s", 7000 },
		{ "90m", 5400000 },
		{ "2147483647h", INT64_C(2147483647) * 3600000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ms = -1;

		assert_int_equal(duration_parse(cases[i].text, &ms), 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void test_bad(void **state)
{
	static const char *const texts[] = {
		"",	      "1",    "s",    "-1s",
		"+1s",	      " 1s",  "1 s",  "1.5s",
		"1d",	      "1sec", "0x1s", "99999999999999999999s",
		"2147483648s"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int64_t ms = -1;

		assert_int_equal(duration_parse(texts[i], &ms), -EINVAL);
		assert_int_equal(ms, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

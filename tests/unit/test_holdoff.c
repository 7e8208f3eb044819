// SPDX-License-Identifier: Apache-2.0
/* test_holdoff.c - pauses before work that others can provoke */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/holdoff.h"
#include "common/util.h"

static void test_pauses(void **state)
{
	static const uint64_t pauses_ms[] = { 0,    100,  200,	400, 800,
					      1600, 3200, 5000, 5000 };
	struct holdoff holdoff = { 0 };
	uint64_t now_us = 1, at_us;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pauses_ms); i++) {
		at_us = holdoff_next(&holdoff, now_us);
		assert_int_equal((at_us - now_us) / USEC_PER_MSEC,
				 pauses_ms[i]);
		now_us = at_us + 1; /* done, and asked for again at once */
	}
	now_us += 9 * USEC_PER_SEC;
	assert_true(holdoff_next(&holdoff, now_us) > now_us);
	now_us += 30 * USEC_PER_SEC;
	assert_int_equal(holdoff_next(&holdoff, now_us), now_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pauses) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

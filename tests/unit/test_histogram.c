// SPDX-License-Identifier: Apache-2.0
/* test_histogram.c - how long something took, counted by fixed limits */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/histogram.h"

static void test_limits(void **state)
{
	(void)state;
	for (size_t i = 1; i < HISTOGRAM_LIMITS; i++)
		assert_true(histogram_limits_us[i - 1] <
			    histogram_limits_us[i]);
}

/* A limit counts what took as long as it says. */
static void test_counts(void **state)
{
	struct histogram histogram = { .sum_us = 0 };
	uint64_t last = histogram_limits_us[HISTOGRAM_LIMITS - 1];

	(void)state;
	histogram_add(&histogram, 0);
	histogram_add(&histogram, histogram_limits_us[0]);
	histogram_add(&histogram, histogram_limits_us[0] + 1);
	histogram_add(&histogram, last);
	histogram_add(&histogram, last + 1);
	assert_int_equal(histogram_upto(&histogram, 0), 2);
	assert_int_equal(histogram_upto(&histogram, 1), 3);
	assert_int_equal(histogram_upto(&histogram, HISTOGRAM_LIMITS - 2), 3);
	assert_int_equal(histogram_upto(&histogram, HISTOGRAM_LIMITS - 1), 4);
	assert_int_equal(histogram_upto(&histogram, HISTOGRAM_LIMITS), 5);
	assert_int_equal(histogram.sum_us,
			 2 * (last + histogram_limits_us[0] + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_lifetime.c - how long clients live, and that they do not end together */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/lifetime.h"
#include "relay/core/serving.h"

#define HOUR_US (3600 * USEC_PER_SEC)
#define CLIENTS 10000u
#define SLOTS 10u

static void test_no_limit(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < 100; number++)
		assert_true(lifetime_us(0, number) == SERVING_NEVER_US);
}

/* Never longer than the rule says, and never shorter than said. */
static void test_bounds(void **state)
{
	static const uint64_t limits[] = {
		USEC_PER_SEC,
		USEC_PER_SEC + 3,
		HOUR_US,
		UINT32_MAX * USEC_PER_MSEC,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		for (uint64_t number = 0; number < CLIENTS; number++) {
			uint64_t length = lifetime_us(limits[i], number);

			assert_in_range(length, limits[i] - limits[i] / 5,
					limits[i]);
			assert_true(length == lifetime_us(limits[i], number));
		}
	}
}

/* Clients number @first, @first + @step and so on end evenly over the time. */
static void assert_even(uint64_t first, uint64_t step)
{
	const uint64_t slot_us = HOUR_US / 5 / SLOTS;
	unsigned int n[SLOTS + 1] = { 0 };

	for (uint64_t i = 0; i < CLIENTS; i++)
		n[(HOUR_US - lifetime_us(HOUR_US, first + i * step)) /
		  slot_us]++;
	for (size_t i = 0; i < SLOTS; i++)
		assert_in_range(n[i], CLIENTS / SLOTS * 9 / 10,
				CLIENTS / SLOTS * 11 / 10);
	assert_int_equal(n[SLOTS], 0);
}

/* Whichever of a worker's clients came together: those of one listener may be
 * each 89th. */
static void test_even(void **state)
{
	static const uint64_t steps[] = { 1, 2, 48, 89, 1024, 1597 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		assert_even(1, steps[i]);
		assert_even(UINT64_C(1) << 40, steps[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

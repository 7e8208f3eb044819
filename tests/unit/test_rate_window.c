// SPDX-License-Identifier: Apache-2.0
/* test_rate_window.c - how much there was in the last so many microseconds */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/rate_window.h"

#define PER 1000u
#define BEGIN 5000u

static void test_counts(void **state)
{
	/* at: behind BEGIN; n: what the last of @times has */
	static const struct {
		unsigned int at;
		unsigned int times;
		unsigned int n;
	} steps[] = {
		{ 0, 4, 4 }, /* a window begins */
		{ 999, 4, 8 },
		{ 1000, 1, 8 }, /* of the one before all but the first count */
		{ 1250, 1, 7 }, /* of 8, three quarters but one */
		{ 1500, 1, 6 },
		{ 1999, 1, 4 }, /* nothing of it */
		{ 2500, 2, 3 }, /* of 4, one half but one */
		{ 3999, 1, 1 },
		{ 6000, 1, 1 }, /* a window begins here */
		{ 6999, 1, 2 },
		{ 7000, 1, 2 },
	};
	struct rate_window window = { 0 };
	uint64_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		for (unsigned int k = 0; k < steps[i].times; k++)
			n = rate_window_add(&window, PER, BEGIN + steps[i].at);
		assert_int_equal(n, steps[i].n);
	}
}

/* A client that is refused millions of times is not served for that. */
static void test_flood(void **state)
{
	const uint64_t day_us = UINT64_C(24) * 3600 * USEC_PER_SEC;
	/* The product of as many as 32 bits hold and of this needs 65 bits, of
	 * which the lower 64 are next to nothing. */
	const uint64_t rest_us = (UINT64_C(1) << 32) + 2;
	struct rate_window window = { .start_us = BEGIN, .now = UINT32_MAX };

	(void)state;
	assert_in_range(rate_window_add(&window, day_us, BEGIN + 1), 1000000,
			UINT32_MAX);
	assert_in_range(rate_window_add(&window, day_us,
					BEGIN + 2 * day_us - rest_us),
			1000000, UINT32_MAX);
	assert_in_range(rate_window_wait_us(&window, 1000000, day_us,
					    BEGIN + 2 * day_us - rest_us),
			rest_us / 2, rest_us);
}

/* Each thread reads the clock for itself. */
static void test_clock_behind(void **state)
{
	struct rate_window window = { 0 };

	(void)state;
	assert_int_equal(rate_window_add(&window, PER, BEGIN), 1);
	assert_int_equal(rate_window_add(&window, PER, BEGIN - 10), 2);
	assert_int_equal(window.start_us, BEGIN);
	assert_int_equal(rate_window_add(&window, PER, BEGIN + PER), 2);
	assert_int_equal(rate_window_add(&window, PER, BEGIN + PER - 1), 3);
	assert_false(rate_window_is_over(&window, PER, BEGIN));
}

/* At an even pace exactly so many pass as the limit says. */
static void test_even_pace(void **state)
{
	struct rate_window window = { 0 };
	unsigned int passed = 0;

	(void)state;
	for (uint64_t at = BEGIN; at < BEGIN + 100 * PER; at += PER / 10)
		passed += rate_window_add(&window, PER, at) <= 10;
	assert_int_equal(passed, 1000);
	/* Those that are refused count: nobody gets through by insisting. */
	passed = 0;
	window = (struct rate_window){ 0 };
	for (uint64_t at = BEGIN; at < BEGIN + 100 * PER; at += PER / 20)
		passed += rate_window_add(&window, PER, at) <= 10;
	assert_int_equal(passed, 10);
}

/* Whatever a client does, in no time of that length twice the limit passes. */
static void test_bound(void **state)
{
	enum { LIMIT = 7, STEPS = 20000, SPAN = 100 };
	static unsigned char passed[STEPS];
	struct rate_window window = { 0 };
	unsigned int in_span = 0;

	(void)state;
	srand(1);
	for (size_t i = 0; i < STEPS; i++) {
		uint64_t at = BEGIN + i * (PER / SPAN);

		/* Bursts, and times of silence, as the limit lets through. */
		for (int k = rand() % 30 == 0 ? rand() % (2 * LIMIT) : 0; k > 0;
		     k--) {
			struct rate_window tried = window;

			if (rate_window_wait_us(&tried, LIMIT, PER, at) == 0) {
				(void)rate_window_add(&window, PER, at);
				passed[i]++;
			}
		}
		in_span += passed[i];
		if (i >= SPAN)
			in_span -= passed[i - SPAN];
		assert_in_range(in_span, 0, 2 * LIMIT);
	}
}

/* After that wait, and not before, one more is within the limit. */
static void test_wait(void **state)
{
	(void)state;
	for (unsigned int limit = 1; limit < 6; limit++) {
		for (unsigned int n = 0; n < 12; n++) {
			for (uint64_t at = 0; at < 2 * PER; at += 37) {
				struct rate_window window = { 0 }, copy;
				uint64_t wait;

				for (unsigned int i = 0; i < n; i++)
					(void)rate_window_add(&window, PER,
							      BEGIN + 11 * i);
				wait = rate_window_wait_us(&window, limit, PER,
							   BEGIN + at + 132);
				copy = window;
				assert_true(rate_window_add(&copy, PER,
							    BEGIN + at + 132 +
								    wait) <=
					    limit);
				copy = window;
				if (wait > 0)
					assert_true(rate_window_add(
							    &copy, PER,
							    BEGIN + at + 132 +
								    wait - 1) >
						    limit);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_clock_behind),
		cmocka_unit_test(test_even_pace),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_backend_health.c - which backend is next */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/backend/backend_health.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

#define NOW_US (100 * USEC_PER_SEC)
#define TIMEOUT_US (5 * USEC_PER_SEC)
#define HELD_US (1 * USEC_PER_SEC) /* after a failure */

static struct serving_backend backends[64];
static struct target_health healths[64];
static struct serving serving = { .backends = backends,
				  .connect_timeout_us = TIMEOUT_US };

static int setup(void **state)
{
	(void)state;
	memset(healths, 0, sizeof(healths));
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		backends[i] = (struct serving_backend){ .health = &healths[i],
							.weight = 1 };
	serving.n_backends = 3;
	return 0;
}

static int pick(uint64_t tried, uint64_t now_us)
{
	return backend_pick(&serving, 0, tried, now_us);
}

static void expect_in_turn(const char *expected, uint64_t now_us)
{
	for (; *expected; expected++)
		assert_int_equal('0' + pick(0, now_us), *expected);
}

static void test_round_robin(void **state)
{
	(void)state;
	expect_in_turn("012012", NOW_US);
}

static void test_single(void **state)
{
	(void)state;
	serving.n_backends = 1;
	expect_in_turn("000", NOW_US);
	backend_failed(&serving, 0, ECONNREFUSED, NOW_US);
	/* There is no other: it is asked each time. */
	expect_in_turn("000", NOW_US);
	assert_int_equal(pick(1, NOW_US), -1);
}

static void test_held_is_skipped(void **state)
{
	(void)state;
	backend_failed(&serving, 1, ECONNREFUSED, NOW_US);
	/* Its turns do not all go to its successor. */
	expect_in_turn("0202", NOW_US);
	expect_in_turn("0202", NOW_US + HELD_US - 1);
	backend_works(&serving, 1);
	expect_in_turn("0120", NOW_US);
}

static void test_only_one_tries_again(void **state)
{
	uint64_t now_us = NOW_US + HELD_US;

	(void)state;
	backend_failed(&serving, 0, ECONNREFUSED, NOW_US);
	expect_in_turn("0121", now_us);
	/* What became of that try? It is over by now, whatever happened. */
	now_us += TIMEOUT_US + HELD_US;
	expect_in_turn("2120", now_us);
	backend_works(&serving, 0);
	expect_in_turn("120120", now_us);
}

static void test_all_held(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		backend_failed(&serving, i, ECONNREFUSED, NOW_US);
	expect_in_turn("012012", NOW_US);
}

static void test_fail_over(void **state)
{
	static const int expected[] = { 0, 2, 1 };
	uint64_t tried = 0;
	int index;

	(void)state;
	backend_failed(&serving, 1, ECONNREFUSED, NOW_US);
	/* The held one comes last, but it comes. */
	for (int i = 0; i < 3; i++) {
		index = pick(tried, NOW_US);
		assert_int_equal(index, expected[i]);
		tried |= UINT64_C(1) << index;
	}
	assert_int_equal(pick(tried, NOW_US), -1);
}

static void test_many(void **state)
{
	uint64_t tried = 0;

	(void)state;
	serving.n_backends = 64;
	for (int i = 0; i < 64; i++) {
		assert_int_equal(pick(tried, NOW_US), i);
		tried |= UINT64_C(1) << i;
	}
	assert_int_equal(pick(tried, NOW_US), -1);
}

static void test_failed_since(void **state)
{
	(void)state;
	assert_false(backend_failed_since(&serving, 1, 0));
	backend_failed(&serving, 1, ECONNREFUSED, NOW_US);
	assert_true(backend_failed_since(&serving, 1, NOW_US - 1));
	assert_false(backend_failed_since(&serving, 1, NOW_US));
	assert_false(backend_failed_since(&serving, 0, 0));
	backend_works(&serving, 1);
	assert_false(backend_failed_since(&serving, 1, NOW_US - 1));
}

static void test_has_other(void **state)
{
	(void)state;
	assert_true(backend_has_other(&serving, 0, NOW_US));
	backend_failed(&serving, 1, ECONNREFUSED, NOW_US);
	assert_true(backend_has_other(&serving, 0, NOW_US));
	backend_failed(&serving, 2, ECONNREFUSED, NOW_US);
	assert_false(backend_has_other(&serving, 0, NOW_US));
	/* Itself is no other one; and a moment later they may be back. */
	assert_true(backend_has_other(&serving, 1, NOW_US));
	assert_true(backend_has_other(&serving, 0, NOW_US + HELD_US));
	serving.n_backends = 1;
	assert_false(backend_has_other(&serving, 0, NOW_US));
}

/* Not even when all others failed. */
static void test_no_weight_no_client(void **state)
{
	(void)state;
	backends[1].weight = 0;
	expect_in_turn("0202", NOW_US);
	assert_int_equal(pick(5, NOW_US), -1);
	assert_true(backend_all_tried(&serving, 5));
	assert_false(backend_all_tried(&serving, 4));
	backend_failed(&serving, 2, ECONNREFUSED, NOW_US);
	assert_false(backend_has_other(&serving, 0, NOW_US));
	backend_failed(&serving, 0, ECONNREFUSED, NOW_US);
	expect_in_turn("0202", NOW_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_robin, setup),
		cmocka_unit_test_setup(test_single, setup),
		cmocka_unit_test_setup(test_held_is_skipped, setup),
		cmocka_unit_test_setup(test_only_one_tries_again, setup),
		cmocka_unit_test_setup(test_all_held, setup),
		cmocka_unit_test_setup(test_fail_over, setup),
		cmocka_unit_test_setup(test_many, setup),
		cmocka_unit_test_setup(test_failed_since, setup),
		cmocka_unit_test_setup(test_has_other, setup),
		cmocka_unit_test_setup(test_no_weight_no_client, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

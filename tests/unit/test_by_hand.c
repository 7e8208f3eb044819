// SPDX-License-Identifier: Apache-2.0
/* test_by_hand.c - what people closed, although a rule wants it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/by_hand.h"

static const struct endpoint web = { .port = 80 };
static const struct endpoint dns = { .port = 53 };

static void test_finds(void **state)
{
	struct by_hand by_hand = { .list = NULL };

	(void)state;
	assert_null(by_hand_find(&by_hand, "a", 1, &web));
	assert_int_equal(by_hand_add(&by_hand, "a", 0, NULL, false), 0);
	assert_int_equal(by_hand_add(&by_hand, NULL, 1, &web, true), 0);
	assert_false(by_hand_find(&by_hand, "a", 2, &dns)->reset);
	assert_true(by_hand_find(&by_hand, "b", 1, &web)->reset);
	assert_null(by_hand_find(&by_hand, "b", 2, &web));
	assert_null(by_hand_find(&by_hand, "b", 1, &dns));
	by_hand_forget(&by_hand, 1);
	assert_null(by_hand_find(&by_hand, "b", 1, &web));
	assert_true(by_hand_remove(&by_hand, "a", 0, NULL));
	assert_false(by_hand_remove(&by_hand, "a", 0, NULL));
	assert_null(by_hand_find(&by_hand, "a", 2, &dns));
}

static void test_bound(void **state)
{
	struct by_hand by_hand = { .list = NULL };
	char rule[16];
	size_t n = 0;
	int r = 0;

	(void)state;
	while (r == 0 && n < 100000) {
		(void)snprintf(rule, sizeof(rule), "%zu", n);
		r = by_hand_add(&by_hand, rule, 0, NULL, false);
		n += r == 0;
	}
	assert_int_equal(r, -ENOSPC);
	/* The same again is no other. */
	assert_int_equal(by_hand_add(&by_hand, "0", 0, NULL, true), 0);
	assert_int_equal(by_hand_clear(&by_hand), n);
	assert_null(by_hand_find(&by_hand, "0", 0, &web));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

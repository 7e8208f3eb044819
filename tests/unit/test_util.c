// SPDX-License-Identifier: Apache-2.0
/* test_util.c - the macros that every layer uses */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"

static void test_take_evaluates_once(void **state)
{
	char a, b;
	char *list[] = { &a, &b };
	int fds[] = { 7, 8 };
	size_t i = 0, k = 0;

	(void)state;
	assert_ptr_equal(TAKE_PTR(list[i++]), &a);
	assert_int_equal(i, 1);
	assert_null(list[0]);
	assert_ptr_equal(list[1], &b);
	assert_int_equal(TAKE_FD(fds[k++]), 7);
	assert_int_equal(k, 1);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[1], 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_evaluates_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

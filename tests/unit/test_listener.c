// SPDX-License-Identifier: Apache-2.0
/* test_listener.c - what the log says of a listener of the relay */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/core/listener.h"

/* Names may have all the marks that the label sets between them. */
static void test_parts_of_label(void **state)
{
	static const struct log_about about = {
		.rule = "a': b in 'c",
		.listener = "tcp [fe80::1%2]:80",
		.netns = "x': y in 'z'",
	};
	struct listener *listener;

	(void)state;
	assert_int_equal(
		listener_new(1, -1, PROTOCOL_TCP, &about, 1, &listener), 0);
	assert_string_equal(listener->label,
			    "rule 'a': b in 'c': tcp [fe80::1%2]:80 in "
			    "'x': y in 'z''");
	assert_string_equal(listener->about.rule, about.rule);
	assert_string_equal(listener->about.listener, about.listener);
	assert_string_equal(listener->about.netns, about.netns);
	assert_null(listener->about.container);
	assert_null(listener_free(listener));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_listener_about.c - what a line about a listener is found by */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/listener.h"

static void test_labels(void **state)
{
	static const struct {
		const char *label, *rule, *listener, *netns;
	} cases[] = {
		{ "rule 'web': tcp 10.0.0.1:80 in 'blue'", "web",
		  "tcp 10.0.0.1:80", "blue" },
		{ "rule 'it's': udp [fe80::1%2]:53 in 'a 'b' c'", "it's",
		  "udp [fe80::1%2]:53", "a 'b' c" },
		{ "rule 'cut': tcp 10.0.0.1:80 in 'bl", NULL, NULL, NULL },
		{ "rule 'cut", NULL, NULL, NULL },
		{ "", NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct listener listener = { .label = (char *)cases[i].label };
		struct listener_about room;
		const struct log_about *about =
			listener_about(&listener, &room);

		if (!cases[i].rule) {
			assert_null(about->rule);
			assert_null(about->netns);
			continue;
		}
		assert_string_equal(about->rule, cases[i].rule);
		assert_string_equal(about->listener, cases[i].listener);
		assert_string_equal(about->netns, cases[i].netns);
		assert_null(about->container);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_labels) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

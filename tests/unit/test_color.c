// SPDX-License-Identifier: Apache-2.0
/* test_color.c - which colour a word has, and when there are colours at all */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "ctl/color.h"

static void test_words(void **state)
{
	static const struct {
		const char *text;
		enum color color;
	} cases[] = {
		{ "listening", COLOR_GOOD },
		{ "refused", COLOR_BAD },
		{ "open, draining", COLOR_GOOD },
		{ "absent (hold)", COLOR_WARNING },
		{ "", COLOR_NONE },
		{ "listenin", COLOR_NONE },
		{ "listenings", COLOR_NONE },
		{ "odd", COLOR_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(color_of_state(cases[i].text), cases[i].color);
}

static void test_sequences(void **state)
{
	(void)state;
	assert_string_equal(color_begin(COLOR_BAD), "");
	assert_int_equal(color_choose("always"), 0);
	assert_int_equal(color_choose("green"), -EINVAL);
	assert_int_equal(color_choose(""), -EINVAL);
	assert_true(color_enabled());
	for (enum color color = COLOR_HEADING; color <= COLOR_FAINT; color++) {
		assert_int_equal(color_begin(color)[0], '\033');
		assert_string_equal(color_end(color), "\033[0m");
	}
	assert_string_equal(color_begin(COLOR_NONE), "");
	assert_string_equal(color_end(COLOR_NONE), "");
	assert_int_equal(color_choose("never"), 0);
	assert_string_equal(color_begin(COLOR_BAD), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

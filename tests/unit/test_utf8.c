// SPDX-License-Identifier: Apache-2.0
/* test_utf8.c - names of any bytes as UTF-8 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8.h"
#include "common/util.h"

static void test_char_len(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ "", 0 },
		{ "a", 1 },
		{ "\x7f", 1 },
		{ "\x80", 0 }, /* a continuation alone */
		{ "\xc1\xbf", 0 }, /* overlong */
		{ "\xc2\x80", 2 },
		{ "\xc3", 0 }, /* cut off */
		{ "\xe0\x9f\xbf", 0 }, /* overlong */
		{ "\xe0\xa0\x80", 3 },
		{ "\xe2\x82", 0 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xed\xa0\x80", 0 }, /* a surrogate */
		{ "\xf0\x8f\xbf\xbf", 0 }, /* overlong */
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_char_len(cases[i].text), cases[i].len);
}

static void test_escape(void **state)
{
	static const struct {
		const char *text, *escaped;
	} cases[] = {
		{ "", "" },
		{ "blue", "blue" },
		{ "b\xc3\xa4r", "b\xc3\xa4r" },
		{ "b\xe4r", "b\\xe4r" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "a\xe2\x82", "a\\xe2\\x82" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *escaped = utf8_escape(cases[i].text);

		assert_string_equal(escaped, cases[i].escaped);
	}
}

static void test_unescape(void **state)
{
	static const struct {
		const char *text, *plain;
	} cases[] = {
		{ "", "" },
		{ "blue", "blue" },
		{ "b\\xe4r", "b\xe4r" },
		{ "\\x1B[m", "\x1b[m" },
		{ "\\xff\\xfe", "\xff\xfe" },
		{ "\\x00", "\\x00" }, /* no name has a NUL */
		{ "\\", "\\" },
		{ "\\x", "\\x" },
		{ "\\x4", "\\x4" },
		{ "\\xg1", "\\xg1" },
		{ "\\\\x41", "\\A" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *plain = utf8_unescape(cases[i].text);

		assert_string_equal(plain, cases[i].plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_char_len),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_unescape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

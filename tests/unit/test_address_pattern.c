// SPDX-License-Identifier: Apache-2.0
/* test_address_pattern.c - lists of addresses and networks */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/address_pattern.h"
#include "common/util.h"

#define LIST_MAX 4

static void test_text(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *shown;
	} cases[] = {
		{ "10.0.0.0/8", 0, "10.0.0.0/8" },
		{ "!10.1.0.0/16", 0, "!10.1.0.0/16" },
		{ "10.0.0.1/32", 0, "10.0.0.1" },
		{ "!FD00:0::1/128", 0, "!fd00::1" },
		{ "0.0.0.0/0", 0, "0.0.0.0/0" },
		{ "::/0", 0, "::/0" },
		{ "::ffff:0:0/95", -EDOM, NULL },
		{ "::fffe:0:0/95", 0, "::fffe:0:0/95" },
		{ "::ffff:0:0/96", -EAFNOSUPPORT, NULL },
		{ "!::ffff:10.0.0.1", -EAFNOSUPPORT, NULL },
		{ "10.0.0.1/8", -EDOM, NULL },
		{ "10.0.0.0/33", -ERANGE, NULL },
		{ "", -EINVAL, NULL },
		{ "!", -EINVAL, NULL },
		{ "!!10.0.0.1", -EINVAL, NULL },
	};
	char text[ADDRESS_PATTERN_TEXT_MAX];
	struct address_pattern pattern;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(address_pattern_parse(cases[i].text, &pattern),
				 cases[i].result);
		if (cases[i].result == 0)
			assert_string_equal(address_pattern_fmt(&pattern, text),
					    cases[i].shown);
	}
}

static size_t make_list(const char *const *texts,
			struct address_pattern *ret_list)
{
	size_t n = 0;

	for (; n < LIST_MAX && texts[n]; n++)
		assert_int_equal(address_pattern_parse(texts[n], &ret_list[n]),
				 0);
	return n;
}

static void test_have(void **state)
{
	static const struct {
		const char *list[LIST_MAX];
		const char *addr;
		bool has;
	} cases[] = {
		{ { NULL }, "10.0.0.1", true },
		{ { "10.0.0.0/8" }, "10.0.0.1", true },
		{ { "10.0.0.0/8" }, "11.0.0.1", false },
		{ { "10.0.0.0/8" }, "fd00::1", false },
		{ { "!10.0.0.0/8" }, "10.0.0.1", false },
		{ { "!10.0.0.0/8" }, "11.0.0.1", true },
		{ { "!10.0.0.0/8" }, "fd00::1", true },
		{ { "10.0.0.0/8", "!10.1.0.0/16" }, "10.0.0.1", true },
		{ { "10.0.0.0/8", "!10.1.0.0/16" }, "10.1.0.1", false },
		{ { "!10.1.0.0/16", "10.0.0.0/8" }, "10.1.0.1", false },
		{ { "!10.0.0.0/8", "10.1.0.0/16" }, "10.1.0.1", false },
		{ { "!10.0.0.0/8", "10.1.0.0/16" }, "192.0.2.1", false },
		{ { "::/0" }, "10.0.0.1", false },
		{ { "0.0.0.0/0" }, "10.0.0.1", true },
		{ { "fe80::/10", "10.0.0.1" }, "fe80::5", true },
		{ { "fe80::/10", "10.0.0.1" }, "10.0.0.2", false },
	};
	struct address_pattern list[LIST_MAX];
	struct ip_addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = make_list(cases[i].list, list);

		assert_int_equal(ip_addr_parse(cases[i].addr, &addr), 0);
		assert_int_equal(address_patterns_have(list, n, &addr),
				 cases[i].has);
	}
}

static void test_equal(void **state)
{
	static const char *const texts[][LIST_MAX] = {
		{ NULL },
		{ "10.0.0.0/8" },
		{ "!10.0.0.0/8" },
		{ "10.0.0.0/9" },
		{ "11.0.0.0/8" },
		{ "10.0.0.0/8", "fd00::1" },
		{ "fd00::1", "10.0.0.0/8" },
	};
	struct address_pattern a[LIST_MAX], b[LIST_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
			size_t n_a = make_list(texts[i], a);
			size_t n_b = make_list(texts[k], b);

			assert_int_equal(address_patterns_equal(a, n_a, b, n_b),
					 i == k);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_have),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

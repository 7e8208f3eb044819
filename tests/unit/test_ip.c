// SPDX-License-Identifier: Apache-2.0
/* test_ip.c - addresses and prefixes as values */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/util.h"

static void test_prefix_parse(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint8_t bits;
	} cases[] = {
		{ "10.0.0.0/8", 0, 8 },	       { "10.0.0.1", 0, 32 },
		{ "fd00::/8", 0, 8 },	       { "::1", 0, 128 },
		{ "0.0.0.0/0", 0, 0 },	       { "10.0.0.1/8", -EDOM, 0 },
		{ "10.0.0.0/33", -ERANGE, 0 }, { "::/129", -ERANGE, 0 },
		{ "10.0.0.0/", -EINVAL, 0 },   { "10.0.0.0/+8", -EINVAL, 0 },
		{ "10.0.0/8", -EINVAL, 0 },    { "", -EINVAL, 0 },
		{ "fd00::/ 8", -EINVAL, 0 },   { "10.0.0.0/8888", -EINVAL, 0 },
	};
	struct ip_prefix prefix;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ip_prefix_parse(cases[i].text, &prefix),
				 cases[i].result);
		if (cases[i].result == 0)
			assert_int_equal(prefix.bits, cases[i].bits);
	}
}

static void test_prefix_contains(void **state)
{
	static const struct {
		const char *prefix, *addr;
		int inside;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", 1 },
		{ "10.0.0.0/8", "11.0.0.0", 0 },
		{ "10.128.0.0/9", "10.127.255.255", 0 },
		{ "10.128.0.0/9", "10.128.0.0", 1 },
		{ "0.0.0.0/0", "::1", 0 },
		{ "::/0", "::1", 1 },
		{ "fe80::/10", "febf::1", 1 },
		{ "fe80::/10", "fec0::1", 0 },
	};
	struct ip_prefix prefix;
	struct ip_addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ip_prefix_parse(cases[i].prefix, &prefix), 0);
		assert_int_equal(ip_addr_parse(cases[i].addr, &addr), 0);
		assert_int_equal(ip_prefix_contains(&prefix, &addr),
				 cases[i].inside);
	}
}

static void test_sockaddr_round_trip(void **state)
{
	static const char *const texts[] = { "192.0.2.1", "2001:db8::1" };
	struct sockaddr_storage sa;
	struct ip_addr addr, back;
	char text[IP_TEXT_MAX];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(ip_addr_parse(texts[i], &addr), 0);
		(void)ip_addr_to_sockaddr(&addr, 36412, 0, &sa);
		assert_int_equal(ip_addr_from_sockaddr(&sa, &back, &port), 0);
		assert_true(ip_addr_equal(&addr, &back));
		assert_int_equal(port, 36412);
		assert_string_equal(ip_addr_fmt(&back, text), texts[i]);
	}
}

static void test_mapped_becomes_ipv4(void **state)
{
	struct sockaddr_storage sa;
	struct ip_addr addr;
	char text[IP_TEXT_MAX];

	(void)state;
	assert_int_equal(ip_addr_parse("::ffff:192.0.2.7", &addr), 0);
	(void)ip_addr_to_sockaddr(&addr, 1, 0, &sa);
	assert_int_equal(ip_addr_from_sockaddr(&sa, &addr, NULL), 0);
	assert_string_equal(ip_addr_fmt(&addr, text), "192.0.2.7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_prefix_contains),
		cmocka_unit_test(test_sockaddr_round_trip),
		cmocka_unit_test(test_mapped_becomes_ipv4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

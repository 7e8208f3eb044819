// SPDX-License-Identifier: Apache-2.0
/* test_stand_in.c - whose address a socket may have towards a backend */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/stand_in.h"
#include "common/util.h"

static void test_check(void **state)
{
	static const struct {
		const char *client;
		int family;
		int expected;
	} cases[] = {
		{ "10.0.0.1", AF_INET, 0 },
		{ "169.254.1.1", AF_INET, 0 },
		{ "10.0.0.1", AF_INET6, -EAFNOSUPPORT },
		{ "fd00::1", AF_INET6, 0 },
		{ "fd00::1", AF_INET, -EAFNOSUPPORT },
		{ "::2", AF_INET6, 0 },
		/* somebody else in each namespace */
		{ "127.0.0.1", AF_INET, -EADDRNOTAVAIL },
		{ "127.255.0.1", AF_INET, -EADDRNOTAVAIL },
		{ "::1", AF_INET6, -EADDRNOTAVAIL },
		{ "fe80::1", AF_INET6, -EADDRNOTAVAIL },
		{ "::ffff:127.0.0.1", AF_INET6, -EADDRNOTAVAIL },
		{ "::ffff:10.0.0.1", AF_INET6, -EADDRNOTAVAIL },
		/* a group */
		{ "224.0.0.251", AF_INET, -EADDRNOTAVAIL },
		{ "255.255.255.255", AF_INET, -EADDRNOTAVAIL },
		{ "ff02::fb", AF_INET6, -EADDRNOTAVAIL },
		/* anybody */
		{ "0.0.0.0", AF_INET, -EADDRNOTAVAIL },
		{ "::", AF_INET6, -EADDRNOTAVAIL },
	};
	static const struct ip_addr unknown = { .family = AF_UNSPEC };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr client;

		assert_int_equal(ip_addr_parse(cases[i].client, &client), 0);
		assert_int_equal(stand_in_check(&client, cases[i].family),
				 cases[i].expected);
	}
	assert_int_equal(stand_in_check(&unknown, AF_INET), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

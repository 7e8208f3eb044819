// SPDX-License-Identifier: Apache-2.0
/* test_backend.c - backends as text */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/backend.h"
#include "common/ip.h"
#include "common/util.h"

static void test_accepted(void **state)
{
	static const struct {
		const char *text;
		enum backend_scheme scheme;
		const char *addr;
		uint16_t port;
	} cases[] = {
		{ "127.0.0.1:53", BACKEND_SAME, "127.0.0.1", 53 },
		{ "[::1]:65535", BACKEND_SAME, "::1", 65535 },
		{ "tcp://10.0.0.1:1", BACKEND_TCP, "10.0.0.1", 1 },
		{ "udp://[2001:db8::1]:53", BACKEND_UDP, "2001:db8::1", 53 },
		{ "sctp://192.0.2.10:36412", BACKEND_SCTP, "192.0.2.10",
		  36412 },
	};
	struct backend backend;
	struct ip_addr addr;
	char text[IP_TEXT_MAX];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(backend_parse(cases[i].text, &backend, NULL),
				 0);
		assert_int_equal(backend.scheme, cases[i].scheme);
		assert_int_equal(ip_addr_from_sockaddr(&backend.address, &addr,
						       &port),
				 0);
		assert_string_equal(ip_addr_fmt(&addr, text), cases[i].addr);
		assert_int_equal(port, cases[i].port);
	}
}

static void test_unix(void **state)
{
	char longest[5 + 107 + 2] = "unix:/";
	const struct sockaddr_un *un;
	struct backend backend;

	(void)state;
	assert_int_equal(backend_parse("unix:/run/x.sock", &backend, NULL), 0);
	un = (const struct sockaddr_un *)&backend.address;
	assert_int_equal(un->sun_family, AF_UNIX);
	assert_string_equal(un->sun_path, "/run/x.sock");
	memset(longest + 6, 'p', 106);
	assert_int_equal(backend_parse(longest, &backend, NULL), 0);
	longest[5 + 107] = 'p';
	assert_int_equal(backend_parse(longest, &backend, NULL), -EINVAL);
}

static void test_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:+1",
		"127.0.0.1: 1",
		"::1:80",
		"[::1]80",
		"[::1]",
		"[127.0.0.1]:80",
		"localhost:80",
		"http://1.2.3.4:5",
		"unix:relative",
		"unix:",
	};
	struct backend backend;
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		problem = NULL;
		assert_int_equal(backend_parse(cases[i], &backend, &problem),
				 -EINVAL);
		assert_non_null(problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
#include "common/backend_source.h"
#include "common/ip.h"
#include "common/util.h"

static void test_accepted(void **state)
{
	static const struct {
		const char *text;
		enum scheme scheme;
		const char *addr;
		uint16_t port;
	} cases[] = {
		{ "127.0.0.1:53", SCHEME_NONE, "127.0.0.1", 53 },
		{ "[::1]:65535", SCHEME_NONE, "::1", 65535 },
		{ "tcp://10.0.0.1:1", SCHEME_TCP, "10.0.0.1", 1 },
		{ "udp://[2001:db8::1]:53", SCHEME_UDP, "2001:db8::1", 53 },
		{ "sctp://192.0.2.10:36412", SCHEME_SCTP, "192.0.2.10", 36412 },
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

static void test_several_addresses(void **state)
{
	static const struct {
		const char *text;
		int family; /* of a socket to all of them */
		size_t n;
		const char *addrs[SCTP_ADDRS_MAX];
	} cases[] = {
		{ "sctp://[10.0.0.1,10.1.0.1]:80",
		  AF_INET,
		  2,
		  { "10.0.0.1", "10.1.0.1" } },
		{ "sctp://[10.0.0.1,fd00::1]:80",
		  AF_INET6,
		  2,
		  { "10.0.0.1", "fd00::1" } },
		{ "sctp://[::1,::2,::3,::4,::5,::6,::7,::8]:80",
		  AF_INET6,
		  8,
		  { "::1", "::2", "::3", "::4", "::5", "::6", "::7", "::8" } },
	};
	struct backend backend;
	char text[IP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(backend_parse(cases[i].text, &backend, NULL),
				 0);
		assert_int_equal(backend.scheme, SCHEME_SCTP);
		assert_int_equal(backend.address.ss_family, cases[i].family);
		assert_int_equal(backend.addrs.port, 80);
		assert_int_equal(backend.addrs.n, cases[i].n);
		for (size_t j = 0; j < cases[i].n; j++)
			assert_string_equal(ip_addr_fmt(&backend.addrs.addrs[j],
							text),
					    cases[i].addrs[j]);
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
		"[fe80::1%lo]:80",
		"[fe80::1%1]:80",
		"localhost:80",
		"http://1.2.3.4:5",
		"sctp://[10.0.0.1]:80",
		"sctp://10.0.0.1,10.0.0.2:80",
		"[10.0.0.1,10.0.0.2]:80",
		"tcp://[10.0.0.1,10.0.0.2]:80",
		"sctp://[10.0.0.1,10.0.0.1]:80",
		"sctp://[10.0.0.1,]:80",
		"sctp://[,10.0.0.1]:80",
		"sctp://[10.0.0.1,b]:80",
		"sctp://[10.0.0.1, 10.0.0.2]:80",
		"sctp://[10.0.0.1,10.0.0.2]",
		"sctp://[10.0.0.1,10.0.0.2:80",
		"sctp://[10.0.0.1],10.0.0.2:80",
		"sctp://[10.0.0.1,10.0.0.2]:0",
		"sctp://[::1,::2,::3,::4,::5,::6,::7,::8,::9]:80",
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

static void test_sources(void **state)
{
	static const struct {
		const char *text;
		uint16_t port;
		uint8_t family;
	} cases[] = {
		{ "10.0.0.1", 0, AF_INET },
		{ "127.0.0.2", 0, AF_INET },
		{ "10.0.0.1:1", 1, AF_INET },
		{ "fd00::1", 0, AF_INET6 },
		{ "[fd00::1]:65535", 65535, AF_INET6 },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", 65535,
		  AF_INET6 },
	};
	char text[BACKEND_SOURCE_TEXT_MAX];
	struct backend_source source;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			backend_source_parse(cases[i].text, &source, NULL), 0);
		assert_int_equal(source.port, cases[i].port);
		assert_int_equal(source.addr.family, cases[i].family);
		assert_string_equal(backend_source_fmt(&source, text),
				    cases[i].text);
	}
}

/* The texts of problems: tests/unit/rules/67-from. */
static void test_sources_refused(void **state)
{
	static const char *const cases[] = {
		"",	      "eth0",	      "0.0.0.0",    "::",
		"fe80::1",    "224.0.0.1",    "ff02::1",    "255.255.255.255",
		"10.0.0.1:0", "10.0.0.1/32",  "[10.0.0.1]", "[fd00::1]",
		"fd00::1%1",  "[0.0.0.0]:80", "10.0.0.1:",  "::ffff:10.0.0.1",
	};
	struct backend_source source;
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		problem = NULL;
		assert_int_equal(backend_source_parse(cases[i], &source,
						      &problem),
				 -EINVAL);
		assert_non_null(problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_sources_refused),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_several_addresses),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

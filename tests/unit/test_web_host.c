// SPDX-License-Identifier: Apache-2.0
/* test_web_host.c - which names requests may call berth-web by */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "web/host.h"

static const char *const names[] = { "berth.example.org", "www" };

static const struct {
	const char *host;
	bool allowed;
} hosts[] = {
	{ "localhost", true },
	{ "LocalHost:10390", true },
	{ "localhost.", true },
	{ "localhost:", true },
	{ "127.0.0.1", true },
	{ "127.0.0.1:80", true },
	{ "192.0.2.1:80", true },
	{ "[::1]", true },
	{ "[::1]:10390", true },
	{ "[fd00::1]:1", true },
	{ "berth.example.org", true },
	{ "BERTH.example.org.:443", true },
	{ "www:1", true },
	{ NULL, false },
	{ "", false },
	{ ":80", false },
	{ ".", false },
	{ "evil.example", false },
	{ "localhost.evil.example", false },
	{ "127.0.0.1.evil.example", false },
	{ "evil.example:127.0.0.1", false },
	{ "localhost:80@evil.example", false },
	{ "localhost:80:80", false },
	{ "localhost evil.example", false },
	{ "localhost,evil.example", false },
	{ "2130706433", false },
	{ "0x7f.1", false },
	{ "127.1", false },
	{ "::1", false },
	{ "[::1", false },
	{ "[::1]x", false },
	{ "[::1]:8x", false },
	{ "[]", false },
	{ "[127.0.0.1]", false },
	{ "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]", false },
	{ "berth.example", false },
	{ "xwww", false },
};

static void test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		if (host_allowed(hosts[i].host, names, ARRAY_SIZE(names)) !=
		    hosts[i].allowed)
			fail_msg("'%s'",
				 hosts[i].host ? hosts[i].host : "(none)");
	}
	assert_false(host_allowed("www", NULL, 0));
}

/* One of the longest names, and one that is longer. */
static void test_long(void **state)
{
	char host[300];

	(void)state;
	for (size_t len = 250; len < sizeof(host) - 1; len++) {
		for (size_t i = 0; i < len; i++)
			host[i] = 'a';
		host[len] = '\0';
		assert_false(host_allowed(host, names, ARRAY_SIZE(names)));
		assert_int_equal(host_name_valid(host), len <= 253);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_true(host_name_valid("a"));
	assert_true(host_name_valid("A-1.b_c"));
	assert_false(host_name_valid(""));
	assert_false(host_name_valid("a."));
	assert_false(host_name_valid("a:80"));
	assert_false(host_name_valid("http://a"));
	assert_false(host_name_valid("a b"));
	assert_false(host_name_valid("*"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

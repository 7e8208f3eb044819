// SPDX-License-Identifier: Apache-2.0
/* test_plan_interfaces.c - an address that several interfaces have */
#include "plan_fixture.h"

#define BOUND80 \
	"{protocol: tcp, port: 80, address: each, interface_bound: true}"

/* Addresses that two interfaces have; IPv4 knows one twice on an interface. */
static const struct address doubled[] = {
	{ 2, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 3, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 2, "fe80::1", RT_SCOPE_LINK, IFA_F_PERMANENT },
	{ 2, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 3, "fe80::1", RT_SCOPE_LINK, IFA_F_PERMANENT },
};

static const struct {
	const char *title, *yaml, *wanted;
} doubled_cases[] = {
	{ "not bound", RULES RULE("a", "scope: [global, link]", EACH80),
	  "tcp 10.0.0.1:80 a on eth0\ntcp [fe80::1%2]:80 a on eth0\n"
	  "tcp [fe80::1%3]:80 a on eth1\n" },
	{ "bound", RULES RULE("a", "scope: [global, link]", BOUND80),
	  "tcp 10.0.0.1%2:80 a on eth0\ntcp 10.0.0.1%3:80 a on eth1\n"
	  "tcp [fe80::1%2]:80 a on eth0\ntcp [fe80::1%3]:80 a on eth1\n" },
	{ "bound by two rules",
	  RULES RULE("a", "interface: eth1", BOUND80)
		  RULE("b", "family: ipv4", BOUND80),
	  "tcp 10.0.0.1%3:80 a on eth1\ntcp 10.0.0.1%2:80 b on eth0\n"
	  "shadow tcp 10.0.0.1%3:80 b < a same\n" },
	{ "bound, then not bound",
	  RULES RULE("a", "interface: eth1, scope: [global, link]", BOUND80)
		  RULE("b", "scope: [global, link]", EACH80),
	  "tcp 10.0.0.1%3:80 a on eth1\ntcp [fe80::1%3]:80 a on eth1\n"
	  "tcp [fe80::1%2]:80 b on eth0\nshadow tcp 10.0.0.1:80 b < a\n"
	  "shadow tcp [fe80::1%3]:80 b < a\n" },
	{ "not bound, then bound",
	  RULES RULE("a", "interface: eth1", EACH80) RULE("b", "", BOUND80),
	  "tcp 10.0.0.1:80 a on eth1\nshadow tcp 10.0.0.1%2:80 b < a\n"
	  "shadow tcp 10.0.0.1%3:80 b < a\n" },
	{ "bound, then a wildcard",
	  RULES RULE("a", "interface: eth1", BOUND80) RULE("b", "", ANY80),
	  "tcp 10.0.0.1%3:80 a on eth1\nshadow tcp *:80 b < a\n" },
	{ "a wildcard, then bound",
	  RULES RULE("a", "", ANY80) RULE("b", "interface: eth1", BOUND80),
	  "tcp *:80 a\nshadow tcp 10.0.0.1%3:80 b < a\n" },
	{ "all, then bound",
	  RULES RULE("a", "", "{protocol: sctp, port: 80, address: all}")
		  RULE("b", "",
		       "{protocol: sctp, port: 80, address: each, "
		       "interface_bound: true}"),
	  "sctp all:80 a = 10.0.0.1\nshadow sctp 10.0.0.1%2:80 b < a\n"
	  "shadow sctp 10.0.0.1%3:80 b < a\n" },
	{ "bound, then all",
	  RULES RULE("a", "interface: eth1",
		     "{protocol: sctp, port: 80, address: each, "
		     "interface_bound: true}")
		  RULE("b", "", "{protocol: sctp, port: 80, address: all}"),
	  "sctp 10.0.0.1%3:80 a on eth1\nshadow sctp all:80 b < a\n" },
};

static void test_address_of_two_interfaces(void **state)
{
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(doubled_cases); i++) {
		fixture_init(&f, doubled_cases[i].yaml, "/n/blue");
		set_addresses(&f, doubled, ARRAY_SIZE(doubled));
		check_plan(&f, 10, doubled_cases[i].wanted,
			   doubled_cases[i].title);
		fixture_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_of_two_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_plan.c - from (rules, namespace) to wanted listeners */
#include "plan_fixture.h"

static const struct address usual[] = {
	{ 1, "127.0.0.1", RT_SCOPE_HOST, IFA_F_PERMANENT },
	{ 1, "::1", RT_SCOPE_HOST, IFA_F_PERMANENT },
	{ 2, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 2, "fd00::1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 2, "fe80::1", RT_SCOPE_LINK, IFA_F_PERMANENT },
	{ 3, "192.0.2.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 3, "fe80::1", RT_SCOPE_LINK, IFA_F_PERMANENT },
};

/* Which namespaces: no addresses are needed. */
static const struct {
	const char *title, *match, *names;
	int matches;
} namespace_cases[] = {
	{ "no condition", "", "/n/blue", 1 },
	{ "no condition, no name", "", NULL, 0 },
	{ "no condition, host", "", "host", 0 },
	{ "host with a name", "namespace: '*'", "host /n/blue", 0 },
	{ "glob", "namespace: 'b*'", "/n/blue", 1 },
	{ "glob fails", "namespace: 'r*'", "/n/blue", 0 },
	{ "exact", "namespace: blue", "/n/blue", 1 },
	{ "exact is whole", "namespace: blu", "/n/blue", 0 },
	{ "list", "namespace: [red, blue]", "/n/blue", 1 },
	{ "negated", "namespace: ['*', '!blue']", "/n/blue", 0 },
	{ "negated first", "namespace: ['!blue', '*']", "/n/blue", 0 },
	{ "negated other", "namespace: ['*', '!red']", "/n/blue", 1 },
	{ "second name", "namespace: red", "/n/blue /n/red", 1 },
	{ "negation is per name", "namespace: ['*', '!blue']", "/n/blue /n/red",
	  1 },
	{ "regex", "namespace: '/b.*e/'", "/n/blue", 1 },
	{ "regex is anchored", "namespace: '/lu/'", "/n/blue", 0 },
	{ "directory", "directory: /n", "/n/blue", 1 },
	{ "directory with slash", "directory: /n/", "/n/blue", 1 },
	{ "directory is whole", "directory: /n", "/nn/blue", 0 },
	{ "other directory", "directory: [/m, /o]", "/n/blue", 0 },
	{ "directory and name of one name", "directory: /n, namespace: red",
	  "/n/blue /m/red", 0 },
	{ "directory and name", "directory: /m, namespace: red",
	  "/n/blue /m/red", 1 },
	{ "host alone", "host: true", "host", 1 },
	{ "host alone, other", "host: true", "/n/blue", 0 },
	{ "host and names, host", "host: true, namespace: 'b*'", "host", 1 },
	{ "host and names, name", "host: true, namespace: 'b*'", "/n/blue", 1 },
	{ "host and names, other", "host: true, namespace: 'b*'", "/n/red", 0 },
	{ "host: false", "host: false", "host", 0 },
	{ "host: false, other", "host: false", "/n/blue", 1 },
};

static void test_namespaces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(namespace_cases); i++) {
		char yaml[TEXT_SIZE];
		struct fixture f;
		char *reason;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("a", "%s", ANY80),
			       namespace_cases[i].match);
		fixture_init(&f, yaml, namespace_cases[i].names);
		check_plan(&f, 10,
			   namespace_cases[i].matches ? "tcp *:80 a\n" : "",
			   namespace_cases[i].title);
		assert_int_equal(plan_explain(f.ruleset, 0, &f.netns, &reason),
				 namespace_cases[i].matches);
		free(reason);
		fixture_done(&f);
	}
}

static const struct plan_case {
	const char *title, *yaml, *wanted;
	size_t max;
} plan_cases[] = {
	{ "each, default scope", RULES RULE("a", "", EACH80),
	  "tcp 127.0.0.1:80 a on lo\ntcp [::1]:80 a on lo\n"
	  "tcp 10.0.0.1:80 a on eth0\ntcp [fd00::1]:80 a on eth0\n"
	  "tcp 192.0.2.1:80 a on eth1\n",
	  10 },
	{ "each, link scope", RULES RULE("a", "scope: link", EACH80),
	  "tcp [fe80::1%2]:80 a on eth0\ntcp [fe80::1%3]:80 a on eth1\n", 10 },
	{ "each, two scopes, interface",
	  RULES RULE("a", "scope: [link, global], interface: 'eth*'", EACH80),
	  "tcp 10.0.0.1:80 a on eth0\ntcp [fd00::1]:80 a on eth0\n"
	  "tcp [fe80::1%2]:80 a on eth0\ntcp 192.0.2.1:80 a on eth1\n"
	  "tcp [fe80::1%3]:80 a on eth1\n",
	  10 },
	{ "each, all conditions",
	  RULES RULE("a",
		     "interface: [eth0, eth1], address: "
		     "[0.0.0.0/0, '!192.0.2.0/24'], family: ipv4, "
		     "scope: global",
		     EACH80),
	  "tcp 10.0.0.1:80 a on eth0\n", 10 },
	{ "any with a condition that holds",
	  RULES RULE("a", "address: fd00::/8", ANY80), "tcp *:80 a\n", 10 },
	{ "any with a condition that fails",
	  RULES RULE("a", "address: fd01::/16", ANY80), "", 10 },
	{ "wildcards",
	  RULES RULE("a", "",
		     "{protocol: udp, port: 5, address: any4}, "
		     "{protocol: udp, port: 5, address: any6}"),
	  "udp 0.0.0.0:5 a\nudp [::]:5 a\n", 10 },
	{ "literals",
	  RULES RULE("a", "",
		     "{protocol: tcp, port: 5, address: "
		     "[10.9.9.9, 'fd09::9']}, {protocol: tcp, "
		     "port: 6, address: 0.0.0.0}"),
	  "tcp 10.9.9.9:5 a freebind\ntcp [fd09::9]:5 a freebind\n"
	  "tcp 0.0.0.0:6 a\n",
	  10 },
	{ "ports and protocols",
	  RULES RULE("a", "", "{protocol: [udp, tcp], port: [7, 65534-65535]}"),
	  "udp *:7 a\nudp *:65534 a\nudp *:65535 a\n"
	  "tcp *:7 a\ntcp *:65534 a\ntcp *:65535 a\n",
	  10 },
	{ "all",
	  RULES RULE("a", "interface: 'eth*', scope: [global, link]",
		     "{protocol: sctp, port: 9, address: all}"),
	  "sctp all:9 a = 10.0.0.1,fd00::1,192.0.2.1\n", 10 },
	{ "all, nothing matches",
	  RULES RULE("a", "interface: 'wlan*'",
		     "{protocol: sctp, port: 9, address: all}"),
	  "", 10 },
	{ "all, only link-local",
	  RULES RULE("a", "scope: link",
		     "{protocol: sctp, port: 9, address: all}"),
	  "", 10 },
	{ "same endpoint", RULES RULE("a", "", ANY80) RULE("b", "", ANY80),
	  "tcp *:80 a\nshadow tcp *:80 b < a same\n", 10 },
	{ "same address",
	  RULES RULE("a", "interface: eth0, family: ipv4", EACH80)
		  RULE("b", "address: 10.0.0.0/8", EACH80),
	  "tcp 10.0.0.1:80 a on eth0\nshadow tcp 10.0.0.1:80 b < a same\n",
	  10 },
	{ "wildcard before addresses",
	  RULES RULE("a", "", ANY80)
		  RULE("b", "interface: eth0, family: ipv4", EACH80),
	  "tcp *:80 a\nshadow tcp 10.0.0.1:80 b < a\n", 10 },
	{ "addresses before wildcard",
	  RULES RULE("b", "interface: eth0, family: ipv4", EACH80)
		  RULE("a", "", ANY80),
	  "tcp 10.0.0.1:80 b on eth0\nshadow tcp *:80 a < b\n", 10 },
	{ "IPv6 wildcard and IPv4 address are no conflict",
	  RULES RULE("a", "", "{protocol: tcp, port: 80, address: any6}")
		  RULE("b", "interface: eth0, family: ipv4", EACH80),
	  "tcp [::]:80 a\ntcp 10.0.0.1:80 b on eth0\n", 10 },
	{ "IPv4 wildcard before any",
	  RULES RULE("a", "", "{protocol: tcp, port: 80, address: any4}")
		  RULE("b", "", ANY80),
	  "tcp 0.0.0.0:80 a\nshadow tcp *:80 b < a\n", 10 },
	{ "any before IPv6 wildcard",
	  RULES RULE("a", "", ANY80)
		  RULE("b", "", "{protocol: tcp, port: 80, address: any6}"),
	  "tcp *:80 a\nshadow tcp [::]:80 b < a\n", 10 },
	{ "tcp and mptcp are one",
	  RULES RULE("a", "", ANY80)
		  RULE("b", "", "{protocol: mptcp, port: 80}"),
	  "tcp *:80 a\nshadow mptcp *:80 b < a\n", 10 },
	{ "tcp and mptcp on one address are one",
	  RULES RULE("a", "", "{protocol: mptcp, port: 80, address: 10.1.1.1}")
		  RULE("b", "", "{protocol: tcp, port: 80, address: 10.1.1.1}"),
	  "mptcp 10.1.1.1:80 a freebind\nshadow tcp 10.1.1.1:80 b < a\n", 10 },
	{ "tcp, udp, sctp are three",
	  RULES RULE("a", "", "{protocol: [tcp, udp, sctp], port: 80}"),
	  "tcp *:80 a\nudp *:80 a\nsctp *:80 a\n", 10 },
	{ "the SCTP styles are one",
	  RULES RULE("a", "", "{protocol: [sctp, sctp-seqpacket], port: 80}"),
	  "sctp *:80 a\nshadow sctp-seqpacket *:80 a < a\n", 10 },
	{ "all before one of its addresses",
	  RULES RULE("a", "interface: eth0",
		     "{protocol: sctp, port: 9, address: all}")
		  RULE("b", "",
		       "{protocol: sctp, port: 9, address: [10.0.0.1, "
		       "10.0.0.2]}"),
	  "sctp all:9 a = 10.0.0.1,fd00::1\nsctp 10.0.0.2:9 b freebind\n"
	  "shadow sctp 10.0.0.1:9 b < a\n",
	  10 },
	{ "one of its addresses before all",
	  RULES RULE("b", "", "{protocol: sctp, port: 9, address: fd00::1}")
		  RULE("a", "interface: eth0",
		       "{protocol: sctp, port: 9, address: all}"),
	  "sctp [fd00::1]:9 b freebind\nshadow sctp all:9 a < b\n", 10 },
	{ "two on all",
	  RULES RULE("a", "interface: eth0",
		     "{protocol: sctp, port: 9, address: all}")
		  RULE("b", "interface: eth1",
		       "{protocol: sctp, port: 9, address: all}"),
	  "sctp all:9 a = 10.0.0.1,fd00::1\nshadow sctp all:9 b < a same\n",
	  10 },
	{ "wildcard before all",
	  RULES RULE("a", "", "{protocol: sctp, port: 9, address: any4}")
		  RULE("b", "", "{protocol: sctp, port: 9, address: all}"),
	  "sctp 0.0.0.0:9 a\nshadow sctp all:9 b < a\n", 10 },
	{ "all before wildcard",
	  RULES RULE("b", "interface: eth1",
		     "{protocol: sctp, port: 9, address: all}")
		  RULE("a", "", "{protocol: sctp, port: 9, address: any6}")
			  RULE("c", "",
			       "{protocol: sctp, port: 9, address: any4}"),
	  "sctp all:9 b = 192.0.2.1\nsctp [::]:9 a\n"
	  "shadow sctp 0.0.0.0:9 c < b\n",
	  10 },
	{ "limit", RULES RULE("a", "", EACH80) RULE("b", "", EACH80),
	  "tcp 127.0.0.1:80 a on lo\ntcp [::1]:80 a on lo\nomitted 8\n", 2 },
	{ "limit over ports",
	  RULES RULE("a", "", "{protocol: udp, port: 1-65535}"),
	  "udp *:1 a\nomitted 65534\n", 1 },
	{ "limit of nothing", RULES RULE("a", "", ANY80), "omitted 1\n", 0 },
	{ "templates",
	  RULES TO("a", "interface: eth0, address: [10.0.0.0/8, 'fd00::/8']",
		   EACH80,
		   "['unix:/r/${namespace}/${interface}/${address}.${port}', "
		   "'127.0.0.1:${port}', 'tcp://${address}:1']"),
	  "tcp 10.0.0.1:80 a on eth0 -> unix:/r/blue/eth0/10.0.0.1.80,"
	  "127.0.0.1:80,tcp://10.0.0.1:1\n"
	  "tcp [fd00::1]:80 a on eth0 -> unix:/r/blue/eth0/fd00::1.80,"
	  "127.0.0.1:80,tcp://[fd00::1]:1\n",
	  10 },
	{ "template of a literal",
	  RULES TO("a", "", "{protocol: tcp, port: 1-2, address: 'fd00::9'}",
		   "'[${address}]:${port}'"),
	  "tcp [fd00::9]:1 a freebind -> [fd00::9]:1\n"
	  "tcp [fd00::9]:2 a freebind -> [fd00::9]:2\n",
	  10 },
};

static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plan_cases); i++) {
		struct fixture f;

		fixture_init(&f, plan_cases[i].yaml, "/n/blue");
		set_addresses(&f, usual, ARRAY_SIZE(usual));
		check_plan(&f, plan_cases[i].max, plan_cases[i].wanted,
			   plan_cases[i].title);
		fixture_done(&f);
	}
}

static void test_unusable_addresses(void **state)
{
	static const struct address list[] = {
		{ 2, "fd00::1", RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE },
		{ 2, "fd00::2", RT_SCOPE_UNIVERSE, IFA_F_DADFAILED },
		{ 2, "fd00::3", RT_SCOPE_UNIVERSE,
		  IFA_F_TENTATIVE | IFA_F_OPTIMISTIC },
		{ 2, "fd00::4", RT_SCOPE_UNIVERSE, IFA_F_DEPRECATED },
		{ 2, "fd00::5", RT_SCOPE_NOWHERE, 0 },
		{ 2, "fd00::6", RT_SCOPE_SITE, 0 },
		{ 3, "fd00::6", RT_SCOPE_SITE, 0 },
		{ 9, "fd00::7", RT_SCOPE_UNIVERSE, 0 },
	};
	struct fixture f;

	(void)state;
	fixture_init(&f, RULES RULE("a", "", EACH80), "/n/blue");
	set_addresses(&f, list, ARRAY_SIZE(list));
	check_plan(&f, 10,
		   "tcp [fd00::3]:80 a on eth0\ntcp [fd00::4]:80 a on eth0\n"
		   "tcp [fd00::6]:80 a on eth0\ntcp [fd00::7]:80 a\n",
		   "usable");
	fixture_done(&f);
	/* All there are, but none that can be used. */
	fixture_init(&f, RULES RULE("a", "family: ipv6", ANY80), "/n/blue");
	set_addresses(&f, list, 2);
	check_plan(&f, 10, "", "unusable");
	fixture_done(&f);
}

static void test_needs_addresses(void **state)
{
	static const struct {
		const char *title, *yaml, *wanted;
	} cases[] = {
		{ "no need", RULES RULE("a", "", ANY80), "tcp *:80 a\n" },
		{ "condition", RULES RULE("a", "family: ipv4", ANY80),
		  "needs addresses\n" },
		{ "each", RULES RULE("a", "", EACH80), "needs addresses\n" },
		{ "all",
		  RULES RULE("a", "",
			     "{protocol: sctp, port: 9, "
			     "address: all}"),
		  "needs addresses\n" },
		{ "each beside any",
		  RULES RULE("a", "",
			     ANY80 ", {protocol: udp, port: 1, address: each}"),
		  "tcp *:80 a\nneeds addresses\n" },
		{ "not of another namespace's rule",
		  RULES RULE("a", "namespace: red, family: ipv4", ANY80), "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;

		fixture_init(&f, cases[i].yaml, "/n/blue");
		check_plan(&f, 10, cases[i].wanted, cases[i].title);
		fixture_done(&f);
	}
}

static void test_unsafe_names(void **state)
{
	static const struct {
		const char *names, *to;
		int refused;
	} cases[] = {
		{ "/n/blue", "'unix:/r/${namespace}'", 0 },
		{ "/n/a.b", "'unix:/r/${namespace}'", 0 },
		{ "/n/..", "'unix:/r/${namespace}/x'", 1 },
		{ "/n/.", "'unix:/r/${namespace}/x'", 1 },
		{ "/n/a..b", "'unix:/r/${namespace}'", 1 },
		{ "/n/..", "'unix:/r/x'", 0 },
		{ "/n/0123456789012345678901234567890123456789"
		  "0123456789012345678901234567890123456789"
		  "0123456789012345678901234567890123456789",
		  "'unix:/r/${namespace}'", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char yaml[TEXT_SIZE];
		struct fixture f;
		struct plan plan;

		(void)snprintf(yaml, sizeof(yaml),
			       RULES TO("a", "", ANY80, "%s"), cases[i].to);
		fixture_init(&f, yaml, cases[i].names);
		assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
		assert_int_equal(plan.n_specs, 1);
		assert_int_equal(plan.specs[0].refusal != NULL,
				 cases[i].refused);
		plan_done(&plan);
		fixture_done(&f);
	}
}

static void test_unsafe_interface(void **state)
{
	static const struct address list[] = {
		{ 4, "10.0.0.1", RT_SCOPE_UNIVERSE, 0 },
	};
	struct fixture f;

	(void)state;
	fixture_init(&f, RULES TO("a", "", EACH80, "'unix:/r/${interface}'"),
		     "/n/blue");
	set_addresses(&f, list, ARRAY_SIZE(list));
	check_plan(&f, 10,
		   "tcp 10.0.0.1:80 a on ../x -> unix:/r/${interface} "
		   "refused\n",
		   "interface named ../x");
	fixture_done(&f);
}

/* A backend of the listener's own address has to be reached from one of that
 * family. */
static void test_family_without_source(void **state)
{
	static const struct address list[] = {
		{ 2, "10.0.0.1", RT_SCOPE_UNIVERSE, 0 },
		{ 2, "fd00::1", RT_SCOPE_UNIVERSE, 0 },
	};
	struct fixture f;

	(void)state;
	fixture_init(&f,
		     RULES
		     "  - {name: a, listen: [" EACH80
		     "], forward: {to: '${address}:1', from: 10.0.0.2}}\n",
		     "/n/blue");
	set_addresses(&f, list, ARRAY_SIZE(list));
	check_plan(&f, 10,
		   "tcp 10.0.0.1:80 a on eth0 -> 10.0.0.1:1\n"
		   "tcp [fd00::1]:80 a on eth0 -> ${address}:1 refused\n",
		   "from of one family");
	fixture_done(&f);
}

/* Listeners that differ in nothing but the address share one service. */
static void test_shared_service(void **state)
{
	struct fixture f;
	struct plan plan;

	(void)state;
	fixture_init(&f, RULES TO("a", "", EACH80, "'unix:/r/${namespace}'"),
		     "/n/blue");
	set_addresses(&f, usual, ARRAY_SIZE(usual));
	assert_int_equal(plan_make(f.ruleset, &f.netns, 10, &plan), 0);
	assert_int_equal(plan.n_specs, 5);
	assert_string_equal(plan.specs[0].service->to[0], "unix:/r/blue");
	for (size_t i = 1; i < plan.n_specs; i++)
		assert_ptr_equal(plan.specs[i].service, plan.specs[0].service);
	plan_done(&plan);
	fixture_done(&f);
}

static const struct {
	const char *match, *names, *reason;
	int matches;
} explain_cases[] = {
	{ "", "/n/blue", "every namespace matches", 1 },
	{ "directory: /n", "/n/blue", "directory: blue is in it", 1 },
	{ "namespace: [r*, 'b*']", "/n/blue", "namespace blue matches \"b*\"",
	  1 },
	{ "namespace: 'r*'", "/n/blue /n/b2",
	  "namespace: no name of blue, b2 matches \"r*\"", 0 },
	{ "namespace: ['n-*', '!n-no*', '!n-no1']", "/n/blue /n/n-no1",
	  "namespace: name n-no1 is excluded by \"!n-no*\"", 0 },
	{ "namespace: ['r*', '!b*']", "/n/blue",
	  "namespace: no name of blue matches \"r*\", \"!b*\"", 0 },
	{ "namespace: ['b*', '!blue'], directory: /m", "/n/blue /m/red",
	  "namespace: no name of blue, red matches \"b*\", \"!blue\"", 0 },
	{ "directory: [/m, /o]", "/n/blue",
	  "directory: no name of blue is in /m or /o", 0 },
	{ "namespace: 'r*'", "host",
	  "host: this is the host's own namespace, and the rule does not say "
	  "\"host: true\"",
	  0 },
	{ "host: true", "host", "host: true", 1 },
	{ "host: true", "/n/blue",
	  "host: the rule is for the host's own namespace only", 0 },
	{ "", NULL, "namespace: it has no name any more", 0 },
	{ "interface: 'wlan*'", "/n/blue",
	  "interface: none matches \"wlan*\"; looked at 127.0.0.1 on lo, ::1 "
	  "on lo, 10.0.0.1 on eth0, fd00::1 on eth0 and 3 more",
	  0 },
	{ "interface: eth1, address: [10.0.0.0/8, '!10.1.0.0/16']", "/n/blue",
	  "address: none is in 10.0.0.0/8, !10.1.0.0/16; looked at 192.0.2.1 "
	  "on eth1, fe80::1 on eth1",
	  0 },
	{ "address: 10.0.0.0/8, family: ipv6", "/n/blue",
	  "family: none is IPv6; looked at 10.0.0.1 on eth0", 0 },
	{ "address: fe80::/10", "/n/blue",
	  "scope: none is global, host (link-local only with \"scope: link\"); "
	  "looked at fe80::1 on eth0, fe80::1 on eth1",
	  0 },
	{ "address: fe80::/10, scope: host", "/n/blue",
	  "scope: none is host (link-local only with \"scope: link\"); looked "
	  "at fe80::1 on eth0, fe80::1 on eth1",
	  0 },
	{ "namespace: blue, interface: eth0, family: ipv4", "/n/blue",
	  "namespace blue matches \"blue\"; 1 address matches: 10.0.0.1 on "
	  "eth0",
	  1 },
	{ "host: true, interface: 'eth*', family: ipv4", "host",
	  "host: true; 2 addresses match: 10.0.0.1 on eth0, 192.0.2.1 on eth1",
	  1 },
};

static void test_explain(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(explain_cases); i++) {
		char yaml[TEXT_SIZE];
		struct fixture f;
		char *reason;
		int r;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("a", "%s", ANY80),
			       explain_cases[i].match);
		fixture_init(&f, yaml, explain_cases[i].names);
		set_addresses(&f, usual, ARRAY_SIZE(usual));
		r = plan_explain(f.ruleset, 0, &f.netns, &reason);
		assert_string_equal(reason, explain_cases[i].reason);
		assert_int_equal(r, explain_cases[i].matches);
		free(reason);
		fixture_done(&f);
	}
}

/* Which of the two is to blame: the address that is meant, if there is one. */
static const struct {
	const char *match, *reason;
} unusable_cases[] = {
	{ "address: fd00::9/128",
	  "address: duplicate address detection failed on fd00::9 on eth1, and "
	  "no other matches" },
	{ "address: fd00::8/128",
	  "address: duplicate address detection runs on fd00::8 on eth1, and "
	  "no other matches" },
	{ "interface: eth1, family: ipv4",
	  "interface: none matches \"eth1\"; looked at 10.0.0.1 on eth0" },
};

static void test_explain_unusable(void **state)
{
	static const struct address list[] = {
		{ 2, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
		{ 3, "fd00::9", RT_SCOPE_UNIVERSE,
		  IFA_F_TENTATIVE | IFA_F_DADFAILED },
		{ 3, "fd00::8", RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unusable_cases); i++) {
		char yaml[TEXT_SIZE];
		struct fixture f;
		char *reason;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("a", "%s", ANY80),
			       unusable_cases[i].match);
		fixture_init(&f, yaml, "/n/blue");
		set_addresses(&f, list, ARRAY_SIZE(list));
		assert_int_equal(plan_explain(f.ruleset, 0, &f.netns, &reason),
				 0);
		assert_string_equal(reason, unusable_cases[i].reason);
		free(reason);
		fixture_done(&f);
	}
}

static void test_explain_without_addresses(void **state)
{
	struct fixture f;
	char *reason;

	(void)state;
	fixture_init(&f, RULES RULE("a", "family: ipv4", ANY80), "/n/blue");
	assert_int_equal(plan_explain(f.ruleset, 0, &f.netns, &reason), 0);
	assert_string_equal(reason, "address: its addresses are not known yet");
	free(reason);
	set_addresses(&f, NULL, 0);
	assert_int_equal(plan_explain(f.ruleset, 0, &f.netns, &reason), 0);
	assert_string_equal(reason, "address: it has no usable address");
	free(reason);
	fixture_done(&f);
}

static const struct {
	const char *match, *listen;
	size_t omitted;
	const char *reason;
	int matches;
} omitted_cases[] = {
	{ "address: 10.0.0.0/8", ANY80, 1,
	  "every namespace matches; 1 address matches: 10.0.0.1 on eth0; 1 "
	  "more address is above the limit and was not looked at",
	  1 },
	{ "address: 10.9.0.0/16", ANY80, 20,
	  "address: none is in 10.9.0.0/16; looked at 10.0.0.1 on eth0; 20 "
	  "more addresses are above the limit and were not looked at",
	  0 },
	{ "", EACH80, 2,
	  "every namespace matches; 2 more addresses are above the limit and "
	  "were not looked at",
	  1 },
	{ "", ANY80, 2, "every namespace matches", 1 },
};

static void test_explain_omitted_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(omitted_cases); i++) {
		char yaml[TEXT_SIZE];
		struct fixture f;
		char *reason;
		int r;

		(void)snprintf(yaml, sizeof(yaml), RULES RULE("a", "%s", "%s"),
			       omitted_cases[i].match, omitted_cases[i].listen);
		fixture_init(&f, yaml, "/n/blue");
		set_addresses(&f, &usual[2], 1);
		f.netns.addresses_omitted = omitted_cases[i].omitted;
		r = plan_explain(f.ruleset, 0, &f.netns, &reason);
		assert_string_equal(reason, omitted_cases[i].reason);
		assert_int_equal(r, omitted_cases[i].matches);
		free(reason);
		fixture_done(&f);
	}
}

/* A container's many addresses, or one address many times, cost little. */
static void test_many_addresses(void **state)
{
	enum { many = 5000 };
	static const char *const yaml = RULES RULE(
		"w", "", "{protocol: tcp, port: 1-4000}")
		RULE("a", "", "{protocol: tcp, port: 1-65535, address: each}")
			RULE("b", "",
			     "{protocol: udp, port: 1-65535, address: each}");
	struct fixture f;
	struct plan plan;
	uint64_t begin;

	(void)state;
	for (int same = 0; same < 2; same++) {
		fixture_init(&f, yaml, "/n/blue");
		set_addresses(&f, NULL, 0);
		free(f.addresses);
		f.addresses = calloc(many, sizeof(*f.addresses));
		assert_non_null(f.addresses);
		for (unsigned int i = 0; i < many; i++) {
			f.addresses[i].addr.family = AF_INET;
			f.addresses[i].addr.bytes[0] = 10;
			f.addresses[i].addr.bytes[2] = same ? 0 : i >> 8;
			f.addresses[i].addr.bytes[3] = same ? 0 : i & 0xff;
			f.addresses[i].ifindex = 10 + i;
		}
		f.netns.addresses = f.addresses;
		f.netns.n_addresses = many;
		begin = monotonic_us();
		assert_int_equal(plan_make(f.ruleset, &f.netns, 8192, &plan),
				 0);
		/* Some 20 ms, and ten times that under a sanitizer; the
		 * product of addresses and ports would be minutes. */
		assert_true(monotonic_us() - begin < 5 * USEC_PER_SEC);
		assert_int_equal(plan.n_specs, 8192);
		assert_true(plan.omitted > 0);
		plan_done(&plan);
		fixture_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_unusable_addresses),
		cmocka_unit_test(test_needs_addresses),
		cmocka_unit_test(test_unsafe_names),
		cmocka_unit_test(test_unsafe_interface),
		cmocka_unit_test(test_family_without_source),
		cmocka_unit_test(test_shared_service),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_unusable),
		cmocka_unit_test(test_explain_without_addresses),
		cmocka_unit_test(test_explain_omitted_addresses),
		cmocka_unit_test(test_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_circles.c - listeners that would forward to themselves are refused */
#include "plan_fixture.h"

#include "rules/circles.h"

static const struct address usual[] = {
	{ 1, "127.0.0.1", RT_SCOPE_HOST, IFA_F_PERMANENT },
	{ 1, "::1", RT_SCOPE_HOST, IFA_F_PERMANENT },
	{ 2, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 3, "10.0.0.1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
	{ 2, "fd00::1", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT },
};

#define ON(protocol, address, port) \
	"{protocol: " protocol ", address: '" address "', port: " #port "}"
#define HOST(name, listen, to) TO(name, "host: true", listen, to)
#define INTO_BLUE(name, from, listen, to)                                     \
	"  - {name: " name ", match: {namespace: " from "}, listen: [" listen \
	"], forward: {namespace: blue, to: " to "}}\n"

/* Of the host's namespace unless @names says another. */
static const struct {
	const char *title, *yaml, *wanted, *names;
	bool unknown;
} cases[] = {
	{ "a wildcard, loopback",
	  RULES HOST("a", ON("tcp", "any", 53), "127.0.0.1:53"),
	  "tcp *:53 a -> 127.0.0.1:53 refused\n", NULL, true },
	{ "any of loopback",
	  RULES HOST("a", ON("udp", "any4", 53), "127.9.9.9:53"),
	  "udp 0.0.0.0:53 a -> 127.9.9.9:53 refused\n", NULL, true },
	{ "IPv6", RULES HOST("a", ON("udp", "any6", 53), "'[::1]:53'"),
	  "udp [::]:53 a -> [::1]:53 refused\n", NULL, true },
	{ "the unspecified address",
	  RULES HOST("a", ON("tcp", "127.0.0.1", 53), "0.0.0.0:53"),
	  "tcp 127.0.0.1:53 a freebind -> 0.0.0.0:53 refused\n", NULL, true },
	{ "a mapped address",
	  RULES HOST("a", ON("tcp", "any4", 53), "'[::ffff:127.0.0.1]:53'"),
	  "tcp 0.0.0.0:53 a -> [::ffff:127.0.0.1]:53 refused\n", NULL, true },
	{ "the other family's wildcard",
	  RULES HOST("a", ON("tcp", "any6", 53), "127.0.0.1:53"),
	  "tcp [::]:53 a -> 127.0.0.1:53\n", NULL, true },
	{ "another port", RULES HOST("a", ON("tcp", "any", 53), "127.0.0.1:54"),
	  "tcp *:53 a -> 127.0.0.1:54\n", NULL, true },
	{ "another loopback address",
	  RULES HOST("a", ON("tcp", "127.0.0.2", 53), "127.0.0.1:53"),
	  "tcp 127.0.0.2:53 a freebind -> 127.0.0.1:53\n", NULL, true },
	{ "another protocol",
	  RULES HOST("a", ON("tcp", "any", 1), "127.0.0.1:2")
		  HOST("b", ON("udp", "any", 2), "127.0.0.1:1")
			  HOST("c", ON("tcp", "any", 3), "'unix:/x'"),
	  "tcp *:1 a -> 127.0.0.1:2\nudp *:2 b -> 127.0.0.1:1\n"
	  "tcp *:3 c -> unix:/x\n",
	  NULL, true },
	{ "the ports that TCP and MPTCP share",
	  RULES HOST("a", ON("mptcp", "any", 53), "'tcp://127.0.0.1:53'"),
	  "mptcp *:53 a -> tcp://127.0.0.1:53 refused\n", NULL, true },
	{ "the ports that both kinds of SCTP share",
	  RULES HOST("a", ON("sctp-seqpacket", "any", 53),
		     "'sctp://[10.9.9.9,127.0.0.1]:53'"),
	  "sctp-seqpacket *:53 a -> sctp://[10.9.9.9,127.0.0.1]:53 refused\n",
	  NULL, false },
	{ "one of two backends",
	  RULES HOST("a", ON("tcp", "any", 53), "['10.9.9.9:1', '[::1]:53']"),
	  "tcp *:53 a -> 10.9.9.9:1,[::1]:53 refused\n", NULL, true },
	{ "its very address",
	  RULES HOST("a", ON("tcp", "10.9.9.9", 53), "10.9.9.9:53"),
	  "tcp 10.9.9.9:53 a freebind -> 10.9.9.9:53 refused\n", NULL, true },
	{ "one of each address",
	  RULES HOST("a", ON("tcp", "each", 53), "10.0.0.1:53"),
	  "tcp 127.0.0.1:53 a on lo -> 10.0.0.1:53\n"
	  "tcp [::1]:53 a on lo -> 10.0.0.1:53\n"
	  "tcp 10.0.0.1:53 a on eth0 -> 10.0.0.1:53 refused\n"
	  "tcp [fd00::1]:53 a on eth0 -> 10.0.0.1:53\n",
	  NULL, false },
	{ "a template",
	  RULES HOST("a", ON("tcp", "any", 52), "127.0.0.1:53")
		  HOST("b", ON("tcp", "each", 53), "'${address}:${port}'"),
	  "tcp *:52 a -> 127.0.0.1:53\n"
	  "tcp 127.0.0.1:53 b on lo -> 127.0.0.1:53 refused\n"
	  "tcp [::1]:53 b on lo -> [::1]:53 refused\n"
	  "tcp 10.0.0.1:53 b on eth0 -> 10.0.0.1:53 refused\n"
	  "tcp [fd00::1]:53 b on eth0 -> [fd00::1]:53 refused\n",
	  NULL, false },
	{ "bound to interfaces",
	  RULES HOST("a",
		     "{protocol: tcp, port: 53, address: each, "
		     "interface_bound: true}",
		     "10.0.0.1:53"),
	  "tcp 127.0.0.1%1:53 a on lo -> 10.0.0.1:53\n"
	  "tcp [::1%1]:53 a on lo -> 10.0.0.1:53\n"
	  "tcp 10.0.0.1%2:53 a on eth0 -> 10.0.0.1:53 refused\n"
	  "tcp 10.0.0.1%3:53 a on eth1 -> 10.0.0.1:53 refused\n"
	  "tcp [fd00::1%2]:53 a on eth0 -> 10.0.0.1:53\n",
	  NULL, false },
	{ "all addresses of one endpoint",
	  RULES HOST("a", "{protocol: sctp, port: 53, address: all}",
		     "10.0.0.1:53"),
	  "sctp all:53 a = 127.0.0.1,::1,10.0.0.1,fd00::1 -> 10.0.0.1:53 "
	  "refused\n",
	  NULL, false },
	{ "a wildcard, a local address",
	  RULES HOST("a", ON("tcp", "any", 53), "'[fd00::1]:53'"),
	  "tcp *:53 a -> [fd00::1]:53 refused\n", NULL, false },
	{ "a wildcard, an address elsewhere",
	  RULES HOST("a", ON("tcp", "any", 53), "10.0.0.2:53"),
	  "tcp *:53 a -> 10.0.0.2:53\n", NULL, false },
	{ "a wildcard, an address that may be local",
	  RULES HOST("a", ON("tcp", "any", 53), "10.0.0.2:53"),
	  "tcp *:53 a -> 10.0.0.2:53\nneeds addresses\n", NULL, true },
	{ "a circle of two",
	  RULES HOST("a", ON("tcp", "any", 1), "127.0.0.1:2")
		  HOST("b", ON("tcp", "any", 2), "127.0.0.1:1"),
	  "tcp *:1 a -> 127.0.0.1:2\ntcp *:2 b -> 127.0.0.1:1 refused\n", NULL,
	  true },
	{ "a circle of three behind a chain, and one more",
	  RULES HOST("e", ON("tcp", "any", 5), "127.0.0.1:1")
		  HOST("a", ON("tcp", "any", 1),
		       "127.0.0.1:2") HOST("b", ON("tcp", "any", 2),
					   "['127.0.0.1:3', '127.0.0.1:9']")
			  HOST("c", ON("tcp", "any", 3), "127.0.0.1:1")
				  HOST("d", ON("tcp", "any", 4), "127.0.0.1:3"),
	  "tcp *:5 e -> 127.0.0.1:1\ntcp *:1 a -> 127.0.0.1:2\n"
	  "tcp *:2 b -> 127.0.0.1:3,127.0.0.1:9\n"
	  "tcp *:3 c -> 127.0.0.1:1 refused\ntcp *:4 d -> 127.0.0.1:3\n",
	  NULL, true },
	{ "two ways to one listener",
	  RULES HOST("a", ON("tcp", "any", 1), "['[::1]:2', '[::1]:3']")
		  HOST("b", ON("tcp", "any", 2), "'[::1]:4'")
			  HOST("c", ON("tcp", "any", 3), "'[::1]:4'")
				  HOST("d", ON("tcp", "any", 4), "'[::1]:5'"),
	  "tcp *:1 a -> [::1]:2,[::1]:3\ntcp *:2 b -> [::1]:4\n"
	  "tcp *:3 c -> [::1]:4\ntcp *:4 d -> [::1]:5\n",
	  NULL, true },
	{ "a listener that forwards nothing",
	  RULES RULE("r", "host: true", ON("tcp", "any", 2))
		  HOST("a", ON("tcp", "any", 1), "127.0.0.1:2"),
	  "tcp *:2 r\ntcp *:1 a -> 127.0.0.1:2\n", NULL, true },
	{ "a namespace, into itself",
	  RULES INTO_BLUE("a", "blue", ON("tcp", "any", 53), "127.0.0.1:53"),
	  "tcp *:53 a -> 127.0.0.1:53 refused\n", "/n/blue", true },
	{ "a namespace, into the host's",
	  RULES TO("a", "", ON("tcp", "any", 53), "127.0.0.1:53"),
	  "tcp *:53 a -> 127.0.0.1:53\n", "/n/blue", true },
	{ "a namespace, into another",
	  RULES INTO_BLUE("a", "'*'", ON("tcp", "any", 53), "127.0.0.1:53"),
	  "tcp *:53 a -> 127.0.0.1:53\n", "/n/red", true },
};

static bool is_named(const char *name, void *user_data)
{
	const struct netns *netns = user_data;

	return netns->n_names > 0 && strcmp(netns->names[0].name, name) == 0;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;
		struct plan plan;
		char *text;

		fixture_init(&f, cases[i].yaml,
			     cases[i].names ? cases[i].names : "host");
		if (!cases[i].unknown)
			set_addresses(&f, usual, ARRAY_SIZE(usual));
		assert_int_equal(plan_make(f.ruleset, &f.netns, 100, &plan), 0);
		assert_int_equal(
			circles_refuse(&plan, &f.netns, is_named, &f.netns), 0);
		text = plan_text(&plan);
		if (strcmp(text, cases[i].wanted) != 0)
			fail_msg("%s: wanted\n%sgot\n%s", cases[i].title,
				 cases[i].wanted, text);
		free(text);
		plan_done(&plan);
		fixture_done(&f);
	}
}

/* One circle through all ports of a protocol. */
static void test_the_longest_circle(void **state)
{
	enum { N = 65535 };
	_cleanup_free_ char *yaml = NULL;
	struct fixture f;
	struct plan plan;
	size_t size;
	FILE *out = open_memstream(&yaml, &size);

	(void)state;
	assert_non_null(out);
	(void)fputs(RULES
		    "  - {name: a, match: {host: true}, listen: [{protocol: "
		    "tcp, port: 1-65535}], forward: {to: 127.0.0.1:1}}\n",
		    out);
	assert_int_equal(fclose(out), 0);
	fixture_init(&f, yaml, "host");
	assert_int_equal(plan_make(f.ruleset, &f.netns, N, &plan), 0);
	assert_int_equal(plan.n_specs, N);
	for (size_t i = 0; i < N; i++) {
		struct service *service = service_copy(plan.specs[i].service);
		size_t next = (i + 1) % N + 1;

		assert_non_null(service);
		free(service->to[0]);
		assert_true(asprintf(&service->to[0], "127.0.0.1:%zu", next) >
			    0);
		service_unref(plan.specs[i].service);
		plan.specs[i].service = service;
	}
	assert_int_equal(circles_refuse(&plan, &f.netns, NULL, NULL), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(plan.specs[i].refusal != NULL, i == N - 1);
	plan_done(&plan);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_the_longest_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

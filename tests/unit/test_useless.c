// SPDX-License-Identifier: Apache-2.0
/* test_useless.c - which rules are valid, and of no use */
#include "tests/unit/plan_fixture.h"

/* What is said of the rules, "; " between two; "" for nothing. */
static void expect(const char *yaml, const char *expected)
{
	struct ruleset *ruleset = ruleset_of(yaml);
	struct rules_errors warnings = { 0 };
	char text[TEXT_SIZE] = "";

	assert_int_equal(ruleset_warn(ruleset, &warnings), 0);
	for (size_t i = 0; i < warnings.n; i++) {
		const char *message = warnings.list[i].message;

		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			       "%s%u %.*s", i ? "; " : "",
			       warnings.list[i].line,
			       (int)strcspn(message, ":"), message);
	}
	assert_string_equal(text, expected);
	rules_errors_done(&warnings);
	ruleset_unref(ruleset);
}

/* Two rules, of lines 2 and 4, that are the same but for these parts. */
static void expect_second(const char *first, const char *second, bool useless)
{
	char yaml[TEXT_SIZE];

	(void)snprintf(yaml, sizeof(yaml),
		       "rules:\n"
		       "- {name: a, respond: echo, %s}\n"
		       "\n"
		       "- {name: b, respond: discard, %s}\n",
		       first, second);
	expect(yaml, useless ? "4 rule 'b' never opens a listener" : "");
}

#define TCP80 "listen: {protocol: tcp, port: 80}"
#define TCP80_ON(address) \
	"listen: {protocol: tcp, port: 80, address: " address "}"

static void test_ports_and_protocols(void **state)
{
	(void)state;
	expect_second(TCP80, TCP80, true);
	expect_second(TCP80, "listen: {protocol: udp, port: 80}", false);
	expect_second("listen: {protocol: [tcp, udp], port: 80}", TCP80, true);
	expect_second(TCP80, "listen: {protocol: [tcp, udp], port: 80}", false);
	expect_second("listen: {protocol: tcp, port: 70-90}", TCP80, true);
	expect_second(TCP80, "listen: {protocol: tcp, port: 70-90}", false);
	expect_second("listen: {protocol: tcp, port: [79, 80]}", TCP80, true);
	expect_second(TCP80, "listen: {protocol: tcp, port: [79, 80]}", false);
}

static void test_addresses(void **state)
{
	(void)state;
	expect_second(TCP80, TCP80_ON("10.0.0.1"), true);
	expect_second(TCP80, TCP80_ON("each"), true);
	expect_second(TCP80_ON("any4"), TCP80_ON("10.0.0.1"), true);
	expect_second(TCP80_ON("any4"), TCP80_ON("\"fd00::1\""), false);
	expect_second(TCP80_ON("any6"), TCP80_ON("\"fd00::1\""), true);
	expect_second(TCP80_ON("any6"), TCP80, false);
	expect_second(TCP80_ON("10.0.0.1"), TCP80, false);
	expect_second(TCP80_ON("[10.0.0.1, 10.0.0.2]"), TCP80_ON("10.0.0.2"),
		      true);
	expect_second(TCP80_ON("10.0.0.2"), TCP80_ON("[10.0.0.1, 10.0.0.2]"),
		      false);
	/* Which addresses there are differs with the conditions. */
	expect_second(TCP80_ON("each"), TCP80_ON("10.0.0.1"), false);
}

static void test_conditions(void **state)
{
	(void)state;
	expect_second(TCP80, TCP80 ", match: {namespace: x}", true);
	expect_second(TCP80 ", match: {namespace: x}", TCP80, false);
	expect_second(TCP80 ", match: {namespace: x}",
		      TCP80 ", match: {namespace: x, labels: app=web}", true);
	expect_second(TCP80 ", match: {namespace: x}",
		      TCP80 ", match: {namespace: y}", false);
	expect_second(TCP80 ", match: {namespace: \"*\"}",
		      TCP80 ", match: {namespace: y}", true);
	expect_second(TCP80, TCP80 ", match: {host: true}", false);
	expect_second(TCP80 ", match: {host: true}", TCP80, false);
	expect_second(TCP80 ", match: {host: true}",
		      TCP80 ", match: {host: true}", true);
	expect_second(TCP80 ", match: {host: true, namespace: \"*\"}",
		      TCP80 ", match: {namespace: y}", true);
	expect_second(TCP80 ", match: {labels: app=web}",
		      TCP80 ", match: {labels: app=web}", true);
	expect_second(TCP80 ", match: {labels: app=web}",
		      TCP80 ", match: {labels: app=db}", false);
	expect_second(TCP80 ", match: {container: x}",
		      TCP80 ", match: {container: x, pod_namespace: y}", true);
	expect_second(TCP80 ", match: {unless_labels: app=web}", TCP80, false);
	expect_second(TCP80 ", match: {interface: eth0}", TCP80, false);
	expect_second(TCP80 ", match: {interface: eth0}",
		      TCP80 ", match: {interface: eth0}", true);
	expect_second(TCP80 ", match: {address: 10.0.0.0/8}",
		      TCP80 ", match: {address: 10.1.0.0/16}", false);
	expect_second(TCP80, TCP80 ", unprivileged: true", false);
	expect_second(TCP80 ", unprivileged: true", TCP80, true);
	/* The label that keeps all other rules away is this one's business. */
	expect_second(TCP80, TCP80 ", match: {labels: berth.io/skip=true}",
		      false);
}

static void expect_backend(const char *to, bool useless)
{
	char yaml[TEXT_SIZE];

	(void)snprintf(yaml, sizeof(yaml),
		       "rules:\n"
		       "- {name: a, listen: {protocol: udp, port: 1}, "
		       "forward: {to: [\"udp://127.0.0.1:1\", \"%s\"]}}\n",
		       to);
	expect(yaml, useless ? "2 rule 'a' never reaches the backend udp" : "");
}

static void test_backends(void **state)
{
	(void)state;
	expect_backend("udp://10.0.0.1:1", false);
	expect_backend("udp://169.254.0.1:1", false);
	expect_backend("udp://223.255.255.255:1", false);
	expect_backend("udp://224.0.0.1:1", true);
	expect_backend("udp://239.255.255.255:1", true);
	expect_backend("udp://[fe80::1]:1", true);
	expect_backend("udp://[ff02::1]:1", true);
	expect_backend("udp://[fd00::1]:1", false);
	expect_backend("unix:/run/x", false);
	expect_backend("udp://127.0.0.1:${port}", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports_and_protocols),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_backends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

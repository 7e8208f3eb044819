// SPDX-License-Identifier: Apache-2.0
/* test_endpoint.c - which endpoints the kernel lets stand side by side */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/endpoint.h"
#include "common/util.h"

/* @addr: "" for `any`, "all" for a multihomed one. */
struct place {
	enum protocol protocol;
	const char *addr;
	uint16_t port;
	uint32_t scope_id, bound_ifindex;
};

static struct endpoint endpoint_of(const struct place *place)
{
	struct endpoint endpoint = {
		.protocol = (uint8_t)place->protocol,
		.port = place->port,
		.scope_id = place->scope_id,
		.bound_ifindex = place->bound_ifindex,
	};
	struct ip_addr addr;

	if (strcmp(place->addr, "all") == 0) {
		endpoint.multihomed = 1;
	} else if (place->addr[0]) {
		assert_int_equal(ip_addr_parse(place->addr, &addr), 0);
		endpoint.family = addr.family;
		memcpy(endpoint.addr, addr.bytes, sizeof(endpoint.addr));
	}
	return endpoint;
}

static void test_conflicts(void **state)
{
	static const struct {
		struct place a, b;
		enum endpoint_conflict conflict;
	} cases[] = {
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "", 1, 0, 0 },
		  ENDPOINT_SAME },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "", 2, 0, 0 },
		  ENDPOINT_COMPATIBLE },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_UDP, "", 1, 0, 0 },
		  ENDPOINT_COMPATIBLE },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_MPTCP, "", 1, 0, 0 },
		  ENDPOINT_PORTS },
		{ { PROTOCOL_SCTP, "", 1, 0, 0 },
		  { PROTOCOL_SCTP_SEQPACKET, "", 1, 0, 0 },
		  ENDPOINT_PORTS },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "::1", 1, 0, 0 },
		  ENDPOINT_WILDCARD },
		{ { PROTOCOL_TCP, "0.0.0.0", 1, 0, 0 },
		  { PROTOCOL_TCP, "10.0.0.1", 1, 0, 0 },
		  ENDPOINT_WILDCARD },
		{ { PROTOCOL_TCP, "0.0.0.0", 1, 0, 0 },
		  { PROTOCOL_TCP, "::", 1, 0, 0 },
		  ENDPOINT_COMPATIBLE },
		{ { PROTOCOL_TCP, "10.0.0.1", 1, 0, 0 },
		  { PROTOCOL_TCP, "10.0.0.2", 1, 0, 0 },
		  ENDPOINT_COMPATIBLE },
		{ { PROTOCOL_TCP, "fe80::1", 1, 2, 0 },
		  { PROTOCOL_TCP, "fe80::1", 1, 3, 0 },
		  ENDPOINT_COMPATIBLE },
		{ { PROTOCOL_UDP, "10.0.0.1", 1, 0, 2 },
		  { PROTOCOL_UDP, "10.0.0.1", 1, 0, 3 },
		  ENDPOINT_COMPATIBLE },
		{ { PROTOCOL_UDP, "10.0.0.1", 1, 0, 2 },
		  { PROTOCOL_UDP, "10.0.0.1", 1, 0, 0 },
		  ENDPOINT_ADDRESS },
		{ { PROTOCOL_UDP, "10.0.0.1", 1, 0, 2 },
		  { PROTOCOL_UDP, "", 1, 0, 0 },
		  ENDPOINT_WILDCARD },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "0.0.0.0", 1, 0, 0 },
		  ENDPOINT_WILDCARDS },
		{ { PROTOCOL_SCTP, "all", 1, 0, 0 },
		  { PROTOCOL_SCTP, "10.0.0.1", 1, 0, 2 },
		  ENDPOINT_ADDRESS },
		{ { PROTOCOL_SCTP, "all", 1, 0, 0 },
		  { PROTOCOL_SCTP, "::", 1, 0, 0 },
		  ENDPOINT_WILDCARD },
		{ { PROTOCOL_SCTP, "all", 1, 0, 0 },
		  { PROTOCOL_SCTP, "all", 1, 0, 0 },
		  ENDPOINT_SAME },
		{ { PROTOCOL_SCTP, "all", 1, 0, 0 },
		  { PROTOCOL_SCTP_SEQPACKET, "all", 1, 0, 0 },
		  ENDPOINT_PORTS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct endpoint a = endpoint_of(&cases[i].a);
		struct endpoint b = endpoint_of(&cases[i].b);

		if (endpoint_conflict(&a, &b) != cases[i].conflict ||
		    endpoint_conflict(&b, &a) != cases[i].conflict)
			fail_msg("case %zu", i);
	}
}

/* The addresses that a multihomed endpoint has decide, not those that it might
 * get. */
static void test_members(void **state)
{
	static const struct {
		struct place other;
		bool conflict;
	} cases[] = {
		{ { PROTOCOL_SCTP, "10.0.0.1", 1, 0, 0 }, true },
		{ { PROTOCOL_SCTP_SEQPACKET, "fd00::1", 1, 0, 3 }, true },
		{ { PROTOCOL_SCTP, "10.0.0.2", 1, 0, 0 }, false },
		{ { PROTOCOL_SCTP, "10.0.0.1", 2, 0, 0 }, false },
		{ { PROTOCOL_TCP, "10.0.0.1", 1, 0, 0 }, false },
		{ { PROTOCOL_SCTP, "0.0.0.0", 1, 0, 0 }, true },
		{ { PROTOCOL_SCTP, "", 1, 0, 0 }, true },
	};
	const struct place place = { PROTOCOL_SCTP, "all", 1, 0, 0 };
	struct endpoint all = endpoint_of(&place);
	struct ip_addr addrs[2];

	(void)state;
	assert_int_equal(ip_addr_parse("10.0.0.1", &addrs[0]), 0);
	assert_int_equal(ip_addr_parse("fd00::1", &addrs[1]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct endpoint other = endpoint_of(&cases[i].other);

		if (endpoint_members_conflict(&all, addrs, 2, &other) !=
		    cases[i].conflict)
			fail_msg("case %zu", i);
		assert_false(endpoint_members_conflict(&all, addrs, 0, &other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

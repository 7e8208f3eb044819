// SPDX-License-Identifier: Apache-2.0
/* test_listener_spec.c - which endpoints the kernel lets stand side by side */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/listener_spec.h"
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

static void test_overlaps(void **state)
{
	static const struct {
		struct place a, b;
		bool overlaps;
	} cases[] = {
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "", 1, 0, 0 },
		  true },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "", 2, 0, 0 },
		  false },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_UDP, "", 1, 0, 0 },
		  false },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_MPTCP, "", 1, 0, 0 },
		  true },
		{ { PROTOCOL_SCTP, "", 1, 0, 0 },
		  { PROTOCOL_SCTP_SEQPACKET, "", 1, 0, 0 },
		  true },
		{ { PROTOCOL_TCP, "", 1, 0, 0 },
		  { PROTOCOL_TCP, "::1", 1, 0, 0 },
		  true },
		{ { PROTOCOL_TCP, "0.0.0.0", 1, 0, 0 },
		  { PROTOCOL_TCP, "10.0.0.1", 1, 0, 0 },
		  true },
		{ { PROTOCOL_TCP, "0.0.0.0", 1, 0, 0 },
		  { PROTOCOL_TCP, "::", 1, 0, 0 },
		  false },
		{ { PROTOCOL_TCP, "10.0.0.1", 1, 0, 0 },
		  { PROTOCOL_TCP, "10.0.0.2", 1, 0, 0 },
		  false },
		{ { PROTOCOL_TCP, "fe80::1", 1, 2, 0 },
		  { PROTOCOL_TCP, "fe80::1", 1, 3, 0 },
		  false },
		{ { PROTOCOL_UDP, "10.0.0.1", 1, 0, 2 },
		  { PROTOCOL_UDP, "10.0.0.1", 1, 0, 3 },
		  false },
		{ { PROTOCOL_UDP, "10.0.0.1", 1, 0, 2 },
		  { PROTOCOL_UDP, "10.0.0.1", 1, 0, 0 },
		  true },
		{ { PROTOCOL_UDP, "10.0.0.1", 1, 0, 2 },
		  { PROTOCOL_UDP, "", 1, 0, 0 },
		  true },
		{ { PROTOCOL_SCTP, "all", 1, 0, 0 },
		  { PROTOCOL_SCTP, "10.0.0.1", 1, 0, 2 },
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct endpoint a = endpoint_of(&cases[i].a);
		struct endpoint b = endpoint_of(&cases[i].b);

		if (endpoint_overlaps(&a, &b) != cases[i].overlaps ||
		    endpoint_overlaps(&b, &a) != cases[i].overlaps)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_claims.c - the tables find exactly what endpoint_conflict() refuses */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/endpoint.h"
#include "common/util.h"
#include "rules/claims.h"

#define ROUNDS 2000
#define CLAIMS 12

static const char *const addrs[] = { "",	 "0.0.0.0",  "::",
				     "10.0.0.1", "10.0.0.2", "fd00::1" };

struct taken {
	struct endpoint endpoint;
	struct ip_addr members[2];
	size_t n_members;
};

static uint64_t random_state;

static unsigned int draw(unsigned int n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
	return (unsigned int)(random_state >> 33) % n;
}

static void draw_members(struct taken *taken)
{
	taken->endpoint.multihomed = 1;
	taken->endpoint.protocol = draw(2) ? PROTOCOL_SCTP
					   : PROTOCOL_SCTP_SEQPACKET;
	taken->n_members = 1 + draw(2);
	for (size_t i = 0; i < taken->n_members; i++)
		assert_int_equal(ip_addr_parse(addrs[3 + draw(3)],
					       &taken->members[i]),
				 0);
	if (taken->n_members == 2 &&
	    ip_addr_equal(&taken->members[0], &taken->members[1]))
		taken->n_members = 1;
}

static struct taken draw_endpoint(void)
{
	struct taken taken = { .endpoint.port = (uint16_t)(1 + draw(2)),
			       .endpoint.protocol =
				       (uint8_t)draw(PROTOCOL_COUNT) };
	const char *text = addrs[draw(ARRAY_SIZE(addrs))];
	struct ip_addr addr;

	if (draw(5) == 0) {
		draw_members(&taken);
	} else if (text[0]) {
		assert_int_equal(ip_addr_parse(text, &addr), 0);
		taken.endpoint.family = addr.family;
		memcpy(taken.endpoint.addr, addr.bytes, sizeof(addr.bytes));
		if (!ip_addr_is_any(&addr))
			taken.endpoint.bound_ifindex = draw(3);
	}
	return taken;
}

static bool conflict(const struct taken *a, const struct taken *b)
{
	if (endpoint_conflict(&a->endpoint, &b->endpoint) ==
	    ENDPOINT_COMPATIBLE)
		return false;
	if (a->endpoint.multihomed && !b->endpoint.multihomed)
		return endpoint_members_conflict(&a->endpoint, a->members,
						 a->n_members, &b->endpoint);
	if (b->endpoint.multihomed && !a->endpoint.multihomed)
		return conflict(b, a);
	return true;
}

static const struct taken *find(const struct taken *list, size_t n,
				const struct endpoint *endpoint)
{
	for (size_t i = 0; i < n; i++) {
		if (endpoint_equal(&list[i].endpoint, endpoint))
			return &list[i];
	}
	return NULL;
}

/* Takes endpoints in turn, and looks at all that were taken each time. */
static void check_round(unsigned long long seed)
{
	struct taken list[CLAIMS];
	struct claims claims = { .endpoints = NULL };
	struct claim_holder holder;
	size_t n = 0;

	random_state = seed;
	for (size_t i = 0; i < CLAIMS; i++) {
		struct taken next = draw_endpoint();
		const struct taken *other;
		bool free = true;
		int r;

		for (size_t k = 0; k < n; k++)
			free = free && !conflict(&list[k], &next);
		r = claims_take(&claims, &next.endpoint, next.members,
				next.n_members, "rule", &holder);
		if (r != free)
			fail_msg("seed %llu, endpoint %zu", seed, i);
		if (free) {
			list[n++] = next;
			continue;
		}
		other = find(list, n, &holder.endpoint);
		assert_non_null(other);
		assert_true(conflict(other, &next));
	}
	claims_done(&claims);
}

static void test_against_the_rule(void **state)
{
	(void)state;
	for (unsigned long long seed = 0; seed < ROUNDS; seed++)
		check_round(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_the_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

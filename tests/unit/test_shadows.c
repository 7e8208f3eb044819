// SPDX-License-Identifier: Apache-2.0
/* test_shadows.c - sums of what lost to earlier rules */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/protocol.h"
#include "common/util.h"
#include "daemon/shadows.h"
#include "rules/plan.h"

static uint64_t count(const struct shadows *shadows, const char *rule,
		      enum protocol protocol)
{
	const struct shadow_sum *sum;

	HASH_FIND_STR(shadows->sums[protocol], rule, sum);
	return sum ? sum->n : 0;
}

static void test_sums(void **state)
{
	char name[] = "late"; /* plans do not last */
	struct plan_shadow lost[] = {
		{ .endpoint.protocol = PROTOCOL_TCP, .rule = name },
		{ .endpoint.protocol = PROTOCOL_TCP, .rule = name },
		{ .endpoint.protocol = PROTOCOL_UDP, .rule = name },
		{ .endpoint.protocol = PROTOCOL_TCP, .rule = "other" },
	};
	struct plan all = { .shadows = lost, .n_shadows = ARRAY_SIZE(lost) };
	struct plan first = { .shadows = lost, .n_shadows = 1 };
	struct plan none = { .n_shadows = 0 };
	struct shadows shadows = { .sums = { NULL } };
	struct shadows_of a = { NULL }, b = { NULL };

	(void)state;
	shadows_set(&shadows, &a, &all);
	shadows_set(&shadows, &b, &first);
	memset(name, 'x', strlen(name));
	assert_int_equal(count(&shadows, "late", PROTOCOL_TCP), 3);
	assert_int_equal(count(&shadows, "late", PROTOCOL_UDP), 1);
	assert_int_equal(count(&shadows, "other", PROTOCOL_TCP), 1);
	memcpy(name, "late", strlen(name));
	/* The same again, less, none, and a namespace that goes. */
	shadows_set(&shadows, &a, &all);
	assert_int_equal(count(&shadows, "late", PROTOCOL_TCP), 3);
	shadows_set(&shadows, &a, &first);
	assert_int_equal(count(&shadows, "late", PROTOCOL_TCP), 2);
	assert_int_equal(HASH_COUNT(shadows.sums[PROTOCOL_TCP]), 1);
	shadows_set(&shadows, &b, &none);
	assert_null(b.parts);
	assert_int_equal(count(&shadows, "late", PROTOCOL_TCP), 1);
	shadows_clear(&shadows, &a);
	shadows_clear(&shadows, &a);
	assert_null(shadows.sums[PROTOCOL_TCP]);
	assert_null(shadows.sums[PROTOCOL_UDP]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

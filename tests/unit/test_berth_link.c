// SPDX-License-Identifier: Apache-2.0
/* test_berth_link.c - libberth: when it tries to connect again */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "lib/berth_internal.h"

/* A berthd that was just started waits a second for its consumers, and its
 * start takes as long as they need to come. */
static void test_pause_grows_to_a_quarter_of_a_second(void **state)
{
	static const struct {
		uint64_t away_ms, pause_ms;
	} cases[] = {
		{ 0, 10 },     { 100, 10 },    { 320, 20 },	 { 1600, 100 },
		{ 4000, 250 }, { 60000, 250 }, { 3600000, 250 },
	};
	struct berth *berth;

	(void)state;
	assert_int_equal(
		berth_connect("/nowhere/is.sock", NULL, BERTH_WAIT, &berth), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t now_ms = berth_link_now_ms();

		berth->lost_ms = now_ms - cases[i].away_ms;
		berth->last_attempt_ms = now_ms;
		berth_link_schedule(berth);
		/* The clock may have gone on, which makes it more. */
		assert_in_range(berth->attempt_ms - now_ms, cases[i].pause_ms,
				250);
	}
	(void)berth_free(berth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pause_grows_to_a_quarter_of_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

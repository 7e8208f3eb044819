// SPDX-License-Identifier: Apache-2.0
/* test_load.c - when a worker counts as busy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/load.h"

static const struct judge_case {
	const char *what;
	struct load_sample did; /* since zero */
	bool busy;
} judge_cases[] = {
	{ "idle", { .at_us = 1000, .n_sleeps = 1, .n_turns = 1 }, false },
	{ "most of a processor",
	  { .at_us = 1000, .cpu_us = 850, .n_sleeps = 10, .n_turns = 10 },
	  true },
	{ "not quite so much",
	  { .at_us = 1000, .cpu_us = 840, .n_sleeps = 10, .n_turns = 10 },
	  false },
	{ "little processor, but never without work",
	  { .at_us = 1000, .cpu_us = 300, .n_sleeps = 0, .n_turns = 1 },
	  true },
	{ "nearly never",
	  { .at_us = 1000, .cpu_us = 300, .n_sleeps = 5, .n_turns = 20 },
	  true },
	{ "now and then",
	  { .at_us = 1000, .cpu_us = 300, .n_sleeps = 6, .n_turns = 20 },
	  false },
	{ "more sleeps than turns: locks",
	  { .at_us = 1000, .cpu_us = 300, .n_sleeps = 9, .n_turns = 2 },
	  false },
};

static void test_judge(void **state)
{
	static const struct load_sample zero;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(judge_cases); i++) {
		const struct judge_case *c = &judge_cases[i];

		if (load_judge(&zero, &c->did) != c->busy)
			fail_msg("%s", c->what);
	}
}

/* A thread that computes is busy; once it is not asked any more, it is not. */
static void test_judgement_expires(void **state)
{
	struct load load = { 0 };
	uint64_t begin_us = monotonic_us(), now_us = begin_us;

	(void)state;
	while (!load_is_busy(&load, now_us) &&
	       now_us < begin_us + 10 * USEC_PER_SEC) {
		load_note(&load, now_us);
		now_us = monotonic_us();
	}
	assert_true(load_is_busy(&load, now_us));
	assert_false(load_is_busy(&load, now_us + USEC_PER_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_judgement_expires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_timer.c - the relay's heap of deadlines against a plain search */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/timer.h"

#define N_TIMERS 200

static uint64_t last_fired_us;
static unsigned int n_fired;

static void note_fired(struct timer *timer, void *user_data)
{
	(void)user_data;
	assert_true(timer->node.key >= last_fired_us);
	assert_false(heap_has(&timer->node));
	last_fired_us = timer->node.key;
	n_fired++;
}

/* The earliest that is set, by looking at all of them. */
static const struct timer *earliest(const struct timer *timers)
{
	const struct timer *first = NULL;

	for (size_t i = 0; i < N_TIMERS; i++) {
		if (heap_has(&timers[i].node) &&
		    (!first || timers[i].node.key < first->node.key))
			first = &timers[i];
	}
	return first;
}

static void test_random_operations(void **state)
{
	struct timer timer[N_TIMERS] = { 0 };
	struct timers timers = { 0 };
	const struct timer *first;
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	(void)printf("seed %u\n", seed);
	for (size_t i = 0; i < N_TIMERS; i++) {
		timer[i].handler = note_fired;
		assert_int_equal(timers_reserve(&timers), 0);
	}
	for (int i = 0; i < 20000; i++) {
		struct timer *t =
			&timer[(unsigned int)rand_r(&seed) % N_TIMERS];

		if (rand_r(&seed) % 3 == 0)
			timer_unset(&timers, t);
		else if (rand_r(&seed) % 2)
			timer_set(&timers, t,
				  1 + (uint64_t)rand_r(&seed) % 5000);
		else
			timer_set_earlier(&timers, t,
					  1 + (uint64_t)rand_r(&seed) % 5000);
		first = earliest(timer);
		if (first)
			assert_int_equal(timers_first_us(&timers),
					 first->node.key);
		else
			assert_null(heap_first(&timers.heap));
	}
	last_fired_us = 0;
	timers_run(&timers, 2500, NULL);
	first = earliest(timer);
	assert_true(!first || first->node.key > 2500);
	timers_run(&timers, 5000, NULL);
	assert_null(heap_first(&timers.heap));
	for (size_t i = 0; i < N_TIMERS; i++)
		timers_unreserve(&timers, &timer[i]);
	timers_done(&timers);
}

static void test_first_deadline(void **state)
{
	struct timer early = { .handler = note_fired };
	struct timer late = { .handler = note_fired };
	struct timers timers = { 0 };

	(void)state;
	assert_int_equal(timers_reserve(&timers), 0);
	assert_int_equal(timers_reserve(&timers), 0);
	assert_true(timers_first_us(&timers) == TIMERS_NEVER);
	timer_set(&timers, &late, 20);
	assert_true(timers_first_us(&timers) == 20);
	timer_set(&timers, &early, 10);
	assert_true(timers_first_us(&timers) == 10);
	timers_unreserve(&timers, &early);
	assert_true(timers_first_us(&timers) == 20);
	timers_unreserve(&timers, &late);
	timers_done(&timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_first_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

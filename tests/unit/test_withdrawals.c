// SPDX-License-Identifier: Apache-2.0
/* test_withdrawals.c - listeners that a consumer still holds */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "binder/binder.h"
#include "common/service.h"
#include "common/util.h"
#include "daemon/consumers/withdrawals.h"

#define MANY 200000
#define DRAIN_US 100
#define MAX_PER_NETNS 3

struct fixture {
	struct withdrawals withdrawals;
	struct service *service;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->service = service_new();
	assert_non_null(f->service);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	withdrawals_clear(&f->withdrawals);
	assert_int_equal(withdrawals_count(&f->withdrawals), 0);
	assert_null(f->withdrawals.queue);
	assert_null(f->withdrawals.ended);
	assert_int_equal(withdrawals_due_us(&f->withdrawals), 0);
	service_unref(f->service);
	free(f);
	return 0;
}

static void add_at(struct fixture *f, uint64_t id, uint64_t netns_id,
		   uint64_t now_us)
{
	static const struct withdrawals_limits limits = {
		.drain_us = DRAIN_US,
		.max_per_netns = MAX_PER_NETNS,
	};
	struct listener listener = {
		.id = id,
		.netns_id = netns_id,
		.service = f->service,
		.fd = -1,
	};

	assert_int_equal(withdrawals_add(&f->withdrawals, &listener, &limits,
					 now_us),
			 0);
}

static void add(struct fixture *f, uint64_t id, uint64_t netns_id)
{
	add_at(f, id, netns_id, 1);
}

static void released(struct fixture *f, uint64_t id)
{
	struct withdrawal *withdrawal = withdrawals_find(&f->withdrawals, id);

	assert_non_null(withdrawal);
	withdrawals_remove(&f->withdrawals, withdrawal);
}

/* The listeners of a namespace, as the digits of a number */
static unsigned int ids_of(const struct fixture *f, uint64_t netns_id)
{
	const struct withdrawal *withdrawal =
		withdrawals_of(&f->withdrawals, netns_id);
	unsigned int ids = 0;

	for (; withdrawal; withdrawal = withdrawal->netns_next)
		ids = ids * 10 + (unsigned int)withdrawal->id;
	return ids;
}

static void test_by_namespace(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 70);
	add(f, 2, 80);
	add(f, 3, 70);
	add(f, 4, 70);
	assert_int_equal(ids_of(f, 70), 134);
	assert_int_equal(ids_of(f, 80), 2);
	assert_int_equal(ids_of(f, 90), 0);
	released(f, 1);
	released(f, 2);
	assert_int_equal(ids_of(f, 70), 34);
	assert_int_equal(ids_of(f, 80), 0);
	assert_null(withdrawals_find(&f->withdrawals, 1));
	add(f, 5, 80);
	assert_int_equal(ids_of(f, 80), 5);
	assert_int_equal(withdrawals_count(&f->withdrawals), 3);
}

/* It went to another consumer and came back, and went again. */
static void test_one_listener_twice(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 70);
	add(f, 1, 70);
	assert_int_equal(ids_of(f, 70), 11);
	released(f, 1);
	assert_int_equal(ids_of(f, 70), 1);
	released(f, 1);
	assert_int_equal(ids_of(f, 70), 0);
}

static void test_namespace_goes(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 70);
	add(f, 2, 80);
	add(f, 3, 70);
	withdrawals_sent(&f->withdrawals);
	withdrawals_sent(&f->withdrawals);
	assert_int_equal(f->withdrawals.queue->id, 3);
	assert_int_equal(withdrawals_oldest_us(&f->withdrawals), 0);
	assert_false(withdrawals_netns_gone(&f->withdrawals, 90, 5));
	assert_true(withdrawals_netns_gone(&f->withdrawals, 70, 6));
	/* The one that was told is told again, behind the other. */
	withdrawals_sent(&f->withdrawals);
	assert_int_equal(f->withdrawals.queue->id, 1);
	assert_int_equal(f->withdrawals.queue->abort_since_us, 6);
	assert_false(withdrawals_netns_gone(&f->withdrawals, 70, 7));
	assert_true(withdrawals_netns_gone(&f->withdrawals, 80, 8));
	assert_int_equal(withdrawals_oldest_us(&f->withdrawals), 6);
	released(f, 1);
	assert_int_equal(f->withdrawals.queue->id, 2);
	released(f, 3);
	assert_int_equal(withdrawals_oldest_us(&f->withdrawals), 8);
}

static bool ended(struct fixture *f, uint64_t id)
{
	return withdrawals_find(&f->withdrawals, id)->abort_since_us != 0;
}

/* Whoever does not finish in time is ended, and told so once. */
static void test_time_is_over(void **state)
{
	struct fixture *f = *state;

	assert_false(withdrawals_end_due(&f->withdrawals, 1000));
	add_at(f, 1, 70, 20);
	add_at(f, 2, 80, 10);
	add_at(f, 3, 70, 30);
	for (int i = 0; i < 3; i++)
		withdrawals_sent(&f->withdrawals);
	assert_int_equal(withdrawals_due_us(&f->withdrawals), 10 + DRAIN_US);
	assert_false(withdrawals_end_due(&f->withdrawals, 9 + DRAIN_US));
	assert_null(f->withdrawals.queue);
	assert_true(withdrawals_end_due(&f->withdrawals, 20 + DRAIN_US));
	assert_true(ended(f, 1) && ended(f, 2) && !ended(f, 3));
	assert_int_equal(withdrawals_due_us(&f->withdrawals), 30 + DRAIN_US);
	assert_int_equal(withdrawals_oldest_us(&f->withdrawals), 20 + DRAIN_US);
	assert_int_equal(f->withdrawals.queue->id, 2);
	withdrawals_sent(&f->withdrawals);
	assert_int_equal(f->withdrawals.queue->id, 1);
	withdrawals_sent(&f->withdrawals);
	assert_null(f->withdrawals.queue);

	/* Its namespace goes: it is not told again, and waited for since. */
	assert_false(withdrawals_netns_gone(&f->withdrawals, 80, 500));
	assert_int_equal(withdrawals_find(&f->withdrawals, 2)->abort_since_us,
			 20 + DRAIN_US);
	released(f, 3);
	assert_int_equal(withdrawals_due_us(&f->withdrawals), 0);
	assert_false(withdrawals_end_due(&f->withdrawals, 1000));
}

/* A rule may say how long its connections may take. */
static void test_time_of_the_rule(void **state)
{
	struct fixture *f = *state;

	f->service->drain_timeout_ms = 2;
	add_at(f, 1, 70, 10);
	assert_int_equal(withdrawals_due_us(&f->withdrawals),
			 10 + 2 * USEC_PER_MSEC);
}

static void test_ended_one_by_one(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 70);
	add(f, 2, 70);
	assert_true(withdrawals_end(&f->withdrawals,
				    withdrawals_find(&f->withdrawals, 2),
				    BERTH_ENDING_DRAINED, 7));
	assert_false(withdrawals_end(&f->withdrawals,
				     withdrawals_find(&f->withdrawals, 2),
				     BERTH_ENDING_DRAINED, 8));
	assert_true(!ended(f, 1) && ended(f, 2));
	assert_int_equal(withdrawals_oldest_us(&f->withdrawals), 7);
}

/* A namespace has its share of what drains, and takes nothing from others. */
static void test_share_of_a_namespace(void **state)
{
	struct fixture *f = *state;

	add(f, 9, 80);
	for (uint64_t id = 1; id <= MAX_PER_NETNS; id++)
		add(f, id, 70);
	assert_false(ended(f, 1));
	add(f, 4, 70);
	assert_true(ended(f, 1) && !ended(f, 2));
	released(f, 2);
	add(f, 5, 70);
	assert_false(ended(f, 3));
	add(f, 6, 70);
	assert_true(ended(f, 3) && !ended(f, 4));
	assert_false(ended(f, 9));
}

/* To ask for each namespace would take minutes if all were looked through. */
static void test_many_namespaces(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 1; i <= MANY; i++)
		add(f, i, i + MANY);
	for (uint64_t i = 1; i <= MANY; i++) {
		assert_int_equal(withdrawals_of(&f->withdrawals, i + MANY)->id,
				 i);
		assert_true(
			withdrawals_netns_gone(&f->withdrawals, i + MANY, 2));
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_by_namespace),	      T(test_one_listener_twice),
		T(test_namespace_goes),	      T(test_time_is_over),
		T(test_time_of_the_rule),     T(test_ended_one_by_one),
		T(test_share_of_a_namespace), T(test_many_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	service_unref(f->service);
	free(f);
	return 0;
}

static void add(struct fixture *f, uint64_t id, uint64_t netns_id)
{
	struct listener listener = {
		.id = id,
		.netns_id = netns_id,
		.service = f->service,
		.fd = -1,
	};

	assert_int_equal(withdrawals_add(&f->withdrawals, &listener, 1), 0);
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
		T(test_by_namespace),
		T(test_one_listener_twice),
		T(test_namespace_goes),
		T(test_many_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

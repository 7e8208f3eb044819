// SPDX-License-Identifier: Apache-2.0
/* test_counters.c - what workers count, and how a reader adds it up */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/counters.h"
#include "lib/berth.h"
#include "relay/core/listener.h"
#include "relay/core/report.h"
#include "relay/core/worker.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

static uint64_t error_count(const struct counts *counts, int error)
{
	uint64_t n = 0;

	for (size_t i = 0; i < counts->n_errors; i++) {
		if (counts->errors[i].error == error)
			n += counts->errors[i].n;
	}
	return n;
}

static void test_shares_are_summed(void **state)
{
	struct counters a = { 0 }, b = { 0 };
	struct counts counts = { 0 };

	(void)state;
	counters_sum(NULL, &counts);
	assert_int_equal(counts_grown(&counts), 0);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		counters_add(&a, (enum counter)i, 1u << i);
		counters_add(&b, (enum counter)i, 1000000);
		counters_add(&b, (enum counter)i, 0);
	}
	counters_sum(&a, &counts);
	counters_sum(&b, &counts);
	for (int i = 0; i < COUNTER_COUNT; i++)
		assert_int_equal(counts.values[i], 1000000 + (1u << i));
	assert_true(counts_grown(&counts) > 0);
	assert_int_equal(counts.n_errors, 0);
}

static void test_active_is_what_did_not_end(void **state)
{
	struct counts counts = { 0 };

	(void)state;
	counts.values[COUNTER_ACCEPTED] = 5;
	counts.values[COUNTER_ENDED] = 2;
	assert_int_equal(counts_active(&counts), 3);
	counts.values[COUNTER_ENDED] = 6;
	assert_int_equal(counts_active(&counts), 0);
}

static void test_errnos_are_told_apart(void **state)
{
	struct counters a = { 0 }, b = { 0 };
	struct counts counts = { 0 };

	(void)state;
	counters_failed(&a, ECONNREFUSED);
	counters_failed(&a, 0);
	counters_failed(&a, ETIMEDOUT);
	counters_failed(&a, ECONNREFUSED);
	counters_failed(&b, ETIMEDOUT);
	counters_sum(&a, &counts);
	counters_sum(&b, &counts);
	assert_int_equal(counts.n_errors, 3);
	assert_int_equal(error_count(&counts, 0), 1);
	assert_int_equal(error_count(&counts, ECONNREFUSED), 2);
	assert_int_equal(error_count(&counts, ETIMEDOUT), 2);
	assert_true(counts_grown(&counts) > 0);
}

/* Two workers with different errnos have more of them than fit one table. */
static void test_errnos_without_room_are_others(void **state)
{
	struct counters a = { 0 }, b = { 0 };
	struct counts counts = { 0 };
	uint64_t n = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		counters_failed(&a, 1 + i);
		counters_failed(&b, 101 + i);
	}
	counters_sum(&a, &counts);
	assert_int_equal(counts.n_errors, COUNTERS_ERRORS + 1);
	assert_int_equal(error_count(&counts, 0), 3);
	counters_sum(&b, &counts);
	assert_int_equal(counts.n_errors, COUNTERS_ERRORS + 1);
	assert_int_equal(error_count(&counts, 0), 13);
	for (size_t i = 0; i < counts.n_errors; i++)
		n += counts.errors[i].n;
	assert_int_equal(n, 20);
}

/* 0 may come before the table is full, and has one place all the same. */
static void test_others_have_one_place(void **state)
{
	struct counts counts = { 0 };

	(void)state;
	counts_add_error(&counts, 0, 1);
	for (int i = 1; i <= 10; i++)
		counts_add_error(&counts, i, 1);
	assert_int_equal(counts.n_errors, COUNTERS_ERRORS);
	assert_int_equal(counts.errors[0].error, 0);
	assert_int_equal(counts.errors[0].n, 11 - (COUNTERS_ERRORS - 1));
}

/* The sum and its parts; memory comes with the first of them. */
static void test_reasons(void **state)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	struct counts counts = { 0 };

	(void)state;
	assert_non_null(counters);
	counters_dropped(counters, BERTH_DROP_MEMORY, 0);
	counters_sum(counters, &counts);
	assert_null(atomic_load(&counters->reasons));
	assert_int_equal(counts_grown(&counts), 0);
	counters_dropped(counters, BERTH_DROP_MEMORY, 3);
	counters_dropped(counters, BERTH_DROP_OTHER, 1);
	counters_limited(counters, BERTH_LIMIT_WAITING);
	counters_limited(counters, BERTH_LIMIT_WAITING);
	counters_sum(counters, &counts);
	assert_int_equal(counts.values[COUNTER_DROPPED], 4);
	assert_int_equal(counts.dropped[BERTH_DROP_MEMORY], 3);
	assert_int_equal(counts.dropped[BERTH_DROP_OTHER], 1);
	assert_int_equal(counts.values[COUNTER_LIMITED], 2);
	assert_int_equal(counts.limited[BERTH_LIMIT_WAITING], 2);
	counters_free(counters);
	counters_free(NULL);
}

static void test_memory_comes_with_traffic(void **state)
{
	struct worker worker = { 0 };
	struct listener *listener;
	struct counters *counters;
	struct counts counts = { 0 };

	(void)state;
	assert_int_equal(admission_init(10, 1), 0);
	assert_int_equal(listener_new(1, -1, PROTOCOL_TCP, &test_about, 2,
				      &listener),
			 0);
	for (size_t i = 0; i < 2; i++) {
		listener->shares[i].worker = &worker;
		assert_null(atomic_load(&listener->shares[i].counters));
	}
	counters = share_counters(&listener->shares[0]);
	assert_ptr_equal(counters, atomic_load(&listener->shares[0].counters));
	assert_ptr_equal(share_counters(&listener->shares[0]), counters);
	counters_add(counters, COUNTER_ACCEPTED, 1);
	assert_null(atomic_load(&listener->shares[1].counters));
	for (size_t i = 0; i < 2; i++)
		counters_sum(atomic_load(&listener->shares[i].counters),
			     &counts);
	assert_int_equal(counts.values[COUNTER_ACCEPTED], 1);
	(void)listener_free(listener);
}

/* In the order of the enum, so that a member with another's value shows. */
static void test_report(void **state)
{
	struct worker worker = { 0 };
	struct berth_counts report;
	struct listener *listener;

	(void)state;
	assert_int_equal(admission_init(10, 1), 0);
	assert_int_equal(listener_new(1, -1, PROTOCOL_TCP, &test_about, 3,
				      &listener),
			 0);
	assert_false(report_listener(listener, &report));
	for (size_t i = 0; i < 2; i++) {
		struct counters *counters;

		listener->shares[i].worker = &worker;
		counters = share_counters(&listener->shares[i]);
		for (int j = 0; j < COUNTER_COUNT; j++)
			counters_add(counters, (enum counter)j,
				     (uint64_t)(100 - 10 * j));
		counters_failed(counters, ECONNREFUSED);
		counters_dropped(counters, BERTH_DROP_CIRCLE, 5);
		counters_limited(counters, BERTH_LIMIT_PORTS);
	}
	assert_true(report_listener(listener, &report));
	assert_int_equal(report.accepted, 200);
	assert_int_equal(report.active, 20);
	assert_int_equal(report.limited, 162);
	assert_int_equal(report.limited_by[BERTH_LIMIT_PORTS], 2);
	assert_int_equal(report.bytes_in, 140);
	assert_int_equal(report.bytes_out, 120);
	assert_int_equal(report.messages_in, 100);
	assert_int_equal(report.messages_out, 80);
	assert_int_equal(report.dropped, 70);
	assert_int_equal(report.dropped_by[BERTH_DROP_CIRCLE], 10);
	assert_int_equal(report.n_errors, 1);
	assert_int_equal(report.errors[0].error, ECONNREFUSED);
	assert_int_equal(report.errors[0].n, 2);
	(void)listener_free(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares_are_summed),
		cmocka_unit_test(test_active_is_what_did_not_end),
		cmocka_unit_test(test_errnos_are_told_apart),
		cmocka_unit_test(test_errnos_without_room_are_others),
		cmocka_unit_test(test_others_have_one_place),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_memory_comes_with_traffic),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

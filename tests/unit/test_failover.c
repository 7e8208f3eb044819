// SPDX-License-Identifier: Apache-2.0
/* test_failover.c - connecting to one backend after the other */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/core/counters.h"
#include "relay/backend/failover.h"
#include "relay/core/listener.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"
#include "relay/core/upstream.h"
#include "relay/core/worker.h"

#define NOW_US (100 * USEC_PER_SEC)

static char text[] = "192.0.2.1:80";
static char nowhere[] = "";
static struct target_health healths[3];
static struct serving_backend backends[3];
static struct serving serving;
static struct counters counted;
static const struct relay_protocol ops = { .gives_up = "ending" };
static struct listener listener;
static struct share share;
static struct worker worker;
static struct upstream upstream;

static int setup(void **state)
{
	(void)state;
	memset(healths, 0, sizeof(healths));
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		atomic_init(&healths[i].refs, 1);
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		backends[i] = (struct serving_backend){
			.text = text,
			.health = &healths[i],
			.weight = 1,
		};
	memset(&serving, 0, sizeof(serving));
	serving.backends = backends;
	serving.n_backends = ARRAY_SIZE(backends);
	serving.backend_netns = nowhere;
	memset(&counted, 0, sizeof(counted));
	memset(&share, 0, sizeof(share));
	atomic_store(&share.counters, &counted);
	listener.label = text;
	listener.ops = &ops;
	share.listener = &listener;
	worker.now_us = NOW_US;
	upstream = (struct upstream){ 0 };
	return 0;
}

static bool pick(void)
{
	return failover_pick(&worker, &serving, &upstream);
}

static bool next(int error)
{
	return failover_next(&worker, &share, &serving, &upstream, error);
}

static void test_each_once(void **state)
{
	struct counts counts = { 0 };

	(void)state;
	assert_true(pick());
	assert_int_equal(upstream.index, 0);
	assert_true(next(ECONNREFUSED));
	assert_int_equal(upstream.index, 1);
	assert_true(next(ETIMEDOUT));
	assert_int_equal(upstream.index, 2);
	assert_false(next(ECONNREFUSED));
	counters_sum(&counted, &counts);
	assert_int_equal(counts.n_errors, 2);
	assert_int_equal(counts.errors[0].error, ECONNREFUSED);
	assert_int_equal(counts.errors[0].n, 2);
	assert_int_equal(counts.errors[1].error, ETIMEDOUT);
	assert_int_equal(counts.errors[1].n, 1);
}

static void assert_connections(unsigned int a, unsigned int b, unsigned int c)
{
	assert_int_equal(atomic_load(&healths[0].connections), a);
	assert_int_equal(atomic_load(&healths[1].connections), b);
	assert_int_equal(atomic_load(&healths[2].connections), c);
	/* A client has a reference, as the rule may go before it does. */
	assert_int_equal(atomic_load(&healths[0].refs), 1 + a);
}

/* A client counts with one backend at a time, however often it moves. */
static void test_counts_with_one(void **state)
{
	(void)state;
	serving.balance = SERVICE_BALANCE_LEAST_CONNECTIONS;
	assert_true(pick());
	assert_connections(1, 0, 0);
	assert_true(next(ECONNREFUSED));
	assert_connections(0, 1, 0);
	assert_true(next(ECONNREFUSED));
	assert_connections(0, 0, 1);
	assert_false(next(ECONNREFUSED));
	assert_connections(0, 0, 0);
	failover_leave(&upstream);
	assert_connections(0, 0, 0);
}

/* What is the backend's fault holds it back for others; our own does not. */
static void test_whose_fault(void **state)
{
	static const struct {
		int error;
		bool own;
	} cases[] = {
		{ ECONNREFUSED, false },   { ETIMEDOUT, false },
		{ EHOSTUNREACH, false },   { ENOENT, false },
		{ EMFILE, true },	   { ENFILE, true },
		{ ENOMEM, true },	   { ENOBUFS, true },
		{ ENOSPC, true },	   { EAGAIN, true },
		{ EADDRNOTAVAIL, true },   { EAFNOSUPPORT, true },
		{ EPROTONOSUPPORT, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		assert_true(pick());
		assert_true(next(cases[i].error));
		assert_int_equal(upstream.index, 1);
		assert_int_equal(atomic_load(&healths[0].held_until_us),
				 cases[i].own ? 0 : NOW_US + USEC_PER_SEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_once, setup),
		cmocka_unit_test_setup(test_counts_with_one, setup),
		cmocka_unit_test_setup(test_whose_fault, setup),
	};

	log_init("test_failover", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

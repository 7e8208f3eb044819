// SPDX-License-Identifier: Apache-2.0
/* test_limiter.c - how much clients had lately */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/limiter.h"

#define MINUTE 60000u
#define NOW UINT64_C(1000000000)
#define NETNS 42

/* The most that a namespace has, see limiter.c. */
#define NETNS_ENTRIES 8192

static const struct limiter_limit two = { { 2, MINUTE, 128 }, 1 };

static int teardown(void **state)
{
	(void)state;
	limiter_forget();
	assert_int_equal(limiter_entries(), 0);
	return 0;
}

static bool take(const struct limiter_limit *limit, uint64_t netns_id,
		 const char *client)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(client, &addr), 0);
	return limiter_take(limit, 1, netns_id, &addr, NOW, NULL);
}

static void test_who_is_counted(void **state)
{
	const struct limiter_limit other = { { 2, MINUTE, 128 }, 2 };

	(void)state;
	assert_true(take(&two, NETNS, "10.0.0.1"));
	assert_true(take(&two, NETNS, "10.0.0.1"));
	assert_false(take(&two, NETNS, "10.0.0.1"));
	assert_true(take(&two, NETNS, "10.0.0.2"));
	assert_true(take(&two, NETNS + 1, "10.0.0.1"));
	assert_true(take(&other, NETNS, "10.0.0.1"));
	assert_true(take(&two, NETNS, "::a00:1"));
	assert_int_equal(limiter_entries(), 5);
}

static void test_prefix(void **state)
{
	const struct limiter_limit net = { { 2, MINUTE, 64 }, 1 };
	const struct limiter_limit odd = { { 1, MINUTE, 3 }, 2 };

	(void)state;
	assert_true(take(&net, NETNS, "fd00::1"));
	assert_true(take(&net, NETNS, "fd00::ffff:2"));
	assert_false(take(&net, NETNS, "fd00::3"));
	assert_true(take(&net, NETNS, "fd00:0:0:1::3"));
	/* These are neighbours that have nothing but this prefix in common. */
	for (int i = 0; i < 2; i++) {
		assert_true(take(&net, NETNS, "fe80::1"));
		assert_true(take(&net, NETNS, "fe80::2"));
	}
	assert_false(take(&net, NETNS, "fe80::2"));
	assert_true(take(&net, NETNS, "10.0.0.1"));
	assert_true(take(&net, NETNS, "10.0.0.2"));
	assert_true(take(&odd, NETNS, "2000::1"));
	assert_false(take(&odd, NETNS, "3fff::1"));
	assert_true(take(&odd, NETNS, "4000::1"));
}

static void test_all_must_hold(void **state)
{
	const struct limiter_limit limits[] = {
		{ { 6, MINUTE, 128 }, 1 },
		{ { 2, 10000, 128 }, 2 },
	};
	struct ip_addr client = { .family = AF_INET, .bytes = { 10, 1 } };
	uint64_t wait_us = 0, now = NOW;
	int had = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		had += limiter_take(limits, 2, NETNS, &client, now, &wait_us);
	assert_int_equal(had, 2);
	/* 3 in this window, 2 at most: of it less than two thirds, and one. */
	assert_int_equal(wait_us, 10000000 + 10000000 - 6666666);
	/* The third counted for the long one, too: 3 of 6. */
	now += 20000000;
	for (int i = 0; i < 4; i++)
		had += limiter_take(limits, 1, NETNS, &client, now, &wait_us);
	assert_int_equal(had, 5);
	assert_true(limiter_take(limits, 0, NETNS, &client, now, NULL));
}

static struct ip_addr numbered(unsigned int n)
{
	struct ip_addr addr = { .family = AF_INET };

	memcpy(addr.bytes, &n, sizeof(n));
	return addr;
}

/* A namespace that has all its places makes room by what it did not use for
 * longest. */
static void test_share(void **state)
{
	struct ip_addr client, first = numbered(1);

	(void)state;
	assert_true(take(&two, NETNS + 1, "10.0.0.1"));
	assert_true(take(&two, NETNS + 1, "10.0.0.1"));
	for (unsigned int n = 1; n <= NETNS_ENTRIES; n++) {
		client = numbered(n);
		assert_true(limiter_take(&two, 1, NETNS, &client, NOW, NULL));
	}
	assert_int_equal(limiter_entries(), NETNS_ENTRIES + 1);
	assert_true(limiter_take(&two, 1, NETNS, &first, NOW, NULL));
	/* The second is used no longer than the first now. */
	client = numbered(NETNS_ENTRIES + 1);
	assert_true(limiter_take(&two, 1, NETNS, &client, NOW, NULL));
	assert_int_equal(limiter_entries(), NETNS_ENTRIES + 1);
	assert_false(limiter_take(&two, 1, NETNS, &first, NOW, NULL));
	client = numbered(2);
	for (int i = 0; i < 2; i++)
		assert_true(limiter_take(&two, 1, NETNS, &client, NOW, NULL));
	assert_false(limiter_take(&two, 1, NETNS, &client, NOW, NULL));
	assert_false(take(&two, NETNS + 1, "10.0.0.1"));
}

/* What says nothing any more goes as other clients come. */
static void test_old_ones_go(void **state)
{
	const uint64_t later = NOW + 2 * UINT64_C(60000000);
	struct ip_addr client;

	(void)state;
	for (unsigned int n = 1; n <= 100; n++) {
		client = numbered(n);
		assert_true(limiter_take(&two, 1, NETNS, &client, NOW, NULL));
	}
	assert_int_equal(limiter_entries(), 100);
	client = numbered(1000);
	for (unsigned int i = 0; i < 60; i++)
		(void)limiter_take(&two, 1, NETNS, &client, later, NULL);
	assert_int_equal(limiter_entries(), 1);
}

#define THREADS 4
#define TIMES 2000

static void *taker(void *user_data)
{
	const struct limiter_limit limit = { { TIMES, MINUTE, 128 }, 9 };
	struct ip_addr shared = numbered(7);
	uint64_t *had = user_data;

	for (unsigned int n = 0; n < TIMES; n++) {
		struct ip_addr own = numbered(n + 100);

		*had += limiter_take(&limit, 1, NETNS, &shared, NOW, NULL);
		(void)limiter_take(&limit, 1, NETNS + n % 20, &own, NOW, NULL);
	}
	return NULL;
}

/* All threads together have what one client may have. */
static void test_threads(void **state)
{
	uint64_t had[THREADS] = { 0 }, sum = 0;
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, taker, &had[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		sum += had[i];
	}
	assert_int_equal(sum, TIMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_who_is_counted, teardown),
		cmocka_unit_test_teardown(test_prefix, teardown),
		cmocka_unit_test_teardown(test_all_must_hold, teardown),
		cmocka_unit_test_teardown(test_share, teardown),
		cmocka_unit_test_teardown(test_old_ones_go, teardown),
		cmocka_unit_test_teardown(test_threads, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

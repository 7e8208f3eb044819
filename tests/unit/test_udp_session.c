// SPDX-License-Identifier: Apache-2.0
/* test_udp_session.c - the table of UDP sessions: order, limits, hostile keys
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/udp/udp_session.h"

static struct udp_key key_of(uint32_t client, uint16_t port)
{
	struct udp_key key = { .family = 2, .port = port };

	memcpy(key.client, &client, sizeof(client));
	return key;
}

static struct udp_session *add(struct udp_table *table, uint32_t client,
			       uint64_t now_us)
{
	struct udp_key key = key_of(client, 1);
	struct udp_session *session = udp_table_add(table, &key, false, now_us);

	assert_non_null(session);
	return session;
}

static void drop(struct udp_session *session)
{
	udp_session_remove(session);
	free(session);
}

static void empty(struct udp_table *table)
{
	while (udp_table_oldest(table))
		drop(udp_table_oldest(table));
	assert_int_equal(udp_table_count(table), 0);
	(void)udp_table_free(table);
}

static void test_each_part_of_the_key_counts(void **state)
{
	struct udp_key keys[7];
	struct udp_session *sessions[ARRAY_SIZE(keys)];
	struct udp_pool pool;
	struct udp_table *table;

	(void)state;
	udp_pool_init(&pool, 100);
	table = udp_table_new(&pool, NULL, &pool);
	assert_ptr_equal(udp_table_owner(table), &pool);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = key_of(7, 7);
	keys[1].client[15] = 1;
	keys[2].local[0] = 1;
	keys[3].scope_id = 1;
	keys[4].ifindex = 1;
	keys[5].port = 8;
	keys[6].family = 10;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_null(udp_table_find(table, &keys[i]));
		sessions[i] = udp_table_add(table, &keys[i], false, i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_ptr_equal(udp_table_find(table, &keys[i]), sessions[i]);
		assert_int_equal(sessions[i]->fd, -1);
	}
	drop(sessions[3]);
	assert_null(udp_table_find(table, &keys[3]));
	assert_ptr_equal(udp_table_find(table, &keys[4]), sessions[4]);
	empty(table);
}

static void test_oldest_is_least_recently_used(void **state)
{
	struct udp_session *a, *b, *c;
	struct udp_pool pool;
	struct udp_table *table;

	(void)state;
	udp_pool_init(&pool, 100);
	table = udp_table_new(&pool, NULL, NULL);
	assert_null(udp_table_oldest(table));
	a = add(table, 1, 10);
	b = add(table, 2, 20);
	c = add(table, 3, 30);
	assert_ptr_equal(udp_table_oldest(table), a);
	udp_session_asked(a, 40);
	assert_int_equal(a->active_us, 40);
	assert_ptr_equal(udp_table_oldest(table), b);
	udp_session_asked(a, 41);
	udp_session_asked(b, 50);
	assert_ptr_equal(udp_table_oldest(table), c);
	drop(c);
	assert_ptr_equal(udp_table_oldest(table), a);
	assert_ptr_equal(udp_pool_greediest(&pool), a);
	empty(table);
	assert_int_equal(pool.n, 0);
}

static void test_full_table_gives_its_oldest(void **state)
{
	struct udp_session *first;
	struct udp_pool pool;
	struct udp_table *table;

	(void)state;
	udp_pool_init(&pool, 100);
	table = udp_table_new(&pool, NULL, NULL);
	assert_null(udp_table_victim(table, 2));
	first = add(table, 1, 1);
	assert_null(udp_table_victim(table, 2));
	(void)add(table, 2, 2);
	assert_ptr_equal(udp_table_victim(table, 2), first);
	empty(table);
}

/* Forged addresses never speak again after an answer: they take each other's
 * places, and a quarter is all that they can take from proven sessions. */
static void test_proven_sessions_outlive_a_flood(void **state)
{
	struct udp_session *proven[8], *victim;
	struct udp_pool pool;
	struct udp_table *table;

	(void)state;
	udp_pool_init(&pool, 100);
	table = udp_table_new(&pool, NULL, NULL);
	for (uint32_t i = 0; i < ARRAY_SIZE(proven); i++) {
		proven[i] = add(table, i, 1 + i);
		udp_session_asked(proven[i], 10 + i);
		assert_int_equal(proven[i]->stage, UDP_STAGE_ASKED);
		udp_session_answered(proven[i], 20 + i);
		assert_int_equal(proven[i]->stage, UDP_STAGE_ANSWERED);
		udp_session_asked(proven[i], 30 + i);
		assert_int_equal(proven[i]->stage, UDP_STAGE_PROVEN);
	}
	/* Also those that were answered, but did not speak again. */
	for (uint32_t i = 100; i < 1000; i++) {
		while ((victim = udp_table_victim(table, 8)))
			drop(victim);
		udp_session_answered(add(table, i, 100 + i), 100 + i);
		assert_true(udp_table_count(table) <= 8);
	}
	/* The oldest of them went, and no more than the quarter and one. */
	for (uint32_t i = 3; i < ARRAY_SIZE(proven); i++) {
		struct udp_key key = key_of(i, 1);

		assert_ptr_equal(udp_table_find(table, &key), proven[i]);
	}
	assert_ptr_equal(udp_table_oldest(table), proven[3]);
	empty(table);
	assert_int_equal(pool.n, 0);
}

static void test_newcomers_get_a_place_among_proven_ones(void **state)
{
	struct udp_session *oldest = NULL, *session;
	struct udp_pool pool;
	struct udp_table *table;

	(void)state;
	udp_pool_init(&pool, 100);
	table = udp_table_new(&pool, NULL, NULL);
	for (uint32_t i = 0; i < 4; i++) {
		session = add(table, i, i);
		udp_session_answered(session, 10 + i);
		udp_session_asked(session, 20 + i);
		if (!oldest)
			oldest = session;
	}
	assert_ptr_equal(udp_table_victim(table, 4), oldest);
	empty(table);
}

/* Whoever has more than its part of a full pool pays for its own growth, and
 * not the quiet neighbour whose session is the oldest of all. */
static void test_full_pool_spares_the_small_ones(void **state)
{
	struct udp_table *quiet, *flooded;
	struct udp_session *old;
	struct udp_pool pool;

	(void)state;
	udp_pool_init(&pool, 10);
	quiet = udp_table_new(&pool, NULL, NULL);
	flooded = udp_table_new(&pool, NULL, NULL);
	assert_null(udp_table_victim(quiet, 100));
	old = add(quiet, 1, 1);
	for (uint32_t i = 0; i < 9; i++)
		(void)add(flooded, i, 2 + i);
	assert_int_equal(pool.n, 10);
	assert_ptr_equal(udp_table_victim(flooded, 100),
			 udp_table_oldest(flooded));
	/* The small one grows: the oldest of all goes, which is its own. */
	assert_ptr_equal(udp_table_victim(quiet, 100), old);
	udp_session_asked(old, 50);
	assert_ptr_equal(udp_table_victim(quiet, 100),
			 udp_table_oldest(flooded));
	empty(quiet);
	/* A table without sessions still gets room in a full pool. */
	(void)add(flooded, 100, 60);
	quiet = udp_table_new(&pool, NULL, NULL);
	pool.limit = 1;
	assert_ptr_equal(udp_table_victim(quiet, 100),
			 udp_table_oldest(flooded));
	empty(quiet);
	empty(flooded);
}

/* However many tables a namespace has, and however old another's session is:
 * the one that has most gives way. */
static void test_the_greediest_namespace_gives_way(void **state)
{
	static const int netns[3];
	struct udp_table *greedy[4], *modest, *newcomer;
	struct udp_session *old;
	struct udp_pool pool;

	(void)state;
	udp_pool_init(&pool, 100);
	for (size_t i = 0; i < ARRAY_SIZE(greedy); i++)
		greedy[i] = udp_table_new(&pool, &netns[0], NULL);
	modest = udp_table_new(&pool, &netns[1], NULL);
	newcomer = udp_table_new(&pool, &netns[2], NULL);
	old = add(modest, 1000, 1);
	for (uint32_t i = 0; i < 99; i++)
		(void)add(greedy[i % 3], i, 2 + i);
	assert_null(udp_table_concede(newcomer));
	assert_ptr_equal(udp_pool_greediest(&pool),
			 udp_table_oldest(greedy[0]));
	assert_ptr_equal(udp_table_victim(newcomer, 100),
			 udp_table_oldest(greedy[0]));
	assert_ptr_equal(udp_table_victim(modest, 100),
			 udp_table_oldest(greedy[0]));
	/* Its fourth listener is taken from the others, not from neighbours. */
	assert_ptr_equal(udp_table_victim(greedy[3], 100),
			 udp_table_oldest(greedy[0]));
	assert_ptr_equal(udp_table_concede(greedy[1]),
			 udp_table_oldest(greedy[1]));
	/* What has its share takes from itself, although others have more. */
	assert_ptr_equal(udp_table_concede(modest), old);
	for (size_t i = 0; i < ARRAY_SIZE(greedy); i++)
		empty(greedy[i]);
	assert_ptr_equal(udp_pool_greediest(&pool), old);
	empty(modest);
	empty(newcomer);
	assert_null(udp_pool_greediest(&pool));
}

/* A spray of addresses, each new: bounded by the limits, whatever comes. */
static void test_spray_stays_bounded(void **state)
{
	struct udp_pool pool;
	struct udp_table *tables[3];
	struct udp_session *victim;
	struct udp_key key;

	(void)state;
	udp_pool_init(&pool, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		tables[i] = udp_table_new(&pool, NULL, NULL);
	for (uint32_t i = 0; i < 50000; i++) {
		struct udp_table *table = tables[i % 7 == 0 ? i % 3 : 0];

		key = key_of(i, (uint16_t)(i * 7));
		assert_null(udp_table_find(table, &key));
		while ((victim = udp_table_victim(table, 800)))
			drop(victim);
		assert_non_null(udp_table_add(table, &key, false, i));
		assert_true(pool.n <= 1000);
		assert_true(udp_table_count(tables[0]) <= 800);
	}
	assert_int_equal(udp_table_count(tables[0]) +
				 udp_table_count(tables[1]) +
				 udp_table_count(tables[2]),
			 pool.n);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		empty(tables[i]);
	assert_int_equal(pool.n, 0);
	assert_null(udp_pool_greediest(&pool));
}

/* Addresses in arithmetic order must not fall into few buckets: 100,000 finds
 * in one chain of 100,000 would take minutes, spread out some milliseconds. */
static void test_regular_keys_spread(void **state)
{
	struct udp_pool pool;
	struct udp_table *table;
	struct udp_key key;
	uint64_t begin_us;

	(void)state;
	udp_pool_init(&pool, 100000);
	table = udp_table_new(&pool, NULL, NULL);
	begin_us = monotonic_us();
	for (uint32_t i = 0; i < 100000; i++)
		(void)add(table, i << 12, i);
	for (uint32_t i = 0; i < 100000; i++) {
		key = key_of(i << 12, 1);
		assert_non_null(udp_table_find(table, &key));
	}
	assert_true(monotonic_us() - begin_us < 5 * USEC_PER_SEC);
	empty(table);
}

static void test_secrets_differ(void **state)
{
	struct udp_pool a, b;

	(void)state;
	udp_pool_init(&a, 1);
	udp_pool_init(&b, 1);
	assert_memory_not_equal(a.secret, b.secret, sizeof(a.secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_part_of_the_key_counts),
		cmocka_unit_test(test_oldest_is_least_recently_used),
		cmocka_unit_test(test_full_table_gives_its_oldest),
		cmocka_unit_test(test_proven_sessions_outlive_a_flood),
		cmocka_unit_test(test_newcomers_get_a_place_among_proven_ones),
		cmocka_unit_test(test_full_pool_spares_the_small_ones),
		cmocka_unit_test(test_the_greediest_namespace_gives_way),
		cmocka_unit_test(test_spray_stays_bounded),
		cmocka_unit_test(test_regular_keys_spread),
		cmocka_unit_test(test_secrets_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_balance.c - which of several backends a client gets */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/backend/balance.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

#define CLIENTS 20000

static struct serving_backend backends[64];
static struct target_health healths[64];
static struct serving serving = { .backends = backends };

static int setup(void **state)
{
	(void)state;
	memset(healths, 0, sizeof(healths));
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		backends[i] = (struct serving_backend){
			.health = &healths[i],
			.weight = 1,
			.balance_id = 0x1000 + i,
		};
	serving.n_backends = ARRAY_SIZE(backends);
	serving.balance = SERVICE_BALANCE_ROUND_ROBIN;
	return 0;
}

static void set_weights(unsigned int a, unsigned int b, unsigned int c)
{
	backends[0].weight = (uint16_t)a;
	backends[1].weight = (uint16_t)b;
	backends[2].weight = (uint16_t)c;
}

static void expect_turns(const char *expected, uint64_t candidates)
{
	for (; *expected; expected++)
		assert_int_equal('A' + balance_choose(&serving, candidates, 0),
				 *expected);
}

static void test_nobody(void **state)
{
	(void)state;
	for (int i = SERVICE_BALANCE_ROUND_ROBIN; i <= SERVICE_BALANCE_HASH;
	     i++) {
		serving.balance = (enum service_balance)i;
		assert_int_equal(balance_choose(&serving, 0, 1), -1);
		assert_int_equal(balance_choose(&serving, UINT64_C(1) << 63, 1),
				 63);
	}
}

static void test_in_turn(void **state)
{
	(void)state;
	expect_turns("ABCABC", 7);
	expect_turns("ACAC", 5);
	expect_turns("ABCABC", 7);
}

/* Heavy ones do not come in a row. */
static void test_smooth(void **state)
{
	(void)state;
	set_weights(5, 1, 1);
	expect_turns("AABACAAAABACAA", 7);
	set_weights(3, 1, 0);
	expect_turns("AABAAABA", 3);
	set_weights(256, 1, 0);
	for (int i = 0; i < 257; i++)
		expect_turns(i == 128 ? "B" : "A", 3);
}

/* Expects that each of three has a third of the next 300 clients. */
static void expect_thirds(void)
{
	unsigned int counts[3] = { 0 };

	for (int i = 0; i < 300; i++)
		counts[balance_choose(&serving, 7, 0)]++;
	for (int i = 0; i < 3; i++) {
		assert_true(counts[i] >= 99);
		assert_true(counts[i] <= 101);
	}
}

/* What was chosen by weights of before, in the middle of a round, is a client
 * and not more. */
static void test_other_weights(void **state)
{
	(void)state;
	set_weights(100, 100, 100);
	expect_turns("A", 7);
	set_weights(1, 1, 1);
	expect_turns("BC", 7);
	expect_thirds();
	set_weights(256, 1, 1);
	expect_turns("AAAAAAAAAA", 7);
	set_weights(1, 1, 1);
	expect_thirds();
	/* A heavy one that had its turn soon has another. */
	set_weights(1, 256, 1);
	expect_turns("BBBB", 7);
}

static void connections(unsigned int a, unsigned int b, unsigned int c)
{
	atomic_store(&healths[0].connections, a);
	atomic_store(&healths[1].connections, b);
	atomic_store(&healths[2].connections, c);
}

static void test_least_connections(void **state)
{
	(void)state;
	serving.balance = SERVICE_BALANCE_LEAST_CONNECTIONS;
	connections(7, 5, 6);
	expect_turns("BB", 7);
	expect_turns("CC", 5);
	/* Of those that have the same, each in turn. */
	connections(5, 9, 5);
	expect_turns("ACAC", 7);
	/* For their weight: 30 of 10 are fewer than 4 of 1. */
	set_weights(10, 1, 1);
	connections(30, 4, 9);
	expect_turns("AA", 7);
	connections(41, 4, 9);
	expect_turns("BB", 7);
	connections(UINT32_MAX, UINT32_MAX, UINT32_MAX);
	expect_turns("AA", 7);
}

/* As many as the weights say, if no connection ends. */
static void test_least_connections_fill(void **state)
{
	(void)state;
	serving.balance = SERVICE_BALANCE_LEAST_CONNECTIONS;
	set_weights(3, 1, 2);
	for (int i = 0; i < 600; i++)
		atomic_fetch_add(
			&healths[balance_choose(&serving, 7, 0)].connections,
			1);
	assert_int_equal(atomic_load(&healths[0].connections), 300);
	assert_int_equal(atomic_load(&healths[1].connections), 100);
	assert_int_equal(atomic_load(&healths[2].connections), 200);
}

/* 10.0.x.y, one after the other, as in a real network. */
static uint64_t client_number(unsigned int i)
{
	struct ip_addr address = {
		.family = AF_INET,
		.bytes = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i },
	};

	return balance_client(&address);
}

static void choose_all(uint64_t candidates, uint8_t *ret_chosen,
		       unsigned int *ret_counts)
{
	serving.balance = SERVICE_BALANCE_HASH;
	memset(ret_counts, 0, 64 * sizeof(*ret_counts));
	for (unsigned int i = 0; i < CLIENTS; i++) {
		int index =
			balance_choose(&serving, candidates, client_number(i));

		assert_true(index >= 0);
		ret_chosen[i] = (uint8_t)index;
		ret_counts[index]++;
	}
}

static uint8_t before[CLIENTS], after[CLIENTS];
static unsigned int counts[64];

static void assert_about(unsigned int n, double part)
{
	assert_true(n > 0.94 * part * CLIENTS);
	assert_true(n < 1.06 * part * CLIENTS);
}

/* By the weights; nothing of it is random, so that it holds always. */
static void test_hash_spreads(void **state)
{
	(void)state;
	choose_all(7, before, counts);
	for (int i = 0; i < 3; i++)
		assert_about(counts[i], 1.0 / 3);
	set_weights(5, 3, 2);
	choose_all(7, after, counts);
	assert_about(counts[0], 0.5);
	assert_about(counts[1], 0.3);
	assert_about(counts[2], 0.2);
	set_weights(256, 1, 1);
	choose_all(3, after, counts);
	assert_about(counts[0], 256.0 / 257);
	assert_true(counts[1] > 0);
}

/* When a backend goes only its own clients move; when it is back they are, too;
 * and more weight only draws clients to it. */
static void test_hash_moves_few(void **state)
{
	(void)state;
	set_weights(2, 1, 1);
	choose_all(UINT64_MAX, before, counts);
	choose_all(UINT64_MAX & ~UINT64_C(2), after, counts);
	for (int i = 0; i < CLIENTS; i++)
		assert_true(before[i] == 1 ? after[i] != 1
					   : after[i] == before[i]);
	choose_all(UINT64_MAX, after, counts);
	assert_memory_equal(before, after, sizeof(before));
	set_weights(2, 3, 1);
	choose_all(UINT64_MAX, after, counts);
	for (int i = 0; i < CLIENTS; i++)
		assert_true(after[i] == before[i] || after[i] == 1);
}

static struct serving *make_serving(const char *const *to, size_t n)
{
	const char *texts[3];
	struct berth_listener listener = {
		.log = "",
		.balance = "hash",
		.protocol = "tcp",
		.address = "10.0.0.1",
		.port = 80,
		.rule = "r",
		.action = "forward",
		.to = texts,
		.n_to = n,
		.proxy_protocol = "",
		.backend_netns = "",
	};
	struct serving *made;
	const char *problem;

	memcpy(texts, to, n * sizeof(*texts));
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &made, &problem),
			 0);
	return made;
}

/* The choice is that of the address, whatever place it has in the list, and
 * was the same ever before: a new version of berth must not move clients. */
static void test_hash_is_for_ever(void **state)
{
	static const char *const lists[2][3] = {
		{ "10.1.0.1:80", "[fd00::2]:80", "unix:/run/3.sock" },
		{ "unix:/run/3.sock", "tcp://10.1.0.1:80", "[fd00::2]:80" },
	};
	static const int places[2][3] = { { 0, 1, 2 }, { 1, 2, 0 } };
	static const int expected[] = { 0, 0, 1, 2, 0, 2, 0, 1 };
	struct serving *made[2] = { make_serving(lists[0], 3),
				    make_serving(lists[1], 3) };
	struct ip_addr client;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		int chosen = balance_choose(made[0], 7, client_number(i));

		assert_int_equal(balance_choose(made[1], 7, client_number(i)),
				 places[1][chosen]);
		if (i < ARRAY_SIZE(expected))
			assert_int_equal(chosen, expected[i]);
	}
	assert_int_equal(ip_addr_parse("fd00::5", &client), 0);
	assert_int_equal(balance_choose(made[0], 7, balance_client(&client)),
			 1);
	(void)serving_unref(made[0]);
	(void)serving_unref(made[1]);
}

/* A backend that stands twice is one, with both weights. */
static void test_twice(void **state)
{
	static const char *const to[] = { "10.1.0.1:80", "tcp://10.1.0.1:80",
					  "10.1.0.2:80" };
	struct serving *made = make_serving(to, 3);
	unsigned int n[3] = { 0 };

	(void)state;
	assert_int_equal(made->backends[0].weight, 2);
	assert_int_equal(made->backends[1].weight, 0);
	assert_int_equal(made->backends[2].weight, 1);
	for (unsigned int i = 0; i < CLIENTS; i++)
		n[balance_choose(made, 5, client_number(i))]++;
	assert_about(n[0], 2.0 / 3);
	made->balance = SERVICE_BALANCE_ROUND_ROBIN;
	for (const char *expected = "ACAACA"; *expected; expected++)
		assert_int_equal('A' + balance_choose(made, 5, 0), *expected);
	(void)serving_unref(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nobody, setup),
		cmocka_unit_test_setup(test_in_turn, setup),
		cmocka_unit_test_setup(test_smooth, setup),
		cmocka_unit_test_setup(test_other_weights, setup),
		cmocka_unit_test_setup(test_least_connections, setup),
		cmocka_unit_test_setup(test_least_connections_fill, setup),
		cmocka_unit_test_setup(test_hash_spreads, setup),
		cmocka_unit_test_setup(test_hash_moves_few, setup),
		cmocka_unit_test_setup(test_hash_is_for_ever, setup),
		cmocka_unit_test_setup(test_twice, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* test_udp_held.c - what is kept for a session without a socket */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/udp/udp_batch.h"
#include "relay/udp/udp_held.h"

static int setup(void **state)
{
	struct udp_batch *batch = calloc(1, sizeof(*batch));

	assert_non_null(batch);
	assert_int_equal(udp_batch_init(batch), 0);
	*state = batch;
	return 0;
}

static int teardown(void **state)
{
	udp_batch_done(*state);
	free(*state);
	return 0;
}

/* What is received into slot 0. */
static void receive(struct udp_batch *batch, char byte, size_t len,
		    uint32_t segment)
{
	memset(batch->iov[0].iov_base, byte, len);
	batch->iov[0].iov_len = len;
	batch->slots[0] = (struct udp_slot){ .segment = segment };
}

static void test_in_order_and_whole(void **state)
{
	static const struct {
		char byte;
		size_t len;
		uint32_t segment;
		uint64_t datagrams;
	} cases[] = {
		{ 'a', 1, 0, 1 },
		{ 'b', 0, 0, 1 },
		{ 'c', 5000, 1200, 5 },
		{ 'd', 9000, 0, 1 },
	};
	struct udp_held held = { .n = 0 };
	struct udp_batch *batch = *state;

	/* Twice: it is empty again in between. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			receive(batch, cases[i].byte, cases[i].len,
				cases[i].segment);
			assert_true(udp_held_add(&held, batch, 0, SIZE_MAX));
		}
		assert_int_equal(held.n, ARRAY_SIZE(cases));
		assert_int_equal(held.bytes, 14001);
		udp_held_load(&held, batch);
		assert_int_equal(held.n, 0);
		assert_int_equal(held.bytes, 0);
		assert_int_equal(batch->n, ARRAY_SIZE(cases));
		for (size_t i = 0; i < batch->n; i++) {
			const char *bytes = batch->iov[i].iov_base;

			assert_int_equal(batch->iov[i].iov_len, cases[i].len);
			assert_int_equal(udp_batch_datagrams(batch, i, i + 1),
					 cases[i].datagrams);
			for (size_t j = 0; j < cases[i].len; j++)
				assert_int_equal(bytes[j], cases[i].byte);
		}
		udp_batch_clear(batch);
	}
}

static void test_bounds(void **state)
{
	static const struct {
		size_t len;
		size_t room;
		size_t times; /* that it is taken */
	} cases[] = {
		{ 0, 0, UDP_HELD_SLOTS },
		{ 100, SIZE_MAX, UDP_HELD_SLOTS },
		{ UDP_HELD_BYTES / 4, SIZE_MAX, 4 },
		{ UDP_HELD_BYTES, SIZE_MAX, 1 },
		{ 65507, SIZE_MAX, 1 }, /* one, however large */
		{ 65507, 65506, 0 },
		{ 1, 0, 0 },
	};
	struct udp_batch *batch = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct udp_held held = { .n = 0 };
		size_t n = 0;

		receive(batch, 'x', cases[i].len, 0);
		while (udp_held_add(&held, batch, 0, cases[i].room))
			n++;
		assert_int_equal(n, cases[i].times);
		assert_int_equal(held.bytes, n * cases[i].len);
		assert_int_equal(udp_held_drop(&held), n);
		assert_int_equal(held.n + held.bytes, 0);
	}
}

static void test_dropped_are_counted(void **state)
{
	struct udp_held held = { .n = 0 };
	struct udp_batch *batch = *state;

	assert_int_equal(udp_held_drop(&held), 0);
	receive(batch, 'x', 1000, 0);
	assert_true(udp_held_add(&held, batch, 0, SIZE_MAX));
	receive(batch, 'x', 1000, 300); /* merged */
	assert_true(udp_held_add(&held, batch, 0, SIZE_MAX));
	batch->slots[0].cut = true;
	assert_false(udp_held_add(&held, batch, 0, SIZE_MAX));
	assert_int_equal(udp_held_drop(&held), 5);
	assert_int_equal(udp_held_drop(&held), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order_and_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_are_counted, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

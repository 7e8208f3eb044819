// SPDX-License-Identifier: Apache-2.0
/* test_netns_use.c - what one namespace may take of the relay */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relay/limits.h"
#include "relay/netns_use.h"
#include "relay/pipe.h"

#define N_WORKERS 3

static struct netns_uses *uses;

static void test_one_entry_for_one_namespace(void **state)
{
	struct netns_use *a = netns_use_get(uses, 1);
	struct netns_use *b = netns_use_get(uses, 2);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(netns_use_get(uses, 1), a);
	assert_null(netns_use_put(a));
	/* One reference is left, and so is what it counted. */
	assert_true(netns_use_take(a, 2));
	assert_ptr_equal(netns_use_get(uses, 1), a);
	assert_int_equal(a->n_fds, 2);
	netns_use_give(a, 2);
	(void)netns_use_put(a);
	(void)netns_use_put(a);
	(void)netns_use_put(b);
	assert_null(netns_use_put(NULL));
}

static void test_descriptors(void **state)
{
	struct netns_use *a = netns_use_get(uses, 1);
	struct netns_use *b = netns_use_get(uses, 2);
	uint32_t taken = 0;

	(void)state;
	while (netns_use_take(a, 2))
		taken += 2;
	assert_in_range(taken, limits_netns_fds() - 1, limits_netns_fds());
	assert_int_equal(a->n_fds, taken);
	assert_true(netns_use_take(b, 2));
	netns_use_give(a, 2);
	assert_true(netns_use_take(a, 2));
	assert_false(netns_use_take(a, 2));
	netns_use_give(a, taken);
	netns_use_give(b, 2);
	(void)netns_use_put(a);
	(void)netns_use_put(b);
}

static void test_pipes(void **state)
{
	struct netns_use *a = netns_use_get(uses, 1);
	unsigned int n = 0;

	(void)state;
	while (netns_use_take_pipe(a))
		n++;
	assert_in_range(n, 1, PIPES_MAX / 2);
	netns_use_give_pipe(a);
	assert_true(netns_use_take_pipe(a));
	(void)netns_use_put(a);
}

static void test_turns(void **state)
{
	struct netns_use *a = netns_use_get(uses, 1);
	struct netns_turn *turn = netns_use_turn(a, 0, 7);

	(void)state;
	assert_int_equal(turn->n_bytes, 0);
	turn->n_bytes = 5;
	turn->n_accepts = 6;
	/* The same turn, another worker, another turn. */
	assert_int_equal(netns_use_turn(a, 0, 7)->n_bytes, 5);
	assert_int_equal(netns_use_turn(a, 0, 7)->n_accepts, 6);
	assert_int_equal(netns_use_turn(a, N_WORKERS - 1, 7)->n_bytes, 0);
	assert_int_equal(netns_use_turn(a, 0, 8)->n_bytes, 0);
	assert_int_equal(netns_use_turn(a, 0, 8)->n_accepts, 0);
	(void)netns_use_put(a);
}

static int set_up(void **state)
{
	(void)state;
	uses = netns_uses_new(N_WORKERS);
	return uses ? limits_init(16, N_WORKERS) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	uses = netns_uses_free(uses);
	return 0;
}

/* Whatever one namespace keeps waiting, another has its part. */
static void test_messages(void **state)
{
	static const struct sctp_label label = { .sid = 1 };
	static const uint8_t data[1000];
	struct sctp_budget all = { .limit_bytes = 100000 };
	struct netns_use *a = netns_use_get(uses, 1);
	struct netns_use *b = netns_use_get(uses, 2);
	struct sctp_budget *of_a = netns_use_messages(a, 1, &all);
	struct sctp_budget *of_b = netns_use_messages(b, 1, &all);
	struct sctp_queue waiting = { 0 };
	struct sctp_message *message = NULL;

	(void)state;
	assert_ptr_equal(netns_use_messages(a, 1, &all), of_a);
	assert_ptr_not_equal(netns_use_messages(a, 2, &all), of_a);
	while (sctp_message_append(of_a, &message, &label, data, sizeof(data),
				   sizeof(data)) == 0) {
		sctp_queue_push(&waiting, message);
		message = NULL;
	}
	assert_null(message);
	assert_int_equal(of_a->bytes, all.limit_bytes / 2);
	assert_int_equal(all.bytes, all.limit_bytes / 2);
	assert_int_equal(sctp_message_append(of_b, &message, &label, data,
					     sizeof(data), sizeof(data)),
			 0);
	assert_int_equal(of_b->bytes, sizeof(data));
	assert_int_equal(all.bytes, all.limit_bytes / 2 + sizeof(data));
	message = sctp_message_free(of_b, message);
	assert_int_equal(sctp_queue_clear(of_a, &waiting), 50);
	assert_int_equal(of_a->bytes + of_b->bytes + all.bytes, 0);
	(void)netns_use_put(a);
	(void)netns_use_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_entry_for_one_namespace),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
